import { describe, expect, it } from 'vitest'
import { floatElements, halfBits, halves, tensor, toDoubles, toFloats } from '../../src/core/tensors.ts'
import { halfBitsByFormula, halfByFormula } from '../fixtures/halves.ts'

describe('half precision', () => {
  const every = Uint16Array.from({ length: 65_536 }, (_, bits) => bits)

  it('gives each of its 65,536 values the number that IEEE 754 gives it', () => {
    const numbers = halves(every)
    for (let bits = 0; bits < every.length; bits++) {
      if (!Object.is(numbers[bits], halfByFormula(bits))) throw new Error(`${bits.toString(16)} is ${numbers[bits]}`)
    }
  })

  it('gives each number back its bits, and each number between two halves those of the nearer one', () => {
    const values: number[] = []
    for (let bits = 0; bits < 0x7c00; bits++) {
      const value = halfByFormula(bits)
      const next = bits === 0x7bff ? 65536 : halfByFormula(bits + 1)
      const middle = (value + next) / 2
      // Going through single precision would round some of these twice.
      for (const each of [value, middle, middle * (1 + 2 ** -40), middle * (1 - 2 ** -40)]) values.push(each, -each)
    }
    const bits = halfBits(values)
    for (const [index, value] of values.entries()) {
      if (bits[index] !== halfBitsByFormula(value)) throw new Error(`${value} became ${bits[index]?.toString(16)}`)
    }
  })

  it.each([
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [65519.99, 0x7bff],
    [65520, 0x7c00],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [2 ** -25 * 1.0001, 0x0001],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    // Going through single precision would round this up.
    [1 + 2 ** -11 + 2 ** -40, 0x3c01],
    [0.99999, 0x3c00],
  ])('rounds %d to the nearest, ties to even', (value, bits) => {
    expect([...halfBits([value])]).toEqual([bits])
    expect(halfBitsByFormula(value)).toBe(bits)
  })

  it('is written through the view of its bits, wherever they lie', () => {
    const bits = new Uint16Array(4)
    halves(bits.subarray(1, 3))[1] = -2
    expect([...bits]).toEqual([0, 0, 0xc000, 0])
  })
})

describe("a tensor's elements as numbers", () => {
  const half = tensor('FP16', [2], Uint16Array.of(0x3c00, 0xc000))

  it('are those of half, single and double precision, copied only where they have to be', () => {
    const single = tensor('FP32', [2], Float32Array.of(1, -2))
    const double = tensor('FP64', [2], Float64Array.of(1, -2))
    for (const each of [half, single, double]) {
      expect(floatElements(each)?.buffer).toBe((each.data as Float32Array).buffer)
      expect(toFloats(each)).toEqual(Float32Array.of(1, -2))
      expect(toDoubles(each)).toEqual(Float64Array.of(1, -2))
      expect(toDoubles(each)?.buffer).not.toBe((each.data as Float32Array).buffer)
    }
    expect(toFloats(single)).toBe(single.data)
  })

  it('are undefined for whole numbers and texts', () => {
    for (const each of [tensor('INT32', [1], Int32Array.of(1)), tensor('BYTES', [1], ['1'])]) {
      expect([floatElements(each), toFloats(each), toDoubles(each)]).toEqual([undefined, undefined, undefined])
    }
  })
})
