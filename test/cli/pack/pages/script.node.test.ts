import { expect, it } from 'vitest'
import { NO_LETTERS, OTHER_LETTERS, scriptOf } from '../../../../src/cli/pack/pages/script.ts'

it.each([
  ['the', 'Stra\u00dfe'],
  ['\u00e9t\u00e9', 'zz'],
  ['\u043c\u0438\u0440', '\u0457\u0436\u0430\u043a'],
  ['\u4e16', '\u754c\u4eba'],
  ['\ud55c\uad6d', '\uc5b4'],
  ['\u0e01\u0e34', '\u0e02'],
])('puts %s and %s into one group', (one, other) => {
  expect(scriptOf(one)).toBe(scriptOf(other))
})

it('puts scripts into groups of their own, whatever signs stand beside the letters', () => {
  const groups = [
    'a',
    '\u0436',
    '\u03b1',
    '\u0627',
    '\u05d0',
    '\u0905',
    '\u0e01',
    '\ud55c',
    '\u3042',
    '\u30a2',
    '\u4e16',
  ]
  expect(new Set(groups.map(scriptOf)).size).toBe(groups.length)
  expect(scriptOf('12,\u0436!')).toBe(scriptOf('\u0436'))
})

it('has a group for letters of all other scripts, and one for what has no letter', () => {
  expect(['\u13a0', '\u1a00', '\u{10400}'].map(scriptOf)).toEqual([OTHER_LETTERS, OTHER_LETTERS, OTHER_LETTERS])
  expect(['', '2026', '!?', '\u{1f600}'].map(scriptOf)).toEqual(Array(4).fill(NO_LETTERS))
})
