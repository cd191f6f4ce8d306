import type { CanaryStop } from '../../catalog/canary.ts'
import { completeRules } from '../../catalog/canary-rules.ts'
import type { Limits } from '../../core/limits.ts'
import { judge, NO_COUNTS, newWatch, reasonFor, seen, type WatchState } from './judge.ts'
import type { CanaryWatchState, Trial, WatchReply, WatchReport, WatchVerdict } from './report.ts'

/** The used part of a Durable Object's storage. */
export interface WatchStorage {
  readonly sql: {
    exec<Row extends Record<string, string | number | null>>(
      query: string,
      ...values: (string | number | null)[]
    ): Iterable<Row>
  }
  transactionSync<T>(work: () => T): T
}

type Relation = 'newer' | 'same' | 'older'
type KeptLimits = Pick<Limits, 'canaryForgottenMs' | 'canarySources'>

interface Kept {
  readonly trial: Trial
  readonly watch: WatchState
  readonly since: number
  readonly lastReportAt: number
  readonly verdict: WatchVerdict
  readonly stop?: CanaryStop
  readonly failedStops: number
}

const CREATE = [
  `CREATE TABLE IF NOT EXISTS canary (one INTEGER PRIMARY KEY CHECK (one = 1), kept TEXT NOT NULL)`,
  // Reports that were counted: the last one of each isolate. `turn` orders isolates without a clock.
  `CREATE TABLE IF NOT EXISTS canary_sources (source TEXT PRIMARY KEY, seq INTEGER NOT NULL, turn INTEGER NOT NULL)`,
]

/**
 * One model's canary in its Durable Object: each report counted once, and judged. The storage is the truth, so that a reset
 * loses nothing. Nothing here waits, so that no two reports come in between each other.
 */
export class KeptWatch {
  readonly #storage: WatchStorage
  readonly #limits: KeptLimits

  constructor(storage: WatchStorage, limits: KeptLimits) {
    this.#storage = storage
    this.#limits = limits
    for (const statement of CREATE) storage.sql.exec(statement)
  }

  /** @param now milliseconds since 1970 */
  report(model: string, report: WatchReport, now: number): WatchReply {
    return this.#storage.transactionSync(() => {
      const before = this.#read()
      const { canary, digest, generation } = report
      const relation = before === undefined ? 'newer' : this.#relationOf(report, before, now)
      if (relation === 'older') return { verdict: 'outdated' }
      const isNew = before === undefined || relation === 'newer'
      const kept = isNew ? begun({ model, generation, canary, digest }, now) : before
      if (!isNew && !this.#isFirst(report)) return replyTo(kept)
      const judged = isOver(kept) ? kept : this.#judged(kept, report, now)
      this.#write({ ...judged, lastReportAt: now }, report)
      const reply = replyTo(judged)
      return reply.verdict === 'stopped' && judged !== kept ? { ...reply, isFirst: true } : reply
    })
  }

  get state(): CanaryWatchState | undefined {
    const kept = this.#read()
    if (kept === undefined) return undefined
    const { failedStops, lastReportAt, since, stop, trial, verdict, watch } = kept
    const rules = completeRules(trial.canary.rules)
    const { evidence, together, worse } = judge(watch, rules)
    const reason = stop?.reason ?? (worse && reasonFor(worse, watch, rules))
    return {
      ...trial,
      rules,
      verdict,
      ...(reason !== undefined && { reason }),
      counts: watch.total,
      evidence,
      together,
      since,
      lastReportAt,
      failedStops,
    }
  }

  /** The stop that is to be written into the alias. */
  get pendingStop(): { readonly model: string; readonly stop: CanaryStop; readonly failed: number } | undefined {
    const kept = this.#read()
    if (kept?.verdict !== 'stopping' || kept.stop === undefined) return undefined
    return { model: kept.trial.model, stop: kept.stop, failed: kept.failedStops }
  }

  /** What has become of a try to write a stop. A newer generation that came meanwhile stays as it is. */
  tried({ generation }: CanaryStop, outcome: 'stopped' | 'superseded' | 'failed'): void {
    const kept = this.#read()
    if (kept?.verdict !== 'stopping' || kept.trial.generation !== generation) return
    this.#write(outcome === 'failed' ? { ...kept, failedStops: kept.failedStops + 1 } : { ...kept, verdict: outcome })
  }

  #judged(kept: Kept, { counts }: WatchReport, now: number): Kept {
    const { canary, generation } = kept.trial
    const rules = completeRules(canary.rules)
    const watch = seen(kept.watch, counts, rules)
    const { worse } = judge(watch, rules)
    if (worse === undefined || kept.verdict === 'worse') return { ...kept, watch }
    const reason = reasonFor(worse, watch, rules)
    const stop: CanaryStop = { generation, version: canary.version, at: Math.floor(now / 1000), reason }
    return { ...kept, watch, stop, verdict: canary.guarded ? 'stopping' : 'worse' }
  }

  /** Whether a report is of the trial that is kept, or of another. */
  #relationOf({ digest, generation }: WatchReport, { lastReportAt, trial }: Kept, now: number): Relation {
    if (generation > trial.generation) return 'newer'
    // Isolates of an older Verge say no digest.
    const isSame = digest === undefined || trial.digest === undefined || digest === trial.digest
    if (generation === trial.generation && isSame) return 'same'
    return now - lastReportAt >= this.#limits.canaryForgottenMs ? 'newer' : 'older'
  }

  #isFirst({ seq, source }: WatchReport): boolean {
    const [last] = this.#storage.sql.exec<{ seq: number }>('SELECT seq FROM canary_sources WHERE source = ?', source)
    return last === undefined || seq > last.seq
  }

  #read(): Kept | undefined {
    const [row] = this.#storage.sql.exec<{ kept: string }>('SELECT kept FROM canary')
    if (row === undefined) return undefined
    const kept = JSON.parse(row.kept) as Kept
    // An older Verge counted less.
    return { ...kept, watch: { ...kept.watch, total: { ...NO_COUNTS, ...kept.watch.total } } }
  }

  #write(kept: Kept, report?: WatchReport): void {
    const { sql } = this.#storage
    sql.exec('INSERT OR REPLACE INTO canary (one, kept) VALUES (1, ?)', JSON.stringify(kept))
    if (report === undefined) return
    sql.exec(
      `INSERT OR REPLACE INTO canary_sources (source, seq, turn)
        VALUES (?, ?, (SELECT coalesce(max(turn), 0) + 1 FROM canary_sources))`,
      report.source,
      report.seq,
    )
    sql.exec(
      'DELETE FROM canary_sources WHERE turn <= (SELECT max(turn) FROM canary_sources) - ?',
      this.#limits.canarySources,
    )
  }
}

function begun(trial: Trial, now: number): Kept {
  return {
    trial,
    watch: newWatch(completeRules(trial.canary.rules)),
    since: now,
    lastReportAt: now,
    verdict: 'watching',
    failedStops: 0,
  }
}

/** Nothing more is counted. */
function isOver({ verdict }: Pick<Kept, 'verdict'>): boolean {
  return verdict !== 'watching' && verdict !== 'worse'
}

function replyTo(kept: Kept): WatchReply {
  if (kept.verdict === 'superseded') return { verdict: 'outdated' }
  return isOver(kept) && kept.stop !== undefined ? { verdict: 'stopped', stop: kept.stop } : { verdict: 'continue' }
}
