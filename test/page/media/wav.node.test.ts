import { describe, expect, it } from 'vitest'
import { isWav, mixed, peaks, wavFile } from '../../../page/media/wav.ts'
import { parseWav } from '../../../src/media/audio/wav.ts'
import { sine, wav } from '../../../synthetic/wav.ts'

describe('wavFile', () => {
  it('writes what another writer writes, byte by byte', () => {
    const samples = Float32Array.from(sine(440, 0.1, 16_000))
    expect(wavFile(samples, 16_000)).toEqual(wav({ samples, sampleRate: 16_000 }))
  })

  it('clips what is too loud, and is silent where a sample is no number', () => {
    const file = wavFile(Float32Array.of(2, -2, Number.NaN, 0.5), 8000)
    expect([...new Int16Array(file.buffer, 44)]).toEqual([32_767, -32_768, 0, 16_384])
  })

  it('is read by the server', () => {
    const { channels, frames, sampleRate } = parseWav(wavFile(new Float32Array(80), 8000))
    expect({ channels, frames, sampleRate }).toEqual({ channels: 1, frames: 80, sampleRate: 8000 })
  })
})

describe('isWav', () => {
  it('knows the three kinds, and nothing else', () => {
    const file = (text: string) => new TextEncoder().encode(text)
    expect(
      ['RIFF....WAVE', 'RF64....WAVE', 'BW64....WAVE', 'RIFF....AVI ', 'OggS....WAVE', ''].map(file).map(isWav),
    ).toEqual([true, true, true, false, false, false])
  })
})

describe('mixed', () => {
  it('is the mean of the channels', () => {
    expect([...mixed([Float32Array.of(1, 0), Float32Array.of(0, 0.5)])]).toEqual([0.5, 0.25])
    expect([...mixed([])]).toEqual([])
  })
})

describe('peaks', () => {
  it('has the largest deflection of each part', () => {
    expect([...peaks(Float32Array.of(0, -0.5, 0.25, 0, 2, 0), 3)]).toEqual([0.5, 0.25, 1])
    expect([...peaks(new Float32Array(0), 2)]).toEqual([0, 0])
    expect([...peaks(Float32Array.of(0.5), 2)]).toEqual([0.5, 0])
  })
})
