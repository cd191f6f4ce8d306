import type { RequestObservation } from '../observation.ts'
import type { GaugeReading } from './block.ts'
import { OTHER } from './definitions.ts'

/** What one model's requests could have spent here, and what they did. */
interface Share {
  used: number
  granted: number
}

/** Models that are told apart; an isolate serves a few at a time. */
const MOST_MODELS = 64

/**
 * How much of the CPU time that requests may take they do take: the units of their runs, over the units that each may spend. In
 * production no clock measures CPU time, so that the units stand for it.
 */
export class CpuUse {
  readonly #unitsEach: number
  readonly #models = new Map<string, Share>()

  /** @param unitsEach units that one request may spend at most */
  constructor(unitsEach: number) {
    this.#unitsEach = unitsEach
  }

  add({ model, originUnits, place, start, units }: RequestObservation): void {
    // What the cache answered, or another place, took no CPU time here.
    if (place !== 'edge' || start === undefined || start === 'cached') return
    const known = this.#models.has(model) || this.#models.size < MOST_MODELS ? model : OTHER
    const share = this.#models.get(known) ?? { used: 0, granted: 0 }
    share.used += Math.max(0, units - originUnits)
    share.granted += this.#unitsEach
    this.#models.set(known, share)
  }

  get readings(): GaugeReading[] {
    return [...this.#models].map(([model, { granted, used }]) => ratio('cpu', model, used, granted))
  }
}

/** @param model `''` for the whole isolate */
export function ratio(resource: 'cpu' | 'heap', model: string, used: number, granted: number): GaugeReading {
  return { name: 'verge_utilization_ratio', labels: [resource, model], value: used, of: granted }
}
