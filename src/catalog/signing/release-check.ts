import { throwIfAborted, VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { LruMap } from '../../core/lru.ts'
import { type Clock, type Logger, type Sha256Factory, untilAborted, untilLate } from '../../core/runtime.ts'
import { sha256Hex } from '../../core/sha256.ts'
import type { Alias } from '../alias.ts'
import type { GenerationVerdict } from './generations.ts'
import type { ReleaseKey } from './public-keys.ts'
import {
  type AliasSignature,
  checkSignature,
  describeFault,
  isExpired,
  releaseBytes,
  type SignatureFault,
} from './signature.ts'

/** Remembers the newest release of each model for longer, and for more readers, than this process can. */
export interface ReleaseMemory {
  /**
   * Accepts a release unless a newer one was seen, and keeps its generation.
   * @throws anything if it cannot tell
   */
  keep(model: string, bytes: Uint8Array): Promise<GenerationVerdict>
}

export interface ReleaseCheckOptions {
  readonly keys: readonly ReleaseKey[]
  /** Without it only what this process has read itself counts. */
  readonly memory?: ReleaseMemory | undefined
  readonly sha256: Sha256Factory
  /** Counts from 1970: signatures end by it. */
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Pick<Limits, 'aliasesCached' | 'releaseGuardMs' | 'releaseGuardPauseMs' | 'releaseGraceMs'>
}

/** An alias as it was read, before anything of it is used. */
export interface ReadAlias {
  readonly model: string
  readonly bytes: Uint8Array
  /** The JSON in them, every field of it. */
  readonly value: unknown
  readonly generation: number
}

export interface AdmitOptions {
  /** False: what this process has seen is enough. For lists, which would ask once for each model. */
  readonly ask: boolean
  readonly signal?: AbortSignal | undefined
}

/** The newest release of a model that this process has let through. */
interface Seen {
  readonly digest: string
  readonly generation: number
  readonly signature: AliasSignature
  /** When the memory last accepted a release, by the clock; undefined if it was not asked. */
  readonly acceptedAt: number | undefined
  /** A request asks about this very release until then. If it is killed, the next one asks. */
  readonly askedUntil: number
}

/**
 * Lets aliases through that one of the accepted keys has signed, whose signature has not ended, and that are not older than
 * any that was seen. A signature is verified once for the same bytes.
 */
export class ReleaseCheck {
  readonly #options: ReleaseCheckOptions
  readonly #seen: LruMap<Seen>
  /** When the memory did not answer about a model. */
  readonly #away: LruMap<number>

  constructor(options: ReleaseCheckOptions) {
    this.#options = options
    this.#seen = new LruMap(options.limits.aliasesCached)
    this.#away = new LruMap(options.limits.aliasesCached)
  }

  /** @throws signature_invalid, release_outdated, store_unavailable, the signal's reason */
  async admit(alias: ReadAlias, { ask, signal }: AdmitOptions): Promise<void> {
    const { clock, keys, memory, sha256 } = this.#options
    const { model, bytes, value, generation } = alias
    const digest = await sha256Hex(sha256, releaseBytes(bytes, value))
    const before = this.#seen.get(model)
    let signature = before?.digest === digest ? before.signature : undefined
    if (signature === undefined) {
      const verdict = await checkSignature(bytes, value, keys)
      if (verdict.fault !== undefined) throw unsound(model, verdict.fault)
      signature = verdict.signature
    }
    if (isExpired(signature, clock.now())) throw unsound(model, 'expired')
    // again, because other requests may have read a newer one meanwhile
    const seen = this.#seen.get(model)
    if (seen !== undefined && seen.digest !== digest && generation <= seen.generation) {
      throw outdated(model, generation, seen.generation)
    }
    const release = { digest, generation, signature }
    const asked = ask && memory !== undefined
    const acceptedAt = asked ? await this.#ask(memory, alias, release, signal) : seen?.acceptedAt
    const now = this.#seen.get(model)
    if (now !== undefined && now.generation > generation) return
    this.#seen.set(model, { ...release, acceptedAt, askedUntil: 0 })
  }

  /** Whether an alias that was let through has ended since. */
  hasEnded({ signature }: Alias): boolean {
    return signature !== undefined && isExpired(signature, this.#options.clock.now())
  }

  /** A clock that was set back ends the pause. */
  #isPaused(model: string, now: number): boolean {
    const since = now - (this.#away.get(model) ?? Number.NEGATIVE_INFINITY)
    return since >= 0 && since < this.#options.limits.releaseGuardPauseMs
  }

  /** @returns when the memory has accepted a release of the model. @throws release_outdated, store_unavailable */
  async #ask(
    memory: ReleaseMemory,
    { model, bytes }: ReadAlias,
    release: Pick<Seen, 'digest' | 'generation' | 'signature'>,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const { clock, limits, logger } = this.#options
    throwIfAborted(signal)
    const now = clock.now()
    const seen = this.#seen.get(model)
    const isSame = seen?.digest === release.digest
    const graceful = seen?.acceptedAt !== undefined && now - seen.acceptedAt < limits.releaseGraceMs
    // a burst of requests after a pause asks once
    if (graceful && isSame && now < seen.askedUntil) return seen.acceptedAt
    let failure: unknown
    if (!this.#isPaused(model, now)) {
      if (seen !== undefined && isSame) this.#seen.set(model, { ...seen, askedUntil: now + limits.releaseGuardMs })
      try {
        const late = (): never => {
          throw new Error(`no answer within ${limits.releaseGuardMs} ms`)
        }
        const answer = untilLate(memory.keep(model, bytes), limits.releaseGuardMs, clock, late)
        const { accepted, generation } = await untilAborted(answer, signal)
        if (!accepted) throw outdated(model, release.generation, generation)
        return clock.now()
      } catch (error) {
        throwIfAborted(signal)
        if (error instanceof VergeError) throw error
        failure = error
        this.#away.set(model, clock.now())
        logger.error('release_guard_away', { model, error })
      }
    }
    // going forward from what was accepted a moment ago is no downgrade that this process could see
    if (graceful && release.generation >= seen.generation) return seen.acceptedAt
    throw new VergeError(
      'store_unavailable',
      `Verge cannot tell whether this release of model "${model}" is the newest one, because the object that keeps its ` +
        'generation does not answer. Try again in a moment.',
      { cause: failure, details: { model }, retryAfter: limits.releaseGuardPauseMs / 1000 },
    )
  }
}

function unsound(model: string, fault: SignatureFault): VergeError {
  return new VergeError(
    'signature_invalid',
    `The release of model "${model}" ${describeFault(fault)}. The operator of this deployment has to check the release and sign it.`,
    { details: { model, reason: fault } },
  )
}

function outdated(model: string, generation: number, newest: number): VergeError {
  return new VergeError(
    'release_outdated',
    `The release of model "${model}" that is stored is older than one that was seen before. The operator of this deployment has to ` +
      'check the stores and release again.',
    { details: { model, generation, newest } },
  )
}
