import { abortError } from '../../core/errors.ts'
import type { Tensors } from '../../core/tensors.ts'
import type { RunOptions, SharedTurn } from '../engine.ts'
import type { Batchable } from './merge.ts'

/** Something that a caller waits for. It is settled once: by its work, or by the caller's leaving. */
abstract class Job<T> {
  readonly signal: AbortSignal
  /** When it came, by the engine's clock. */
  readonly since: number
  readonly done: Promise<T>
  #settle: { readonly resolve: (value: T) => void; readonly reject: (error: unknown) => void } | undefined

  /** @param onLeave called when the caller leaves before the job is settled */
  constructor(signal: AbortSignal, since: number, onLeave: (job: Job<T>) => void) {
    this.signal = signal
    this.since = since
    const leave = (): void => {
      this.fail(abortError(signal))
      onLeave(this)
    }
    this.done = new Promise<T>((resolve, reject) => {
      this.#settle = { resolve, reject }
    }).finally(() => signal.removeEventListener('abort', leave))
    signal.addEventListener('abort', leave, { once: true })
  }

  get settled(): boolean {
    return this.#settle === undefined
  }

  resolve(value: T): void {
    this.#settle?.resolve(value)
    this.#settle = undefined
  }

  fail(error: unknown): void {
    this.#settle?.reject(error)
    this.#settle = undefined
  }
}

/** Runs that were rejected as a batch and now run one by one, to find the faulty one. */
export interface Retrial {
  readonly rows: number
  left: number
  failed: boolean
}

/** One run of a request. */
export class RunJob extends Job<Tensors> {
  readonly inputs: Tensors
  readonly options: RunOptions
  /** Absent where it has to go alone. */
  batch: Batchable | undefined
  retrial: Retrial | undefined
  #begun = false

  constructor(
    request: { readonly inputs: Tensors; readonly options: RunOptions; readonly batch: Batchable | undefined },
    since: number,
    onLeave: (job: QueuedJob) => void,
  ) {
    super(request.options.signal, since, () => onLeave(this))
    this.inputs = request.inputs
    this.options = request.options
    this.batch = request.batch
  }

  /** Tells the caller, once, that its run begins. */
  begin(shared?: SharedTurn): void {
    if (this.#begun || this.settled) return
    this.#begun = true
    this.options.onTurn?.(shared)
  }
}

/** One token of a generation. */
export class TokenJob extends Job<IteratorResult<number>> {
  readonly work: () => Promise<IteratorResult<number>>

  constructor(
    signal: AbortSignal,
    work: () => Promise<IteratorResult<number>>,
    since: number,
    onLeave: (job: QueuedJob) => void,
  ) {
    super(signal, since, () => onLeave(this))
    this.work = work
  }
}

export type QueuedJob = RunJob | TokenJob
