import type { Clock } from '../../core/runtime.ts'
import { UNIT_SECONDS } from '../../core/units.ts'
import type { RequestObservation } from '../observation.ts'
import type { GaugeReading } from './block.ts'
import { OTHER } from './definitions.ts'

/** What the requests of late could have spent here, and what they did. Both fade with time. */
interface Share {
  used: number
  granted: number
  /** When both were what they are. */
  at: number
}

export interface CpuUseOptions {
  /** Units that one request may spend at most. */
  readonly unitsEach: number
  readonly clock: Pick<Clock, 'now'>
}

/** Models that are told apart; an isolate serves a few at a time. */
const MOST_MODELS = 64
/** What came so long ago counts 1/e of what comes now: the figures are of the last minute or two. */
const FADING_MS = 60_000
/** A model without a request for so long is not reported any more, and has another one in its place. */
const REPORTED_MS = 300_000

/**
 * How much of the CPU time that there is the requests of late took. In production no clock measures CPU time, so that the
 * units of runs stand for it: those of a model's requests over the units that each may spend, and those of all together over
 * the units that one core computes meanwhile.
 */
export class CpuUse {
  readonly #options: CpuUseOptions
  readonly #models = new Map<string, Share & { last: number }>()
  readonly #whole: Share = { used: 0, granted: 0, at: 0 }
  /** When the first request came; undefined until it has. */
  #began: number | undefined

  constructor(options: CpuUseOptions) {
    this.#options = options
  }

  add({ model, originUnits, place, start, units }: RequestObservation): void {
    const { clock, unitsEach } = this.#options
    const now = clock.now()
    this.#began ??= now
    // What the cache answered, or another place, took no CPU time here.
    if (place !== 'edge' || start === undefined || start === 'cached') return
    const known = this.#models.has(model) || this.#models.size < MOST_MODELS ? model : OTHER
    const share = this.#models.get(known) ?? { used: 0, granted: 0, at: now, last: now }
    share.last = now
    this.#models.set(known, share)
    const spent = Math.max(0, units - originUnits)
    addTo(share, spent, unitsEach, now)
    addTo(this.#whole, spent, 0, now)
  }

  get readings(): GaugeReading[] {
    const now = this.#options.clock.now()
    for (const [model, share] of this.#models) {
      addTo(share, 0, 0, now)
      if (now - share.last > REPORTED_MS) this.#models.delete(model)
    }
    addTo(this.#whole, 0, 0, now)
    const granted = this.#grantedBy(now)
    return [
      // A clock that stood still has seen less time than the runs took.
      ratio('cpu', '', Math.min(this.#whole.used, granted), granted),
      ...[...this.#models].map(([model, share]) => ratio('cpu', model, share.used, share.granted)),
    ]
  }

  /** Units that one core computes in the time that is remembered, which fades as they do. */
  #grantedBy(now: number): number {
    const age = Math.max(0, now - (this.#began ?? now))
    return ((FADING_MS / 1000) * (1 - Math.exp(-age / FADING_MS))) / UNIT_SECONDS
  }
}

function addTo(share: Share, used: number, granted: number, now: number): void {
  // Nothing fades while a clock goes back.
  const left = Math.exp(-Math.max(0, now - share.at) / FADING_MS)
  share.used = share.used * left + used
  share.granted = share.granted * left + granted
  share.at = now
}

/** @param model `''` for the whole isolate */
export function ratio(resource: 'cpu' | 'heap', model: string, used: number, granted: number): GaugeReading {
  return { name: 'verge_utilization_ratio', labels: [resource, model], value: used, of: granted }
}
