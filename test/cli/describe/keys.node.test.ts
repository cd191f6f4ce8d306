import { describe, expect, it } from 'vitest'
import { checkKeys, only } from '../../../src/cli/describe/keys.ts'

describe('the keys of a settings file', () => {
  const rules = {
    size: 'read',
    processor_class: 'irrelevant',
    do_pad: only(false, { problem: 'it pads' }),
    crop: (value: unknown) => (value === 0.9 ? { note: 'cropped' } : undefined),
  } as const

  it('are passed over where they are read, irrelevant or not set', () => {
    const settings = { size: 4, processor_class: 'X', do_pad: false, crop: 1, resample: null }
    expect(checkKeys('a.json', settings, rules)).toEqual({ value: [] })
  })

  it('are noted or refused by their values', () => {
    expect(checkKeys('a.json', { crop: 0.9 }, rules)).toEqual({ value: ['cropped'] })
    expect(checkKeys('a.json', { do_pad: true }, rules)).toEqual({ problem: 'it pads' })
  })

  it('are named where no rule knows them, however many', () => {
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`key${i}`, i]))
    const found = checkKeys('a.json', { ...many, constructor: 1 }, rules)
    expect(found).toEqual({ value: [expect.stringContaining('a.json: Verge ignores "key0", "key1"')] })
    expect(JSON.stringify(found)).toContain('and 9 more')
    expect(checkKeys('a.json', JSON.parse('{"toString": 1}'), rules)).toEqual({
      value: [expect.stringContaining('"toString"')],
    })
  })
})
