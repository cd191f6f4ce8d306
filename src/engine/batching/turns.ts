import { isVergeError, VergeError } from '../../core/errors.ts'
import type { Tensors } from '../../core/tensors.ts'
import type { RunOptions, Session } from '../engine.ts'
import { outputsAgree } from './agreement.ts'
import type { QueuedJob, RunJob } from './job.ts'
import { joinInputs, split } from './merge.ts'
import type { MergeRule } from './merge-rule.ts'

/** Puts runs back to the head of their queue. */
type PutBack = (jobs: readonly RunJob[]) => void

/** The work of one turn of a model: one run, several merged runs, or one token. Settles its jobs; never rejects. */
export class Turns {
  readonly #session: Session
  readonly #rule: MergeRule
  readonly #putBack: PutBack

  constructor(session: Session, rule: MergeRule, putBack: PutBack) {
    this.#session = session
    this.#rule = rule
    this.#putBack = putBack
  }

  async take(jobs: readonly QueuedJob[]): Promise<void> {
    try {
      const runs = jobs.filter((job) => 'inputs' in job)
      const [first] = jobs
      if (runs.length > 1) await this.#merged(runs)
      else if (first !== undefined && 'work' in first) first.resolve(await first.work())
      else if (runs[0] !== undefined) await this.#alone(runs[0])
    } catch (error) {
      for (const job of jobs) job.fail(error)
    }
  }

  async #alone(job: RunJob): Promise<Tensors | undefined> {
    const { retrial } = job
    this.#rule.wentAlone()
    try {
      const outputs = await this.#session.run(job.inputs, { ...job.options, onTurn: () => job.begin() })
      job.resolve(outputs)
      return outputs
    } catch (error) {
      if (retrial) retrial.failed = true
      job.fail(error)
      return undefined
    } finally {
      if (retrial && --retrial.left === 0 && !retrial.failed) this.#rule.tooLarge(retrial.rows)
    }
  }

  async #merged(jobs: readonly RunJob[]): Promise<void> {
    const rows = jobs.map((job) => job.batch?.rows ?? 1)
    let outputs: Tensors
    try {
      outputs = await this.#session.run(joinInputs(jobs.map((job) => job.inputs)), mergedOptions(jobs))
    } catch (error) {
      this.#mergedFailed(jobs, rows, error)
      return
    }
    const parts = split(outputs, rows)
    if (parts === undefined) {
      this.#rule.turnOff('outputs do not have as many rows as the inputs')
      this.#putBack(goAlone(jobs))
    } else if (this.#rule.state === 'proven') {
      jobs.forEach((job, index) => {
        job.resolve(parts[index] as Tensors)
      })
    } else {
      await this.#prove(jobs, parts)
    }
  }

  /** The first batch of a session: each of its runs is executed alone too, and the single results are the answers. */
  async #prove(jobs: readonly RunJob[], parts: readonly Tensors[]): Promise<void> {
    let complete = true
    let agree = true
    for (const [index, job] of jobs.entries()) {
      const alone = await this.#alone(job)
      if (alone === undefined) complete = false
      else if (!outputsAgree(parts[index] as Tensors, alone)) agree = false
    }
    if (!agree) this.#rule.turnOff('a run gives different results in a batch than alone')
    else if (complete) this.#rule.prove()
  }

  #mergedFailed(jobs: readonly RunJob[], rows: readonly number[], error: unknown): void {
    if (isVergeError(error, 'run_rejected') || isVergeError(error, 'invalid_tensor')) {
      const alone = goAlone(jobs)
      const retrial = { rows: rows.reduce((sum, count) => sum + count, 0), left: jobs.length, failed: false }
      for (const job of alone) job.retrial = retrial
      this.#putBack(alone)
      return
    }
    const fatal = isVergeError(error, 'engine_aborted')
    if (fatal) this.#rule.fatal()
    // The faulty run is unknown. After `session_lost`, requests retry with a new session, one by one.
    const told = fatal
      ? new VergeError(
          'session_lost',
          'The engine ended while it ran several requests together. Send the request again.',
          { cause: error },
        )
      : error
    for (const job of jobs) job.fail(told)
  }
}

/** Jobs with connected callers, to be run one by one. */
function goAlone(jobs: readonly RunJob[]): RunJob[] {
  const left = jobs.filter((job) => !job.settled)
  for (const job of left) job.batch = undefined
  return left
}

/** A merged run ends early only if all of its callers have left; what one of them leaves behind is dropped. */
function mergedOptions(jobs: readonly RunJob[]): RunOptions {
  const everyoneLeft = new AbortController()
  void Promise.allSettled(jobs.map((job) => job.done)).then(() =>
    everyoneLeft.abort(new VergeError('cancelled', 'All callers closed the connection before the answer was ready.')),
  )
  const outputs = jobs[0]?.options.outputs
  // The loop has turned since the last run if it has brought any of these requests since.
  const runsBefore = jobs.reduce((most, { options }) => Math.max(most, options.runsBefore ?? -1), -1)
  return {
    ...(outputs && { outputs }),
    signal: everyoneLeft.signal,
    runsBefore,
    onTurn: () => {
      const rows = jobs.reduce((sum, { batch }) => sum + (batch?.rows ?? 1), 0)
      for (const job of jobs) job.begin({ rows, runs: jobs.length })
    },
  }
}
