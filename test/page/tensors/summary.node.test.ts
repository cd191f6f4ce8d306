import { expect, it } from 'vitest'
import { numberText, summarize } from '../../../page/tensors/summary.ts'

it('a tensor is shown by its first elements and its range', () => {
  const data = Float32Array.from({ length: 100 }, (_, i) => i - 10)
  const summary = summarize('y', { datatype: 'FP32', shape: [10, 10], data })
  expect(summary).toMatchObject({ name: 'y', datatype: 'FP32', shape: '[10, 10]', more: 76 })
  expect(summary.first.slice(0, 2)).toEqual(['-10', '-9'])
  expect(summary.range).toEqual({ least: -10, most: 89, mean: 39.5 })
})

it('whole numbers, halves, truths and texts are written as what they are', () => {
  expect(
    summarize('y', { datatype: 'INT64', shape: [1], data: new BigInt64Array([9_007_199_254_740_993n]) }).first,
  ).toEqual(['9007199254740993'])
  const half = summarize('y', { datatype: 'FP16', shape: [1], data: new Uint16Array([0x3e00]) })
  expect([half.first, half.range?.mean]).toEqual([['1.5'], 1.5])
  expect(summarize('y', { datatype: 'BOOL', shape: [2], data: new Uint8Array([0, 1]) })).toMatchObject({
    first: ['false', 'true'],
    range: undefined,
  })
  expect(summarize('y', { datatype: 'BYTES', shape: [1], data: ['a "b"'] })).toMatchObject({
    first: ['"a \\"b\\""'],
    range: undefined,
  })
})

it('what is empty or has no order has no range', () => {
  expect(summarize('y', { datatype: 'FP32', shape: [0], data: new Float32Array() })).toMatchObject({
    first: [],
    more: 0,
    range: undefined,
  })
  expect(summarize('y', { datatype: 'FP32', shape: [1], data: new Float32Array([Number.NaN]) }).range).toBeUndefined()
  expect(numberText(0.123_456_789)).toBe('0.12346')
})
