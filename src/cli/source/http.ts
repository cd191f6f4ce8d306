import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { retryAfterMs } from '../../core/headers.ts'
import { isLoopback } from '../../core/loopback.ts'
import { UsageError } from '../terminal/command-line.ts'
import { SOURCE_LIMITS } from './limits.ts'
import { type Patience, TransientError } from './retry.ts'

/** The `Authorization` header, and the only origin that it is sent to. */
export interface Credential {
  /** Scheme, host and port, as `URL.origin`. */
  readonly origin: string
  readonly authorization: string
}

export interface SourceGetOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly credential?: Credential | undefined
  /** Allows plain http to other machines than this one. */
  readonly insecure?: boolean
  readonly patience: Patience
  readonly signal?: AbortSignal | undefined
}

/** One answer on the way, redirects included. */
export interface Hop {
  readonly url: URL
  readonly status: number
  header(name: string): string | undefined
}

export interface SourceResponse extends Hop {
  /** Every answer up to this one, in order; this one is the last. */
  readonly hops: readonly Hop[]
  /** Has to be read to its end or destroyed. It fails with a `TransientError` where the connection breaks or stalls. */
  readonly body: IncomingMessage
}

/**
 * Fetches a resource and follows redirects itself. Credentials are sent to their own origin only, and not after a
 * redirect to another origin. It never follows a redirect from https to http.
 * @returns an answer with a status below 300, 304, or from 400 to 499 (408 and 429 excepted)
 * @throws TransientError, UsageError
 */
export async function get(start: URL, options: SourceGetOptions): Promise<SourceResponse> {
  const hops: Hop[] = []
  let url = withoutUser(start)
  let credential = options.credential
  checkScheme(url, undefined, options.insecure ?? false)
  for (;;) {
    if (credential !== undefined && credential.origin !== url.origin) credential = undefined
    const headers = {
      // Ranges, lengths and checksums apply to the stored file, not to a compressed form.
      'accept-encoding': 'identity',
      'user-agent': 'verge',
      ...options.headers,
      ...(credential && { authorization: credential.authorization }),
    }
    const body = await send(url, headers, options)
    const hop = hopOf(url, body)
    hops.push(hop)
    if (hop.status < 300 || hop.status === 304) {
      const encoding = hop.header('content-encoding')
      if (encoding !== undefined && encoding !== 'identity') {
        body.destroy()
        throw new UsageError(`${addressOf(url)} compresses its answer although the request excluded compression.`)
      }
      return { ...hop, hops, body }
    }
    if (hop.status >= 400 && hop.status < 500 && hop.status !== 408 && hop.status !== 429) {
      return { ...hop, hops, body }
    }
    body.destroy()
    if (hop.status >= 400) throw busy(hop)
    if (hops.length > SOURCE_LIMITS.redirects) {
      throw new UsageError(
        `${addressOf(start)} redirects more than ${SOURCE_LIMITS.redirects} times. Give the final address.`,
      )
    }
    const target = redirectTarget(hop)
    checkScheme(target, url, options.insecure ?? false)
    url = target
  }
}

/** A whole answer of at most `maxBytes`. @throws TransientError, UsageError if it is longer */
export async function readWhole(answer: SourceResponse, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const part of answer.body) {
      bytes += (part as Uint8Array).length
      if (bytes > maxBytes)
        throw new UsageError(`The answer of ${addressOf(answer.url)} is longer than ${maxBytes} bytes.`)
      parts.push(part as Uint8Array)
    }
  } catch (error) {
    throw error instanceof UsageError ? error : broken(error)
  } finally {
    answer.body.destroy()
  }
  return new Uint8Array(Buffer.concat(parts))
}

/** An address as it can be printed: without user, query and fragment, any of which may hold a secret. */
export function addressOf(url: URL): string {
  return `${url.origin}${url.pathname.length > 200 ? `${url.pathname.slice(0, 200)}...` : url.pathname}`
}

/** What breaks a connection, as an error that may be gone the next time. */
export function broken(error: unknown, progressed = false): TransientError {
  if (error instanceof TransientError && !progressed) return error
  return new TransientError(reasonOf(error), { cause: error, progressed })
}

