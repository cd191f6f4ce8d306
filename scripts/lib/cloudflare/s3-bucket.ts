import { Readable } from 'node:stream'
import { type Clock, systemClock } from '../../../src/core/runtime.ts'
import type { R2BucketLike, R2ObjectBodyLike, R2ObjectLike, R2ObjectsLike } from '../../../src/weights/r2.ts'
import { sha256 } from '../bytes.ts'
import { UsageError } from '../command-line.ts'
import { bodyBytes, type HttpAnswer, type HttpClient } from './http.ts'
import { amzDate, authorization, canonicalQuery, encodeRfc3986, type S3Credentials } from './s3-signature.ts'

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
const LIST_BYTES = 4 * 1024 * 1024
const ERROR_BYTES = 64 * 1024
const NOTHING = new Uint8Array(0)

/**
 * An R2 bucket from outside Cloudflare, by its S3 API: the one way in that takes conditions on a write (`If-Match`,
 * `If-None-Match`), which an alias needs. Fits `R2Store`, so that everything that writes to a bucket works unchanged.
 */
export class S3Bucket implements R2BucketLike {
  readonly #options: S3BucketOptions
  readonly #clock: Pick<Clock, 'now'>

  constructor(options: S3BucketOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  async head(key: string): Promise<R2ObjectLike | null> {
    const answer = await this.#send({ method: 'HEAD', key })
    answer.body.resume()
    if (answer.status === 404) return null
    if (answer.status !== 200) throw this.#refused('HEAD', answer.status, '')
    return objectOf(key, answer)
  }

  async get(
    key: string,
    options: { range?: { offset: number; length?: number } } = {},
  ): Promise<R2ObjectBodyLike | null> {
    const { range } = options
    const last = range?.length === undefined ? '' : range.offset + range.length - 1
    const headers: Record<string, string> = range === undefined ? {} : { range: `bytes=${range.offset}-${last}` }
    const answer = await this.#send({ method: 'GET', key, headers })
    if (answer.status === 404) {
      answer.body.resume()
      return null
    }
    if (answer.status !== 200 && answer.status !== 206) throw await this.#failure('GET', answer)
    // a body that broke off is reported by the stream; without a listener Node would end the process as well
    answer.body.on('error', () => {})
    return { ...objectOf(key, answer), body: Readable.toWeb(answer.body) as ReadableStream }
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
    const answer = await this.#send({ method: 'PUT', key, headers, body: value })
    // R2 says 412 where the condition does not hold; for a key that is gone, S3 says 404
    if (onlyIf !== undefined && (answer.status === 412 || answer.status === 404)) {
      const text = await textOf(answer)
      if (answer.status === 412 || text.includes('NoSuchKey')) return null
      throw this.#refused('PUT', answer.status, text)
    }
    if (answer.status !== 200) throw await this.#failure('PUT', answer)
    await textOf(answer)
    return { key, size: value.length, etag: etagOf(answer) }
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
    const answer = await this.#send({ method: 'GET', query })
    if (answer.status !== 200) throw await this.#failure('GET', answer)
    return parseList(new TextDecoder().decode(await bodyBytes(answer, LIST_BYTES)))
  }

  async delete(key: string): Promise<void> {
    const answer = await this.#send({ method: 'DELETE', key })
    if (answer.status !== 204 && answer.status !== 200 && answer.status !== 404)
      throw await this.#failure('DELETE', answer)
    answer.body.resume()
  }

  #send({ method, key, query = {}, headers = {}, body }: Exchange): Promise<HttpAnswer> {
    const { http, endpoint, bucket, credentials } = this.#options
    const path = `/${[bucket, ...(key === undefined ? [] : key.split('/'))].map(encodeRfc3986).join('/')}`
    const search = canonicalQuery(query)
    const bodySha256 = sha256(body ?? NOTHING)
    return http.send({
      method,
      origin: endpoint,
      path: search === '' ? path : `${path}?${search}`,
      headers: () => {
        const date = amzDate(this.#clock.now())
        const signed = { ...headers, host: endpoint.host, 'x-amz-content-sha256': bodySha256, 'x-amz-date': date }
        return {
          ...signed,
          authorization: authorization({ method, path, query, headers: signed, bodySha256 }, credentials, date),
        }
      },
      ...(body !== undefined && { body }),
    })
  }

  async #failure(method: string, answer: HttpAnswer): Promise<UsageError> {
    return this.#refused(method, answer.status, await textOf(answer))
  }

  #refused(method: string, status: number, text: string): UsageError {
    const { bucket } = this.#options
    const code = /<Code>([A-Za-z]{1,64})<\/Code>/.exec(text)?.[1]
    const what = `R2 answered HTTP ${status}${code === undefined ? '' : ` (${code})`} to ${method} in bucket "${bucket}".`
    if (status === 401 || status === 403) {
      return new UsageError(
        `${what} The API token needs the permission "Workers R2 Storage: Edit" on this account, and this machine's clock ` +
          'must be right.',
      )
    }
    if (code === 'NoSuchBucket') return new UsageError(`${what} Create it: "verge setup" does.`)
    return new UsageError(what)
  }
}

async function textOf(answer: HttpAnswer): Promise<string> {
  return new TextDecoder().decode(await bodyBytes(answer, ERROR_BYTES))
}

function objectOf(key: string, answer: HttpAnswer): R2ObjectLike {
  // `bytes 5-9/1234` for a part: the size is the whole's
  const total = /\/(\d+)$/.exec(answer.header('content-range') ?? '')?.[1] ?? answer.header('content-length')
  if (total === undefined) throw new UsageError('R2 gave an object without its size. Try again.')
  return { key, size: Number(total), etag: etagOf(answer) }
}

/** The binding's etags are without quotes, HTTP's with them. */
function etagOf(answer: HttpAnswer): string {
  return (answer.header('etag') ?? '').replace(/^W\//, '').replace(/^"|"$/g, '')
}

function quoted(etag: string): string {
  return etag === '*' ? etag : `"${etag}"`
}

/** Of S3's XML only what is needed; `encoding-type=url` leaves nothing in a key that XML would have to escape. */
function parseList(xml: string): R2ObjectsLike {
  const objects = [...xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, entry = '']) => ({
    key: decodeURIComponent(field(entry, 'Key').replaceAll('+', ' ')),
    size: Number(field(entry, 'Size')),
    etag: unescapeXml(field(entry, 'ETag')).replace(/^"|"$/g, ''),
  }))
  const cursor = unescapeXml(field(xml, 'NextContinuationToken'))
  const truncated = field(xml, 'IsTruncated') === 'true'
  return { objects, truncated, ...(cursor !== '' && { cursor }) }
}

function field(xml: string, name: string): string {
  return new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(xml)?.[1] ?? ''
}

const ENTITIES: Readonly<Record<string, string>> = {
  quot: '"',
  apos: "'",
  lt: '<',
  gt: '>',
  amp: '&',
  '#34': '"',
  '#39': "'",
}

function unescapeXml(text: string): string {
  return text.replace(/&(#?\w+);/g, (whole, name: string) => ENTITIES[name] ?? whole)
}
