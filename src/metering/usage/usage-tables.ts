import type { Limits } from '../../core/limits.ts'
import type { UsageBlock } from './block.ts'
import { COUNTS, type Counts, countsFrom } from './counts.ts'
import { dayOf, monthOf, OTHER_MODELS, type UsageByDay, type UsageByModel } from './usage-by-day.ts'

/** The used part of a Durable Object's storage. */
export interface UsageStorage {
  readonly sql: {
    exec<Row extends Record<string, SqlValue>>(query: string, ...values: SqlValue[]): Iterable<Row>
  }
  transactionSync<T>(work: () => T): T
}

type SqlValue = string | number | null

/** A month that has counts that no snapshot has. */
export interface UnwrittenMonth {
  readonly month: string
  /** Counts the bookings of the month. */
  readonly revision: number
  /** When a snapshot of it was last tried, by the object's clock. */
  readonly triedAt: number
  readonly etag: string | undefined
}

export interface UsageOwner {
  readonly principal: string
  readonly lastUsedAt: number
}

/** Days, the first and the last included: `2026-11-01` to `2026-11-30`. */
export interface DayRange {
  readonly from: string
  readonly to: string
}

export interface UsageQuestion extends DayRange {
  readonly group: 'day' | 'model'
}

const DAY_MS = 86_400_000
const COLUMNS = COUNTS.map(column)
const CREATE = [
  `CREATE TABLE IF NOT EXISTS usage_rows (day TEXT NOT NULL, model TEXT NOT NULL,
    ${COLUMNS.map((name) => `${name} INTEGER NOT NULL DEFAULT 0`).join(', ')}, PRIMARY KEY (day, model)) WITHOUT ROWID`,
  // Blocks that were booked: the last one of each isolate. `turn` orders isolates without a clock.
  `CREATE TABLE IF NOT EXISTS usage_sources (source TEXT PRIMARY KEY, seq INTEGER NOT NULL, turn INTEGER NOT NULL)`,
  `CREATE INDEX IF NOT EXISTS usage_sources_turn ON usage_sources (turn)`,
  `CREATE TABLE IF NOT EXISTS usage_months (month TEXT PRIMARY KEY, revision INTEGER NOT NULL, written INTEGER NOT NULL DEFAULT 0,
    tried_at INTEGER NOT NULL DEFAULT 0, etag TEXT)`,
  `CREATE TABLE IF NOT EXISTS usage_owner (one INTEGER PRIMARY KEY CHECK (one = 1), principal TEXT NOT NULL,
    used_at INTEGER NOT NULL)`,
]
const UPSERT = `INSERT INTO usage_rows (day, model, ${COLUMNS.join(', ')}) VALUES (?, ?, ${COLUMNS.map(() => '?').join(', ')})
  ON CONFLICT (day, model) DO UPDATE SET ${COLUMNS.map((name) => `${name} = ${name} + excluded.${name}`).join(', ')}`

type TableLimits = Pick<Limits, 'usageDays' | 'usageModels' | 'usageSources'>

/** Usage of one principal in its Durable Object: by UTC day and model, each block booked once. */
export class UsageTables {
  readonly #storage: UsageStorage
  readonly #limits: TableLimits

  constructor(storage: UsageStorage, limits: TableLimits) {
    this.#storage = storage
    this.#limits = limits
    for (const statement of CREATE) storage.sql.exec(statement)
  }

