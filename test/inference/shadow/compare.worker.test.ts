import { describe, expect, it } from 'vitest'
import { type Tensor, type Tensors, tensor } from '../../../src/core/tensors.ts'
import { compareOutputs, type Meaning, meaningOf } from '../../../src/inference/shadow/compare.ts'

const MOST = 1_000

const floats = (values: readonly number[], shape: readonly number[] = [1, values.length]): Tensor =>
  tensor('FP32', shape, Float32Array.from(values))

const named = (value: Tensor): Tensors => new Map([['out', value]])

function compared(one: Tensor, other: Tensor, meaning: Meaning) {
  return compareOutputs(named(one), named(other), meaning, MOST)
}

describe('compareOutputs', () => {
  it.each<[string, Meaning, Tensor, Tensor, boolean]>([
    ['the same class', 'classes', floats([0.1, 2, 0.3]), floats([0.9, 1, 0.8]), true],
    ['another class', 'classes', floats([0.1, 2, 0.3]), floats([2, 1, 0.8]), false],
    ['one of two rows', 'classes', floats([0, 1, 0, 1], [2, 2]), floats([0, 1, 1, 0], [2, 2]), false],
    ['a class of what is no number', 'classes', floats([Number.NaN, 1]), floats([0, 1]), false],
    ['no number in both', 'classes', floats([Number.NaN, 1]), floats([Number.NaN, 1]), true],
    ['the same class among more', 'classes', floats([0.1, 2]), floats([0.9, 1, 0.8]), true],
    ['a new class', 'classes', floats([0.1, 2]), floats([0.9, 1, 8]), false],
    ['more numbers', 'values', floats([0.1, 2]), floats([0.1, 2, 0.3]), false],
    ['one class alone, near', 'classes', floats([0.5]), floats([0.5001]), true],
    ['one class alone, far', 'classes', floats([0.5]), floats([0.9]), false],
    ['the same direction', 'direction', floats([1, 2, 3]), floats([2, 4, 6.1]), true],
    ['another direction', 'direction', floats([1, 2, 3]), floats([3, 2, 1]), false],
    ['zeros', 'direction', floats([0, 0]), floats([0, 0]), true],
    ['zeros beside others', 'direction', floats([0, 0]), floats([0, 1]), false],
    ['an infinity on one side', 'direction', floats([1, Number.POSITIVE_INFINITY]), floats([1, 1]), false],
    ['near values', 'values', floats([100, 0]), floats([101, 0.0005]), true],
    ['far values', 'values', floats([100, 0]), floats([120, 0]), false],
    ['no number on one side', 'values', floats([Number.NaN]), floats([1]), false],
    ['no number on both', 'values', floats([Number.NaN]), floats([Number.NaN]), true],
    ['two infinities', 'values', floats([Number.POSITIVE_INFINITY]), floats([Number.POSITIVE_INFINITY]), true],
    ['opposite infinities', 'values', floats([Number.POSITIVE_INFINITY]), floats([Number.NEGATIVE_INFINITY]), false],
    ['an infinity beside a number', 'values', floats([Number.POSITIVE_INFINITY]), floats([1]), false],
    ['nothing at all', 'values', floats([], [1, 0]), floats([], [1, 0]), true],
    ['other shapes', 'classes', floats([0, 1]), floats([0, 1], [1, 1, 2]), false],
    ['two classes beside one number', 'classes', floats([1]), floats([1, 0]), false],
    ['two precisions', 'values', floats([1]), tensor('FP64', [1, 1], Float64Array.of(1.0000001)), true],
    ['texts', 'values', tensor('BYTES', [1], ['a']), tensor('BYTES', [1], ['b']), false],
    [
      'whole numbers',
      'values',
      tensor('INT64', [1], BigInt64Array.of(7n)),
      tensor('INT64', [1], BigInt64Array.of(7n)),
      true,
    ],
    ['whole numbers beside others', 'values', tensor('INT64', [1], BigInt64Array.of(7n)), floats([7], [1]), false],
  ])('%s', (_name, meaning, one, other, agrees) => {
    expect(compared(one, other, meaning).agrees).toBe(agrees)
    expect(compared(other, one, meaning).agrees).toBe(agrees)
  })

  it('gives the largest difference of what can be compared', () => {
    expect(compared(floats([1, 2, Number.NaN]), floats([1.5, 4, 1]), 'values').largest).toBe(2)
  })

  it('compares the outputs that both have, and disagrees where there are none', () => {
    const more = new Map([...named(floats([1])), ['new', floats([7])]])
    expect(compareOutputs(named(floats([1])), more, 'values', MOST)).toEqual({ agrees: true, largest: 0 })
    expect(compareOutputs(more, named(floats([2])), 'values', MOST)).toEqual({ agrees: false, largest: 1 })
    expect(compareOutputs(named(floats([1])), new Map([['other', floats([1])]]), 'values', MOST).agrees).toBe(false)
    expect(compareOutputs(named(floats([1])), new Map(), 'values', MOST).agrees).toBe(false)
  })

  it('looks at no more elements than it may', () => {
    let reads = 0
    const counting = (values: Float32Array): Float32Array =>
      new Proxy(values, {
        get(target, key) {
          if (typeof key === 'string' && /^\d+$/.test(key)) reads++
          const value: unknown = Reflect.get(target, key, target)
          return value
        },
      })
    const large = (): Tensor => ({ datatype: 'FP32', shape: [100, 100], data: counting(new Float32Array(10_000)) })
    for (const meaning of ['classes', 'direction', 'values'] as const) {
      reads = 0
      expect(compareOutputs(named(large()), named(large()), meaning, 100).agrees).toBe(true)
      expect(reads).toBeLessThan(1_000)
    }
  })

  it('knows what the outputs of tasks mean', () => {
    expect(meaningOf('image-classification')).toBe('classes')
    expect(meaningOf('feature-extraction')).toBe('direction')
    expect(meaningOf(undefined)).toBe('values')
    expect(meaningOf('toString')).toBe('values')
  })
})
