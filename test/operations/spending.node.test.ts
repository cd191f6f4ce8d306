import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/core/limits.ts'
import type { Counts } from '../../src/metering/usage/counts.ts'
import { snapshotKey, writeSnapshot } from '../../src/metering/usage/snapshot.ts'
import { readSpending } from '../../src/operations/spending.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'
import { counts } from '../fixtures/usage.ts'

const NOW = Date.UTC(2026, 10, 30, 12)
const { signal } = new AbortController()

async function setup(limits: Partial<typeof LIMITS> = {}) {
  const store = new MemoryStore({ pageSize: 2 })
  const put = async (principal: string, month: string, days: Record<string, Record<string, Counts>>, at = NOW) => {
    const byDay = new Map(Object.entries(days).map(([day, models]) => [day, new Map(Object.entries(models))]))
    await store.put(
      snapshotKey(principal, month),
      writeSnapshot({ principal, month, at, lastUsedAt: at - 1000, days: byDay }),
    )
  }
  const read = () =>
    readSpending(
      {
        store,
        limits: { ...LIMITS, ...limits },
        keyOf: async (id) =>
          id === 'shop' ? { name: 'Shop', budgets: { day: { usd: 2 }, month: { requests: 4 } } } : undefined,
      },
      NOW,
      signal,
    )
  return { put, read }
}

const usd = (dollars: number, requests = 1) => counts({ requests, nanoUsd: dollars * 1e9 })

describe('spending', () => {
  it('is of today and of the month, by caller and model, with budgets of keys', async () => {
    const { put, read } = await setup()
    await put('anonymous', '2026-11', { '2026-11-30': { 'digits@1': usd(0.5) } })
    await put(
      'key:shop',
      '2026-11',
      {
        '2026-11-29': { 'digits@1': usd(4, 3) },
        '2026-11-30': { 'digits@1': usd(0.5), 'digits@2': usd(0.25), 'reviews@1': usd(0.25), '': usd(0) },
      },
      NOW - 60_000,
    )
    await put('key:gone', '2026-11', { '2026-11-01': { 'digits@1': usd(1) } })
    await put('key:shop', '2026-10', { '2026-10-30': { 'digits@1': usd(100) } })
    const { callers, cost, models, truncated } = await read()
    expect(cost).toEqual({ day: '2026-11-30', todayUsd: 1.5, monthUsd: 6.5, countedAt: '2026-11-30T11:59:00.000Z' })
    expect(models.get('digits')).toBe(1.25)
    expect(models.get('reviews')).toBe(0.25)
    expect(truncated).toBe(false)
    expect(
      callers.map(({ principal, spentTodayUsd, spentMonthUsd }) => [principal, spentTodayUsd, spentMonthUsd]),
    ).toEqual([
      ['key:shop', 1, 5],
      ['anonymous', 0.5, 0.5],
      ['key:gone', 0, 1],
    ])
    expect(callers[0]).toMatchObject({ name: 'Shop', requestsToday: 4, errorsToday: 0 })
    expect(callers[0]?.budgets).toEqual([
      { period: 'day', kind: 'usd', used: 1, limit: 2 },
      { period: 'month', kind: 'requests', used: 7, limit: 4 },
    ])
  })

  it('is nothing where nothing was counted', async () => {
    const { read } = await setup()
    expect((await read()).cost).toEqual({ day: '2026-11-30', todayUsd: 0, monthUsd: 0 })
  })

  it('says that there are callers that it did not read', async () => {
    const { put, read } = await setup({ operationsSnapshots: 2 as never })
    for (const name of ['a', 'b', 'c']) await put(`key:${name}`, '2026-11', { '2026-11-30': { 'digits@1': usd(1) } })
    const { cost, truncated } = await read()
    expect(truncated).toBe(true)
    expect(cost.todayUsd).toBe(2)
  })
})
