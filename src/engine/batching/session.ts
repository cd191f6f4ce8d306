import { throwIfAborted, VergeError } from '../../core/errors.ts'
import type { Signature, Tensors } from '../../core/tensors.ts'
import type { GenerateOptions, RunOptions, Session } from '../engine.ts'
import type { FairShare } from './fair-share.ts'
import { RunJob, TokenJob } from './job.ts'
import { batchable } from './merge.ts'
import type { MergeRule } from './merge-rule.ts'
import { ModelQueue } from './queue.ts'
import { Turns } from './turns.ts'
import type { BatchingOptions, ModelLoad } from './types.ts'

type Generate = NonNullable<Session['generate']>

/** A session with its own queue, whose runs are merged if merging is proven not to change results. */
export class BatchingSession implements Session {
  readonly generate?: Generate
  readonly #session: Session
  readonly #rule: MergeRule
  readonly #queue: ModelQueue
  readonly #options: BatchingOptions
  readonly #onDispose: (session: BatchingSession) => void
  #disposed = false

  constructor(
    session: Session,
    rule: MergeRule,
    share: FairShare,
    options: BatchingOptions,
    onDispose: (session: BatchingSession) => void,
  ) {
    this.#session = session
    this.#rule = rule
    this.#options = options
    this.#onDispose = onDispose
    const turns = new Turns(session, rule, (jobs) => this.#putBack(jobs))
    this.#queue = new ModelQueue(share, rule, options, async (jobs) => {
      await turns.take(jobs)
      // Lost with its engine: waiting runs fail now, so that their requests retry with a new session.
      if (!session.alive) this.dispose()
    })
    const generate = session.generate?.bind(session)
    if (generate) this.generate = (prompt, generation) => this.#generate(generate, prompt, generation)
  }

  get signature(): Signature {
    return this.#session.signature
  }

  get bytes(): number {
    return this.#session.bytes
  }

  get alive(): boolean {
    return !this.#disposed && this.#session.alive
  }

  get load(): ModelLoad {
    return { queued: this.#queue.queued, running: this.#queue.running, batching: this.#rule.state }
  }

  /** SHA-256 of the artifact. */
  get key(): string {
    return this.#rule.key
  }

  /** @throws overloaded if the queue is full, and errors of the underlying session */
  async run(inputs: Tensors, options: RunOptions): Promise<Tensors> {
    this.#assertOpen(options.signal)
    this.#queue.assertRoom()
    const batch = this.#rule.state === 'off' ? undefined : batchable(this.signature, inputs, options.outputs)
    const job = new RunJob({ inputs, options, batch }, this.#options.clock.now(), (left) => this.#queue.drop(left))
    this.#queue.add(job)
    return job.done
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#queue.close(lost())
    this.#session.dispose()
    this.#onDispose(this)
  }

  /** Each token is a separate turn, so that other runs can execute between two tokens. */
  async *#generate(generate: Generate, prompt: readonly number[], options: GenerateOptions): AsyncGenerator<number> {
    this.#assertOpen(options.signal)
    this.#queue.assertRoom()
    const tokens = generate(prompt, options)[Symbol.asyncIterator]()
    let ended = false
    try {
      for (;;) {
        this.#assertOpen(options.signal)
        const job = new TokenJob(
          options.signal,
          () => tokens.next(),
          this.#options.clock.now(),
          (left) => this.#queue.drop(left),
        )
        this.#queue.add(job)
        const { done, value } = await job.done
        if (done) {
          ended = true
          return
        }
        yield value
      }
    } finally {
      // Not awaited: the iteration ends after the token in progress, and no caller waits for it.
      if (!ended) tokens.return?.().catch(() => {})
    }
  }

  #putBack(jobs: readonly RunJob[]): void {
    if (this.#disposed) for (const job of jobs) job.fail(lost())
    else this.#queue.putBack(jobs)
  }

  #assertOpen(signal: AbortSignal): void {
    throwIfAborted(signal)
    if (this.#disposed) throw lost()
  }
}

function lost(): VergeError {
  return new VergeError('session_lost', 'The model was unloaded while the request waited. Send the request again.')
}
