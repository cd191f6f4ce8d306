import { abortError, isVergeError, throwIfAborted, VergeError } from '../core/errors.ts'
import { type Clock, onAbort } from '../core/runtime.ts'
import { bodyOf, byteReader, readAtMost, unavailable } from './body.ts'
import type {
  ByteRange,
  GetOptions,
  ListOptions,
  ListPage,
  Store,
  StoredInfo,
  StoredValue,
  StoreOptions,
} from './store.ts'

/** Proves who asks. May be told that the Worker's clock is another. */
export interface WorkerSigner {
  /** @param path with its query, as it is sent */
  headers(method: string, path: string): Promise<Readonly<Record<string, string>>>
  /**
   * @param workerTimeMs the Worker's clock, in milliseconds since 1970
   * @returns whether this changes the signature, so that a retry may help
   */
  correct(workerTimeMs: number): boolean
}

export interface WorkerStoreOptions {
  /** Base address of a Worker, with its path if it has one. */
  readonly url: URL
  readonly signer: WorkerSigner
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  readonly clock: Pick<Clock, 'after'>
  readonly name?: string
}

/** Size of the whole value: `content-length` is lost where a proxy compresses or sends in pieces. */
export const BYTES_HEADER = 'verge-bytes'
/** An origin says by it that it takes requests from now on. */
export const ORIGIN_HEADER = 'verge-origin'
export const ORIGIN_READY = 'ready'
/** On a refused signature: the refusing clock. */
const TIME_HEADER = 'verge-time'

/** From asking to the answer's headers: a Worker that is cold and reads from R2 takes a second or two. */
const HEADERS_MS = 10_000
const REFUSAL_BYTES = 16 * 1024
/** A page of 1,000 keys of at most 70 bytes. */
const LIST_BYTES = 256 * 1024

/** The objects of a Worker's R2, read through its route `/store`, for an origin without R2 credentials. Read-only. */
export class WorkerStore implements Store {
  readonly name: string
  readonly #options: WorkerStoreOptions
  readonly #base: string

  constructor(options: WorkerStoreOptions) {
    this.name = options.name ?? 'worker'
    this.#options = options
    this.#base = options.url.pathname.replace(/\/+$/, '')
  }

  /**
   * Tells the Worker that this origin takes requests, so that one which has found it away before need not wait to try it
   * again. Workers that do not know of it take it for any other request. @throws store_unavailable
   */
  async announce(): Promise<void> {
    const answer = await this.#ask('GET', '/store?list=alias%2F', { [ORIGIN_HEADER]: ORIGIN_READY })
    leave(answer)
    if (answer.status !== 200) throw refused(this.name, answer.status)
  }

  async head(key: string, { signal }: StoreOptions = {}): Promise<StoredInfo | null> {
    throwIfAborted(signal)
    if (!isPath(key)) return null
    const answer = await this.#ask('HEAD', pathOf(key), {}, signal)
    if (answer.status === 404) return null
    if (answer.status !== 200) throw refused(this.name, answer.status)
    return infoOf(answer)
  }

  async get(key: string, { range, signal }: GetOptions = {}): Promise<StoredValue | null> {
    throwIfAborted(signal)
    if (!isPath(key)) return null
    if (range?.length === 0) return this.#empty(key, signal)
    const answer = await this.#ask('GET', pathOf(key), rangeHeader(range), signal)
    if (answer.status === 200 || answer.status === 206) {
      const { body } = answer
      const stream =
        body === null ? emptyBody() : bodyOf(byteReader(body), this.#bodyOptions(answer.status, range, signal))
      return { ...infoOf(answer), body: stream }
    }
    if (answer.status === 500) throw (await refusedRelease(answer, signal)) ?? refused(this.name, answer.status)
    leave(answer)
    if (answer.status === 404) return null
    // A range that begins at the end or after it.
    if (answer.status === 416) return { ...infoOf(answer), body: emptyBody() }
    throw refused(this.name, answer.status)
  }

  put(): Promise<StoredInfo | null> {
    return Promise.reject(readOnly())
  }

  async list(prefix: string, { cursor, signal }: ListOptions = {}): Promise<ListPage> {
    throwIfAborted(signal)
    const query = new URLSearchParams({ list: prefix, ...(cursor !== undefined && { cursor }) })
    const answer = await this.#ask('GET', `/store?${query}`, {}, signal)
    if (answer.status !== 200 || answer.body === null) {
      leave(answer)
      throw refused(this.name, answer.status)
    }
    try {
      const bytes = await readAtMost(answer.body, LIST_BYTES, signal)
      return pageOf(JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array(0))))
    } catch (cause) {
      throwIfAborted(signal)
      throw unavailable(this.name, cause)
    }
  }

  delete(): Promise<void> {
    return Promise.reject(readOnly())
  }

  async #empty(key: string, signal: AbortSignal | undefined): Promise<StoredValue | null> {
    const info = await this.head(key, { signal })
    return info === null ? null : { ...info, body: emptyBody() }
  }

  /** A server that ignores the range sends all of it. */
  #bodyOptions(status: number, range: ByteRange | undefined, signal: AbortSignal | undefined) {
    const cut = range !== undefined && status === 200
    return {
      store: this.name,
      signal,
      ...(cut && { skip: range.offset, ...(range.length !== undefined && { take: range.length }) }),
    }
  }

  async #ask(
    method: 'GET' | 'HEAD',
    path: string,
    headers: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<Response> {
    const { signer } = this.#options
    const first = await this.#once(method, path, headers, signal)
    if (first.status !== 401) return first
    const time = await clockOf(first, signal)
    throwIfAborted(signal)
    if (time === undefined || !signer.correct(time)) return first
    return this.#once(method, path, headers, signal)
  }

  async #once(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const { clock, fetch, signer, url } = this.#options
    const whole = this.#base + path
    const controller = new AbortController()
    const release = onAbort(signal, () => {
      if (signal !== undefined) controller.abort(abortError(signal))
    })
    const cancelTimer = clock.after(HEADERS_MS, () => controller.abort(new Error(`no answer within ${HEADERS_MS} ms`)))
    try {
      return await fetch(url.origin + whole, {
        method,
        headers: { ...headers, ...(await signer.headers(method, whole)) },
        // A credential goes nowhere but where it was sent.
        redirect: 'manual',
        signal: controller.signal,
      })
    } catch (cause) {
      throwIfAborted(signal)
      if (isVergeError(cause)) throw cause
      throw unavailable(this.name, cause)
    } finally {
      cancelTimer()
      // The body ends by the signal that it is read with.
      release()
    }
  }
}

