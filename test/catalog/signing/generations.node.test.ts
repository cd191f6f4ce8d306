import { describe, expect, it } from 'vitest'
import { judgeGeneration } from '../../../src/catalog/signing/generations.ts'

const kept = (key: string, generation: number, digest = `of ${generation}`) => ({ key, generation, digest })

describe('judgeGeneration', () => {
  it('accepts the first, the same again, and newer ones', () => {
    expect(judgeGeneration([], ['a'], kept('a', 5))).toEqual({ accepted: true, generation: 5 })
    expect(judgeGeneration([kept('a', 5)], ['a'], kept('a', 5))).toEqual({ accepted: true, generation: 5 })
    expect(judgeGeneration([kept('a', 5)], ['a'], kept('a', 9))).toEqual({ accepted: true, generation: 9 })
  })

  it('refuses older ones, and another one of the same generation', () => {
    expect(judgeGeneration([kept('a', 5)], ['a'], kept('a', 4))).toEqual({ accepted: false, generation: 5 })
    expect(judgeGeneration([kept('a', 5)], ['a'], kept('a', 5, 'other'))).toEqual({ accepted: false, generation: 5 })
  })

  it('counts over all accepted keys, so that a second key is no way back', () => {
    expect(judgeGeneration([kept('a', 5)], ['a', 'b'], kept('b', 4))).toEqual({ accepted: false, generation: 5 })
    expect(judgeGeneration([kept('a', 5), kept('b', 7)], ['a', 'b'], kept('a', 6))).toEqual({
      accepted: false,
      generation: 7,
    })
  })

  it('forgets what a key signed that is no longer accepted: a stolen key blocks nothing', () => {
    const stolen = kept('a', Number.MAX_SAFE_INTEGER)
    expect(judgeGeneration([stolen, kept('b', 3)], ['b'], kept('b', 4))).toEqual({ accepted: true, generation: 4 })
    expect(judgeGeneration([stolen, kept('b', 3)], ['b'], kept('b', 2))).toEqual({ accepted: false, generation: 3 })
  })
})
