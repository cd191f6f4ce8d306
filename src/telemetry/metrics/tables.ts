import type { Limits } from '../../core/limits.ts'
import type { GaugeReading, MetricBlock, SeriesDelta, SeriesName, ShardReading, Traffic } from './block.ts'
import { definitionOf, keyOf, lengthOf, OTHER, together } from './definitions.ts'

export type TableLimits = Pick<
  Limits,
  | 'metricCrowdedMs'
  | 'metricIsolateMs'
  | 'metricIsolates'
  | 'metricMinutes'
  | 'metricShardSeries'
  | 'metricSourceMs'
  | 'metricTraffic'
>

const MINUTE_MS = 60_000
const LOST = 'verge_metrics_lost_total'

/** Totals, minutes and gauges of one shard, in the SQLite of its Durable Object. Bounded by `TableLimits`. */
export class MetricTables {
  readonly #storage: DurableObjectStorage
  readonly #limits: TableLimits
  /** Series that are stored; undefined until they were counted. */
  #series: number | undefined
  #cleaned = Number.NaN

  constructor(storage: DurableObjectStorage, limits: TableLimits) {
    this.#storage = storage
    this.#limits = limits
    const { sql } = storage
    sql.exec(
      'CREATE TABLE IF NOT EXISTS series (key TEXT PRIMARY KEY, counted TEXT NOT NULL, touched INTEGER) WITHOUT ROWID',
    )
    // A former version of Verge made the table without it, and may write to it again without it.
    const columns = sql.exec<{ name: string }>('PRAGMA table_info(series)').toArray()
    if (!columns.some(({ name }) => name === 'touched')) sql.exec('ALTER TABLE series ADD COLUMN touched INTEGER')
    sql.exec(
      'CREATE TABLE IF NOT EXISTS sources (source TEXT PRIMARY KEY, seq INTEGER NOT NULL, heard INTEGER NOT NULL, gauges TEXT NOT NULL) WITHOUT ROWID',
    )
    sql.exec(
      `CREATE TABLE IF NOT EXISTS minutes (minute INTEGER NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, place TEXT NOT NULL,
       requests REAL NOT NULL, errors REAL NOT NULL, units REAL NOT NULL, tokens REAL NOT NULL,
       PRIMARY KEY (minute, model, version, place)) WITHOUT ROWID`,
    )
  }