/** The clock that a refusal names, in its header or in its body; undefined if the clock was not the reason. */
async function clockOf(answer: Response, signal: AbortSignal | undefined): Promise<number | undefined> {
  const header = Number(answer.headers.get(TIME_HEADER) ?? Number.NaN)
  if (answer.body === null) return Number.isSafeInteger(header) ? header : undefined
  try {
    const bytes = await readAtMost(answer.body, REFUSAL_BYTES, signal)
    if (Number.isSafeInteger(header)) return header
    const { error } = JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array(0))) as {
      readonly error?: { readonly time_ms?: unknown }
    }
    return Number.isSafeInteger(error?.time_ms) ? Number(error?.time_ms) : undefined
  } catch {
    return undefined
  }
}

/** Refusals of one record, after which its last good copy must not be used either. */
const OF_A_RELEASE = ['signature_invalid', 'release_outdated'] as const

/** Why the Worker gives out no alias; undefined for any other failure. */
async function refusedRelease(answer: Response, signal: AbortSignal | undefined): Promise<VergeError | undefined> {
  if (answer.body === null) return undefined
  try {
    const bytes = await readAtMost(answer.body, REFUSAL_BYTES, signal)
    const { error } = JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array(0))) as {
      readonly error?: { readonly code?: unknown }
    }
    const code = OF_A_RELEASE.find((each) => each === error?.code)
    return (
      code &&
      new VergeError(code, 'The Worker does not give out this release, because it does not accept its signature.')
    )
  } catch {
    throwIfAborted(signal)
    return undefined
  }
}

/** A URL folds other keys, and then another is asked for than was signed; no model has one. */
function isPath(key: string): boolean {
  return key.split('/').every((segment) => !/^\.{0,2}$/.test(segment))
}

function pathOf(key: string): string {
  return `/store/${key.split('/').map(encodeURIComponent).join('/')}`
}

function rangeHeader(range: ByteRange | undefined): Record<string, string> {
  if (range === undefined) return {}
  const last = range.length === undefined ? '' : range.offset + range.length - 1
  return { range: `bytes=${range.offset}-${last}` }
}

function infoOf(answer: Response): StoredInfo {
  const bytes = answer.headers.get(BYTES_HEADER) ?? ''
  if (!/^\d{1,15}$/.test(bytes)) {
    throw new VergeError(
      'store_unavailable',
      'The server at this address is not a Verge Worker: its answer does not state the size of the value.',
    )
  }
  const etag = answer.headers.get('etag')?.replace(/^(W\/)?"|"$/g, '')
  return { bytes: Number(bytes), ...(etag && { etag }) }
}

function pageOf(value: unknown): ListPage {
  const { keys, cursor } = (value ?? {}) as { readonly keys?: unknown; readonly cursor?: unknown }
  if (!Array.isArray(keys) || !keys.every((key): key is string => typeof key === 'string')) {
    throw new TypeError('not a list of keys')
  }
  return typeof cursor === 'string' ? { keys, cursor } : { keys }
}

function refused(store: string, status: number): VergeError {
  const why =
    status === 401 || status === 403
      ? 'The Worker does not accept the signature. VERGE_ORIGIN_KEY must be the secret that its ORIGINS entry names, and Worker and origin must run the same version of Verge.'
      : 'The Worker did not answer like Verge.'
  return new VergeError('store_unavailable', why, { details: { store, status }, retryAfter: 5 })
}

function readOnly(): VergeError {
  return new VergeError('store_unavailable', 'Models cannot be written through a Worker. Use "verge push".')
}

function emptyBody(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.close() })
}

function leave(answer: Response): void {
  answer.body?.cancel().catch(() => {})
}
