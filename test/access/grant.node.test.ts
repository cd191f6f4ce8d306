import { describe, expect, it } from 'vitest'
import { grantSchema, namesModel } from '../../src/access/grant.ts'

describe('grantSchema', () => {
  it('gives running, here and in browsers, everywhere, unless it says less', () => {
    expect(grantSchema.parse({ models: ['m'] })).toEqual({
      models: ['m'],
      actions: ['infer', 'browser'],
      places: ['edge', 'origin', 'browser'],
    })
  })

  it('refuses what it does not know: a mistyped restriction would restrict nothing', () => {
    const wrong = [
      {},
      { models: ['M'] },
      { models: ['a*b'] },
      { models: [''] },
      { models: ['m'], actions: ['admin'] },
      { models: ['m'], actions: ['download'] },
      { models: ['m'], places: ['moon'] },
      { models: ['m'], origins: [] },
      { models: ['m'], origins: ['https://a.example/path'] },
      { models: ['m'], origins: ['*'] },
      { models: ['m'], origin: ['https://a.example'] },
      { models: ['m'], plan: 'No plan' },
      { models: Array.from({ length: 65 }, (_, i) => `m${i}`) },
    ]
    for (const grant of wrong) expect(grantSchema.safeParse(grant).success, JSON.stringify(grant)).toBe(false)
  })
})

describe('the pages of a grant', () => {
  it('are as browsers send them: others would never be met, and nobody would know why', () => {
    const accepts = (origin: string) => grantSchema.safeParse({ models: ['m'], origins: [origin] }).success
    for (const origin of ['https://a.example', 'http://localhost:8080', 'chrome-extension://abcdef']) {
      expect(accepts(origin), origin).toBe(true)
    }
    for (const origin of [
      'https://A.example',
      'https://a.example:443',
      'https://bücher.example',
      'https://a\\b',
      'null',
    ]) {
      expect(accepts(origin), origin).toBe(false)
    }
  })
})

describe('namesModel', () => {
  it.each<[readonly string[], string, boolean]>([
    [['m'], 'm', true],
    [['m'], 'm2', false],
    [['m*'], 'm2', true],
    [['m*'], 'm', true],
    [['m*'], 'am', false],
    [['*'], 'anything', true],
    [[], 'm', false],
    [['a', 'shop-*'], 'shop-search', true],
  ])('%j and "%s": %s', (models, name, expected) => {
    expect(namesModel(grantSchema.parse({ models }), name)).toBe(expected)
  })
})
