import type { Clock } from '../../core/runtime.ts'
import { isWithin, type Span } from '../../core/span.ts'
import type { RequestObservation } from '../../telemetry/observation.ts'
import type { Share } from './evidence.ts'

/** How long an origin took for a request, and how much the request asked for. */
interface Timed {
  readonly origin: string
  /** Tokens where there are some, else cost units. */
  readonly size: number
  readonly ms: number
}

/** Requests of the stable version that wait for a like one of the canary. */
const MOST_KEPT = 32
/** Sizes within a fourth are alike. */
const ALIKE = 1.25

/**
 * Pairs of one request of the canary and one of the stable version, at the same origin, of about the same size and at about
 * the same time. Each request is in one pair at most. The isolate's clock is right here, because it waits for the origin.
 */
export class LikeRequests {
  readonly #clock: Pick<Clock, 'now'>
  readonly #windowMs: number
  #stable: (Timed & { readonly kept: Span })[] = []

  /** @param windowMs between the ends of both requests at most: an origin may be slower since */
  constructor(clock: Pick<Clock, 'now'>, windowMs: number) {
    this.#clock = clock
    this.#windowMs = windowMs
  }

  /** @returns a pair, and whether the canary took longer than tolerated; undefined where there is no like request */
  seen(observation: RequestObservation, isCanary: boolean, tolerated: number): Share | undefined {
    const timed = timedOf(observation)
    if (timed === undefined) return undefined
    const now = this.#clock.now()
    if (!isCanary) {
      this.#stable = [...this.#stable.slice(1 - MOST_KEPT), { ...timed, kept: { at: now, ms: this.#windowMs } }]
      return undefined
    }
    const at = this.#stable.findLastIndex(
      ({ kept, origin, size }) => origin === timed.origin && isWithin(kept, now) && areAlike(size, timed.size),
    )
    const like = this.#stable[at]
    if (like === undefined) return undefined
    this.#stable = this.#stable.toSpliced(at, 1)
    return { count: timed.ms > tolerated * like.ms ? 1 : 0, of: 1 }
  }
}

function timedOf(seen: RequestObservation): Timed | undefined {
  const { code, inputTokens, origin, originFirstMs, originMs = 0, originUnits, outputTokens, paced } = seen
  // A caller that reads slowly delays the end of an answer, and not its beginning.
  const ms = originFirstMs ?? originMs
  if (code !== 'ok' || origin === undefined || paced === true || ms <= 0) return undefined
  const size = inputTokens + outputTokens || originUnits
  return size > 0 ? { origin, size, ms } : undefined
}

function areAlike(one: number, other: number): boolean {
  return Math.max(one, other) <= ALIKE * Math.min(one, other)
}
