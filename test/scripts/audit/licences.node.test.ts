import { describe, expect, it } from 'vitest'
import { isAllowed } from '../../../scripts/audit/licences.ts'

describe('isAllowed', () => {
  it.each([
    ['MIT', true],
    ['MIT OR GPL-3.0-only', true],
    ['GPL-3.0-only OR MIT', true],
    ['(MIT OR CC0-1.0)', true],
    ['MIT AND GPL-3.0-only', false],
    ['MIT AND (GPL-3.0-only OR ISC)', true],
    ['GPL-3.0-only OR MIT AND ISC', true],
    ['GPL-3.0-only AND MIT OR ISC', true],
    ['(GPL-3.0-only OR LGPL-3.0-only) AND MIT', false],
    ['Apache-2.0 WITH LLVM-exception', true],
    ['GPL-2.0-only WITH Classpath-exception-2.0', false],
    ['UNLICENSED', false],
    ['SEE LICENSE IN LICENSE.md', false],
    ['mit', false],
    ['', false],
    ['(MIT', false],
    ['MIT)', false],
    ['MIT ISC', false],
    ['MIT OR', false],
    ['OR MIT', false],
    ['constructor', false],
  ])('%s: %s', (expression, allowed) => {
    expect(isAllowed(expression, false)).toBe(allowed)
  })

  it('lets tools have more than what is deployed', () => {
    expect([isAllowed('MPL-2.0', true), isAllowed('MPL-2.0', false)]).toEqual([true, false])
    expect(isAllowed('LGPL-3.0-or-later', true)).toBe(false)
  })
})
