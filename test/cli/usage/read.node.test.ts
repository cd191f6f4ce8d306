import { describe, expect, it } from 'vitest'
import { type Group, readUsage } from '../../../src/cli/usage/read.ts'
import { snapshotKey, type UsageSnapshot, writeSnapshot } from '../../../src/metering/usage/snapshot.ts'
import { MemoryStore } from '../../fixtures/memory-store.ts'
import { counts } from '../../fixtures/usage.ts'

const NOW = Date.UTC(2026, 10, 30, 12)
const { signal } = new AbortController()

const snapshot = (principal: string, at: number, days: UsageSnapshot['days'], month = '2026-11'): UsageSnapshot => ({
  principal,
  month,
  at,
  lastUsedAt: at - 1_000,
  days,
})

async function filled(): Promise<MemoryStore> {
  const store = new MemoryStore({ pageSize: 2 })
  const first = new Map([
    [
      '2026-11-29',
      new Map([
        ['a@1', counts({ requests: 1, nanoUsd: 5 })],
        ['b@1', counts({ requests: 2 })],
      ]),
    ],
    [
      '2026-11-30',
      new Map([
        ['a@1', counts({ requests: 4 })],
        ['', counts({ requests: 8, errors: 8 })],
      ]),
    ],
  ])
  const second = new Map([['2026-11-30', new Map([['a@1', counts({ requests: 16 })]])]])
  const all = [
    snapshot('key:one', NOW - 5_000, first),
    snapshot('key:two', NOW - 60_000, second),
    snapshot('key:two', NOW, new Map([['2026-10-30', new Map([['a@1', counts({ requests: 1_000 })]])]]), '2026-10'),
    snapshot('anonymous', NOW - 9_000, second),
  ]
  for (const each of all) await store.put(snapshotKey(each.principal, each.month), writeSnapshot(each))
  return store
}

const read = async (group: Group, principal?: string) =>
  readUsage(await filled(), { month: '2026-11', group, principal }, signal)
const requests = ({ groups }: Awaited<ReturnType<typeof readUsage>>) =>
  Object.fromEntries([...groups].map(([name, { requests }]) => [name, requests]))

describe('usage of a month', () => {
  it('is added up by caller, by day and by model, page after page', async () => {
    expect(requests(await read('key'))).toEqual({ anonymous: 16, 'key:one': 15, 'key:two': 16 })
    expect(requests(await read('day'))).toEqual({ '2026-11-29': 3, '2026-11-30': 44 })
    expect(requests(await read('model'))).toEqual({ '': 8, 'a@1': 37, 'b@1': 2 })
  })

  it('has one total, whatever it is added up by', async () => {
    for (const by of ['key', 'day', 'model'] as const)
      expect((await read(by)).total).toEqual(counts({ requests: 47, errors: 8, nanoUsd: 5 }))
  })

  it('may be that of one caller', async () => {
    const usage = await read('key', 'key:one')
    expect(requests(usage)).toEqual({ 'key:one': 15 })
    expect(usage.lastUsedAt).toEqual(new Map([['key:one', NOW - 6_000]]))
    expect(usage.written).toEqual({ oldest: NOW - 5_000, newest: NOW - 5_000 })
  })

  it('knows how old it is, and says what could not be read', async () => {
    const store = await filled()
    await store.put(snapshotKey('key:three', '2026-11'), new TextEncoder().encode('{'))
    const usage = await readUsage(store, { month: '2026-11', group: 'key' }, signal)
    expect(usage.written).toEqual({ oldest: NOW - 60_000, newest: NOW - 5_000 })
    expect(usage.faults).toEqual([
      '"usage/key:three/2026-11.json" is not a snapshot that this version of Verge can read.',
    ])
    expect(usage.total.requests).toBe(47)
  })

  it('is nothing where there are no snapshots', async () => {
    const usage = await readUsage(await filled(), { month: '2025-11', group: 'key' }, signal)
    expect(usage).toMatchObject({ written: undefined, faults: [] })
    expect(usage.groups.size).toBe(0)
  })
})
