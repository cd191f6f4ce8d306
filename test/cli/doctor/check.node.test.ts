import { expect, it } from 'vitest'
import { describeChecks, ok, warn } from '../../../src/cli/doctor/check.ts'

it('counts checks at the end', () => {
  const one = warn('key', 'is short', 'Make a longer one.')
  expect(describeChecks([ok('address', 'is right'), one])).toContain('1 ok, 1 warning, 0 failed, 0 skipped')
  expect(describeChecks([one, one])).toContain('0 ok, 2 warnings, 0 failed, 0 skipped')
})
