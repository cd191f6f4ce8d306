import { VergeError } from './error.ts'
import type { ClientClock } from './runtime.ts'

/** What requests are authorized with. */
export interface Credentials {
  /** The credential for the next request; undefined where none is needed. @throws VergeError token_unavailable */
  current(): Promise<string | undefined>
  /**
   * Another credential than one that the server refused; undefined where there is no other.
   * @throws VergeError token_unavailable
   */
  renewed(refused: string): Promise<string | undefined>
  /** Whether a credential is sent: answers then depend on the caller. */
  readonly isUsed: boolean
}

export interface CredentialOptions {
  readonly key?: string | undefined
  readonly token?: string | (() => Promise<string>) | undefined
}

/** How long before its end a token is replaced: a request that is on its way still arrives with a valid one. */
const EARLY_MS = 30_000
/** Tokens of a few minutes are used for nine tenths of their life, so that they are not renewed for every request. */
const EARLY_SHARE = 0.1
/** A function that has not answered by then is called again: its promise may never settle. */
const PATIENCE_MS = 30_000

/** @throws VergeError, TypeError if a header cannot hold the key or the token */
export function credentialsOf({ key, token }: CredentialOptions, clock: Pick<ClientClock, 'now'>): Credentials {
  if (key !== undefined && token !== undefined) {
    throw new VergeError('invalid_request', 'The client takes either "key" or "token". Leave one of them out.')
  }
  if (typeof token === 'function') return new RenewedTokens(token, clock)
  const fixed = key ?? token
  // Refuses what no header can hold before the first request.
  if (fixed !== undefined) assertSendable(fixed)
  return { current: async () => fixed, renewed: async () => undefined, isUsed: fixed !== undefined }
}

/** @throws TypeError without the credential in it: the runtime's own error has the whole header, and ends in logs */
function assertSendable(credential: string): void {
  try {
    new Headers({ authorization: `Bearer ${credential}` })
  } catch {
    throw new TypeError('The key or token has characters that no header can hold. Copy it again, without line breaks.')
  }
}

/** Tokens of a function, each used until shortly before its end. They are held in memory alone. */
class RenewedTokens implements Credentials {
  readonly isUsed = true
  readonly #make: () => Promise<string>
  readonly #clock: Pick<ClientClock, 'now'>
  #held: { readonly token: string; readonly until: number } | undefined
  /** The renewal under way, which all requests wait for together. */
  #renewal: { readonly token: Promise<string>; readonly since: number } | undefined

  constructor(make: () => Promise<string>, clock: Pick<ClientClock, 'now'>) {
    this.#make = make
    this.#clock = clock
  }

  async current(): Promise<string> {
    return this.#held !== undefined && this.#clock.now() < this.#held.until ? this.#held.token : this.#renew()
  }

  async renewed(refused: string): Promise<string | undefined> {
    // Another request may have been refused with the same token, and have replaced it.
    if (this.#held?.token === refused) this.#held = undefined
    const token = await this.current()
    return token === refused ? undefined : token
  }

  #renew(): Promise<string> {
    const now = this.#clock.now()
    if (this.#renewal !== undefined && now - this.#renewal.since < PATIENCE_MS) return this.#renewal.token
    const renewal = { token: this.#made(), since: now }
    this.#renewal = renewal
    const over = (): void => {
      if (this.#renewal === renewal) this.#renewal = undefined
    }
    renewal.token.then(over, over)
    return renewal.token
  }

  async #made(): Promise<string> {
    const token = await made(this.#make)
    // By this device's clock from now on: it may differ from the clock of whoever minted the token.
    const lifeMs = lifeOf(token)
    const until = this.#clock.now() + lifeMs - Math.min(EARLY_MS, lifeMs * EARLY_SHARE)
    this.#held = { token, until }
    return token
  }
}

async function made(make: () => Promise<string>): Promise<string> {
  try {
    const token: unknown = await make()
    if (typeof token !== 'string' || token === '') throw new TypeError('The function "token" gave no text.')
    assertSendable(token)
    return token
  } catch (cause) {
    throw new VergeError(
      'token_unavailable',
      'The client\'s function "token" gave no token. It must resolve with the text of one, such as the field "token" of POST /v1/tokens.',
      { cause },
    )
  }
}

/** Milliseconds from when a token was made until it ends, as it says itself; `Infinity` where it does not. */
function lifeOf(token: string): number {
  try {
    const [, payload = ''] = token.split('.')
    const { exp, iat } = JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/'))) as Partial<
      Record<string, unknown>
    >
    if (typeof exp === 'number' && typeof iat === 'number' && exp > iat) return (exp - iat) * 1000
  } catch {
    // Not a JSON Web Token.
  }
  return Number.POSITIVE_INFINITY
}
