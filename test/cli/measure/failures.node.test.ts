import { expect, it } from 'vitest'
import { doesNotRun, isTooMuch } from '../../../src/cli/measure/failures.ts'
import { VergeError } from '../../../src/core/errors.ts'

it.each([
  ['run_too_large', true, true],
  ['deadline_exceeded', true, true],
  ['engine_unsupported', false, true],
  ['conflict', false, false],
  ['cancelled', false, false],
] as const)('a run that fails with %s', (code, tooMuch, never) => {
  const error = new VergeError(code, 'A failure.')
  expect(isTooMuch(error)).toBe(tooMuch)
  expect(doesNotRun(error)).toBe(never)
})
