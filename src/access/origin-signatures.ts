import { VergeError } from '../core/errors.ts'
import type { Clock } from '../core/runtime.ts'
import type { Caller } from './authorize.ts'
import { importKey, type SignatureRefusal, SignatureVerifier } from './signature.ts'

const MESSAGE = 'The signature is invalid. Sign the request with a key of ORIGINS.'
const MESSAGES: Partial<Record<SignatureRefusal, string>> = {
  unsupported_version:
    'This Worker does not know the signature format of the origin, because their versions of Verge differ. Deploy the same version to both.',
}

/**
 * Checks requests that an origin sends to its Worker, for the catalogue and for weights. Each isolate stores its own
 * nonces, so within a minute a request can be replayed to another isolate. The replay reads only what its sender may
 * read.
 * @param secrets that origins sign with
 * @returns who signed a request; throws `unauthorized`, whose details say why
 */
export function originSignatures(
  secrets: readonly string[],
  clock: Pick<Clock, 'now'>,
): (request: Request) => Promise<Caller> {
  // Made by the first request that needs it, and kept as a value: a promise would belong to the request that made it.
  let verifier: SignatureVerifier | undefined
  return async (request) => {
    verifier ??= new SignatureVerifier(await Promise.all(secrets.map(importKey)), { clock })
    const { pathname, search } = new URL(request.url)
    const verdict = await verifier.verify({
      method: request.method,
      path: pathname + search,
      headers: request.headers,
    })
    if (verdict.ok) return { kind: 'origin', name: verdict.caller }
    throw new VergeError('unauthorized', MESSAGES[verdict.reason] ?? MESSAGE, {
      details: {
        reason: verdict.reason,
        ...(verdict.reason === 'clock_skew' && { time_ms: Math.floor(clock.now()) }),
      },
    })
  }
}