  /** Counts a block, or nothing of it if it was counted before. @param now milliseconds since 1970 */
  book(block: MetricBlock, now: number): void {
    this.#storage.transactionSync(() => {
      const { sql } = this.#storage
      const [source] = sql.exec<{ seq: number }>('SELECT seq FROM sources WHERE source = ?', block.source).toArray()
      if (source !== undefined && source.seq >= block.seq) return
      sql.exec(
        'INSERT OR REPLACE INTO sources (source, seq, heard, gauges) VALUES (?, ?, ?, ?)',
        block.source,
        block.seq,
        now,
        JSON.stringify(block.gauges),
      )
      let lost = block.lost
      for (const delta of block.series) if (!this.#add(delta, now)) lost++
      if (lost > 0) this.#add({ name: LOST, labels: [], values: [lost] }, now)
      const minute = Math.floor(now / MINUTE_MS)
      for (const row of block.traffic) this.#addTraffic(minute, row)
      this.#clean(minute, now)
    })
  }

  read(now: number): ShardReading {
    const { metricIsolateMs, metricIsolates, metricMinutes } = this.#limits
    const { sql } = this.#storage
    const minute = Math.floor(now / MINUTE_MS)
    const series = sql
      .exec<{ key: string; counted: string; touched: number | null }>('SELECT key, counted, touched FROM series')
      .toArray()
    if (series.some(({ touched }) => touched === null)) {
      sql.exec('UPDATE series SET touched = ? WHERE touched IS NULL', now)
    }
    const sources = sql.exec<{ source: string; gauges: string; at: number }>(
      'SELECT source, gauges, heard AS at FROM sources WHERE heard BETWEEN ? AND ? ORDER BY heard DESC LIMIT ?',
      now - metricIsolateMs,
      now + metricIsolateMs,
      metricIsolates,
    )
    return {
      series: series.map(({ counted, key, touched }) => {
        const [name = '', ...labels] = JSON.parse(key) as string[]
        const idleMs = Math.max(0, now - (touched ?? now))
        return { name, labels, values: JSON.parse(counted) as number[], idleMs }
      }),
      minutes: sql
        .exec<Traffic & Record<string, SqlStorageValue> & { readonly minute: number }>(
          'SELECT * FROM minutes WHERE minute BETWEEN ? AND ? ORDER BY minute',
          minute - metricMinutes + 1,
          minute,
        )
        .toArray(),
      isolates: sources.toArray().map(({ at, gauges, source }) => ({
        isolate: source,
        gauges: JSON.parse(gauges) as GaugeReading[],
        silentMs: Math.max(0, now - at),
      })),
    }
  }

  /** Forgets series, but none that was counted within a day: it was counted since they were chosen. */
  forget(series: readonly SeriesName[], now: number): void {
    this.#storage.transactionSync(() => {
      for (const { labels, name } of series) {
        this.#storage.sql.exec(
          'DELETE FROM series WHERE key = ? AND touched <= ?',
          keyOf(name, labels),
          now - this.#limits.metricCrowdedMs,
        )
      }
    })
    this.#series = undefined
  }

  /** @returns whether there was room for it, and this version of Verge knows the metric */
  #add({ labels, name, values }: SeriesDelta, now: number): boolean {
    const definition = definitionOf(name)
    if (definition === undefined || values.length !== lengthOf(definition)) return false
    const { metricShardSeries } = this.#limits
    if (this.#merge(keyOf(name, labels), values, metricShardSeries, now)) return true
    return this.#merge(keyOf(name, together(definition, labels)), values, 2 * metricShardSeries, now)
  }

  #merge(key: string, values: readonly number[], most: number, now: number): boolean {
    const { sql } = this.#storage
    const [row] = sql.exec<{ counted: string }>('SELECT counted FROM series WHERE key = ?', key).toArray()
    if (row === undefined) {
      this.#series ??= sql.exec<{ count: number }>('SELECT COUNT(*) AS count FROM series').one().count
      if (this.#series >= most) return false
      this.#series++
    }
    const before = row === undefined ? [] : (JSON.parse(row.counted) as number[])
    // Buckets that another version of Verge counted by begin anew.
    const counted =
      before.length === values.length ? values.map((value, index) => value + (before[index] ?? 0)) : values
    sql.exec(
      'INSERT OR REPLACE INTO series (key, counted, touched) VALUES (?, ?, ?)',
      key,
      JSON.stringify(counted),
      now,
    )
    return true
  }

  #addTraffic(minute: number, traffic: Traffic): void {
    const { errors, place, requests, tokens, units } = traffic
    const { model, version } = this.#hasRoom(minute, traffic) ? traffic : { model: OTHER, version: OTHER }
    this.#storage.sql.exec(
      `INSERT INTO minutes (minute, model, version, place, requests, errors, units, tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (minute, model, version, place) DO UPDATE SET requests = requests + excluded.requests,
       errors = errors + excluded.errors, units = units + excluded.units, tokens = tokens + excluded.tokens`,
      minute,
      model,
      version,
      place,
      requests,
      errors,
      units,
      tokens,
    )
  }

  /** Whether a model and version can be told apart in this minute. */
  #hasRoom(minute: number, { model, place, version }: Traffic): boolean {
    const { sql } = this.#storage
    const row = 'FROM minutes WHERE minute = ? AND model = ? AND version = ? AND place = ?'
    if (sql.exec(`SELECT 1 ${row}`, minute, model, version, place).toArray().length > 0) return true
    const { count } = sql
      .exec<{ count: number }>('SELECT COUNT(*) AS count FROM minutes WHERE minute = ?', minute)
      .one()
    return count < this.#limits.metricTraffic
  }

  /** Once a minute. What lies in the future was written before the clock jumped back. */
  #clean(minute: number, now: number): void {
    if (this.#cleaned === minute) return
    this.#cleaned = minute
    const { metricMinutes, metricSourceMs } = this.#limits
    const { sql } = this.#storage
    sql.exec('DELETE FROM minutes WHERE minute <= ? OR minute > ?', minute - metricMinutes, minute)
    sql.exec('DELETE FROM sources WHERE heard < ?', now - metricSourceMs)
  }
}
