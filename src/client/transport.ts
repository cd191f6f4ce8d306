import type { Credentials } from './credentials.ts'
import { failureIn, isJson, requestIdOf, unexpected, VergeError } from './error.ts'
import { type ClientClock, type FetchLike, readsStreams } from './runtime.ts'
import { Watch } from './watch.ts'

/** What all calls of a client share. */
export interface Transport {
  /** Without a slash at its end. */
  readonly base: string
  readonly credentials: Credentials
  readonly fetch: FetchLike
  readonly timeoutMs: number
  readonly retries: number
  readonly clock: ClientClock
  readonly random: () => number
}

/** Options of every call. */
export interface CallOptions {
  /** Ends the call with the error `cancelled`. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds for this call, in place of the client's. */
  readonly timeoutMs?: number | undefined
  /** Attempts after the first, in place of the client's. */
  readonly retries?: number | undefined
  /** A version other than the live one. */
  readonly version?: string | undefined
  /** Where to run. Default: the server decides. `browser`: for clients of `createBrowserClient` alone. */
  readonly place?: 'edge' | 'origin' | 'auto' | 'browser' | undefined
  /** `no-cache`: a fresh answer; `no-store`: an answer that leaves no trace in the result cache. */
  readonly cache?: 'no-cache' | 'no-store' | undefined
  /** Letters, digits, ".", "_" and "-", at most 128: the id in the server's logs. */
  readonly requestId?: string | undefined
  /** Called when an answer begins, with what its headers say. */
  readonly onAnswer?: ((info: AnswerInfo) => void) | undefined
}

/** What the headers of an answer say. */
export interface AnswerInfo {
  readonly status: number
  readonly requestId: string | undefined
  /** The version that answers, as `name@version`. */
  readonly model: string | undefined
  /** Where the answer was computed, and why: the header `verge-placement`. */
  readonly placement: string | undefined
  /** Whether the answer came from the result cache: `hit`, `miss` or `bypass`. */
  readonly cache: string | undefined
  /** The header `server-timing`. */
  readonly serverTiming: string | undefined
  /** Requests that were sent, this one included. */
  readonly attempts: number
  /** Where it was computed. This and what follows: of `createBrowserClient` alone. */
  readonly place?: 'browser' | 'edge' | 'origin' | undefined
  /** Why there: docs/browser.md has the words. */
  readonly reason?: string | undefined
  /** The code of what failed in this browser, where the edge answers for that reason. */
  readonly failure?: string | undefined
  /** What ran the model in this browser: `verge`, `onnxruntime` or `webgpu`. */
  readonly engine?: string | undefined
  /** The artifact's name in the manifest. */
  readonly artifact?: string | undefined
  /** Milliseconds from the call until the answer began. */
  readonly ms?: number | undefined
}

/** What `fetch` sends. */
export type Body = NonNullable<RequestInit['body']>

export interface OutgoingRequest {
  readonly path: string
  readonly query?: URLSearchParams
  readonly headers?: Readonly<Record<string, string>>
  /** Nothing: a GET. */
  readonly body?: Body
  /** The body is a stream, which can be sent once. */
  readonly once?: boolean
}

export interface Opened {
  readonly response: Response
  readonly watch: Watch
}

/** First pause before another attempt; later ones double. */
const FIRST_PAUSE_MS = 250

/** Sends a request, again where that is safe, until an answer begins. @throws VergeError */
export async function open(transport: Transport, request: OutgoingRequest, options: CallOptions): Promise<Opened> {
  const watch = new Watch(transport.clock, options.timeoutMs ?? transport.timeoutMs, options.signal)
  const most = request.once ? 0 : (options.retries ?? transport.retries)
  try {
    for (let attempt = 1; ; attempt++) {
      const answered = await authorized(transport, request, options, watch)
      if (!(answered instanceof VergeError)) {
        options.onAnswer?.(infoOf(answered, attempt))
        return { response: answered, watch }
      }
      const pause = pauseBefore(answered, attempt, transport.random())
      if (attempt > most || pause === undefined || pause >= watch.leftMs) throw answered
      await watch.sleep(pause)
    }
  } catch (error) {
    watch.end()
    throw error
  }
}

