import type { SpectrogramSettings } from '../../catalog/settings/audio.ts'
import { type StepMeter, tooManySteps, type Work } from '../../core/work.ts'
import { Fourier, STEPS_PER_BUTTERFLY } from './fourier.ts'
import { melFilters } from './mel-filters.ts'

/** Steps of each sample of a frame, which is read through the window, and of each weight of the filters. */
const STEPS_PER_SAMPLE = 6
const STEPS_PER_WEIGHT = 2
/** What transformers takes for silence: -100 dB. */
const LEAST_POWER = 1e-10
/** Frames between two yields: a few milliseconds. */
const FRAMES_AT_ONCE = 64

/** Frames that a sound of so many samples has. */
export function framesOf(samples: number, { hop }: Pick<SpectrogramSettings, 'hop'>): number {
  return 1 + Math.floor(samples / hop)
}

/**
 * The power of a sound in bands of mel frequencies, in decibels: [frames, mels]. A frame lies around each `hop`-th sample, under
 * Hann's window; the sound is mirrored at both ends.
 * @throws input_too_large
 */
export function* melSpectrogram(
  samples: Float32Array,
  sampleRate: number,
  settings: SpectrogramSettings,
  meter: StepMeter,
): Work<Float32Array> {
  const { fft, hop, maxFrequency, mels, minFrequency } = settings
  const frames = framesOf(samples.length, settings)
  const bins = fft / 2 + 1
  const filters = melFilters({ bins, filters: mels, sampleRate, lowest: minFrequency, highest: maxFrequency })
  const weights = filters.reduce((sum, filter) => sum + filter.weights.length, 0)
  const perFrame =
    fft * STEPS_PER_SAMPLE + (fft / 2) * Math.log2(fft) * STEPS_PER_BUTTERFLY + weights * STEPS_PER_WEIGHT
  const refusal = tooManySteps(`The spectrogram of ${frames} frames of this audio`, 'Send a shorter recording')
  meter.require(frames * perFrame, refusal)
  const window = Float64Array.from({ length: fft }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / fft))
  const fourier = new Fourier(fft)
  const [frame, powers] = [new Float64Array(fft), new Float64Array(bins)]
  const result = new Float32Array(frames * mels)
  for (let at = 0; at < frames; at++) {
    const first = at * hop - fft / 2
    for (let i = 0; i < fft; i++) {
      frame[i] = (samples[mirrored(first + i, samples.length)] ?? 0) * (window[i] ?? 0)
    }
    fourier.powers(frame, powers)
    for (const [mel, filter] of filters.entries()) {
      let power = 0
      for (let i = 0; i < filter.weights.length; i++) {
        power += (filter.weights[i] ?? 0) * (powers[filter.first + i] ?? 0)
      }
      result[at * mels + mel] = 10 * Math.log10(Math.max(LEAST_POWER, power))
    }
    meter.spend(perFrame, refusal)
    if (at % FRAMES_AT_ONCE === FRAMES_AT_ONCE - 1) yield meter.piece()
  }
  return result
}

/** A place before the first sample or after the last, as often as it takes to be in between. */
function mirrored(place: number, length: number): number {
  if (place >= 0 && place < length) return place
  const period = Math.max(1, 2 * (length - 1))
  const inside = ((place % period) + period) % period
  return inside < length ? inside : period - inside
}
