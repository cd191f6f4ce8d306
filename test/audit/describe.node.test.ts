import { describe, expect, it } from 'vitest'
import { describeChange } from '../../src/audit/describe.ts'
import type { AuditEntry } from '../../src/audit/entry.ts'

type Change = Pick<AuditEntry, 'action' | 'before' | 'after'>

/** A release after which a canary is on trial. */
const released = (canary: Record<string, unknown>): Change => ({
  action: 'release',
  before: { sha256: 'a', value: {} },
  after: { sha256: 'b', value: { canary: { version: '2', against: '1', guarded: true, ...canary } } },
})

describe('a change of a canary', () => {
  it.each([
    [{ shadow: 1 }, 'canary: 2 against 1, shadow 100 %'],
    [{ shadow: 0.07 }, 'canary: 2 against 1, shadow 7 %'],
    [{ guarded: false }, 'canary: 2 against 1, no guard'],
  ])('%j: the shadow is said in percent, as a release takes it', (canary, text) => {
    expect(describeChange(released(canary) as AuditEntry)).toBe(text)
  })
})
