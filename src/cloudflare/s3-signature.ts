import { createHash, createHmac } from 'node:crypto'
import type { KeySource } from './advice.ts'

/** Pure: the time is passed in. AWS Signature Version 4 for requests whose whole body is at hand. */
export interface SigningRequest {
  readonly method: string
  /** Percent-encoded, as it is sent. */
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** Lower-case names, `host` among them; all of them are signed. */
  readonly headers: Readonly<Record<string, string>>
  /** SHA-256 of the body, in hexadecimal. */
  readonly bodySha256: string
}

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** R2 knows one region: `auto`. */
  readonly region: string
  /** Where they are from, for whoever has to change them: keys of their own if left out. */
  readonly source?: KeySource
}

const ALGORITHM = 'AWS4-HMAC-SHA256'

/** `20130524T000000Z` */
export function amzDate(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/[-:]|\.\d{3}/g, '')
}

/** The value of the `Authorization` header. @param date as in the header `x-amz-date` */
export function authorization(request: SigningRequest, credentials: S3Credentials, date: string): string {
  const names = Object.keys(request.headers).sort()
  const signedHeaders = names.join(';')
  const canonical = [
    request.method,
    request.path,
    canonicalQuery(request.query),
    ...names.map((name) => `${name}:${(request.headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    signedHeaders,
    request.bodySha256,
  ].join('\n')
  const scope = `${date.slice(0, 8)}/${credentials.region}/s3/aws4_request`
  const toSign = [ALGORITHM, date, scope, createHash('sha256').update(canonical).digest('hex')].join('\n')
  const key = scope
    .split('/')
    .reduce<string | Buffer>(
      (secret, part) => createHmac('sha256', secret).update(part).digest(),
      `AWS4${credentials.secretAccessKey}`,
    )
  const signature = createHmac('sha256', key).update(toSign).digest('hex')
  return `${ALGORITHM} Credential=${credentials.accessKeyId}/${scope},SignedHeaders=${signedHeaders},Signature=${signature}`
}

/** Sorted and encoded as it has to be signed; sent the same way. */
export function canonicalQuery(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]) => [encodeRfc3986(name), encodeRfc3986(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

/** Encodes everything but unreserved characters, which `encodeURIComponent` does not quite. */
export function encodeRfc3986(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}
