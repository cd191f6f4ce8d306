import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import type { UsageBlock, UsageRow } from '../../../src/metering/usage/block.ts'
import { UsageBook } from '../../../src/metering/usage/usage-book.ts'
import { mergeModels, OTHER_MODELS, type UsageByModel } from '../../../src/metering/usage/usage-by-day.ts'
import { UsageTables } from '../../../src/metering/usage/usage-tables.ts'
import { seeded } from '../../fixtures/http-tensors.ts'
import { counts, randomRows } from '../../fixtures/usage.ts'

const { STREAMS } = env as unknown as { readonly STREAMS: DurableObjectNamespace }

const NOW = Date.UTC(2026, 10, 30, 12)
type Bounds = Partial<Record<'usageDays' | 'usageModels' | 'usageSources', number>>

/** Real storage of a Durable Object, of one that has nothing stored. */
function inStorage<T>(work: (open: (bounds?: Bounds) => UsageTables) => T | Promise<T>): Promise<T> {
  const stub = STREAMS.get(STREAMS.newUniqueId())
  return runInDurableObject(stub, async (_, { storage }) => {
    const result = await work((bounds) => new UsageTables(storage, { ...LIMITS, ...bounds }))
    await storage.deleteAll()
    return result
  })
}

const row = (model: string, requests = 1, day = '2026-11-30'): UsageRow => ({
  day,
  model,
  counts: counts({ requests }),
})
const block = (seq: number, rows: readonly UsageRow[], more: Partial<UsageBlock> = {}): UsageBlock => ({
  source: 'isolate',
  seq,
  lastUsedAt: NOW,
  rows,
  ...more,
})

const month = (tables: UsageTables) => tables.days('2026-11-01', '2026-11-31')

function expected(rows: readonly UsageRow[], most: number): Map<string, UsageByModel> {
  const days = new Map<string, UsageByModel>()
  for (const { counts, day, model } of rows)
    days.set(day, mergeModels(days.get(day) ?? new Map(), new Map([[model, counts]]), most))
  return days
}

const plain = (days: ReadonlyMap<string, UsageByModel>) =>
  Object.fromEntries([...days].map(([day, models]) => [day, Object.fromEntries(models)]))

describe('the tables of a ledger', () => {
  it('book a block once, however often it comes', () =>
    inStorage((open) => {
      const tables = open()
      tables.book('key:a', block(1, [row('a@1', 3)]), NOW)
      tables.book('key:a', block(1, [row('a@1', 3)]), NOW)
      tables.book('key:a', block(2, [row('a@1', 4)]), NOW)
      tables.book('key:a', block(1, [row('a@1', 3)]), NOW)
      tables.book('key:a', block(1, [row('a@1', 1)], { source: 'another' }), NOW)
      expect(plain(month(tables))).toEqual({ '2026-11-30': { 'a@1': counts({ requests: 8 }) } })
      // As after a reset of the object.
      open().book('key:a', block(2, [row('a@1', 4)]), NOW)
      expect(plain(month(open()))).toEqual({ '2026-11-30': { 'a@1': counts({ requests: 8 }) } })
    }))

  it.each([1, 2, 3])(
    'have every request once, though calls fail before and after they were booked and the object begins anew (%d)',
    (seed) =>
      inStorage((open) => {
        const random = seeded(seed)
        const rows = randomRows(seed, 400)
        let tables = open({ usageModels: 8 })
        const books = ['one', 'two', 'three'].map((name) => new UsageBook({ limits: LIMITS, randomId: () => name }))
        const send = (book: UsageBook, sure: boolean): void => {
          const sent = book.take('key:a')
          const fate = sure ? 1 : random()
          if (sent === undefined || fate < 0.3) return
          // A clock that jumps by minutes and back.
          tables.book('key:a', sent, NOW + Math.floor(random() * 600_000) - 300_000)
          if (fate > 0.6) book.booked('key:a', sent.seq)
          if (random() < 0.1) tables = open({ usageModels: 8 })
        }
        for (const each of rows) {
          const book = books[Math.floor(random() * books.length)] as UsageBook
          book.add('key:a', each, NOW)
          if (random() < 0.2) send(book, false)
        }
        for (const book of books) {
          send(book, true)
          send(book, true)
        }
        expect(plain(month(tables))).toEqual(plain(expected(rows, 8)))
      }),
  )

  it('count models beyond the bound together, as other parts do', () =>
    inStorage((open) => {
      const tables = open({ usageModels: 2 })
      tables.book('key:a', block(1, [row('c@1', 1), row('d@1', 2)]), NOW)
      tables.book('key:a', block(2, [row('a@1', 4), row('c@1', 8), row('', 16)]), NOW)
      expect(plain(month(tables))).toEqual({
        '2026-11-30': {
          '': counts({ requests: 16 }),
          'a@1': counts({ requests: 4 }),
          [OTHER_MODELS]: counts({ requests: 11 }),
        },
      })
    }))

  it('book what an isolate counts for a day that cannot be, on the day at hand', () =>
    inStorage((open) => {
      const tables = open()
      tables.book(
        'key:a',
        block(1, [row('a@1', 1, '1970-01-01'), row('a@1', 2, '2030-01-01'), row('a@1', 4, '2026-12-01')]),
        NOW,
      )
      expect(plain(tables.days('1970-01-01', '9999-12-31'))).toEqual({
        '2026-11-30': { 'a@1': counts({ requests: 3 }) },
        '2026-12-01': { 'a@1': counts({ requests: 4 }) },
      })
    }))

  it('forget the oldest days and isolates, whatever the clock says', () =>
    inStorage((open) => {
      const tables = open({ usageDays: 2, usageSources: 2 })
      for (const day of ['2026-11-28', '2026-11-30', '2026-11-29'])
        tables.book('key:a', block(1, [row('a@1', 1, day)], { source: day }), NOW)
      expect([...month(tables).keys()]).toEqual(['2026-11-29', '2026-11-30'])
      // The two that came last are known, and the first is not.
      for (const day of ['2026-11-30', '2026-11-29'])
        tables.book('key:a', block(1, [row('a@1', 1, day)], { source: day }), NOW)
      expect(month(tables).get('2026-11-30')?.get('a@1')).toEqual(counts({ requests: 1 }))
    }))

  it('know when the principal called last, and believe no later time than their own', () =>
    inStorage((open) => {
      const tables = open()
      expect(tables.owner?.lastUsedAt).toBeUndefined()
      tables.book('key:a', block(1, [row('a@1')], { lastUsedAt: NOW - 5 }), NOW)
      tables.book('key:a', block(2, [row('a@1')], { lastUsedAt: NOW - 9 }), NOW)
      expect(tables.owner?.lastUsedAt).toBe(NOW - 5)
      tables.book('key:a', block(3, [row('a@1')], { lastUsedAt: NOW + 1_000_000 }), NOW)
      expect(tables.owner?.lastUsedAt).toBe(NOW)
    }))
})
