import { toHex } from '../core/bytes.ts'
import { VergeError } from '../core/errors.ts'
import { REQUEST_ID_HEADER } from '../core/headers.ts'
import type { Clock } from '../core/runtime.ts'
import {
  componentValue,
  contentDigest,
  DIGEST_FIELD,
  INPUT_FIELD,
  type MessageSignature,
  sha256OfContentDigest,
  signatureBase,
  signatureFields,
  taggedSignatures,
} from './message-signature.ts'
import { NonceMemory } from './nonces.ts'

/**
 * Requests between Verge's own servers, signed with a secret that both hold: HTTP Message Signatures (RFC 9421) with
 * hmac-sha256. Requests without a valid signature, and replayed requests, are refused.
 *
 *     content-digest: sha-256=:<base64>:
 *     signature-input: verge=("@method" "@path" "@query" "content-digest" "verge-caller" "x-request-id")
 *         ;created=<s>;nonce="<32>";keyid="<8>";alg="hmac-sha256";tag="verge-origin-1"
 *     signature: verge=:<base64>:
 *
 * `keyid` is the beginning of the SHA-256 of the secret, so that secrets can be rotated. `content-digest` (RFC 9530) is
 * left out for bodies that are streamed: TLS alone protects those against a change on the way. `verge-caller` and
 * `x-request-id` are covered wherever the request has them. The number in `tag` rises when these rules change.
 */
const LABEL = 'verge'
const TAG_PREFIX = 'verge-origin-'
const TAG = `${TAG_PREFIX}1`
const ALGORITHM = 'hmac-sha256'
/** How Verge signed before it used RFC 9421: recognised so that the refusal can name the reason. */
const OLD_SCHEME = /^verge-hmac-sha256 /i

const CALLER_HEADER = 'verge-caller'
/** On an answer that refuses a clock: the milliseconds since 1970 by the clock that refused. */
export const TIME_HEADER = 'verge-time'

const REQUIRED = ['@method', '@path', '@query'] as const
/** Covered exactly if the request has them, so that they can be neither added nor removed. */
const WHERE_PRESENT = [CALLER_HEADER, REQUEST_ID_HEADER] as const
const KNOWN: ReadonlySet<string> = new Set([...REQUIRED, DIGEST_FIELD, ...WHERE_PRESENT])
const PARAMETERS: ReadonlySet<string> = new Set(['created', 'nonce', 'keyid', 'alg', 'tag'])

/** Secrets are random text; 32 characters of hexadecimal digits are 128 bits. */
export const LEAST_SECRET = 32
/** Larger bodies are streamed: to digest them they would have to be held. */
export const DIGESTED_BYTES = 1024 * 1024
/** A caller's name on the wire: `service:` and a binding's name, percent-encoded. */
const MOST_CALLER = 512
const MOST_REQUEST_ID = 128
/** Base64 or hexadecimal digits of 96 random bits or more. */
const NONCE = /^[A-Za-z0-9+/=_-]{16,64}$/

export const UNSIGNED = 'unsigned'
export type Digest = Uint8Array | typeof UNSIGNED

/** A secret, ready for use. Its text cannot be had back. */
export interface SigningKey {
  /** What tells keys apart; says nothing useful about the secret. */
  readonly id: string
  readonly key: CryptoKey
}

/** @throws invalid_request if the secret is too short to be one; the message does not hold it */
export async function importKey(secret: string): Promise<SigningKey> {
  if (secret.length < LEAST_SECRET) {
    throw new VergeError('invalid_request', `A key for signatures must have at least ${LEAST_SECRET} characters.`)
  }
  const bytes = new TextEncoder().encode(secret).slice()
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify'])
  return { id: toHex(new Uint8Array(await sha256(bytes))).slice(0, 8), key }
}

export interface SignedParts {
  readonly method: string
  /** With its query, as it is sent: `/run/digits?version=2`. */
  readonly path: string
  /** The caller on whose behalf the request is sent; empty for anonymous callers. */
  readonly caller: string
  /** As it is sent in `x-request-id`; empty if that is left out. */
  readonly requestId: string
  /** Bodies up to `DIGESTED_BYTES` are signed with their digest; larger or streamed bodies are not. */
  readonly body: Uint8Array<ArrayBuffer> | 'stream' | null
}

/**
 * @param stamp.now milliseconds since 1970, by the receiver's clock as well as it is known
 * @param stamp.nonce 128 random bits as 32 hexadecimal digits, never used before
 * @returns the headers to send; `x-request-id` is the caller's to add
 */
