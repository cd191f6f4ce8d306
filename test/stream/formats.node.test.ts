import { describe, expect, it } from 'vitest'
import { areFloats, fileLike } from '../../src/stream/formats.ts'
import { seededFloats } from '../../synthetic/onnx.ts'

const ascii = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0))
const bytesOf = ({ buffer, byteLength, byteOffset }: Float32Array | Int16Array) =>
  new Uint8Array(buffer, byteOffset, byteLength)
const whole = (sound: Float32Array) => bytesOf(Int16Array.from(sound, (sample) => Math.round(sample * 32_767)))

const N = 2048
const tone = (amplitude: number, hertz = 440) =>
  Float32Array.from({ length: N }, (_, i) => amplitude * Math.sin((2 * Math.PI * hertz * i) / 16_000))
const noise = (amplitude: number) => seededFloats(N, 7).map((value) => amplitude * (2 * (value % 1) - 1))
/** As what comes from 16 bits is in floats: its last mantissa bits are zero. */
const fromWhole = (sound: Float32Array) => sound.map((sample) => Math.round(sample * 32_767) / 32_768)

describe('files', () => {
  it.each([
    ['a WAV file', ascii('RIFF\x24\x08\0\0WAVEfmt ')],
    ['a WAV file', ascii('RF64\xff\xff\xff\xffWAVEds64')],
    ['an AIFF file', ascii('FORM\0\0\0\0AIFFCOMM')],
    ['an Ogg file', ascii('OggS\0\x02')],
    ['a FLAC file', ascii('fLaC\0')],
    ['a WebM file', ascii('\x1a\x45\xdf\xa3\x9f')],
    ['an MP4 file', ascii('\0\0\0\x20ftypisom')],
    ['an MP3 file', ascii('ID3\x04\0')],
  ])('%s is known by its beginning', (name, bytes) => {
    expect(fileLike(bytes)).toBe(name)
  })

  it('are not seen in samples, nor in the beginning of a beginning', () => {
    for (const sound of [tone(0.5), noise(1), tone(0)]) expect(fileLike(whole(sound))).toBeUndefined()
    expect(fileLike(ascii('RIFF'))).toBeUndefined()
    expect(fileLike(new Uint8Array(0))).toBeUndefined()
  })
})

describe('floats', () => {
  it.each([
    ['a loud tone', tone(1)],
    ['a faint tone', tone(0.001)],
    ['a clipped tone', tone(1.9)],
    ['noise', noise(0.3)],
    ['the noise of a quiet room', noise(1e-5)],
    ['what came from 16 bits', fromWhole(tone(0.4, 997))],
    ['silence and then a tone', Float32Array.from([...new Float32Array(512), ...tone(0.2)])],
  ])('%s is known', (_, sound) => {
    expect(areFloats(bytesOf(sound))).toBe(true)
  })

  it.each([
    ['a loud tone', tone(1)],
    ['a tone at every eighth of full scale', tone(0.45)],
    ['a faint tone', tone(0.001)],
    ['noise', noise(1)],
    ['a constant between a quarter and a half of full scale', tone(0).map(() => 0.45)],
    ['a tone of half the rate', tone(0).map((_, i) => (i % 2 === 0 ? 0.45 : -0.55))],
    ['a square wave', tone(0).map((_, i) => (Math.floor(i / 16) % 2 === 0 ? 0.45 : -0.52))],
    ['noise upon a constant', noise(0.04).map((value) => value + 0.45)],
  ])('%s in whole numbers is none', (_, sound) => {
    expect(areFloats(whole(sound))).toBe(false)
  })

  it('are not told from silence, nor from a few samples', () => {
    expect(areFloats(new Uint8Array(64_000))).toBeUndefined()
    expect(areFloats(bytesOf(tone(0.5).slice(0, 60)))).toBeUndefined()
    expect(areFloats(new Uint8Array(2))).toBeUndefined()
  })
})
