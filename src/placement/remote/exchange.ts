import { throwIfAborted } from '../../core/errors.ts'
import { REQUEST_ID_HEADER } from '../../core/headers.ts'
import { mediaTypeOf } from '../../core/media-types.ts'
import type { Clock } from '../../core/runtime.ts'
import type { OriginFault } from '../fault.ts'
import type { Origin, OriginRequest } from '../origin.ts'
import { passOn, type Rewriting, readBody } from './answer.ts'
import { classifyResponse } from './classify-response.ts'
import { ExchangeTimeouts } from './exchange-timeouts.ts'
import { answerHeaders } from './headers.ts'

export interface ExchangeDeps {
  /** Its `now` must count from 1970. */
  readonly clock: Clock
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
 * An answer of up to `LIMITS.wholeAnswerBytes` has been read whole, and is JSON where its type says so. A larger one, and
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
  { clock, onLateFault }: ExchangeDeps,
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
      const passed = await passOn(answer, timeouts, { rewriting, endsWithDone: ENDS_WITH_DONE.test(request.path) })
      timeouts.onFault = (fault) => onLateFault?.(origin, fault)
      return passed
    }
    // Credentials are never sent on to where a redirection leads.
    if (status < 400) throw timeouts.fault('garbage', `answered with status ${status}, a redirection`)
    const { bytes, complete, rest } = await readBody(answer, timeouts, ERROR_BYTES)
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