export async function signRequest(
  parts: SignedParts,
  key: SigningKey,
  stamp: { readonly now: number; readonly nonce: string },
): Promise<Record<string, string>> {
  const digest = await digestOf(parts.body)
  const caller = encodeCaller(parts.caller)
  const own: Record<string, string> = {
    ...(digest !== UNSIGNED && { [DIGEST_FIELD]: contentDigest(digest) }),
    ...(caller !== '' && { [CALLER_HEADER]: caller }),
  }
  const headers = new Headers({ ...own, ...(parts.requestId !== '' && { [REQUEST_ID_HEADER]: parts.requestId }) })
  const components = [...REQUIRED, DIGEST_FIELD, ...WHERE_PRESENT].flatMap((name) => {
    const value = componentValue(name, { ...parts, headers })
    return value === undefined ? [] : [[name, value] as const]
  })
  const parameters = new Map<string, string | number>([
    ['created', Math.floor(stamp.now / 1_000)],
    ['nonce', stamp.nonce],
    ['keyid', key.id],
    ['alg', ALGORITHM],
    ['tag', TAG],
  ])
  const base = new TextEncoder().encode(signatureBase(components, parameters))
  const signature = await crypto.subtle.sign('HMAC', key.key, base)
  return { ...own, ...signatureFields(LABEL, { components: components.map(([name]) => name), parameters, signature }) }
}

/** Whether a request claims to be signed by one of Verge's servers, rightly or not. */
export function claimsSignature(headers: Pick<Headers, 'get'>): boolean {
  return headers.get(INPUT_FIELD)?.includes(`tag="${TAG_PREFIX}`) === true || isOldScheme(headers)
}

function isOldScheme(headers: Pick<Headers, 'get'>): boolean {
  return OLD_SCHEME.test(headers.get('authorization') ?? '')
}

export type SignatureRefusal =
  | 'missing'
  | 'malformed'
  | 'unsupported_version'
  | 'unknown_key'
  | 'bad_signature'
  | 'clock_skew'
  | 'replayed'

export type SignatureVerdict =
  | {
      readonly ok: true
      readonly caller: string
      /** SHA-256 that the body must have, by `matches`; `unsigned` where it may be anything. */
      readonly digest: Digest
    }
  | { readonly ok: false; readonly reason: SignatureRefusal }

export interface VerifierOptions {
  /** Its `now` must count from 1970. */
  readonly clock: Pick<Clock, 'now'>
  /** How far a timestamp may be off, either way. */
  readonly windowMs?: number
  /** Nonces remembered. Two minutes at 800 requests a second; beyond that the window becomes shorter. */
  readonly nonces?: number
}

/**
 * Verifies signatures and remembers nonces. A process has one verifier for all requests. Processes with the same secret
 * do not share nonces, so a request can be replayed to another process within the window.
 */
export class SignatureVerifier {
  readonly #keys: readonly SigningKey[]
  readonly #clock: Pick<Clock, 'now'>
  readonly #windowMs: number
  readonly #nonces: NonceMemory

  /** @param keys all that are accepted: two while a secret is being replaced */
  constructor(keys: readonly SigningKey[], { clock, windowMs = 60_000, nonces = 100_000 }: VerifierOptions) {
    this.#keys = keys
    this.#clock = clock
    this.#windowMs = windowMs
    this.#nonces = new NonceMemory(nonces)
  }

