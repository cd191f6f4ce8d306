import { describe, expect, it } from 'vitest'
import { draftOf, MOST_ELEMENTS, parseShape, parseTensor } from '../../../page/tensors/draft.ts'
import { DATATYPES } from '../../../src/core/tensors.ts'

const spec = (datatype: string, shape: number[]) => ({ name: 'x', datatype, shape })
const typed = (text: string, datatype: string, shape = [2]) =>
  parseTensor({ shape: shape.join(','), fill: 'typed', typed: text }, spec(datatype, shape))

describe('the draft of a tensor', () => {
  it('runs as it is, for every datatype and shape', () => {
    for (const datatype of DATATYPES) {
      for (const shape of [[], [-1, 3], [1, 40], [-1]]) {
        const given = spec(datatype, shape)
        const parsed = parseTensor(draftOf(given), given)
        expect(parsed, `${datatype} ${shape}`).toHaveProperty('value')
        if ('value' in parsed) {
          const count = parsed.value.shape.reduce((product, dimension) => product * dimension, 1)
          expect(parsed.value.data).toHaveLength(count)
        }
      }
    }
  })

  it('is typed out where it has few elements', () => {
    expect(draftOf(spec('FP32', [-1, 4]))).toEqual({ shape: '1, 4', fill: 'typed', typed: '0, 0.1, 0.2, 0.3' })
    expect(draftOf(spec('FP32', [1, 784])).fill).toBe('ramp')
  })
})

describe('a shape', () => {
  it('may be written in any of the usual ways', () => {
    for (const text of ['1, 3', '[1,3]', '1x3', ' 1  3 '])
      expect(parseShape(text, spec('FP32', [-1, 3]))).toEqual({ value: [1, 3] })
  })

  it('is refused in words where it does not fit the model, or is too large', () => {
    const wrong = (text: string, shape: number[]) => parseShape(text, spec('FP32', shape))
    expect(wrong('1, a', [1, 1])).toEqual({ problem: expect.stringContaining('whole numbers') })
    expect(wrong('1', [1, 1])).toEqual({ problem: 'The shape has 1 dimensions, and the model takes 2.' })
    expect(wrong('1, 4', [-1, 3])).toEqual({ problem: 'Dimension 2 must be 3.' })
    expect(wrong(`${MOST_ELEMENTS + 1}`, [-1])).toEqual({ problem: expect.stringContaining('2,000,000 elements') })
    expect(wrong('999999999, 999999999', [-1, -1])).toEqual({ problem: expect.stringContaining('Use a smaller shape') })
  })
})

describe('typed elements', () => {
  it('become the array of their datatype', () => {
    expect(typed('1.5, -2', 'FP32')).toEqual({ value: { shape: [2], data: new Float32Array([1.5, -2]) } })
    expect(typed('[1\n 2]', 'INT64')).toEqual({ value: { shape: [2], data: new BigInt64Array([1n, 2n]) } })
    expect(typed('true 0', 'BOOL')).toEqual({ value: { shape: [2], data: new Uint8Array([1, 0]), datatype: 'BOOL' } })
    expect(typed('one, two\nthree', 'BYTES')).toEqual({ value: { shape: [2], data: ['one, two', 'three'] } })
    expect(typed('1 2', 'FP16')).toEqual({
      value: { shape: [2], data: new Uint16Array([0x3c00, 0x4000]), datatype: 'FP16' },
    })
  })

  it('are refused in words', () => {
    for (const [text, datatype, problem] of [
      ['1', 'FP32', 'The shape needs 2 elements, and there are 1.'],
      ['1 x', 'FP32', '"x" is not a number.'],
      ['1 2.5', 'INT32', '"2.5" is not a whole number.'],
      ['1 300', 'UINT8', '300 does not fit into UINT8.'],
      ['1 -1', 'UINT64', '-1 does not fit into UINT64.'],
      ['yes no', 'BOOL', '"yes" is not true or false.'],
      ['1 2', 'BF16', 'The page cannot write tensors of BF16. Use the API.'],
    ] as const) {
      expect(typed(text, datatype)).toEqual({ problem })
    }
  })
})