  /**
   * Books a block, all of it or, where it was booked before, nothing.
   * @param now by the object's clock: counts of days that cannot be, by an isolate's clock that jumped, are today's
   */
  book(principal: string, block: UsageBlock, now: number): void {
    const { sql } = this.#storage
    this.#storage.transactionSync(() => {
      const [last] = sql.exec<{ seq: number }>('SELECT seq FROM usage_sources WHERE source = ?', block.source)
      if (last !== undefined && block.seq <= last.seq) return
      this.#noteSource(block)
      const days = new Set<string>()
      for (const row of block.rows) {
        const day = plausible(row.day, now)
        sql.exec(UPSERT, day, row.model, ...COUNTS.map((name) => countsFrom(row.counts)[name]))
        days.add(day)
      }
      for (const day of days) this.#boundModels(day)
      for (const month of new Set([...days].map(monthOf))) {
        sql.exec(
          'INSERT INTO usage_months (month, revision) VALUES (?, 1) ON CONFLICT (month) DO UPDATE SET revision = revision + 1',
          month,
        )
      }
      sql.exec(
        `INSERT INTO usage_owner (one, principal, used_at) VALUES (1, ?, ?)
          ON CONFLICT (one) DO UPDATE SET used_at = max(used_at, excluded.used_at)`,
        principal,
        Math.min(block.lastUsedAt, now),
      )
      this.#boundDays()
    })
  }

  /** @param from first day @param to last day */
  days(from: string, to: string): UsageByDay {
    const days = new Map<string, Map<string, Counts>>()
    const rows = this.#storage.sql.exec<Record<string, number | string>>(
      'SELECT * FROM usage_rows WHERE day >= ? AND day <= ? ORDER BY day, model',
      from,
      to,
    )
    for (const row of rows) {
      const day = String(row.day)
      const models = days.get(day) ?? new Map<string, Counts>()
      days.set(day, models.set(String(row.model), countsFrom(fromColumns(row))))
    }
    return days
  }

  /** Sums by day, or by model within the bound that holds for a day. */
  sums({ from, group, to }: UsageQuestion): UsageByModel {
    const days = 'day >= ? AND day <= ?'
    const name =
      group === 'day'
        ? { sql: 'day', values: [] }
        : {
            sql: `CASE WHEN model IN (SELECT DISTINCT model FROM usage_rows WHERE ${days} AND model <> ?
              ORDER BY model LIMIT ?) THEN model ELSE ? END`,
            values: [from, to, OTHER_MODELS, this.#limits.usageModels, OTHER_MODELS],
          }
    const sums = COLUMNS.map((column) => `sum(${column}) AS ${column}`).join(', ')
    const rows = this.#storage.sql.exec<Record<string, number | string>>(
      `SELECT ${name.sql} AS name, ${sums} FROM usage_rows WHERE ${days} GROUP BY 1 ORDER BY 1`,
      ...name.values,
      from,
      to,
    )
    return new Map([...rows].map((row) => [String(row.name), countsFrom(fromColumns(row))]))
  }

  /** Whose usage this is, and when they called last; undefined where nothing was booked. */
  get owner(): UsageOwner | undefined {
    const [owner] = this.#storage.sql.exec<{ principal: string; used_at: number }>('SELECT * FROM usage_owner')
    return owner && { principal: owner.principal, lastUsedAt: owner.used_at }
  }

  unwritten(): UnwrittenMonth[] {
    const rows = this.#storage.sql.exec<{ month: string; revision: number; tried_at: number; etag: string | null }>(
      'SELECT month, revision, tried_at, etag FROM usage_months WHERE written < revision ORDER BY month',
    )
    return [...rows].map(({ etag, month, revision, tried_at: triedAt }) => ({
      month,
      revision,
      triedAt,
      etag: etag ?? undefined,
    }))
  }

  /** Notes a try before it is made, so that one that is cut off is not made again at once. */
  tried(month: string, now: number): void {
    this.#storage.sql.exec('UPDATE usage_months SET tried_at = ? WHERE month = ?', now, month)
  }

  /** A snapshot has all that was booked up to a revision. Later bookings leave the month unwritten. */
  written(month: string, revision: number, etag: string): void {
    this.#storage.sql.exec('UPDATE usage_months SET written = ?, etag = ? WHERE month = ?', revision, etag, month)
  }

  /** Takes over days of a month that nothing is known of here. */
  adopt(days: UsageByDay, month: string): void {
    const { sql } = this.#storage
    this.#storage.transactionSync(() => {
      for (const [day, models] of days) {
        const [known] = sql.exec('SELECT 1 FROM usage_rows WHERE day = ? LIMIT 1', day)
        if (known !== undefined || monthOf(day) !== month) continue
        for (const [model, counts] of models) sql.exec(UPSERT, day, model, ...COUNTS.map((name) => counts[name]))
        this.#boundModels(day)
      }
    })
  }

  /** What is stored now of a month, where that is not what this object wrote last. */
  foundInstead(month: string, etag: string | undefined): void {
    this.#storage.sql.exec('UPDATE usage_months SET etag = ? WHERE month = ?', etag ?? null, month)
  }

  #noteSource({ seq, source }: UsageBlock): void {
    const { sql } = this.#storage
    sql.exec(
      `INSERT INTO usage_sources (source, seq, turn) VALUES (?, ?, (SELECT coalesce(max(turn), 0) + 1 FROM usage_sources))
        ON CONFLICT (source) DO UPDATE SET seq = excluded.seq, turn = excluded.turn`,
      source,
      seq,
    )
    sql.exec(
      'DELETE FROM usage_sources WHERE turn <= (SELECT turn FROM usage_sources ORDER BY turn DESC LIMIT 1 OFFSET ?)',
      this.#limits.usageSources,
    )
  }

  /** The same rule as `mergeModels`. */
  #boundModels(day: string): void {
    const { sql } = this.#storage
    const beyond = [
      ...sql.exec<{ model: string }>(
        'SELECT model FROM usage_rows WHERE day = ? AND model <> ? ORDER BY model LIMIT -1 OFFSET ?',
        day,
        OTHER_MODELS,
        this.#limits.usageModels,
      ),
    ]
    for (const { model } of beyond) {
      const [row] = sql.exec<Record<string, number>>('SELECT * FROM usage_rows WHERE day = ? AND model = ?', day, model)
      const counts = countsFrom(fromColumns(row ?? {}))
      sql.exec(UPSERT, day, OTHER_MODELS, ...COUNTS.map((name) => counts[name]))
      sql.exec('DELETE FROM usage_rows WHERE day = ? AND model = ?', day, model)
    }
  }

  /** By their number and not by a clock, which may be wrong: the oldest days go, and their months' snapshots stay. */
  #boundDays(): void {
    const { sql } = this.#storage
    const [oldest] = sql.exec<{ day: string }>(
      'SELECT DISTINCT day FROM usage_rows ORDER BY day DESC LIMIT 1 OFFSET ?',
      this.#limits.usageDays,
    )
    if (oldest === undefined) return
    sql.exec('DELETE FROM usage_rows WHERE day <= ?', oldest.day)
  }
}

/** Isolates live for days at most, and a day may have begun elsewhere already. */
const EARLIER_DAYS = 14

function plausible(day: string, now: number): string {
  return day >= dayOf(now - EARLIER_DAYS * DAY_MS) && day <= dayOf(now + DAY_MS) ? day : dayOf(now)
}

function column(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function fromColumns(row: Readonly<Record<string, unknown>>) {
  return Object.fromEntries(COUNTS.map((name) => [name, row[column(name)]]))
}
