import { VergeError } from '../../client/error.ts'
import type { VergeErrorCode, VergeErrorDetails } from '../../client/wire.ts'
import type { CallFailure, CallName, Calls, FromWorker, StartOptions, ToWorker, WorkerEvent } from '../messages.ts'

/** As much of a `Worker` as is used. */
export interface WorkerLike {
  postMessage(message: ToWorker, transfer: ArrayBuffer[]): void
  terminate(): void
  onmessage: ((event: { readonly data: FromWorker }) => void) | null
  onerror: ((event: { readonly message?: string }) => void) | null
  onmessageerror: (() => void) | null
}

export interface WorkerLinkOptions {
  /** Starts a web worker. @throws VergeError where the browser refuses */
  readonly spawn: () => Promise<WorkerLike>
  readonly start: StartOptions
  /** Resolves when the worker that holds the lock has ended; never where the browser has no locks. */
  readonly ended?: (lock: string, signal: AbortSignal) => Promise<void>
  /** A name for the lock of a worker's life, where `ended` is there. */
  readonly lockName?: () => string
  readonly onEvent: (event: WorkerEvent) => void
  /** What is said where the worker ends before it has started. */
  readonly notStarted: () => string
  /** The worker is gone, with all that was loaded. */
  readonly onLost: () => void
}

type Message = { [Name in CallName]: { readonly call: Name; readonly takes: Calls[Name]['takes'] } }[CallName]

interface Pending {
  resolve(gives: Calls[CallName]['gives']): void
  reject(error: VergeError): void
}

interface Running {
  readonly worker: WorkerLike
  readonly life: AbortController
}

/** The page's side of the messages: a worker that is started when it is needed, and again after it has crashed. */
export class WorkerLink {
  readonly #options: WorkerLinkOptions
  readonly #pending = new Map<number, Pending>()
  #running: Promise<Running> | undefined
  #lastId = 0
  #disposed = false

  constructor(options: WorkerLinkOptions) {
    this.#options = options
  }

  /** @throws VergeError: what the call failed with; cancelled; engine_aborted where the worker ended before it answered */
  async call<Name extends CallName>(
    call: Name,
    takes: Calls[Name]['takes'],
    { signal, transfer = [] }: { readonly signal?: AbortSignal | undefined; readonly transfer?: ArrayBuffer[] } = {},
  ): Promise<Calls[Name]['gives']> {
    if (this.#disposed) throw ended()
    this.#running ??= this.#start()
    const { worker } = await this.#running
    return this.#send(worker, { call, takes } as Message, signal, transfer) as Promise<Calls[Name]['gives']>
  }

  /** Starts the worker ahead of the first call. What goes wrong is for that to say. */
  warm(): void {
    if (this.#disposed) return
    this.#running ??= this.#start()
    this.#running.catch(() => {})
  }

  dispose(): void {
    this.#disposed = true
    this.#lose(ended())
  }

  async #start(): Promise<Running> {
    const { ended: endOf, lockName, notStarted, onEvent, spawn, start } = this.#options
    const life = new AbortController()
    try {
      const worker = await spawn()
      const running = { worker, life }
      life.signal.addEventListener('abort', () => worker.terminate())
      if (this.#disposed) throw ended()
      worker.onmessage = ({ data }) => {
        if ('event' in data) onEvent(data)
        else this.#settle(data)
      }
      let started = false
      const crashed = (): void => {
        if (life.signal.aborted) return
        this.#lose(started ? crash() : new VergeError('engine_unsupported', notStarted()))
      }
      worker.onerror = crashed
      worker.onmessageerror = crashed
      const lifeLock = lockName?.()
      await this.#send(worker, { call: 'start', takes: { ...start, lifeLock } }, undefined, [])
      started = true
      if (endOf !== undefined && lifeLock !== undefined) endOf(lifeLock, life.signal).then(crashed, () => {})
      return running
    } catch (error) {
      this.#running = undefined
      life.abort()
      throw error
    }
  }

  #send(
    worker: WorkerLike,
    message: Message,
    signal: AbortSignal | undefined,
    transfer: ArrayBuffer[],
  ): Promise<Calls[CallName]['gives']> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#pending.delete(id)
        worker.postMessage({ id, call: 'cancel' }, [])
        reject(new VergeError('cancelled', 'The signal of the call ended it.', { cause: signal?.reason }))
      }
      if (signal?.aborted) return leave()
      signal?.addEventListener('abort', leave, { once: true })
      const done = (): void => signal?.removeEventListener('abort', leave)
      this.#pending.set(id, {
        resolve: (gives) => {
          done()
          resolve(gives)
        },
        reject: (error) => {
          done()
          reject(error)
        },
      })
      worker.postMessage({ id, ...message } as ToWorker, transfer)
    })
  }

  #settle(message: Exclude<FromWorker, WorkerEvent>): void {
    const pending = this.#pending.get(message.id)
    // It was cancelled, and its answer was under way.
    if (pending === undefined) return
    this.#pending.delete(message.id)
    if ('gives' in message) pending.resolve(message.gives)
    else pending.reject(errorOf(message.failure))
  }

  #lose(error: VergeError): void {
    const running = this.#running
    this.#running = undefined
    running?.then(({ life }) => life.abort()).catch(() => {})
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    this.#options.onLost()
    for (const { reject } of pending) reject(error)
  }
}

function errorOf({ code, details, message, retryAfter, status }: CallFailure): VergeError {
  return new VergeError(code as VergeErrorCode, message, {
    status,
    details: (details ?? {}) as VergeErrorDetails,
    retryAfter,
  })
}

function crash(): VergeError {
  return new VergeError(
    'engine_aborted',
    'The web worker that runs models ended, as it does when memory runs out. Try again, or use the edge.',
  )
}

function ended(): VergeError {
  return new VergeError('cancelled', 'The client was disposed. Create another one.')
}
