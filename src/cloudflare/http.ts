import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { Readable } from 'node:stream'
import { UsageError } from '../cli/terminal/command-line.ts'
import { doublingPauseMs } from '../core/backoff.ts'
import { abortError, throwIfAborted } from '../core/errors.ts'
import { retryAfterMs } from '../core/headers.ts'
import { type Clock, systemClock } from '../core/runtime.ts'

type HeaderValues = Readonly<Record<string, string>>

export interface HttpRequest {
  readonly method: string
  /** Scheme, host and port. */
  readonly origin: URL
  /** Path and query exactly as they are to be sent: `URL` would fold `a/../b`, which is a legal key. */
  readonly path: string
  /** Created for every attempt, because a signature contains the time. */
  readonly headers: () => HeaderValues | Promise<HeaderValues>
  readonly body?: Uint8Array
}

export interface HttpHead {
  readonly status: number
  header(name: string): string | undefined
}

export interface HttpAnswer extends HttpHead {
  /** Has to be read to its end or destroyed. */
  readonly body: IncomingMessage
}

/** The rest of a body that broke off. */
export type Rest = AsyncIterable<Uint8Array>

export interface WholeAnswer extends HttpHead {
  readonly bytes: Uint8Array
}

export interface HttpOptions {
  readonly clock?: Pick<Clock, 'sleep'>
  /** Between 0 and 1, so that clients that failed together do not return together. */
  readonly random?: () => number
  readonly attempts?: number
  /** Milliseconds without a byte after which a connection is given up. */
  readonly idleMs?: number
  /** Breaks off requests that are on their way, and the pauses between attempts. */
  readonly signal?: AbortSignal
}

/** Five tries with doubling pauses wait about 8 s: longer than a hiccup, shorter than a person's patience. */
const ATTEMPTS = 5
const FIRST_PAUSE_MS = 500
/** Cloudflare's API allows 1,200 requests in five minutes; a longer wait than this is for a person to decide. */
const LONGEST_PAUSE_MS = 30_000
const IDLE_MS = 30_000

/**
 * Sends requests that carry credentials. Tries again after 429, 5xx and connections that break, in an answer's body too; everything that is sent here
 * may be sent twice. A redirect is an error: the services that are called have none, and credentials go nowhere else.
 */
export class HttpClient {
  readonly #clock: Pick<Clock, 'sleep'>
  readonly #random: () => number
  readonly #attempts: number
  readonly #idleMs: number
  readonly #signal: AbortSignal | undefined

  constructor(options: HttpOptions = {}) {
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? Math.random
    this.#attempts = options.attempts ?? ATTEMPTS
    this.#idleMs = options.idleMs ?? IDLE_MS
    this.#signal = options.signal
  }

  /**
   * The head of an answer, and its body as a stream, which may fail (see `resumed`).
   * @returns an answer with a status below 300 or from 400 to 499, 429 excepted
   * @throws UsageError; the signal's reason
   */
  send(request: HttpRequest): Promise<HttpAnswer> {
    return this.#retried(request, async (answer) => answer)
  }

