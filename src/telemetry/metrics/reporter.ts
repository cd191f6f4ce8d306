import type { Limits } from '../../core/limits.ts'
import type { Clock, Logger } from '../../core/runtime.ts'
import { isWithin, type Span } from '../../core/span.ts'
import type { RequestObservation, RequestObserver } from '../observation.ts'
import type { MetricBlock } from './block.ts'
import type { MetricRegistry } from './registry.ts'
import { countRequest, trafficOf } from './request-metrics.ts'

/** Books a block in its shard. Booking it twice counts it once. */
export type BookBlock = (block: MetricBlock) => Promise<void>

export interface MetricReporterOptions {
  readonly registry: MetricRegistry
  readonly book: BookBlock
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Pick<Limits, 'metricFlushMs' | 'metricFlushRequests' | 'metricRetryMs'>
}

/** Together shorter than what a platform lets run behind an answer. */
const MOST_TRIES = 3

/**
 * Hands what an isolate has counted to its shard: after `metricFlushRequests` requests, or after `metricFlushMs`. A killed
 * isolate loses no more than that. A block that fails is sent again, and counted once. Nobody waits for another request's
 * call, which may have been killed.
 */
export class MetricReporter implements RequestObserver {
  readonly #options: MetricReporterOptions
  /** Since the last block was made. */
  #requests = 0
  /** The last block that was made. */
  #taken = 0
  /** Somebody waits to hand over. */
  #appointment: Span | undefined
  /** A block is under way. */
  #sending: Span | undefined
  /** The shard did not answer a moment ago. */
  #resting: Span | undefined

  constructor(options: MetricReporterOptions) {
    this.#options = options
  }

  observed(observation: RequestObservation, waitUntil: (work: Promise<unknown>) => void): void {
    const { registry } = this.#options
    countRequest(registry, observation)
    registry.add(trafficOf(observation))
    this.#requests++
    this.arrange(waitUntil)
  }

  /** Has what was counted handed over in time. @param waitUntil keeps work alive behind the answer */
  arrange(waitUntil: (work: Promise<unknown>) => void): void {
    const { clock, limits } = this.#options
    const now = clock.now()
    if (isWithin(this.#resting, now)) return
    if (this.#requests >= limits.metricFlushRequests) {
      if (!isWithin(this.#sending, now)) waitUntil(this.#handOver())
    } else if (!isWithin(this.#appointment, now)) waitUntil(this.#later(now))
  }

  /** Hands over what there is. Never rejects: what fails is logged and kept. @returns whether the block was booked */
  async flush(): Promise<boolean> {
    const { book, clock, limits, logger, registry } = this.#options
    const block = registry.take()
    if (block === undefined) return true
    // Of a block that is sent again, they came before.
    if (block.seq !== this.#taken) this.#requests = 0
    this.#taken = block.seq
    this.#sending = { at: clock.now(), ms: limits.metricFlushMs }
    try {
      await book(block)
      registry.booked(block.seq)
      this.#resting = undefined
      return true
    } catch (error) {
      this.#resting = { at: clock.now(), ms: limits.metricRetryMs }
      logger.warn('metrics_not_booked', { error })
      return false
    } finally {
      this.#sending = undefined
    }
  }

  async #later(now: number): Promise<void> {
    const { clock, limits } = this.#options
    const appointment = { at: now, ms: limits.metricFlushMs }
    this.#appointment = appointment
    await clock.sleep(limits.metricFlushMs)
    // Another one may have been made since, where the clock has jumped.
    if (this.#appointment === appointment) this.#appointment = undefined
    await this.#handOver()
  }

  /** With further tries, because another request may not come for long. */
  async #handOver(): Promise<void> {
    const { clock, limits } = this.#options
    for (let tries = 0; tries < MOST_TRIES && !(await this.flush()); tries++) await clock.sleep(limits.metricRetryMs)
  }
}
