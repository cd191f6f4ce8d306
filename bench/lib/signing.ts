import { randomBytes } from 'node:crypto'
import { importKey, type SigningKey, signRequest } from '../../src/access/signature.ts'
import { type RequestParts, requestBytes } from './connection.ts'

/** A secret that a Worker and its origin share for one run. */
export interface SharedKey {
  readonly secret: string
  readonly key: SigningKey
}

export async function newKey(): Promise<SharedKey> {
  const secret = randomBytes(32).toString('hex')
  return { secret, key: await importKey(secret) }
}

/** A request as a Worker signs it. Each is good for one use, and for a minute. */
export async function signedRequest({ key }: SharedKey, parts: RequestParts): Promise<Buffer> {
  const { method = 'GET', path, body } = parts
  const content = body === undefined ? null : new Uint8Array(Buffer.from(body))
  const signed = await signRequest({ method, path, caller: '', requestId: '', body: content }, key, {
    now: Date.now(),
    nonce: randomBytes(16).toString('hex'),
  })
  return requestBytes({ ...parts, headers: { ...parts.headers, ...signed } })
}
