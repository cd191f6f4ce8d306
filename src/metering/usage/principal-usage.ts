import type { Limits } from '../../core/limits.ts'
import type { Clock, Logger } from '../../core/runtime.ts'
import type { Store } from '../../weights/store.ts'
import type { UsageBlock } from './block.ts'
import type { Counts } from './counts.ts'
import { Snapshots } from './snapshots.ts'
import { type UsageQuestion, type UsageStorage, UsageTables } from './usage-tables.ts'

/** What a ledger answers when it is asked for its principal's usage. */
export interface UsageAnswer {
  /** By day or by model, as it was asked. */
  readonly sums: readonly { readonly name: string; readonly counts: Counts }[]
  readonly lastUsedAt: number | undefined
}

export interface PrincipalUsageOptions {
  readonly storage: UsageStorage
  /** R2, for snapshots. */
  readonly store: Store
  readonly clock: Pick<Clock, 'after' | 'now'>
  readonly logger: Logger
  readonly limits: Pick<
    Limits,
    'usageDays' | 'usageModels' | 'usageSnapshotBytes' | 'usageSnapshotMs' | 'usageSources' | 'usageStoreMs'
  >
}

/** The usage of one principal, in its ledger: counted exactly there, and copied to R2 from time to time. */
export class PrincipalUsage {
  readonly #clock: Pick<Clock, 'now'>
  readonly #tables: UsageTables
  readonly #snapshots: Snapshots

  constructor({ storage, ...options }: PrincipalUsageOptions) {
    this.#clock = options.clock
    this.#tables = new UsageTables(storage, options.limits)
    this.#snapshots = new Snapshots({ ...options, tables: this.#tables })
  }

  /** A block that was booked before changes nothing. */
  book(principal: string, block: UsageBlock): void {
    this.#tables.book(principal, block, this.#clock.now())
  }

  read(question: UsageQuestion): UsageAnswer {
    const sums = [...this.#tables.sums(question)].map(([name, counts]) => ({ name, counts }))
    return { sums, lastUsedAt: this.#tables.owner?.lastUsedAt }
  }

  /** Whether anything was ever booked. */
  get owned(): boolean {
    return this.#tables.owner !== undefined
  }

  /** When the object's alarm is to ring for a snapshot; undefined: it need not. */
  get alarmAt(): number | undefined {
    return this.#snapshots.dueAt
  }

  /** For the object's alarm, whatever it rang for. Never rejects. */
  alarm(): Promise<void> {
    return this.#snapshots.write()
  }
}
