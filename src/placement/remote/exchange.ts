import { mediaTypeOf } from '../../core/body.ts'
import { abortError, throwIfAborted } from '../../core/errors.ts'
import { REQUEST_ID_HEADER, TIMEOUT_HEADER } from '../../core/headers.ts'
import type { Limits } from '../../core/limits.ts'
import { type Clock, onAbort } from '../../core/runtime.ts'
import { JSON_LENGTH_HEADER } from '../../protocols/oip/headers.ts'
import { type Origin, OriginFault, type OriginFaultKind, type OriginRequest, type OriginTimeouts } from '../origin.ts'
import { answerHeaders, passOn, pickHeaders, type Rewriting, readAnswerBody } from './answer.ts'
import { classifyResponse } from './classify-response.ts'

/** What an exchange with an origin may hold, and how long a probe of one may take. */
export type ExchangeLimits = Pick<
  Limits,
  | 'eventBytes'
  | 'inferenceHeaderBytes'
  | 'originProbeMs'
  | 'originTensorBytes'
  | 'tensorRank'
  | 'tensorsPerRequest'
  | 'wholeAnswerBytes'
>

export interface ExchangeDeps {
  readonly limits: ExchangeLimits
  /** Its `now` must count from 1970. */
  readonly clock: Clock
  /** Whether an origin takes binary tensors, by its name, as it has said. Absent: it is asked for each run. */
  readonly binaryOrigins?: Map<string, boolean>
  /** Told of an answer that has counted as good and then breaks off while it is passed on. */
  readonly onLateFault?: (origin: Origin, fault: OriginFault) => void
}

/** An error that is longer is not read to its end, and then says nothing but its status. */
const ERROR_BYTES = 64 * 1024
/** OpenAI's streams end with `data: [DONE]`. */
const ENDS_WITH_DONE = /^\/v1\/(?:chat\/)?completions(?:\?|$)/

/**
 * Has an origin answer a request: a 2xx, or a 4xx that says in the protocol's words what is wrong with the request.
 *
 * An answer of up to `wholeAnswerBytes` has been read whole, and is JSON where its type says so. A larger one, and
 * a stream of events, is passed on as it comes: if that breaks off, a stream of events ends with an error event and any
 * other body with a broken connection. The answer's headers are those of `answerHeaders`.
 *
 * A clock that the origin does not accept is corrected by the origin's own, and the request sent once more, if its body
 * is not a stream.
 * @throws OriginFault; cancelled, deadline_exceeded
 */
export async function exchange(
  origin: Origin,
  request: OriginRequest,
  deps: ExchangeDeps,
  rewriting?: Rewriting,
): Promise<Response> {
  const first = await attempt(origin, request, deps, rewriting)
  if (first instanceof Response) return first
  if (origin.auth.correct === undefined) throw first.fault
  origin.auth.correct(first.originTimeMs)
  if (request.body instanceof ReadableStream) throw first.fault
  const second = await attempt(origin, request, deps, rewriting)
  if (second instanceof Response) return second
  throw second.fault
}

/** The answer, or what the origin says of the time. */
async function attempt(
  origin: Origin,
  request: OriginRequest,
  { clock, limits, onLateFault }: ExchangeDeps,
  rewriting: Rewriting | undefined,
): Promise<Response | { readonly fault: Error; readonly originTimeMs: number }> {
  throwIfAborted(request.signal)
  const timeouts = new ExchangeTimeouts(origin.name, origin.timeouts, request.signal, clock)
  try {
    const streamed = request.body instanceof ReadableStream
    const answer = await timeouts.headers(send(origin, request, timeouts.signal), streamed)
    const { status, headers } = answer
    if (status >= 200 && status < 300) {
      // A proxy's page to sign in, as a rule. Shown under our name, it could ask for anything.
      if (mediaTypeOf(headers.get('content-type')) === 'text/html')
        throw timeouts.fault('garbage', 'answered with a page')
      const passed = await passOn(answer, timeouts, {
        limits,
        rewriting,
        endsWithDone: ENDS_WITH_DONE.test(request.path),
      })
      timeouts.onFault = (fault) => onLateFault?.(origin, fault)
      return passed
    }
    // Credentials are never sent on to where a redirection leads.
    if (status < 400) throw timeouts.fault('garbage', `answered with a redirect (status ${status})`)
    const { bytes, complete, rest } = await readAnswerBody(answer, timeouts, ERROR_BYTES)
    if (!complete) rest?.cancel(new Error('No more is read of an error.'))
    const response = classifyResponse({
      origin: origin.name,
      kind: origin.kind,
      status,
      headers,
      body: bytes,
      now: clock.now(),
    })
    if (response.pass) return new Response(bytes, { status, headers: answerHeaders(headers) })
    if ('originTimeMs' in response) return response
    throw response.fault
  } catch (error) {
    timeouts.end(error)
    throw error
  }
}

async function send(origin: Origin, request: OriginRequest, signal: AbortSignal): Promise<Response> {
  const url = new URL(origin.url + request.path)
  const headers = new Headers(request.headers)
  for (const [name, value] of Object.entries(await origin.auth.headers(request, url))) headers.set(name, value)
  if (request.requestId !== '') headers.set(REQUEST_ID_HEADER, request.requestId)
  // Packed bodies would have to be unpacked here, and their events would come late.
  headers.set('accept-encoding', 'identity')
  // Node sends a stream only so; workerd knows no other way.
  const half = { duplex: 'half' as const }
  return origin.fetch(
    new Request(url, { method: request.method, headers, body: request.body, redirect: 'manual', signal, ...half }),
  )
}

/** Set by the name of a header that a request brings with it, and that an origin needs to understand the body. */
const PASSED_ON = ['content-type', 'accept', JSON_LENGTH_HEADER, 'cache-control'] as const

/**
 * The headers of a request for an origin: of the body and of what is wanted. Credentials, cookies and what the platform
 * adds (`cf-*`, `host`) stay behind.
 * @param remainingMs what is left of the deadline; the origin gives up then too
 */
export function originHeaders(incoming: Pick<Headers, 'get'>, remainingMs: number | undefined): Headers {
  const headers = pickHeaders(incoming, PASSED_ON)
  if (remainingMs !== undefined) headers.set(TIMEOUT_HEADER, String(Math.max(1, Math.floor(remainingMs))))
  return headers
}

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
      this.end(this.fault('idle-timeout', `did not finish within ${timeouts.totalMs} ms`))
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
    return this.fault('cut', 'closed the connection, or could not be reached', error)
  }
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
