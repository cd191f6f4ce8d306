import { createHash } from 'node:crypto'
import { UsageError } from '../cli/terminal/command-line.ts'
import { type Clock, systemClock } from '../core/runtime.ts'
import type { R2BucketLike, R2ObjectBodyLike, R2ObjectLike, R2ObjectsLike } from '../weights/r2.ts'
import { s3Advice } from './advice.ts'
import {
  bodyBytes,
  type HttpAnswer,
  type HttpClient,
  type HttpHead,
  type HttpRequest,
  type WholeAnswer,
} from './http.ts'
import { type S3Credentials, signedHeaders } from './s3-signing.ts'
import { parseErrorCode, parseList, unquoted } from './s3-xml.ts'

export interface S3BucketOptions {
  readonly http: HttpClient
  /** `https://<account>.r2.cloudflarestorage.com` */
  readonly endpoint: URL
  readonly bucket: string
  readonly credentials: S3Credentials
  readonly clock?: Pick<Clock, 'now'>
}

interface Exchange {
  readonly method: string
  readonly key?: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

/** A page of 1,000 keys of 1 KiB each, and as much again around them. */
const ANSWER_BYTES = 4 * 1024 * 1024
const ERROR_BYTES = 64 * 1024
const NOTHING = new Uint8Array(0)

/**
 * An R2 bucket from outside Cloudflare, by its S3 API: the one way in that takes conditions on a write (`If-Match`,
 * `If-None-Match`), which an alias needs. Fits `R2Store`, so that everything that writes to a bucket works unchanged.
 */
export class S3Bucket implements R2BucketLike {
  readonly #options: S3BucketOptions
  readonly #clock: Pick<Clock, 'now'>
  readonly #derivedKeys = new Map<string, ArrayBuffer>()
  /** A look that shows that the bucket exists. */
  #there: Promise<unknown> | undefined

  constructor(options: S3BucketOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  async head(key: string): Promise<R2ObjectLike | null> {
    const answer = await this.#whole({ method: 'HEAD', key })
    if (answer.status === 404) {
      await this.#assertThere()
      return null
    }
    if (answer.status !== 200) {
      // the reason is in a body
      if (answer.status === 401 || answer.status === 403) await this.#assertThere()
      throw this.#refused('HEAD', answer.status, '')
    }
    return this.#object(key, answer)
  }

  async get(
    key: string,
    options: { range?: { offset: number; length?: number } } = {},
  ): Promise<R2ObjectBodyLike | null> {
    const { range } = options
    const offset = range?.offset ?? 0
    const last = range?.length === undefined ? '' : offset + range.length - 1
    const exchange = { method: 'GET', key, headers: range === undefined ? {} : { range: `bytes=${offset}-${last}` } }
    const answer = await this.#send(exchange)
    if (answer.status !== 200 && answer.status !== 206) {
      const text = await textOf(answer)
      if (answer.status === 404 && parseErrorCode(text) === 'NoSuchKey') return null
      throw this.#refused('GET', answer.status, text)
    }
    const object = this.#object(key, answer)
    const body = this.#options.http.resumed(this.#request(exchange), answer, async (received) => {
      const headers = { range: `bytes=${offset + received}-${last}`, 'if-match': quoted(object.etag) }
      const rest = await this.#send({ method: 'GET', key, headers })
      if (rest.status !== 206) throw await this.#failure('GET', rest)
      return rest.body
    })
    return { ...object, body }
  }

