import { describe, expect, it } from 'vitest'
import { SYLLABLES, VOICE_SECONDS, voice } from '../../../page/media/voice.ts'

const loudness = (samples: Float32Array): number =>
  Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length)

describe('voice', () => {
  it.each([8000, 16_000, 22_050])('at %d samples a second is loud in its syllables and quiet around them', (rate) => {
    const samples = voice(rate)
    const part = (start: number, end: number) => samples.subarray(Math.round(start * rate), Math.round(end * rate))
    expect(samples).toHaveLength(Math.round(VOICE_SECONDS * rate))
    expect(samples.every((sample) => Math.abs(sample) <= 0.61)).toBe(true)
    for (const { start, end } of SYLLABLES) expect(loudness(part(start + 0.05, end - 0.05))).toBeGreaterThan(0.02)
    for (const [start, end] of [
      [0, 0.6],
      [1.8, 2.7],
      [3.7, VOICE_SECONDS],
    ] as const) {
      expect(loudness(part(start, end))).toBeLessThan(0.001)
    }
  })

  it('is the same each time', () => {
    expect(voice(8000)).toEqual(voice(8000))
  })
})
