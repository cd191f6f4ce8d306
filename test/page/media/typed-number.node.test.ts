import { describe, expect, it } from 'vitest'
import { typedCount, typedShare } from '../../../page/media/typed-number.ts'

const outcome = (typed: ReturnType<typeof typedCount>) => ('value' in typed ? typed.value : 'wrong')

describe('numbers in fields', () => {
  it('count from one', () => {
    expect(['', ' 3 ', '0', '-1', '1.5', 'x', '123456'].map(typedCount).map(outcome)).toEqual([
      undefined,
      3,
      'wrong',
      'wrong',
      'wrong',
      'wrong',
      'wrong',
    ])
  })

  it('are shares from 0 to 1', () => {
    expect(['', '0', '1', '0.5', '.25', '1.0', '1.5', '-0.1', '0,5', '.'].map(typedShare).map(outcome)).toEqual([
      undefined,
      0,
      1,
      0.5,
      0.25,
      1,
      'wrong',
      'wrong',
      'wrong',
      'wrong',
    ])
  })
})
