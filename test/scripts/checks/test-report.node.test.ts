import { describe, expect, it } from 'vitest'
import { summarise } from '../../../scripts/checks/test-report.ts'

describe('test reports', () => {
  const file = (status: string, ...tests: [string, string][]) => ({
    name: 'a.test.ts',
    status,
    assertionResults: tests.map(([fullName, verdict]) => ({ fullName, status: verdict })),
  })

  it('are summed up, with skips that say why', () => {
    const good = { success: true, testResults: [file('passed', ['a', 'passed'], ['b: skipped, no data', 'skipped'])] }
    expect(summarise([good, good])).toEqual({ passed: 2, failed: 0, skipped: 2, problems: [] })
  })

  it('are no good with failures, silent skips, files that do not load, or no tests at all', () => {
    for (const report of [
      { success: false, testResults: [file('failed', ['a', 'failed'], ['b', 'passed'])] },
      { success: true, testResults: [file('passed', ['a', 'skipped'], ['b', 'passed'])] },
      { success: true, testResults: [file('passed', ['a', 'todo'], ['b', 'passed'])] },
      { success: false, testResults: [file('passed', ['b', 'passed']), file('failed')] },
      { success: false, testResults: [file('passed', ['b', 'passed'])] },
      { success: true, testResults: [] },
    ]) {
      expect(summarise([report]).problems.length).toBe(1)
    }
  })

  it('name what failed outside of tests, while all of them passed', () => {
    const good = { success: true, testResults: [file('passed', ['a', 'passed'])] }
    const error = { message: 'TypeError: x', during: null, stack: 'TypeError: x\n    at f (a.ts:1:2)' }
    expect(summarise([good], [[]]).problems).toEqual([])
    expect(summarise([good], [[error, { ...error, during: 'a.test.ts', stack: null }]])).toMatchObject({
      passed: 1,
      failed: 0,
      problems: [
        'failed outside of tests: TypeError: x\n    at f (a.ts:1:2)',
        'failed outside of tests (while a.test.ts ran): TypeError: x',
      ],
    })
  })
})
