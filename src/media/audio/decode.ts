import type { AudioSettings } from '../../catalog/settings/audio.ts'
import { VergeError } from '../../core/errors.ts'
import { resample, resampledLength } from './resample.ts'
import { parseWav } from './wav.ts'

export interface AudioLimits {
  /** Longest sound, in seconds; checked from the header, before anything is allocated. */
  readonly audioSeconds: number
  /** Most samples at the model's rate. */
  readonly inputElements: number
}

/**
 * The samples of a WAV file as a model hears them: one channel, at the model's rate, full scale 1.
 * @throws invalid_audio, empty_input, input_too_large
 */
export function decodeAudio(
  bytes: Uint8Array,
  { sampleRate, samples, normalise }: Pick<AudioSettings, 'sampleRate' | 'samples' | 'normalise'>,
  { audioSeconds, inputElements }: AudioLimits,
): Float32Array {
  const wav = parseWav(bytes)
  if (wav.frames === 0) throw new VergeError('empty_input', 'The audio holds no samples. Send a sound.')
  if (wav.frames > audioSeconds * wav.sampleRate) {
    const seconds = Math.round(wav.frames / wav.sampleRate)
    throw new VergeError(
      'input_too_large',
      `The audio takes ${seconds} seconds; ${audioSeconds} are the most. Send it in pieces.`,
      { details: { seconds, limit_seconds: audioSeconds } },
    )
  }
  const whole = resampledLength(wav.frames, wav.sampleRate, sampleRate)
  const length = Math.min(whole, samples ?? whole)
  if (Math.max(length, samples ?? 0) > inputElements) {
    throw new VergeError(
      'input_too_large',
      `The audio has ${length} samples at the ${sampleRate} Hz of this model; ${inputElements} are the most. Send it in pieces.`,
      { details: { samples: length, limit_samples: inputElements } },
    )
  }
  const result = resample(wav, sampleRate, length)
  if (normalise) standardise(result)
  if (samples === undefined || samples === length) return result
  const padded = new Float32Array(samples)
  padded.set(result)
  return padded
}

/** What transformers adds to the variance, so that silence stays finite. */
const EPSILON = 1e-7

/** To zero mean and unit variance in place, as transformers' `zero_mean_unit_var_norm`. */
function standardise(samples: Float32Array): void {
  let sum = 0
  for (const sample of samples) sum += sample
  const mean = sum / samples.length
  let squares = 0
  for (const sample of samples) squares += (sample - mean) ** 2
  const scale = 1 / Math.sqrt(squares / samples.length + EPSILON)
  for (let i = 0; i < samples.length; i++) samples[i] = ((samples[i] ?? 0) - mean) * scale
}