  /**
   * The nonce counts as used only if everything else is valid, so that a caller without the secret cannot use up
   * nonces.
   * @param request.path with its query, as received
   */
  async verify(request: {
    readonly method: string
    readonly path: string
    readonly headers: Pick<Headers, 'get'>
  }): Promise<SignatureVerdict> {
    const { headers } = request
    const signatures = taggedSignatures(headers, TAG_PREFIX)
    if (signatures === undefined || signatures.length > 1) return refuse('malformed')
    const [signature] = signatures
    if (signature === undefined) return refuse(isOldScheme(headers) ? 'unsupported_version' : 'missing')
    if (signature.parameters.get('tag') !== TAG) return refuse('unsupported_version')
    const stamp = stampOf(signature)
    const name = decodeCaller(headers.get(CALLER_HEADER) ?? '')
    const longId = (headers.get(REQUEST_ID_HEADER) ?? '').length > MOST_REQUEST_ID
    const digest = digestIn(signature, headers)
    if (stamp === undefined || name === undefined || digest === undefined || longId) return refuse('malformed')

    const candidates = this.#keys.filter(({ id }) => id === stamp.key)
    if (candidates.length === 0) return refuse('unknown_key')
    const base = baseOf(signature, request)
    if (base === undefined || !(await anyVerifies(candidates, signature.signature, base)))
      return refuse('bad_signature')

    const now = this.#clock.now()
    const created = stamp.created * 1_000
    // the second that `created` names lasts until the next one
    const isOff = created > now + this.#windowMs || created + 999 < now - this.#windowMs
    if (isOff || this.#nonces.tooOld(created)) return refuse('clock_skew')
    if (!this.#nonces.claim(stamp.nonce, created, now - this.#windowMs - 999)) return refuse('replayed')
    return { ok: true, caller: name, digest }
  }

  /** Whether a body is the signed one; true for every body if the digest is `unsigned`. */
  async matches(digest: Digest, body: Uint8Array<ArrayBuffer>): Promise<boolean> {
    // Public either way: the digest came with the request, so comparing it tells nothing.
    return digest === UNSIGNED || toHex(digest) === toHex(new Uint8Array(await sha256(body)))
  }
}

function refuse(reason: SignatureRefusal): SignatureVerdict {
  return { ok: false, reason }
}

interface Stamp {
  /** Seconds since 1970. */
  readonly created: number
  readonly nonce: string
  readonly key: string
}

/** Undefined unless a signature has exactly the parameters and components that the rules above allow. */
function stampOf({ components, parameters }: MessageSignature): Stamp | undefined {
  const allowed =
    components.every((name) => KNOWN.has(name)) &&
    REQUIRED.every((name) => components.includes(name)) &&
    [...parameters.keys()].every((name) => PARAMETERS.has(name)) &&
    [undefined, ALGORITHM].includes(parameters.get('alg') as string | undefined)
  const created = parameters.get('created')
  const nonce = parameters.get('nonce')
  const key = parameters.get('keyid')
  if (!allowed || typeof created !== 'number' || typeof nonce !== 'string' || typeof key !== 'string') return undefined
  return Number.isInteger(created) && created >= 0 && NONCE.test(nonce) ? { created, nonce, key } : undefined
}

/** The digest that is signed; undefined if it is not of the form that it must have. */
function digestIn({ components }: MessageSignature, headers: Pick<Headers, 'get'>): Digest | undefined {
  return components.includes(DIGEST_FIELD) ? sha256OfContentDigest(headers.get(DIGEST_FIELD) ?? '') : UNSIGNED
}

/**
 * The text that must be signed; undefined if the request lacks a covered header, or has an uncovered header that must
 * be covered.
 */
function baseOf(
  { components, parameters }: MessageSignature,
  request: { readonly method: string; readonly path: string; readonly headers: Pick<Headers, 'get'> },
): string | undefined {
  if (WHERE_PRESENT.some((name) => request.headers.get(name) !== null && !components.includes(name))) return undefined
  const covered: (readonly [string, string])[] = []
  for (const name of components) {
    const value = componentValue(name, request)
    if (value === undefined) return undefined
    covered.push([name, value])
  }
  return signatureBase(covered, parameters)
}

/** Web Crypto compares in constant time. */
async function anyVerifies(keys: readonly SigningKey[], signature: ArrayBuffer, base: string): Promise<boolean> {
  const bytes = new TextEncoder().encode(base)
  for (const { key } of keys) if (await crypto.subtle.verify('HMAC', key, signature, bytes)) return true
  return false
}

function digestOf(body: SignedParts['body']): Promise<ArrayBuffer> | typeof UNSIGNED {
  if (body === null) return sha256(new Uint8Array(0))
  return body === 'stream' || body.length > DIGESTED_BYTES ? UNSIGNED : sha256(body)
}

function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  return crypto.subtle.digest('SHA-256', bytes)
}

/** Header values hold ASCII; everything else of a name, and `%`, goes as the `%xx` of its UTF-8 bytes. */
function encodeCaller(name: string): string {
  const encoded = Array.from(new TextEncoder().encode(name), (byte) =>
    byte > 0x20 && byte < 0x7f && byte !== 0x25
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).padStart(2, '0').toUpperCase()}`,
  ).join('')
  if (encoded.length > MOST_CALLER) {
    throw new VergeError('invalid_request', `A caller's name may have at most ${MOST_CALLER} characters when encoded.`)
  }
  return encoded
}

/** Undefined for values that the signer never writes. */
function decodeCaller(text: string): string | undefined {
  if (text.length > MOST_CALLER || !/^[\x21-\x7e]*$/.test(text)) return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
