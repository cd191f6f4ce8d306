import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import type { LogFields } from '../../../src/core/runtime.ts'
import type { UsageRow } from '../../../src/metering/usage/block.ts'
import { readSnapshot, snapshotKey, type UsageSnapshot, writeSnapshot } from '../../../src/metering/usage/snapshot.ts'
import { Snapshots } from '../../../src/metering/usage/snapshots.ts'
import { UsageTables } from '../../../src/metering/usage/usage-tables.ts'
import { R2Store } from '../../../src/weights/r2.ts'
import type { PutOptions, Store } from '../../../src/weights/store.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { counts } from '../../fixtures/usage.ts'

const { BUCKET, STREAMS } = env as unknown as { readonly BUCKET: R2Bucket; readonly STREAMS: DurableObjectNamespace }

const MONTH = '2026-11'
const NOW = Date.UTC(2026, 10, 30, 12)

interface Subject {
  readonly clock: ManualClock
  readonly logged: LogFields[]
  readonly principal: string
  /** What R2 does instead of writing; undefined: it writes. */
  fault: ((write: () => Promise<unknown>, signal: AbortSignal | undefined) => Promise<never>) | undefined
  readonly writes: () => number
  book(seq: number, requests: number, day?: string): void
  readonly snapshots: Snapshots
  stored(): Promise<UsageSnapshot | undefined>
}

/** Real R2 and the real storage of a Durable Object. */
async function withSubject(name: string, work: (subject: Subject) => Promise<void>): Promise<void> {
  const principal = `key:${name}`
  const truth = new R2Store(BUCKET)
  onTestFinished(() => truth.delete(snapshotKey(principal, MONTH)))
  await runInDurableObject(STREAMS.get(STREAMS.newUniqueId()), async (_, { storage }) => {
    const clock = new ManualClock()
    await clock.advance(NOW)
    const logged: LogFields[] = []
    let writes = 0
    const store: Store = Object.assign(Object.create(truth) as Store, {
      get: truth.get.bind(truth),
      put: (key: string, value: Uint8Array, options: PutOptions) => {
        writes++
        const write = () => truth.put(key, value, options)
        return subject.fault === undefined ? write() : subject.fault(write, options.signal)
      },
    })
    const tables = new UsageTables(storage, LIMITS)
    const logger = { info() {}, warn: (_: string, fields: LogFields = {}) => void logged.push(fields), error() {} }
    const row = (requests: number, day: string): UsageRow => ({ day, model: 'a@1', counts: counts({ requests }) })
    const subject: Subject = {
      clock,
      logged,
      principal,
      fault: undefined,
      writes: () => writes,
      book: (seq, requests, day = '2026-11-30') =>
        tables.book(
          principal,
          { source: 'isolate', seq, lastUsedAt: clock.now(), rows: [row(requests, day)] },
          clock.now(),
        ),
      snapshots: new Snapshots({ tables, store, clock, logger, limits: LIMITS }),
      stored: async () => {
        const object = await BUCKET.get(snapshotKey(principal, MONTH))
        return object === null ? undefined : readSnapshot(new Uint8Array(await object.arrayBuffer()))
      },
    }
    await work(subject)
    await storage.deleteAll()
  })
}

const requests = (snapshot: UsageSnapshot | undefined, day = '2026-11-30') =>
  snapshot?.days.get(day)?.get('a@1')?.requests
const unavailable = async () => {
  throw new VergeError('store_unavailable', 'R2 is away.')
}

describe('snapshots of a ledger', () => {
  it('have all that was booked, and nothing is due when they are written', () =>
    withSubject('written', async (subject) => {
      const { principal, snapshots } = subject
      expect(snapshots.dueAt).toBeUndefined()
      subject.book(1, 3)
      await snapshots.write()
      expect(await subject.stored()).toEqual({
        principal,
        month: MONTH,
        at: NOW,
        lastUsedAt: NOW,
        days: new Map([['2026-11-30', new Map([['a@1', counts({ requests: 3 })]])]]),
      })
      expect(snapshots.dueAt).toBeUndefined()
    }))

  it('are written once a minute at most', () =>
    withSubject('minute', async (subject) => {
      const { clock, snapshots } = subject
      for (let seq = 1; seq <= 4; seq++) {
        subject.book(seq, 1)
        await snapshots.write()
        await clock.advance(10_000)
      }
      expect(subject.writes()).toBe(1)
      expect(snapshots.dueAt).toBe(NOW + 60_000)
      await clock.advance(20_000)
      await snapshots.write()
      expect(subject.writes()).toBe(2)
      expect(requests(await subject.stored())).toBe(4)
    }))

  it('lose nothing while R2 is away', () =>
    withSubject('away', async (subject) => {
      const { clock, snapshots } = subject
      subject.fault = unavailable
      for (let seq = 1; seq <= 3; seq++) {
        subject.book(seq, 2)
        await snapshots.write()
        await clock.advance(60_000)
      }
      expect(await subject.stored()).toBeUndefined()
      expect(subject.logged).toHaveLength(3)
      subject.fault = undefined
      await snapshots.write()
      expect(requests(await subject.stored())).toBe(6)
      expect(snapshots.dueAt).toBeUndefined()
    }))

  it('go on after a write that succeeded without anybody hearing of it', () =>
    withSubject('unheard', async (subject) => {
      const { clock, snapshots } = subject
      subject.fault = async (write) => {
        await write()
        return unavailable()
      }
      subject.book(1, 1)
      await snapshots.write()
      subject.fault = undefined
      subject.book(2, 2)
      await clock.advance(60_000)
      await snapshots.write()
      await clock.advance(60_000)
      await snapshots.write()
      expect(requests(await subject.stored())).toBe(3)
      expect(snapshots.dueAt).toBeUndefined()
    }))

  it('give up a write that takes too long, and try again', () =>
    withSubject('slow', async (subject) => {
      const { clock, snapshots } = subject
      subject.book(1, 1)
      subject.fault = (_, signal) =>
        new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      const writing = snapshots.write()
      await clock.advance(LIMITS.usageStoreMs)
      await writing
      subject.fault = undefined
      await clock.advance(60_000)
      await snapshots.write()
      expect(requests(await subject.stored())).toBe(1)
    }))

  it('take over days that a ledger before this one has counted', () =>
    withSubject('before', async (subject) => {
      const { clock, principal, snapshots } = subject
      const days = new Map(
        ['2026-11-01', '2026-11-30'].map((day) => [day, new Map([['a@1', counts({ requests: 100 })]])]),
      )
      const before = { principal, month: MONTH, at: NOW - 1, lastUsedAt: NOW - 1, days }
      await BUCKET.put(snapshotKey(principal, MONTH), writeSnapshot(before))
      subject.book(1, 3)
      await snapshots.write()
      await clock.advance(60_000)
      await snapshots.write()
      expect(requests(await subject.stored(), '2026-11-01')).toBe(100)
      expect(requests(await subject.stored())).toBe(3)
    }))

  it('do not wait for hours where the clock was set back', () =>
    withSubject('back', async (subject) => {
      const { clock, snapshots } = subject
      await clock.advance(7_200_000)
      subject.book(1, 1)
      await snapshots.write()
      await clock.advance(-7_200_000)
      subject.book(2, 1)
      expect(snapshots.dueAt).toBe(NOW + 60_000)
    }))
})
