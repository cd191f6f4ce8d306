import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { finish, StepMeter } from '../../../src/core/work.ts'
import { Fourier } from '../../../src/media/audio/fourier.ts'
import { melFilters } from '../../../src/media/audio/mel-filters.ts'
import { framesOf, melSpectrogram } from '../../../src/media/audio/spectrogram.ts'
import { seededFloats } from '../../../synthetic/onnx.ts'

const SETTINGS = { fft: 64, hop: 24, mels: 6, minFrequency: 50, maxFrequency: 4_000, padding: 'pad' as const }
const RATE = 8_000

/** By the definition, one frequency at a time. */
function power(values: ArrayLike<number>, frequency: number): number {
  let [real, imaginary] = [0, 0]
  for (let i = 0; i < values.length; i++) {
    const angle = (2 * Math.PI * frequency * i) / values.length
    real += (values[i] ?? 0) * Math.cos(angle)
    imaginary -= (values[i] ?? 0) * Math.sin(angle)
  }
  return real ** 2 + imaginary ** 2
}

describe('Fourier', () => {
  it.each([2, 4, 64, 1024])('gives the powers of %i numbers as their definition does', (size) => {
    const values = Float64Array.from(seededFloats(size, size))
    const powers = new Float64Array(size / 2 + 1)
    const fourier = new Fourier(size)
    for (let twice = 0; twice < 2; twice++) fourier.powers(values, powers)
    for (const [frequency, value] of powers.entries()) {
      const expected = power(values, frequency)
      expect(Math.abs(value - expected)).toBeLessThan(1e-9 * Math.max(1, expected))
    }
  })
})

describe('filters of mel frequencies', () => {
  it('have tops at equal distances on the scale, in triangles of one area', () => {
    const bank = { bins: 4_097, filters: 20, sampleRate: 48_000, lowest: 0, highest: 14_000 }
    const width = bank.sampleRate / 2 / (bank.bins - 1)
    for (const { weights } of melFilters(bank)) {
      const area = weights.reduce((sum, weight) => sum + weight, 0) * width
      expect(area).toBeGreaterThan(0.97)
      expect(area).toBeLessThan(1.03)
    }
    // Slaney's scale is linear below 1,000 Hz: the first tops are as far from each other as the first from 0.
    const tops = melFilters(bank).map(({ first, weights }) => (first + weights.indexOf(Math.max(...weights))) * width)
    expect((tops[1] ?? 0) / (tops[0] ?? 1)).toBeCloseTo(2, 1)
    expect((tops[2] ?? 0) / (tops[0] ?? 1)).toBeCloseTo(3, 1)
  })
})

describe('melSpectrogram', () => {
  const spectrogram = (samples: Float32Array, meter = new StepMeter()) =>
    finish(melSpectrogram(samples, RATE, SETTINGS, meter))

  it('has a frame around each step, mirrored at both ends', () => {
    const samples = seededFloats(500, 9)
    const result = spectrogram(samples)
    expect(result).toHaveLength(framesOf(500, SETTINGS) * SETTINGS.mels)
    const bank = { bins: 33, filters: 6, sampleRate: RATE, lowest: 50, highest: 4_000 }
    for (const frame of [0, 1, 9, 20]) {
      const windowed = Float64Array.from({ length: 64 }, (_, i) => {
        const at = frame * SETTINGS.hop - 32 + i
        const mirrored = at < 0 ? -at : at >= 500 ? 998 - at : at
        return (samples[mirrored] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / 64))
      })
      for (const [mel, { first, weights }] of melFilters(bank).entries()) {
        const sum = weights.reduce((total, weight, i) => total + weight * power(windowed, first + i), 0)
        expect(result[frame * 6 + mel]).toBeCloseTo(10 * Math.log10(sum), 3)
      }
    }
  })

  it('is -100 dB where there is silence, and takes a sound of one sample', () => {
    expect(new Set(spectrogram(new Float32Array(100)))).toEqual(new Set([-100]))
    expect(spectrogram(Float32Array.of(0.5))).toHaveLength(SETTINGS.mels)
  })

  it('refuses by its steps, which are linear, before it begins', () => {
    const spent = (length: number) => {
      const meter = new StepMeter()
      spectrogram(new Float32Array(length), meter)
      return meter.spent
    }
    expect(spent(40_000) / spent(20_000)).toBeCloseTo(2, 1)
    const meter = new StepMeter(1_000)
    expect(() => spectrogram(new Float32Array(40_000), meter)).toThrow(/spectrogram of 1667 frames/)
    expect(meter.spent).toBe(0)
    // Ten seconds of CLAP.
    const settings = { ...SETTINGS, fft: 1_024, hop: 480, mels: 64, maxFrequency: 14_000 }
    const ten = new StepMeter(LIMITS.decodeSteps)
    finish(melSpectrogram(new Float32Array(480_000), 48_000, settings, ten))
    expect(ten.spent).toBeLessThan(0.1 * LIMITS.decodeSteps)
  })
})