  async put(
    key: string,
    value: Uint8Array,
    options: { onlyIf?: { etagMatches?: string; etagDoesNotMatch?: string } } = {},
  ): Promise<R2ObjectLike | null> {
    const { onlyIf } = options
    const headers = {
      ...(onlyIf?.etagMatches === undefined ? {} : { 'if-match': quoted(onlyIf.etagMatches) }),
      ...(onlyIf?.etagDoesNotMatch === undefined ? {} : { 'if-none-match': quoted(onlyIf.etagDoesNotMatch) }),
    }
    const answer = await this.#whole({ method: 'PUT', key, headers, body: value })
    const text = decoded(answer)
    // R2 says 412 where the condition does not hold; for a key that is gone, S3 says 404
    if (
      onlyIf !== undefined &&
      (answer.status === 412 || (answer.status === 404 && parseErrorCode(text) === 'NoSuchKey'))
    ) {
      return null
    }
    if (answer.status !== 200) throw this.#refused('PUT', answer.status, text)
    return { key, size: value.length, etag: this.#etag(answer) }
  }

  async list(options: { prefix: string; cursor?: string; limit: number }): Promise<R2ObjectsLike> {
    const { prefix, cursor, limit } = options
    const query = {
      'list-type': '2',
      'encoding-type': 'url',
      'max-keys': String(limit),
      prefix,
      ...(cursor === undefined ? {} : { 'continuation-token': cursor }),
    }
    const answer = await this.#whole({ method: 'GET', query })
    if (answer.status !== 200) throw this.#refused('GET', answer.status, decoded(answer))
    const page = parseList(decoded(answer), prefix, limit)
    if (page === null) throw this.#notUnderstood('a list of keys')
    return page
  }

  async delete(key: string): Promise<void> {
    const answer = await this.#whole({ method: 'DELETE', key })
    // R2 says the same for a key that is not there
    if (answer.status !== 204) throw this.#refused('DELETE', answer.status, decoded(answer))
  }

  /** An answer to HEAD has no body, so that a missing bucket reads like a missing key. @throws UsageError */
  async #assertThere(): Promise<void> {
    this.#there ??= this.list({ prefix: 'alias/', limit: 1 })
    try {
      await this.#there
    } catch (error) {
      this.#there = undefined
      throw error
    }
  }

  #send(exchange: Exchange): Promise<HttpAnswer> {
    return this.#options.http.send(this.#request(exchange))
  }

  #whole(exchange: Exchange): Promise<WholeAnswer> {
    return this.#options.http.whole(this.#request(exchange), ANSWER_BYTES)
  }

  #request({ method, key, query = {}, headers = {}, body }: Exchange): HttpRequest {
    const { endpoint, bucket, credentials } = this.#options
    const path = `/${[bucket, ...(key === undefined ? [] : key.split('/'))].map(encodeRfc3986).join('/')}`
    const search = Object.entries(query)
      .map((pair) => pair.map(encodeRfc3986).join('='))
      .join('&')
    const bodySha256 = createHash('sha256')
      .update(body ?? NOTHING)
      .digest('hex')
    const signed = { ...headers, 'x-amz-content-sha256': bodySha256 }
    const request = { method, origin: endpoint, path, search, headers: signed }
    return {
      method,
      origin: endpoint,
      path: search === '' ? path : `${path}?${search}`,
      headers: () => signedHeaders(request, credentials, this.#clock.now(), this.#derivedKeys),
      ...(body !== undefined && { body }),
    }
  }

  #object(key: string, answer: HttpHead): R2ObjectLike {
    // `bytes 5-9/1234` for a part: the size is the whole's
    const total = /\/(\d+)$/.exec(answer.header('content-range') ?? '')?.[1] ?? answer.header('content-length')
    if (total === undefined) throw this.#notUnderstood('an object without its size')
    return { key, size: Number(total), etag: this.#etag(answer) }
  }

  /** The binding's etags are without quotes, HTTP's with them. */
  #etag(answer: HttpHead): string {
    const etag = unquoted(answer.header('etag') ?? '')
    if (etag === '') throw this.#notUnderstood('an object without its etag')
    return etag
  }

  #notUnderstood(what: string): UsageError {
    const { bucket, endpoint } = this.#options
    return new UsageError(
      `${endpoint.origin} answered for bucket "${bucket}" with ${what} in an unknown format. Check whether a proxy ` +
        'answers instead of R2 (R2_ENDPOINT), and try again.',
    )
  }

  async #failure(method: string, answer: HttpAnswer): Promise<UsageError> {
    return this.#refused(method, answer.status, await textOf(answer))
  }

  #refused(method: string, status: number, text: string): UsageError {
    const { bucket, credentials } = this.#options
    const code = parseErrorCode(text)
    const what = `R2 answered HTTP ${status}${code === undefined ? '' : ` (${code})`} to ${method} in bucket "${bucket}".`
    const advice = s3Advice(status, code, credentials.source ?? 'keys')
    return new UsageError(advice === '' ? what : `${what} ${advice}`)
  }
}

async function textOf(answer: HttpAnswer): Promise<string> {
  return new TextDecoder().decode(await bodyBytes(answer, ERROR_BYTES))
}

function decoded({ bytes }: Pick<WholeAnswer, 'bytes'>): string {
  return new TextDecoder().decode(bytes)
}

function quoted(etag: string): string {
  return etag === '*' ? etag : `"${etag}"`
}

/** Encodes everything but unreserved characters, which `encodeURIComponent` does not quite. */
function encodeRfc3986(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}
