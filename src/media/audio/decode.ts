import type { AudioSettings } from '../../catalog/settings/audio.ts'
import { VergeError } from '../../core/errors.ts'
import type { StepMeter, Work } from '../../core/work.ts'
import { resampledLength, resampling } from './resample.ts'
import { parseWav, type Wav } from './wav.ts'

export interface AudioLimits {
  /** Longest sound, in seconds; checked from the header, before anything is allocated. */
  readonly audioSeconds: number
  /** Most samples at the model's rate. */
  readonly inputElements: number
}

type Wanted = Pick<AudioSettings, 'sampleRate' | 'samples' | 'normalize'>

/**
 * How many samples a model hears of a WAV file, by its header alone.
 * @throws invalid_audio, empty_input, input_too_large
 */
export function audioLength(bytes: Uint8Array, settings: Wanted, limits: AudioLimits): number {
  const length = usedLength(parseWav(bytes), settings, limits)
  return settings.samples ?? length
}

/**
 * How many samples at the model's rate are the sound itself, by its header alone: what is added behind it does not count.
 * @throws invalid_audio, empty_input, input_too_large
 */
export function soundLength(bytes: Uint8Array, settings: Wanted, limits: AudioLimits): number {
  return usedLength(parseWav(bytes), settings, limits)
}

/**
 * The samples of a WAV file as a model hears them: one channel, at the model's rate, full scale 1.
 * @throws invalid_audio, empty_input, input_too_large
 */
export function* decodingAudio(
  bytes: Uint8Array,
  settings: Wanted,
  limits: AudioLimits,
  meter: StepMeter,
): Work<Float32Array> {
  const { sampleRate, samples, normalize } = settings
  const wav = parseWav(bytes)
  const length = usedLength(wav, settings, limits)
  const result = yield* resampling(wav, sampleRate, meter, length)
  if (normalize) standardize(result)
  if (samples === undefined || samples === length) return result
  const padded = new Float32Array(samples)
  padded.set(result)
  return padded
}

/** Samples of a sound that a model hears at its own rate; none of them is silence that is added. */
function usedLength(wav: Wav, { sampleRate, samples }: Wanted, limits: AudioLimits): number {
  const { audioSeconds, inputElements } = limits
  if (wav.frames === 0) throw new VergeError('empty_input', 'The audio has no samples. Send a recording.')
  if (wav.frames > audioSeconds * wav.sampleRate) {
    const seconds = Math.round(wav.frames / wav.sampleRate)
    throw new VergeError(
      'input_too_large',
      `The audio takes ${seconds} seconds; the limit is ${audioSeconds}. Send it in pieces.`,
      { details: { seconds, limit_seconds: audioSeconds } },
    )
  }
  const whole = resampledLength(wav.frames, wav.sampleRate, sampleRate)
  const length = Math.min(whole, samples ?? whole)
  if (Math.max(length, samples ?? 0) > inputElements) {
    throw new VergeError(
      'input_too_large',
      `The audio has ${length} samples at the ${sampleRate} Hz of this model; the limit is ${inputElements}. Send it in pieces.`,
      { details: { samples: length, limit_samples: inputElements } },
    )
  }
  return length
}

/** What transformers adds to the variance, so that silence stays finite. */
const EPSILON = 1e-7

/** To zero mean and unit variance in place, as transformers' `zero_mean_unit_var_norm`. */
function standardize(samples: Float32Array): void {
  let sum = 0
  for (const sample of samples) sum += sample
  const mean = sum / samples.length
  let squares = 0
  for (const sample of samples) squares += (sample - mean) ** 2
  const scale = 1 / Math.sqrt(squares / samples.length + EPSILON)
  for (let i = 0; i < samples.length; i++) samples[i] = ((samples[i] ?? 0) - mean) * scale
}
