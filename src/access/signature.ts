import { toHex } from '../core/bytes.ts'
import { VergeError } from '../core/errors.ts'
import { REQUEST_ID_HEADER } from '../core/headers.ts'
import type { Clock } from '../core/runtime.ts'
import { NonceMemory } from './nonces.ts'

/**
 * Requests between Verge's own servers, signed with a secret that both hold: HMAC-SHA256 (RFC 2104) over what says who
 * asks for what and when. A request without a valid signature is nobody's; one that was seen before is refused.
 *
 * The header, with a timestamp in milliseconds since 1970 and hexadecimal digits in lower case:
 *
 *     authorization: Verge-HMAC-SHA256 key="<8>", ts="<ms>", nonce="<32>", digest="<64>|unsigned", signature="<64>"
 *
 * `key` is the beginning of the SHA-256 of the secret, so that secrets can be rotated. Signed are these lines, joined by
 * line feeds: `verge-hmac-v1`, the method, the path with its query, ts, nonce, digest, the header `verge-caller`, and the
 * header `x-request-id`. Bodies that are streamed are `unsigned`: for those, TLS alone stands against a change on the way.
 */
const SCHEME = 'Verge-HMAC-SHA256'
const VERSION = 'verge-hmac-v1'

const CALLER_HEADER = 'verge-caller'
/** On an answer that refuses a clock: the milliseconds since 1970 by the clock that refused. */
export const TIME_HEADER = 'verge-time'

/** Secrets are random text; 32 characters of hexadecimal digits are 128 bits. */
export const LEAST_SECRET = 32
/** Larger bodies are streamed: to digest them they would have to be held. */
export const DIGESTED_BYTES = 1024 * 1024
/** A caller's name on the wire: `service:` and a binding's name, percent-encoded. */
const MOST_CALLER = 512
const MOST_REQUEST_ID = 128

export const UNSIGNED = 'unsigned'

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
  return { id: (await sha256(bytes)).slice(0, 8), key }
}

export interface SignedParts {
  readonly method: string
  /** With its query, as it is sent: `/run/digits?version=2`. */
  readonly path: string
  /** On whose behalf; empty for nobody known. */
  readonly caller: string
  /** As it is sent in `x-request-id`; empty if that is left out. */
  readonly requestId: string
  /** Bytes up to `DIGESTED_BYTES` are signed with their digest; what is larger or streamed is not. */
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
  const ts = String(Math.floor(stamp.now))
  const caller = encodeCaller(parts.caller)
  const digest = await digestOf(parts.body)
  const text = signedText(parts.method, parts.path, ts, stamp.nonce, digest, caller, parts.requestId)
  const signature = toHex(new Uint8Array(await crypto.subtle.sign('HMAC', key.key, new TextEncoder().encode(text))))
  return {
    authorization: `${SCHEME} key="${key.id}", ts="${ts}", nonce="${stamp.nonce}", digest="${digest}", signature="${signature}"`,
    ...(caller !== '' && { [CALLER_HEADER]: caller }),
  }
}

export type Refusal = 'missing' | 'malformed' | 'unknown_key' | 'bad_signature' | 'clock_skew' | 'replayed'

export type Verdict =
  | {
      readonly ok: true
      readonly caller: string
      /** What the body must come to, by `matches`; `unsigned` where it may be anything. */
      readonly digest: string
    }
  | { readonly ok: false; readonly reason: Refusal }

export interface VerifierOptions {
  /** Its `now` must count from 1970. */
  readonly clock: Pick<Clock, 'now'>
  /** How far a timestamp may be off, either way. */
  readonly windowMs?: number
  /** Nonces remembered. Two minutes at 800 requests a second; beyond that the window becomes shorter. */
  readonly nonces?: number
}

/**
 * Verifies signatures and remembers nonces. A process has one for all its requests; processes that share a secret do not
 * share what they remember, so a request can be replayed to another process within the window.
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
   * The nonce counts as used only if all else is right, so that nobody without the secret can use up anybody's.
   * @param request.path with its query, as it came
   */
  async verify(request: {
    readonly method: string
    readonly path: string
    readonly headers: Pick<Headers, 'get'>
  }): Promise<Verdict> {
    const header = request.headers.get('authorization')
    if (header === null || !startsWithScheme(header)) return refuse('missing')
    const fields = parse(header)
    const caller = request.headers.get(CALLER_HEADER) ?? ''
    const requestId = request.headers.get(REQUEST_ID_HEADER) ?? ''
    const name = decodeCaller(caller)
    if (fields === undefined || name === undefined || requestId.length > MOST_REQUEST_ID) return refuse('malformed')

    const candidates = this.#keys.filter(({ id }) => id === fields.key)
    if (candidates.length === 0) return refuse('unknown_key')
    const { ts, nonce, digest } = fields
    const text = signedText(request.method, request.path, ts, nonce, digest, caller, requestId)
    if (!(await anyVerifies(candidates, fields.signature, text))) return refuse('bad_signature')

    const now = this.#clock.now()
    const timestamp = Number(ts)
    if (Math.abs(now - timestamp) > this.#windowMs || this.#nonces.tooOld(timestamp)) return refuse('clock_skew')
    if (!this.#nonces.claim(nonce, timestamp, now - this.#windowMs)) return refuse('replayed')
    return { ok: true, caller: name, digest }
  }

  /** Whether a body is the one that was signed; true of every body where that was left `unsigned`. */
  async matches(digest: string, body: Uint8Array<ArrayBuffer>): Promise<boolean> {
    // Public either way: the digest came with the request, so comparing it tells nothing.
    return digest === UNSIGNED || digest === (await sha256(body))
  }
}

function refuse(reason: Refusal): Verdict {
  return { ok: false, reason }
}

function startsWithScheme(header: string): boolean {
  return header.slice(0, SCHEME.length + 1).toLowerCase() === `${SCHEME.toLowerCase()} `
}

/** Exactly the form above: there is one signer, and it writes no other. */
const HEADER =
  /^[A-Za-z0-9-]+ key="([0-9a-f]{8})", ts="(\d{1,15})", nonce="([0-9a-f]{32})", digest="([0-9a-f]{64}|unsigned)", signature="([0-9a-f]{64})"$/

interface Fields {
  readonly key: string
  readonly ts: string
  readonly nonce: string
  readonly digest: string
  readonly signature: string
}

function parse(header: string): Fields | undefined {
  const match = HEADER.exec(header)
  if (match === null) return undefined
  const [, key = '', ts = '', nonce = '', digest = '', signature = ''] = match
  return { key, ts, nonce, digest, signature }
}

function signedText(...lines: readonly [string, string, string, string, string, string, string]): string {
  // None of them can hold a line feed: they come from request lines, headers, or the pattern above.
  return [VERSION, ...lines].join('\n')
}

/** Web Crypto compares in constant time. */
async function anyVerifies(keys: readonly SigningKey[], signature: string, text: string): Promise<boolean> {
  const expected = Uint8Array.from(signature.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
  const bytes = new TextEncoder().encode(text)
  for (const { key } of keys) if (await crypto.subtle.verify('HMAC', key, expected, bytes)) return true
  return false
}

function digestOf(body: SignedParts['body']): Promise<string> | string {
  if (body === null) return sha256(new Uint8Array(0))
  return body === 'stream' || body.length > DIGESTED_BYTES ? UNSIGNED : sha256(body)
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)))
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

/** Undefined for what the signer would not have written. */
function decodeCaller(text: string): string | undefined {
  if (text.length > MOST_CALLER || !/^[\x21-\x7e]*$/.test(text)) return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
