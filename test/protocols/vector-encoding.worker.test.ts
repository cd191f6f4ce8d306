import { describe, expect, it } from 'vitest'
import { encodeVector, VECTOR_ENCODINGS } from '../../src/protocols/vector-encoding.ts'
import { cosine, normalizeVector } from '../../src/tasks/vectors/pooling.ts'
import { seededFloats } from '../../synthetic/onnx.ts'

const numbers = (encoded: readonly number[] | string): readonly number[] => {
  if (typeof encoded === 'string') throw new Error('numbers were expected')
  return encoded
}
const unit = (width: number, seed: number) => normalizeVector(seededFloats(width, seed))

describe('binary and ubinary', () => {
  // numpy.packbits(vector > 0): the first number in the highest bit, the last byte filled with zeros.
  it('pack signs as numpy and sentence-transformers do', () => {
    const vector = Float32Array.of(0.1, -0.1, 0.2, -0.2, 0, 0.3, -0.3, 0.4, 0.5, -0.5)
    expect(encodeVector(vector, 'ubinary')).toEqual([0b1010_0101, 0b1000_0000])
    expect(encodeVector(vector, 'binary')).toEqual([0b1010_0101 - 128, 0])
    expect(encodeVector(Float32Array.of(-1), 'binary')).toEqual([-128])
    expect(encodeVector(new Float32Array(8).fill(1), 'binary')).toEqual([127])
  })
})

describe('int8 and uint8', () => {
  it('have one scale for all numbers of all texts', () => {
    const vector = unit(64, 3)
    const [signed, unsigned] = [numbers(encodeVector(vector, 'int8')), numbers(encodeVector(vector, 'uint8'))]
    expect(signed).toEqual(Array.from(vector, (value) => Math.round(value * 127) + 0))
    expect(unsigned).toEqual(signed.map((value) => value + 128))
  })

  it('use eight times the usual size of a number as their range in longer vectors', () => {
    const vector = unit(1024, 5)
    expect(encodeVector(vector, 'int8')).toEqual(Array.from(vector, (value) => Math.round(value * 127 * 4) + 0))
    const single = new Float32Array(1024)
    single[7] = 1
    single[8] = -1e-30
    expect(numbers(encodeVector(single, 'int8'))[7]).toBe(127)
  })

  it('are of the direction alone, and of nothing zeros', () => {
    const long = unit(128, 9).map((value) => 1_000 * value)
    expect(encodeVector(long, 'int8')).toEqual(encodeVector(normalizeVector(long), 'int8'))
    expect(encodeVector(new Float32Array(3), 'uint8')).toEqual([128, 128, 128])
  })

  // A number is off by range / 127 / sqrt(12), and a cosine by sqrt(2) times that: four standard deviations.
  it.each([64, 384, 768, 1024])('keep the cosines of vectors of %i numbers', (width) => {
    const tolerance = (4 * Math.SQRT2 * Math.min(1, 8 / Math.sqrt(width))) / 127 / Math.sqrt(12)
    let worst = 0
    for (let seed = 1; seed <= 40; seed++) {
      const [one, noise] = [unit(width, seed), unit(width, 1_000 + seed)]
      const other = normalizeVector(one.map((value, i) => value + (seed / 20) * (noise[i] ?? 0)))
      const coded = [one, other].map((vector) => Float32Array.from(numbers(encodeVector(vector, 'int8'))))
      const [first = one, second = other] = coded
      worst = Math.max(worst, Math.abs(cosine(first, second) - cosine(one, other)))
    }
    expect(worst).toBeLessThan(tolerance)
  })
})

it('base64 has the bytes of little-endian floats', () => {
  const vector = Float32Array.of(1.5, -2, 1e-8)
  const text = String(encodeVector(vector, 'base64'))
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  expect(new Float32Array(bytes.buffer)).toEqual(vector)
})

it('every encoding writes every vector, those of no numbers too', () => {
  for (const encoding of VECTOR_ENCODINGS) expect(encodeVector(new Float32Array(0), encoding)).toHaveLength(0)
})
