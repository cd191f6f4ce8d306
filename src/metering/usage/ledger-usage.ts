import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { untilAborted, untilLate } from '../../core/runtime.ts'
import type { Store } from '../../weights/store.ts'
import type { UsageCarrier } from '../leases.ts'
import type { Metering } from '../metering.ts'
import type { UsageBlock } from './block.ts'
import { counted } from './counted.ts'
import type { UsageAnswer } from './principal-usage.ts'
import { snapshotNamed, snapshotsOf } from './snapshot.ts'
import type { PrincipalPage, UsageQueries } from './usage-queries.ts'
import { UsageReporter, type UsageReporterOptions } from './usage-reporter.ts'
import type { UsageQuestion } from './usage-tables.ts'

/** What a ledger answers over its binding. */
export interface UsageLedger {
  bookUsage(principal: string, block: UsageBlock): Promise<void>
  readUsage(question: UsageQuestion): Promise<UsageAnswer>
}

export interface LedgerUsageOptions extends Omit<UsageReporterOptions, 'book'> {
  /** A principal's ledger. */
  readonly ledgerOf: (principal: string) => UsageLedger
  readonly limits: UsageReporterOptions['limits'] & Pick<Limits, 'usageStoreMs'>
  /** R2. */
  readonly store: Store
}

/** Usage in the ledgers of an isolate's callers: what it counts goes there, and is read there. */
export class LedgerUsage implements UsageQueries {
  readonly #options: LedgerUsageOptions
  readonly #reporter: UsageReporter

  constructor(options: LedgerUsageOptions) {
    this.#options = options
    this.#reporter = new UsageReporter({ ...options, book: (principal, block) => this.#book(principal, block) })
  }

  /** The same metering, whose requests are counted. */
  counting(metering: Metering): Metering {
    return counted(metering, { clock: this.#options.clock, reporter: this.#reporter })
  }

  /** For what goes to the ledger anyway. */
  get carrier(): UsageCarrier {
    return this.#reporter
  }

  /** Gives up on a ledger that does not answer. */
  #book(principal: string, block: UsageBlock): Promise<void> {
    const { clock, ledgerOf, limits } = this.#options
    return untilLate(ledgerOf(principal).bookUsage(principal, block), limits.usageStoreMs, clock, () => {
      throw unavailable()
    })
  }

  async of(principal: string, question: UsageQuestion, signal: AbortSignal): Promise<UsageAnswer> {
    const { clock, ledgerOf, limits } = this.#options
    const asked = async (): Promise<UsageAnswer> => {
      await this.#reporter.flush(principal)
      try {
        return await ledgerOf(principal).readUsage(question)
      } catch (cause) {
        throw unavailable(cause)
      }
    }
    const late = (): never => {
      throw unavailable()
    }
    return untilLate(untilAborted(asked(), signal), limits.usageStoreMs, clock, late)
  }

  async principals(cursor: string | undefined, signal: AbortSignal): Promise<PrincipalPage> {
    const page = await this.#options.store.list(snapshotsOf(), { cursor, signal })
    // Months are in their order, so that the last one stays.
    const last = new Map(
      page.keys.flatMap((key) =>
        [snapshotNamed(key)].flatMap((named) => (named ? [[named.principal, named.month]] : [])),
      ),
    )
    return {
      principals: [...last].map(([principal, month]) => ({ principal, month })),
      ...(page.cursor !== undefined && { cursor: page.cursor }),
    }
  }
}

function unavailable(cause?: unknown): VergeError {
  return new VergeError('limits_unavailable', 'The ledger of this usage does not answer. Try again later.', {
    retryAfter: 5,
    ...(cause !== undefined && { cause }),
  })
}
