import type { Caller } from '../access/authorize.ts'
import { DIGESTED_BYTES, SignatureVerifier, type SigningKey, UNSIGNED } from '../access/signature.ts'
import { readBody } from '../core/body.ts'
import { VergeError } from '../core/errors.ts'
import type { Clock } from '../core/runtime.ts'

/** A request with a valid signature: its caller, and the verified body. */
export interface SignedRequest {
  readonly request: Request
  readonly caller: Caller
}

/** Admits only requests that a Worker has signed. */
export class SignedRequests {
  readonly #verifier: SignatureVerifier

  constructor(keys: readonly SigningKey[], clock: Pick<Clock, 'now'>) {
    this.#verifier = new SignatureVerifier(keys, { clock })
  }

  /**
   * @param path with its query, as received
   * @throws unauthorized, with the reason in its details; body_too_large
   */
  async admit(request: Request, path: string): Promise<SignedRequest> {
    const verdict = await this.#verifier.verify({ method: request.method, path, headers: request.headers })
    if (!verdict.ok) throw refused(verdict.reason)
    const caller = callerOf(verdict.caller)
    if (verdict.digest === UNSIGNED) return { request, caller }
    // The body is held before it is checked: a mebibyte at most, from a sender with a key.
    const body = await readBody(request, { maxBytes: DIGESTED_BYTES, signal: request.signal })
    if (!(await this.#verifier.matches(verdict.digest, body))) throw refused('body_mismatch')
    if (request.body === null) return { request, caller }
    const { headers, method, signal, url } = request
    return { request: new Request(url, { method, headers, body, signal }), caller }
  }
}

/** A caller that the Worker has authorized may run the version that the Worker chose; the operator keeps all rights. */
function callerOf(name: string): Caller {
  return name === 'operator' ? { kind: 'operator' } : { kind: 'relayed', name }
}

const REASONS = {
  missing: 'An origin answers its Workers only. Sign the request with the key that both have.',
  malformed: 'The signature does not have the format that Verge writes (RFC 9421).',
  unsupported_version:
    'This origin does not know the signature format of the Worker, because their versions of Verge differ. Deploy the same version to both.',
  unknown_key: 'The request is signed with an unknown key.',
  bad_signature: 'The signature does not match the request.',
  clock_skew:
    'The clock of the machine that signed the request and the clock of this origin differ by more than a minute.',
  replayed: 'This signature was already used. Sign the request again.',
  body_mismatch: 'The body differs from the signed body.',
} as const

function refused(reason: keyof typeof REASONS): VergeError {
  return new VergeError('unauthorized', REASONS[reason], { details: { reason } })
}
