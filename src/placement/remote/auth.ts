import { importKey, type SigningKey, signRequest } from '../../access/signature.ts'
import { VergeError } from '../../core/errors.ts'
import type { Clock } from '../../core/runtime.ts'
import type { OriginAuth } from '../origin.ts'

export interface HmacOptions {
  /** Its `now` must count from 1970. */
  readonly clock: Pick<Clock, 'now'>
  /** A random UUID, as `crypto.randomUUID` makes it: its digits are the nonce. */
  readonly randomId: () => string
}

/** Signs each request for an origin of Verge's own. @throws invalid_request on first use, if the secret is too short */
export function hmacAuth(secret: string, { clock, randomId }: HmacOptions): OriginAuth {
  // The key and not a promise of it: a promise belongs to the request that made it.
  let key: SigningKey | undefined
  let offset = 0
  return {
    async headers({ method, path, caller, requestId, body }) {
      key ??= await importKey(secret)
      return signRequest(
        { method, path: asSent(path), caller, requestId, body: body instanceof ReadableStream ? 'stream' : body },
        key,
        { now: clock.now() + offset, nonce: randomId().replaceAll('-', '').toLowerCase() },
      )
    },
    correct(originTimeMs) {
      if (Number.isSafeInteger(originTimeMs) && originTimeMs >= 0) offset = originTimeMs - clock.now()
    },
  }
}

/** A path in the form that a URL gives it. Without the base address's own path, which a proxy takes away on the way. */
function asSent(path: string): string {
  const { pathname, search } = new URL(`http://origin${path}`)
  return pathname + search
}

/** `Authorization: Bearer`, for OpenAI's kind of servers. */
export function bearerAuth(token: string): OriginAuth {
  return fixed({ authorization: `Bearer ${headerValue(token, 'A bearer token')}` })
}

/** A service token of Cloudflare Access, for origins that stand behind it. */
export function accessAuth(id: string, secret: string): OriginAuth {
  return fixed({
    'CF-Access-Client-Id': headerValue(id, "A service token's id"),
    'CF-Access-Client-Secret': headerValue(secret, "A service token's secret"),
  })
}

/** For origins that know the Worker by its connection: mutual TLS, a private network, loopback. */
export function noAuth(): OriginAuth {
  return fixed({})
}

function fixed(headers: Readonly<Record<string, string>>): OriginAuth {
  return { headers: () => Promise.resolve(headers) }
}

/** @throws an error that does not hold the value */
function headerValue(value: string, what: string): string {
  const trimmed = value.trim()
  if (/^[\x21-\x7e]+$/.test(trimmed)) return trimmed
  throw new VergeError('invalid_request', `${what} must be printable ASCII without spaces. Set the secret again.`)
}