function send(
  url: URL,
  headers: Readonly<Record<string, string>>,
  options: SourceGetOptions,
): Promise<IncomingMessage> {
  const idleMs = options.patience.idleMs ?? SOURCE_LIMITS.idleMs
  const silent = new TransientError(`nothing came for ${idleMs / 1000} s`)
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(
      url,
      { headers, ...(options.signal && { signal: options.signal }) },
      (answer) => {
        clearTimeout(unanswered)
        // The reader of the body gets its error; until then the error must not end the process.
        answer.on('error', () => undefined)
        watchBody(answer, idleMs, silent)
        resolve(answer)
      },
    )
    const unanswered = setTimeout(() => request.destroy(silent), idleMs)
    request.once('close', () => clearTimeout(unanswered))
    request.on('error', (error) => reject(failure(url, error)))
    request.end()
  })
}

/** Ends a transfer that brings nothing, or so little that it would never end. */
function watchBody(answer: IncomingMessage, idleMs: number, silent: Error): void {
  const { socket } = answer
  let before = socket.bytesRead
  const watch = setInterval(() => {
    if (answer.complete) clearInterval(watch)
    else if (socket.bytesRead - before < SOURCE_LIMITS.idleBytes) answer.destroy(silent)
    before = socket.bytesRead
  }, idleMs)
  answer.once('close', () => clearInterval(watch))
}

/** Errors that another attempt cannot fix are told at once. */
function failure(url: URL, error: Error): Error {
  const { code = '' } = error as NodeJS.ErrnoException
  if (code === 'ENOTFOUND') {
    return new UsageError(`There is no host "${url.hostname}". Check the address and the network.`, { cause: error })
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME|^ERR_SSL|^ERR_TLS/.test(code)) {
    return new UsageError(
      `The certificate of ${url.origin} is not trusted (${code}). If your company uses its own certificates, set NODE_EXTRA_CA_CERTS.`,
      { cause: error },
    )
  }
  return broken(error)
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (error instanceof TransientError) return message
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') return 'the connection broke'
  if (code === 'ECONNREFUSED') return 'no server listens at this address'
  return code === undefined ? 'the connection failed' : `the connection failed (${code})`
}

function busy(hop: Hop): TransientError {
  const pauseMs = retryAfterMs(hop.header('retry-after'), Date.now())
  const why = hop.status === 429 ? 'the server asks for fewer requests' : `the server failed (HTTP ${hop.status})`
  return new TransientError(why, pauseMs === undefined ? {} : { pauseMs })
}

function hopOf(url: URL, answer: IncomingMessage): Hop {
  return {
    url,
    status: answer.statusCode ?? 0,
    header(name) {
      const value = answer.headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    },
  }
}

function redirectTarget(hop: Hop): URL {
  const location = hop.header('location')
  if (location === undefined || !URL.canParse(location, hop.url.href)) {
    throw new UsageError(`${addressOf(hop.url)} answers with HTTP ${hop.status} without a location.`)
  }
  return withoutUser(new URL(location, hop.url))
}

function withoutUser(url: URL): URL {
  const copy = new URL(url)
  copy.username = ''
  copy.password = ''
  copy.hash = ''
  return copy
}

/** Refuses what could be read or changed on its way. @param from where a redirect came from @throws UsageError */
export function checkScheme(url: URL, from: URL | undefined, insecure: boolean): void {
  const redirected = from === undefined ? '' : `${addressOf(from)} redirects to ${url.protocol}//${url.host}. `
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new UsageError(`${redirected}Only https and http addresses are fetched, not "${url.protocol}".`)
  }
  if (url.protocol === 'https:') return
  if (from?.protocol === 'https:') {
    throw new UsageError(`${redirected}A redirect from https to http is not followed.`)
  }
  if (insecure || isLoopback(url.hostname)) return
  throw new UsageError(`${redirected}Plain http can be modified in transit. Use https, or allow http with --insecure.`)
}
