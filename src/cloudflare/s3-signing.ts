import { AwsV4Signer } from 'aws4fetch'
import type { KeySource } from './advice.ts'

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** R2 knows one region: `auto`. */
  readonly region: string
  /** Source of the keys, for error messages. Default: separate R2 keys. */
  readonly source?: KeySource
}

export interface SigningRequest {
  readonly method: string
  /** Scheme, host and port. */
  readonly origin: URL
  /** Percent-encoded, as it is sent. */
  readonly path: string
  /** As it is sent, without `?`. */
  readonly search: string
  /** Lower-case names, `x-amz-content-sha256` among them; all of them are signed, and `host`. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * The headers of a request, with its signature (AWS Signature Version 4).
 * @param milliseconds when it is sent; services refuse signatures that are 15 minutes old
 * @param derived keys derived from the secret, one a day; kept by the caller
 */
export async function signedHeaders(
  { method, origin, path, search, headers }: SigningRequest,
  { accessKeyId, secretAccessKey, region }: S3Credentials,
  milliseconds: number,
  derived?: Map<string, ArrayBuffer>,
): Promise<Record<string, string>> {
  const signer = new AwsV4Signer({
    method,
    url: `${origin.origin}/?${search}`,
    headers: { ...headers },
    accessKeyId,
    secretAccessKey,
    region,
    service: 's3',
    datetime: new Date(milliseconds).toISOString().replace(/[-:]|\.\d{3}/g, ''),
    // otherwise `range` is left unsigned
    allHeaders: true,
    ...(derived !== undefined && { cache: derived }),
  })
  // not by the URL, which would fold `a/../b`, a legal key
  signer.encodedPath = path
  const { headers: signed } = await signer.sign()
  return Object.fromEntries(signed)
}
