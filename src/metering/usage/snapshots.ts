import type { Limits } from '../../core/limits.ts'
import type { Clock, Logger } from '../../core/runtime.ts'
import { readAtMost } from '../../weights/body.ts'
import type { Store } from '../../weights/store.ts'
import { readSnapshot, snapshotKey, writeSnapshot } from './snapshot.ts'
import type { UnwrittenMonth, UsageOwner, UsageTables } from './usage-tables.ts'

export interface SnapshotsOptions {
  readonly tables: UsageTables
  /** R2. */
  readonly store: Store
  readonly clock: Pick<Clock, 'after' | 'now'>
  readonly logger: Logger
  readonly limits: Pick<Limits, 'usageSnapshotBytes' | 'usageSnapshotMs' | 'usageStoreMs'>
}

/**
 * Writes what a ledger has counted to R2, a month at a time and at most once a minute. While R2 does not answer nothing is
 * lost: the months stay unwritten, and each minute there is another try.
 */
export class Snapshots {
  readonly #options: SnapshotsOptions

  constructor(options: SnapshotsOptions) {
    this.#options = options
  }

  /** When `write` is to be called; undefined if everything is written. */
  get dueAt(): number | undefined {
    const times = this.#options.tables.unwritten().map((month) => this.#dueAt(month))
    return times.length === 0 ? undefined : Math.min(...times)
  }

  /** Writes the months that are due. What fails is logged and stays due. */
  async write(): Promise<void> {
    const { clock, limits, logger, tables } = this.#options
    const { owner } = tables
    if (owner === undefined) return
    for (const month of tables.unwritten()) {
      if (this.#dueAt(month) > clock.now()) continue
      tables.tried(month.month, clock.now())
      const time = new AbortController()
      const callOff = clock.after(limits.usageStoreMs, () => time.abort())
      try {
        await this.#writeMonth(owner, month, time.signal)
      } catch (error) {
        logger.warn('usage_snapshot_failed', { principal: owner.principal, month: month.month, error })
      } finally {
        callOff()
      }
    }
  }

  /** A clock that was set back does not make the next try wait for longer than a minute. */
  #dueAt({ triedAt }: UnwrittenMonth): number {
    const { clock, limits } = this.#options
    const now = clock.now()
    return triedAt > now ? now + limits.usageSnapshotMs : triedAt + limits.usageSnapshotMs
  }

  async #writeMonth(owner: UsageOwner, { etag, month, revision }: UnwrittenMonth, signal: AbortSignal): Promise<void> {
    const { clock, store, tables } = this.#options
    const bytes = writeSnapshot({
      ...owner,
      month,
      at: clock.now(),
      days: tables.days(`${month}-01`, `${month}-31`),
    })
    const key = snapshotKey(owner.principal, month)
    const put = await store.put(key, bytes, { onlyIf: etag === undefined ? 'absent' : { etag }, signal })
    if (put?.etag !== undefined) tables.written(month, revision, put.etag)
    else await this.#adopt(key, month, signal)
  }

  /**
   * Something else is stored: an earlier try that did not hear of its success, or a ledger that was here before this one.
   * Days that this ledger knows nothing of are taken over; with the next try all of it is written.
   */
  async #adopt(key: string, month: string, signal: AbortSignal): Promise<void> {
    const { limits, store, tables } = this.#options
    const found = await store.get(key, { signal })
    const bytes = found && (await readAtMost(found.body, limits.usageSnapshotBytes, signal))
    const snapshot = bytes ? readSnapshot(bytes) : undefined
    if (snapshot !== undefined) tables.adopt(snapshot.days, month)
    tables.foundInstead(month, found?.etag)
  }
}
