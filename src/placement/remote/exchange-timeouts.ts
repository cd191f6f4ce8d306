import { onAbort } from '../../core/abort.ts'
import { abortError } from '../../core/errors.ts'
import type { Clock } from '../../core/runtime.ts'
import { OriginFault, type OriginFaultKind } from '../fault.ts'
import type { OriginTimeouts } from '../origin.ts'

/** Node names why there was no connection; workerd says the same words for that and for one that broke. */
const NO_CONNECTION = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/** How long one wait may take, and what is wrong if it takes longer. */
interface Limit {
  readonly ms: number
  readonly kind: OriginFaultKind
  readonly what: string
}

/**
 * One exchange with an origin, from sending to the last byte: its time limits, its caller, and the one reason that it
 * ended for. Ending it aborts the request, so that no origin works for a caller who has left.
 */
export class ExchangeTimeouts {
  readonly origin: string
  /** Told of a fault that ends the exchange from now on: one that shows itself after the answer has counted as good. */
  onFault: ((fault: OriginFault) => void) | undefined
  readonly #timeouts: OriginTimeouts
  readonly #clock: Clock
  readonly #controller = new AbortController()
  readonly #releaseCaller: () => void
  #failure: unknown
  /** Told when the exchange ends while something waits. One at a time: a list would hold on to every piece ever read. */
  #waiting: ((error: unknown) => void) | undefined
  #limit: Limit | undefined
  /** When the wait began. */
  #since = 0
  #waitedMs = 0
  #cancelTimer: (() => void) | undefined

  constructor(origin: string, timeouts: OriginTimeouts, caller: AbortSignal, clock: Clock) {
    this.origin = origin
    this.#timeouts = timeouts
    this.#clock = clock
    const stopTotal = clock.after(timeouts.totalMs, () => {
      // An answer that has counted as good takes as long as its reader does: that says nothing of the origin.
      this.onFault = undefined
      this.end(this.fault('idle-timeout', `was not done within ${timeouts.totalMs} ms`))
    })
    let release = (): void => {}
    this.#releaseCaller = () => {
      stopTotal()
      this.#disarm()
      release()
    }
    release = onAbort(caller, () => this.end(abortError(caller)))
  }

  /** For the request to the origin. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Length of the last wait that brought something. */
  get waitedMs(): number {
    return this.#waitedMs
  }

  fault(kind: OriginFaultKind, what: string, cause?: unknown): OriginFault {
    return new OriginFault(kind, `Origin "${this.origin}" ${what}.`, { origin: this.origin, cause })
  }

  /** @param streamed the request's body is passed on as it comes */
  async headers<T>(work: Promise<T>, streamed: boolean): Promise<T> {
    const ms = this.#timeouts.headersMs
    const kind = streamed ? 'body-timeout' : 'headers-timeout'
    const answer = await this.#within(work, { ms, kind, what: `sent no headers within ${ms} ms` })
    // What follows has a limit of its own, which may be shorter.
    this.#disarm()
    return answer
  }

  piece<T>(work: Promise<T>): Promise<T> {
    const ms = this.#timeouts.idleMs
    return this.#within(work, { ms, kind: 'idle-timeout', what: `sent nothing for ${ms} ms` })
  }

  /** Ends the exchange for a reason; the first one counts. */
  end(reason: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = reason
    this.#releaseCaller()
    this.#controller.abort(reason)
    this.#waiting?.(reason)
    this.#waiting = undefined
    if (reason instanceof OriginFault) this.onFault?.(reason)
  }

  /** The exchange is over, and all is well. */
  done(): void {
    this.#releaseCaller()
  }

  #within<T>(work: Promise<T>, limit: Limit): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        work.catch(() => {})
        reject(this.#failure)
        return
      }
      this.#limit = limit
      this.#since = this.#clock.now()
      this.#waiting = reject
      if (this.#cancelTimer === undefined) this.#arm(limit.ms)
      work.then(
        (value) => {
          if (this.#failure !== undefined) return
          this.#waiting = undefined
          this.#waitedMs = this.#clock.now() - this.#since
          resolve(value)
        },
        // `end` has told the one who waits already, if it was for a better reason than that of the abort
        (error: unknown) => this.end(this.#broken(error)),
      )
    })
  }

  /** One timer for many waits: a large body comes in thousands of pieces, and each timer is garbage. */
  #arm(ms: number): void {
    this.#cancelTimer = this.#clock.after(ms, () => {
      this.#cancelTimer = undefined
      const limit = this.#limit
      if (limit === undefined || this.#waiting === undefined) return
      const left = limit.ms - (this.#clock.now() - this.#since)
      if (left > 0) this.#arm(left)
      else this.end(this.fault(limit.kind, limit.what))
    })
  }

  #disarm(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  #broken(error: unknown): OriginFault {
    const code = error instanceof Error && error.cause instanceof Error ? codeOf(error.cause) : undefined
    if (code !== undefined && NO_CONNECTION.has(code)) return this.fault('refused', 'could not be reached', error)
    return this.fault('cut', 'broke off the connection, or could not be reached', error)
  }
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
