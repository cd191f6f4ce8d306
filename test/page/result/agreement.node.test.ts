import { describe, expect, it } from 'vitest'
import { agreement, agreementText, p50 } from '../../../page/result/agreement.ts'

describe('agreement', () => {
  it.each([
    ['labels', [{ label: 'a', score: 0.5 }], [{ label: 'a', score: 0.5 }]],
    ['vectors', new Float32Array([1, Number.NaN]), new Float32Array([1, Number.NaN])],
    ['texts', 'abc', 'abc'],
    ['nothing', null, null],
  ])('finds equal %s the same', (_, left, right) => {
    expect(agreement(left, right)).toEqual({ kind: 'same' })
  })

  it('finds the largest difference of numbers, however deep', () => {
    const left = { segments: [{ start: 1, end: 2 }], probabilities: [0.5, 0.25] }
    const right = { segments: [{ start: 1, end: 2.5 }], probabilities: [0.5, 0.375] }
    expect(agreement(left, right)).toEqual({ kind: 'close', largest: 0.5 })
    expect(agreement(new Float32Array([1, 2]), new Float32Array([1, 2.25]))).toEqual({ kind: 'close', largest: 0.25 })
    expect(agreement([0], [-0])).toEqual({ kind: 'close', largest: 0 })
  })

  it('compares labels by their names, because scores that differ a little may change their order', () => {
    const left = [
      { label: 'a', score: 0.5 },
      { label: 'b', score: 0.4375 },
    ]
    const right = [
      { label: 'b', score: 0.5 },
      { label: 'a', score: 0.46875 },
    ]
    expect(agreement(left, right)).toEqual({ kind: 'close', largest: 0.0625 })
  })

  it.each([
    ['another label', [{ label: 'a', score: 1 }], [{ label: 'b', score: 1 }], '[0].label'],
    ['a longer list', { scores: [1] }, { scores: [1, 2] }, 'scores'],
    ['a missing field', { a: 1 }, {}, 'a'],
    ['another type', { a: [1] }, { a: { 0: 1 } }, 'a'],
    ['a number that is not one', [1], [Number.NaN], '[0]'],
    ['another text', { answer: 'x' }, { answer: 'y' }, 'answer'],
    ['nothing', [1], undefined, ''],
  ])('says where %s stands', (_, left, right, at) => {
    expect(agreement(left, right)).toEqual({ kind: 'different', at })
    expect(agreement(right, left)).toMatchObject({ kind: 'different' })
  })

  it('ends in a value that contains itself', () => {
    const ring = (): { next?: object } => {
      const value: { next?: object } = {}
      value.next = value
      return value
    }
    expect(agreement(ring(), ring())).toMatchObject({ kind: 'different' })
  })

  it('is said in words', () => {
    expect(agreementText({ kind: 'same' })).toBe('same bits')
    expect(agreementText({ kind: 'close', largest: 0.000012345 })).toBe('largest difference 0.000012')
    expect(agreementText({ kind: 'different', at: '[0].label' })).toBe('differs at [0].label')
    expect(agreementText({ kind: 'different', at: '' })).toBe('differs')
  })
})

describe('p50', () => {
  it.each([
    [[3, 1, 2], 2],
    [[4, 1, 2, 3], 2.5],
    [[7], 7],
  ])('of %j is %d', (values, median) => {
    expect(p50(values)).toBe(median)
  })
})
