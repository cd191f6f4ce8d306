import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { type Clock, type Logger, type RequestContext, untilLate } from '../../core/runtime.ts'
import { SingleFlight } from '../../core/single-flight.ts'
import type { CallerContext } from '../credentials.ts'
import { type Algorithm, keyFor, type PublicKey, parseKeySet, writeKeySet } from './key-set.ts'

/** Key sets as isolates leave them for each other. */
export interface KeySetCopies {
  /** Null where there is none. Whoever writes copies may sign in as anybody, as whoever writes key records may. */
  read(name: string): Promise<string | null>
  write(name: string, text: string): Promise<void>
}

export interface IssuerKeysOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Pick<
    Limits,
    'signInFreshMs' | 'signInMostAgeMs' | 'signInPauseMs' | 'signInPollMs' | 'signInStaleMs' | 'signInCopyMs'
  >
  readonly copies: KeySetCopies
  /** Asks the issuer. @returns the text of its key set @throws where it does not answer as it should */
  readonly fetchKeys: (url: string) => Promise<string>
}

/** Where an issuer's keys are. */
export interface KeySource {
  readonly name: string
  readonly jwks: string
}

interface KnownKeys {
  readonly keys: readonly PublicKey[]
  /** Milliseconds since 1970. */
  readonly fetchedAt: number
}

/** What a copy in the store may be ahead of this clock. */
const MOST_AHEAD_MS = 60_000

/**
 * The keys of one issuer: from the isolate's memory, else as another isolate left them, else from the issuer. Keys are
 * fetched again before they are old, and once in `signInPauseMs` where a token names one that is not among them. If the
 * issuer does not answer, the last keys stay in use until they have `signInMostAgeMs`.
 */
export class IssuerKeys {
  readonly #source: KeySource
  readonly #options: IssuerKeysOptions
  readonly #flights: SingleFlight<undefined>
  #known: KnownKeys | undefined
  #lastTry: number | undefined

  constructor(source: KeySource, options: IssuerKeysOptions) {
    this.#source = source
    this.#options = options
    const { clock, limits } = options
    // `sleep` is on a timer of the request that waits: no request waits for a promise of another one.
    this.#flights = new SingleFlight({ clock, staleMs: limits.signInStaleMs, pollMs: limits.signInPollMs })
  }

  /**
   * The key of a name; undefined where the issuer has no such key.
   * @throws store_unavailable if no keys are known that may be used, cancelled, deadline_exceeded
   */
  async find(keyId: string | undefined, algorithm: Algorithm, caller: CallerContext): Promise<PublicKey | undefined> {
    const context: RequestContext = {
      requestId: '',
      signal: caller.signal ?? new AbortController().signal,
      waitUntil: caller.waitUntil,
    }
    const has = ({ keys }: KnownKeys): PublicKey | undefined => keyFor(keys, keyId, algorithm)
    const { signInFreshMs } = this.#options.limits
    const age = this.#age()
    if (age === undefined || age > signInFreshMs) {
      if (this.#isWorthAsking()) await this.#refresh(() => true, context)
    } else if (age > signInFreshMs / 2 && this.#mayAsk()) this.#refreshBehind(context)
    const found = has(this.#usable())
    if (found !== undefined) return found
    // Two rounds: the first may have been begun for another key, and have ended with a copy that has that one alone.
    for (let round = 0; round < 2; round++) {
      if (!this.#isWorthAsking()) return undefined
      await this.#refresh((known) => has(known) !== undefined, context)
      const key = has(this.#usable())
      if (key !== undefined) return key
    }
    return undefined
  }

  /** How old the known keys are; undefined where none are known, or a clock has jumped back behind them. */
  #age(): number | undefined {
    if (this.#known === undefined) return undefined
    const age = this.#options.clock.now() - this.#known.fetchedAt
    return age < -MOST_AHEAD_MS ? undefined : age
  }

  #usable(): KnownKeys {
    const age = this.#age()
    if (this.#known !== undefined && age !== undefined && age <= this.#options.limits.signInMostAgeMs)
      return this.#known
    throw new VergeError(
      'store_unavailable',
      `The sign-in "${this.#source.name}" cannot be checked, because its issuer does not answer. Try again later.`,
      { retryAfter: Math.ceil(this.#options.limits.signInPauseMs / 1000) },
    )
  }

  /** Whether the pause since the issuer was asked last is over. It is also over if the clock has jumped back. */
  #mayAsk(): boolean {
    if (this.#lastTry === undefined) return true
    return Math.abs(this.#options.clock.now() - this.#lastTry) >= this.#options.limits.signInPauseMs
  }

  #isWorthAsking(): boolean {
    return this.#mayAsk() || this.#flights.isUnderWay(this.#source.name)
  }

  /** Renews keys that are still good, while the request goes on. */
  #refreshBehind(context: RequestContext): void {
    if (this.#flights.isUnderWay(this.#source.name)) return
    context.waitUntil(this.#refresh(() => true, context).catch(() => {}))
  }

  /** @param enough whether a copy will do: it is asked for before the issuer is */
  #refresh(enough: (known: KnownKeys) => boolean, context: RequestContext): Promise<undefined> {
    return this.#flights.run(
      this.#source.name,
      async () => {
        const copy = await this.#copy()
        if (copy !== undefined && copy.fetchedAt > (this.#known?.fetchedAt ?? Number.NEGATIVE_INFINITY)) {
          this.#known = copy
          const isFresh = (this.#age() ?? 0) <= this.#options.limits.signInFreshMs / 2
          if (isFresh && enough(copy)) return undefined
        }
        if (this.#mayAsk()) await this.#ask(context)
        return undefined
      },
      context,
    )
  }

  async #ask(context: RequestContext): Promise<void> {
    const { clock, logger, fetchKeys } = this.#options
    const { name, jwks } = this.#source
    this.#lastTry = clock.now()
    try {
      const keys = parseKeySet(await fetchKeys(jwks))
      if (keys === undefined) throw new Error('The answer is no key set with a public key for signatures.')
      this.#known = { keys, fetchedAt: clock.now() }
      context.waitUntil(this.#leaveCopy(this.#known))
    } catch (cause) {
      const age = this.#age()
      logger.warn('sign_in_keys_unavailable', { issuer: name, keyAgeMs: age, cause })
    }
  }

  /** Undefined if there is none, it is of another address, or it cannot be used. */
  async #copy(): Promise<KnownKeys | undefined> {
    const { clock, copies, limits } = this.#options
    try {
      const text = await untilLate(copies.read(this.#source.name), limits.signInCopyMs, clock, () => null)
      if (text === null) return undefined
      const stored: unknown = JSON.parse(text)
      if (typeof stored !== 'object' || stored === null) return undefined
      const { schema, jwks, fetchedAt, keySet } = stored as Readonly<Record<string, unknown>>
      if (schema !== 1 || jwks !== this.#source.jwks || typeof fetchedAt !== 'number') return undefined
      const age = clock.now() - fetchedAt
      if (!(age >= -MOST_AHEAD_MS && age <= limits.signInMostAgeMs) || typeof keySet !== 'string') return undefined
      const keys = parseKeySet(keySet)
      return keys && { keys, fetchedAt }
    } catch {
      return undefined
    }
  }

  async #leaveCopy({ keys, fetchedAt }: KnownKeys): Promise<void> {
    const copy = { schema: 1, jwks: this.#source.jwks, fetchedAt, keySet: writeKeySet(keys) }
    // KV takes one write a second for each key: another isolate has then left the same.
    await this.#options.copies.write(this.#source.name, JSON.stringify(copy)).catch(() => {})
  }
}