  /** An answer with its body of at most `maxBytes`, asked for again where it breaks off. As `send` otherwise. */
  whole(request: HttpRequest, maxBytes: number): Promise<WholeAnswer> {
    return this.#retried(request, async (answer) => {
      const { status, header } = answer
      return { status, header, bytes: await bodyBytes(answer, maxBytes) }
    })
  }

  /**
   * An answer's body as a stream. Where the connection breaks, the rest is asked for again: `reopen` gets the number of
   * bytes that have arrived, and gives the body from there.
   * @throws in the stream: UsageError if it keeps breaking off, and what `reopen` throws
   */
  resumed(request: HttpRequest, first: HttpAnswer, reopen: (received: number) => Promise<Rest>): ReadableStream {
    const pieces = async function* (client: HttpClient): AsyncGenerator<Uint8Array> {
      let body: Rest = first.body
      let received = 0
      for (let failures = 1; ; failures++) {
        try {
          for await (const part of body) {
            received += part.length
            yield part
          }
          return
        } catch (error) {
          throwIfAborted(client.#signal)
          if (failures >= client.#attempts) throw gaveUp(request, error as Error, failures)
          await client.#clock.sleep(client.#backoff(failures), client.#signal)
        }
        body = await reopen(received)
      }
    }
    // a listener for the time before anybody reads: without one Node would end the process for a connection that breaks
    first.body.on('error', () => {})
    return Readable.toWeb(Readable.from(pieces(this), { objectMode: false })) as ReadableStream
  }

  /** Asks until an answer is final and `use` has made something of it. */
  async #retried<T>(request: HttpRequest, use: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      throwIfAborted(this.#signal)
      let failure: HttpAnswer | Error
      try {
        const answer = await this.#once(request)
        if (isFinal(answer)) return await use(answer)
        failure = answer
      } catch (error) {
        if (this.#signal?.aborted) throw abortError(this.#signal)
        if (error instanceof UsageError) throw error
        failure = error as Error
      }
      const asked = failure instanceof Error ? undefined : failure.header('retry-after')
      if (!(failure instanceof Error)) {
        if (failure.status < 400) throw redirected(request, failure)
        failure.body.destroy()
      }
      if (attempt >= this.#attempts) throw gaveUp(request, failure, attempt)
      const wanted = retryAfterMs(asked, Date.now()) ?? this.#backoff(attempt)
      if (wanted > LONGEST_PAUSE_MS) throw gaveUp(request, failure, attempt)
      await this.#clock.sleep(wanted, this.#signal)
    }
  }

  #backoff(attempt: number): number {
    return doublingPauseMs(attempt, FIRST_PAUSE_MS, this.#random())
  }

  async #once({ method, origin, path, headers, body }: HttpRequest): Promise<HttpAnswer> {
    const made = await headers()
    return new Promise((resolve, reject) => {
      const send = origin.protocol === 'https:' ? httpsRequest : httpRequest
      const length = body === undefined ? {} : { 'content-length': String(body.length) }
      const sent = send(
        {
          protocol: origin.protocol,
          // without the brackets of an IPv6 address
          host: origin.hostname.replace(/^\[|\]$/g, ''),
          port: origin.port,
          method,
          path,
          headers: { ...made, ...length },
          ...(this.#signal !== undefined && { signal: this.#signal }),
        },
        (answer) => {
          resolve({
            status: answer.statusCode ?? 0,
            header: (name) => {
              const value = answer.headers[name]
              return Array.isArray(value) ? value.join(', ') : value
            },
            body: answer,
          })
        },
      )
      sent.setTimeout(this.#idleMs, () => sent.destroy(new Error(`no answer within ${this.#idleMs / 1000} s`)))
      sent.on('error', reject)
      sent.end(body)
    })
  }
}

/** Whether an answer is final: neither a redirect nor worth a retry. */
function isFinal({ status }: HttpHead): boolean {
  return status < 300 || (status >= 400 && status < 500 && status !== 429)
}

/** A whole answer of at most `maxBytes`. @throws UsageError if it is longer */
export async function bodyBytes(answer: HttpAnswer, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of answer.body) {
    bytes += (part as Uint8Array).length
    if (bytes > maxBytes) throw new UsageError(`An answer of Cloudflare's API is longer than ${maxBytes} bytes.`)
    parts.push(part as Uint8Array)
  }
  return new Uint8Array(Buffer.concat(parts))
}

function redirected({ origin }: HttpRequest, answer: HttpAnswer): UsageError {
  const target = answer.header('location')
  const to = target !== undefined && URL.canParse(target, origin.href) ? new URL(target, origin).origin : 'elsewhere'
  answer.body.destroy()
  return new UsageError(
    `${origin.origin} redirects to ${to}. Credentials are not sent to redirects. Check CLOUDFLARE_API_BASE_URL and R2_ENDPOINT.`,
  )
}

function gaveUp({ origin, method }: HttpRequest, outcome: HttpHead | Error, attempts: number): UsageError {
  if (outcome instanceof Error) {
    return new UsageError(
      `${origin.origin} does not answer, or closes the connection (${reasonOf(outcome)}; ${attempts} attempts). Check the network, ` +
        'then run the command again. Completed steps are not repeated.',
      { cause: outcome },
    )
  }
  const why = outcome.status === 429 ? 'asks for fewer requests' : 'failed'
  return new UsageError(
    `${origin.origin} ${why} (HTTP ${outcome.status} to ${method}, ${attempts} attempts). Wait a few minutes and run the command ` +
      'again. Completed steps are not repeated.',
  )
}

function reasonOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException
  return code ?? error.message
}
