import type { Limits } from '../../core/limits.ts'
import type { Clock, Logger } from '../../core/runtime.ts'
import { isWithin, type Span } from '../../core/span.ts'
import type { UsageBlock, UsageRow } from './block.ts'
import { UsageBook } from './usage-book.ts'

/** Books a block in a principal's ledger. Booking it twice counts it once. */
export type BookUsage = (principal: string, block: UsageBlock) => Promise<void>

export interface UsageReporterOptions {
  readonly book: BookUsage
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Pick<
    Limits,
    'usageFlushMs' | 'usageFlushRequests' | 'usagePrincipals' | 'usageRetryMs' | 'usageRows'
  >
  readonly randomId: () => string
}

/** Together shorter than what a platform lets run behind an answer. */
const MOST_TRIES = 3

/**
 * Hands what an isolate has counted to the ledgers: a principal's after `usageFlushRequests` of its requests, or after
 * `usageFlushMs`. A killed isolate loses no more than that. A block that fails is sent again, and counted once.
 */
export class UsageReporter {
  readonly #options: UsageReporterOptions
  readonly #book: UsageBook
  /** Somebody waits to hand over. */
  readonly #appointments = new Map<string, Span>()
  /** A block is under way. */
  readonly #sending = new Map<string, Span>()
  /** The ledger did not answer a moment ago. */
  readonly #resting = new Map<string, Span>()
  #lost = 0

  constructor(options: UsageReporterOptions) {
    this.#options = options
    this.#book = new UsageBook(options)
  }

  /** @param waitUntil keeps work alive behind the answer */
  record(principal: string, row: UsageRow, waitUntil: (work: Promise<unknown>) => void): void {
    const { clock, limits } = this.#options
    const now = clock.now()
    this.#book.add(principal, row, now)
    this.#reportLost()
    if (isWithin(this.#resting.get(principal), now)) return
    const full = this.#book.pending(principal) >= limits.usageFlushRequests
    if (full && !isWithin(this.#sending.get(principal), now)) waitUntil(this.#handOver(principal))
    else if (!isWithin(this.#appointments.get(principal), now)) waitUntil(this.#later(principal, now))
  }

  /**
   * Hands over what there is of a principal. Never rejects: what fails is logged and kept. Nobody waits for another request's
   * call, which may have been killed; the ledger counts what both have sent once.
   * @returns whether nothing is left of what there was
   */
  async flush(principal: string): Promise<boolean> {
    const { book, clock, limits, logger } = this.#options
    const block = this.#book.take(principal)
    if (block === undefined) return true
    this.#sending.set(principal, { at: clock.now(), ms: limits.usageFlushMs })
    try {
      await book(principal, block)
      this.carried(principal, block)
      return true
    } catch (error) {
      this.#resting.set(principal, { at: clock.now(), ms: limits.usageRetryMs })
      logger.warn('usage_not_booked', { principal, error })
      return false
    } finally {
      this.#sending.delete(principal)
    }
  }

  /** A block to send with something else that goes to the ledger; `carried` says that it arrived. */
  carry(principal: string): UsageBlock | undefined {
    return this.#book.take(principal)
  }

  carried(principal: string, { seq }: UsageBlock): void {
    this.#book.booked(principal, seq)
    this.#resting.delete(principal)
    if (this.#book.pending(principal) === 0) this.#appointments.delete(principal)
  }

  async #later(principal: string, now: number): Promise<void> {
    const { clock, limits } = this.#options
    this.#appointments.set(principal, { at: now, ms: limits.usageFlushMs })
    await clock.sleep(limits.usageFlushMs)
    this.#appointments.delete(principal)
    await this.#handOver(principal)
  }

  /** With further tries, because another request may not come for long. */
  async #handOver(principal: string): Promise<void> {
    const { clock, limits } = this.#options
    for (let tries = 0; tries < MOST_TRIES && !(await this.flush(principal)); tries++)
      await clock.sleep(limits.usageRetryMs)
  }

  #reportLost(): void {
    const { lost } = this.#book
    if (lost === this.#lost) return
    // In powers of two, so that a flood of them is a few lines.
    if (lost >= this.#lost * 2) {
      this.#options.logger.error('usage_lost', { requests: lost })
      this.#lost = lost
    }
  }
}