/** One attempt, and another where the server refuses its token and there is a newer one. */
async function authorized(
  transport: Transport,
  request: OutgoingRequest,
  options: CallOptions,
  watch: Watch,
): Promise<Response | VergeError> {
  const { credentials } = transport
  const credential = await watch.wait(credentials.current())
  const answered = await attempted(transport, request, options, watch, credential)
  if (!(answered instanceof VergeError) || answered.status !== 401 || credential === undefined) return answered
  const other = await watch.wait(credentials.renewed(credential))
  // What can be sent once has been: the next call has the newer token.
  return other === undefined || request.once ? answered : attempted(transport, request, options, watch, other)
}

/** What the server answers, or what failed. */
async function attempted(
  { base, clock, fetch }: Transport,
  { body, headers, once, path, query }: OutgoingRequest,
  options: CallOptions,
  watch: Watch,
  credential: string | undefined,
): Promise<Response | VergeError> {
  const search = query?.toString() ?? ''
  try {
    const sent = body instanceof ReadableStream && readsStreams() ? await wholeOf(body, watch.signal) : body
    const response = await fetch(`${base}${path}${search && `?${search}`}`, {
      method: body === undefined ? 'GET' : 'POST',
      signal: watch.signal,
      headers: { ...headers, ...headersOf(options, credential, body === undefined ? undefined : watch.leftMs) },
      ...(sent !== undefined && { body: sent }),
      // `fetch` insists on it where a body is a stream; some runtimes' types do not know it.
      ...(once && ({ duplex: 'half' } as object)),
    })
    if (response.ok) return response
    const failure = await failureIn(response, clock.now())
    return watch.signal.aborted ? watch.failure(failure.cause) : failure
  } catch (cause) {
    return watch.failure(cause)
  }
}

const wholeOf = (stream: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<Blob> =>
  new Response(stream.pipeThrough(new TransformStream(), { signal })).blob()

/** Sends a request and reads the whole answer. @throws VergeError */
export async function ask<Answer>(
  transport: Transport,
  request: OutgoingRequest,
  options: CallOptions,
  read: (response: Response) => Promise<Answer>,
): Promise<Answer> {
  const { response, watch } = await open(transport, request, options)
  try {
    return await read(response)
  } catch (cause) {
    throw cause instanceof SyntaxError ? unexpected('it is not JSON', response, cause) : watch.failure(cause)
  } finally {
    watch.end()
  }
}

/** Reads an answer in JSON. The server's own words are trusted to have the shape that its protocol says. */
export async function json<Answer>(response: Response): Promise<Answer> {
  if (!isJson(response)) throw unexpected('it is not JSON', response)
  return (await response.json()) as Answer
}

/** A request with a body in JSON. */
export function jsonRequest(path: string, body: unknown, version: string | undefined): OutgoingRequest {
  const query = new URLSearchParams(version === undefined ? {} : { version })
  return { path, query, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/**
 * Milliseconds before another attempt; undefined where another is of no use. Answers of models depend on their input
 * alone, so that a request which perhaps arrived may be sent again. Pauses differ, so that clients which failed together
 * do not return together.
 */
function pauseBefore({ code, retryAfter, status }: VergeError, attempt: number, random: number): number | undefined {
  const backoff = FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + random)
  if (code === 'network_error') return backoff
  // A budget has room again when its day or month is over.
  if ((status !== 429 && status !== 503) || code === 'budget_spent' || retryAfter === undefined) return undefined
  return retryAfter * 1000 + backoff
}

/** @param leftMs left out of a GET, which a page of another origin may then send without a preflight */
function headersOf(
  { cache, place, requestId }: CallOptions,
  credential: string | undefined,
  leftMs = Number.POSITIVE_INFINITY,
) {
  return {
    ...(credential !== undefined && { authorization: `Bearer ${credential}` }),
    ...(cache !== undefined && { 'cache-control': cache }),
    ...(place !== undefined && { 'verge-place': place }),
    ...(requestId !== undefined && { 'x-request-id': requestId }),
    // So that the server stops when the client does.
    ...(leftMs < 1e9 && { 'verge-timeout-ms': String(Math.max(1, Math.ceil(leftMs))) }),
  }
}

function infoOf(response: Response, attempts: number): AnswerInfo {
  const header = (name: string): string | undefined => response.headers.get(name) ?? undefined
  return {
    status: response.status,
    requestId: requestIdOf(response),
    model: header('verge-model'),
    placement: header('verge-placement'),
    cache: header('verge-cache'),
    serverTiming: header('server-timing'),
    attempts,
  }
}
