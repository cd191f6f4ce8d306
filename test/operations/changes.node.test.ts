import { describe, expect, it } from 'vitest'
import { AuditLog } from '../../src/audit/log.ts'
import { nodeSha256 } from '../../src/cli/pack/bytes.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { RecentChanges } from '../../src/operations/changes.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'

const { signal } = new AbortController()

class CountingStore extends MemoryStore {
  gets = 0

  override get(...args: Parameters<MemoryStore['get']>) {
    this.gets++
    return super.get(...args)
  }
}

async function setup(entries: number) {
  const store = new CountingStore()
  const log = new AuditLog(store, { by: 'anna', sha256: nodeSha256, clock: { now: () => 0 }, limits: LIMITS })
  const hash = '0'.repeat(64)
  const record = async (count: number) => {
    for (let at = 0; at < count; at++) {
      const state = (version: string) => ({ sha256: hash, value: { live: [{ version, weight: 1 }] } })
      await log.record({ action: 'release', subject: 'alias/digits', before: state('1'), after: state('2') })
    }
  }
  await record(entries)
  store.gets = 0
  return { store, record, changes: new RecentChanges({ store, sha256: nodeSha256, limits: LIMITS }) }
}

describe('recent changes', () => {
  it('are the newest entries, with what each changed', async () => {
    const { changes } = await setup(25)
    const read = await changes.read(signal)
    expect(read.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, index) => 25 - index))
    expect(read[0]).toEqual({
      seq: 25,
      at: '1970-01-01T00:00:00.000Z',
      by: 'anna',
      action: 'release',
      subject: 'alias/digits',
      change: 'live: 1 -> 2',
    })
  })

  it('are read once each: a look without news takes two reads', async () => {
    const { changes, record, store } = await setup(25)
    await changes.read(signal)
    expect(store.gets).toBe(22)
    store.gets = 0
    await changes.read(signal)
    expect(store.gets).toBe(2)
    await record(3)
    store.gets = 0
    const read = await changes.read(signal)
    expect(store.gets).toBe(5)
    expect(read).toHaveLength(20)
    expect(read[0]?.seq).toBe(28)
  })

  it('are empty where nothing was changed', async () => {
    const { changes } = await setup(0)
    expect(await changes.read(signal)).toEqual([])
  })
})
