import { describe, expect, it } from 'vitest'
import type { ReadUsage } from '../../../src/cli/usage/read.ts'
import { ageOf, usageJson, usageTable } from '../../../src/cli/usage/table.ts'
import { counts } from '../../fixtures/usage.ts'

const NOW = Date.UTC(2026, 10, 30, 12)
const USED = counts({
  requests: 1_234,
  errors: 3,
  inputTokens: 56_789,
  milliUnits: 11_130_500,
  cpuMicroseconds: 1_500_000,
  originMs: 2_500,
  nanoUsd: 1_061_300,
})
const NAMES = new Map([['key:one', 'shop']])
const usage = (name: string, more: Partial<ReadUsage> = {}): ReadUsage => ({
  groups: new Map([[name, USED]]),
  total: USED,
  lastUsedAt: new Map([['key:one', NOW]]),
  written: { oldest: NOW - 60_000, newest: NOW - 5_000 },
  faults: [],
  ...more,
})

describe('usage as a table', () => {
  it('has its units, the sum, and when each caller called last', () => {
    expect(usageTable(usage('key:one'), { group: 'key', names: NAMES })).toBe(
      [
        'principal  name  requests  errors  cached  tokens in  tokens out     units  CPU s  origin s       USD   last used (UTC)',
        'key:one    shop     1,234       3       0     56,789           0  11,130.5  1.500       2.5  0.001061  2026-11-30 12:00',
        'total               1,234       3       0     56,789           0  11,130.5  1.500       2.5  0.001061',
      ].join('\n'),
    )
  })

  it('names what was refused before its model was known', () => {
    expect(usageTable(usage(''), { group: 'model', names: NAMES }).split('\n')[1]).toMatch(
      /^\(refused before\) +1,234 /,
    )
  })

  it('says how old its snapshots are', () => {
    expect(ageOf(usage('a'), NOW)).toMatch(/^From snapshots that were written 5\.0 s to 1 min 00 s ago\. /)
    expect(ageOf(usage('a', { written: { oldest: NOW, newest: NOW } }), NOW)).toMatch(/ written 0\.0 s ago\. /)
    expect(ageOf(usage('a', { written: undefined }), NOW)).toBe('')
  })
})

describe('usage as JSON', () => {
  it('has the same figures', () => {
    const { byToken, cached, errors, inputTokens, originMs, outputTokens, requests } = USED
    const figures = {
      byToken,
      cached,
      errors,
      inputTokens,
      originMs,
      outputTokens,
      requests,
      units: 11_130.5,
      cpuMs: 1_500,
      usd: 0.0010613,
    }
    expect(usageJson(usage('key:one'), { month: '2026-11', group: 'key', names: NAMES })).toEqual({
      month: '2026-11',
      group: 'key',
      written: { oldest: '2026-11-30T11:59:00.000Z', newest: '2026-11-30T11:59:55.000Z' },
      data: [{ key: 'key:one', name: 'shop', ...figures, lastUsedAt: '2026-11-30T12:00:00.000Z' }],
      total: figures,
      faults: [],
    })
    expect(usageJson(usage(''), { month: '2026-11', group: 'model', names: NAMES })).toMatchObject({
      data: [{ model: null }],
    })
  })
})
