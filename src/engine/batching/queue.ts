import { VergeError } from '../../core/errors.ts'
import { sameInputs } from './agreement.ts'
import type { Contender, FairShare } from './fair-share.ts'
import { type QueuedJob, RunJob, TokenJob } from './job.ts'
import type { MergeRule } from './merge-rule.ts'
import type { BatchingOptions } from './types.ts'

/** Seconds after which a full queue has usually moved on. */
const RETRY_AFTER_SECONDS = 1
/**
 * Maximum runs to compare when looking for one that differs from the first, for the proof of a batch; each may have
 * megabytes.
 */
const MOST_COMPARED = 8

/**
 * The queue of one session, in order of arrival. A turn takes the first entry and, if it is a run, all runs that can be
 * merged with it.
 *
 * A turn begins at once if the engine is free. Runs that arrive while the engine is busy form the next batch. Only
 * after a shared turn it waits for more runs, `maxWaitMs` at most: callers that were just answered are likely to send
 * again, and a run that starts before as many have arrived as in that turn would delay the others by a whole run. A
 * single caller therefore never waits.
 */
export class ModelQueue implements Contender {
  readonly #share: FairShare
  readonly #rule: MergeRule
  readonly #options: BatchingOptions
  readonly #take: (jobs: readonly QueuedJob[]) => Promise<void>
  #jobs: QueuedJob[] = []
  #running = 0
  /** Runs in the last turn. */
  #company = 1
  #gathering: 'no' | 'waiting' | 'over' = 'no'
  #stopWaiting: () => void = () => {}

  /** @param take does a turn's work and settles its jobs; never rejects */
  constructor(
    share: FairShare,
    rule: MergeRule,
    options: BatchingOptions,
    take: (jobs: readonly QueuedJob[]) => Promise<void>,
  ) {
    this.#share = share
    this.#rule = rule
    this.#options = options
    this.#take = take
    share.add(this)
  }

  get queued(): number {
    return this.#jobs.length
  }

  get running(): number {
    return this.#running
  }

  /** @throws overloaded if as many wait as may */
  assertRoom(): void {
    const { maxQueue } = this.#options
    if (this.#jobs.length < maxQueue) return
    throw new VergeError('overloaded', 'Too many requests wait for this model at this origin. Try again in a moment.', {
      retryAfter: RETRY_AFTER_SECONDS,
      details: { waiting: maxQueue },
    })
  }

  add(job: QueuedJob): void {
    this.#jobs.push(job)
    this.#share.wake()
  }

  /** For runs that have had a turn already. */
  putBack(jobs: readonly RunJob[]): void {
    this.#jobs.unshift(...jobs)
    this.#share.wake()
  }

  drop(job: QueuedJob): void {
    this.#jobs = this.#jobs.filter((other) => other !== job)
  }

  /** Fails all that waits and takes no more turns. */
  close(error: VergeError): void {
    this.#share.remove(this)
    this.#stopWaiting()
    for (const job of this.#jobs.splice(0)) job.fail(error)
  }

  next(): (() => Promise<void>) | undefined {
    const jobs = this.#choose()
    if (jobs.length === 0 || this.#waitsForCompany(jobs)) return undefined
    this.#stopWaiting()
    this.#gathering = 'no'
    const taken = new Set(jobs)
    this.#jobs = this.#jobs.filter((job) => !taken.has(job))
    return () => this.#turn(jobs)
  }

  async #turn(jobs: readonly QueuedJob[]): Promise<void> {
    this.#running += jobs.length
    try {
      if (jobs[0] instanceof RunJob) {
        this.#company = jobs.length
        this.#report(jobs.filter((job) => job instanceof RunJob))
      }
      await this.#take(jobs)
    } finally {
      this.#running -= jobs.length
    }
  }

  #report(jobs: readonly RunJob[]): void {
    const { clock, logger, onBatch } = this.#options
    try {
      onBatch?.({
        key: this.#rule.key,
        rows: jobs.reduce((sum, job) => sum + (job.batch?.rows ?? 1), 0),
        runs: jobs.length,
        waitMs: Math.max(0, clock.now() - Math.min(...jobs.map((job) => job.since))),
      })
    } catch (error) {
      // An observer must not delay an answer.
      logger.error('batch_report_failed', { key: this.#rule.key, error: String(error) })
    }
  }

  /** The first entry with the runs that it can be merged with; empty if the queue is empty. */
  #choose(): QueuedJob[] {
    const [head] = this.#jobs
    if (head === undefined) return []
    if (head instanceof TokenJob || head.batch === undefined) return [head]
    const { maxElements } = this.#options
    const unproven = this.#rule.state === 'unproven'
    const { maxRows } = this.#rule
    const chosen: RunJob[] = [head]
    let compared = 0
    let { rows, elements } = head.batch
    for (const job of this.#jobs) {
      if (rows >= maxRows || (unproven && chosen.length === 2)) break
      if (job === head || job instanceof TokenJob || job.batch?.key !== head.batch.key) continue
      if (rows + job.batch.rows > maxRows || elements + job.batch.elements > maxElements) continue
      if (unproven) {
        if (compared++ === MOST_COMPARED) break
        if (sameInputs(head.inputs, job.inputs)) continue
      }
      chosen.push(job)
      rows += job.batch.rows
      elements += job.batch.elements
    }
    return chosen
  }

  #waitsForCompany(jobs: readonly QueuedJob[]): boolean {
    const { clock, maxWaitMs } = this.#options
    const [head] = jobs
    if (!(head instanceof RunJob) || head.batch === undefined || this.#rule.state !== 'proven') return false
    if (maxWaitMs <= 0 || this.#gathering === 'over' || this.#jobs.length >= this.#company) return false
    const rows = jobs.reduce((sum, job) => sum + (job instanceof RunJob ? (job.batch?.rows ?? 1) : 1), 0)
    if (rows >= this.#rule.maxRows) return false
    if (this.#gathering === 'no') {
      this.#gathering = 'waiting'
      this.#stopWaiting = clock.after(maxWaitMs, () => {
        this.#gathering = 'over'
        this.#share.wake()
      })
    }
    return true
  }
}
