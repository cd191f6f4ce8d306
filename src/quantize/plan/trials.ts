import { bytesAt, type PrecisionPlan, planOf, type Unit } from './precision-levels.ts'

/** One model that was measured on the way to a plan. */
export interface PlanTrial {
  readonly what: string
  /** Bytes of the weights that the plan is about. */
  readonly bytes: number
  readonly accuracy: number
  readonly fits: boolean
}

/** Index of each unit's level. */
export type ChosenLevels = readonly number[]

export interface TrialOptions {
  readonly units: readonly Unit[]
  readonly quantizeWith: (plan: PrecisionPlan) => Promise<Uint8Array>
  readonly evaluate: (model: Uint8Array) => Promise<number>
  readonly confirm?: (model: Uint8Array) => Promise<number>
  /** Percentage points. */
  readonly maxDrop: number
  readonly signal: AbortSignal
  readonly progress?: (what: string, done: number) => void
}

/** Scores are sums of ones divided by a count: rounding must not decide. */
const ROUNDING = 1e-9

/** Builds and measures plans, each once. */
export class Trials {
  readonly done: PlanTrial[] = []
  readonly #options: TrialOptions
  readonly #scores = new Map<string, number>()
  readonly #confirmed = new Map<string, number>()
  /** The original's score; nothing fits before it is known. */
  baseline = Number.NaN

  constructor(options: TrialOptions) {
    this.#options = options
  }

  /** Models that were measured. */
  get count(): number {
    return this.#scores.size + this.#confirmed.size
  }

  async fits(what: string, chosen: ChosenLevels): Promise<boolean> {
    return this.#within(await this.score(what, chosen), this.baseline)
  }

  async score(what: string, chosen: ChosenLevels): Promise<number> {
    const known = this.#scores.get(key(chosen))
    if (known !== undefined) return known
    const accuracy = await this.#measure(what, this.#options.evaluate, chosen)
    this.#scores.set(key(chosen), accuracy)
    const baseline = Number.isNaN(this.baseline) ? accuracy : this.baseline
    const bytes = bytesAt(this.#options.units, chosen)
    this.done.push({ what, bytes, accuracy, fits: this.#within(accuracy, baseline) })
    return accuracy
  }

  /** Whether a plan keeps the budget on the samples held back; true where there are none. */
  async confirms(chosen: ChosenLevels, top: ChosenLevels): Promise<boolean> {
    const baseline = await this.confirmation(top)
    const accuracy = await this.confirmation(chosen)
    return baseline === undefined || accuracy === undefined || this.#within(accuracy, baseline)
  }

  async confirmation(chosen: ChosenLevels): Promise<number | undefined> {
    const { confirm } = this.#options
    if (confirm === undefined) return undefined
    const known = this.#confirmed.get(key(chosen))
    if (known !== undefined) return known
    const accuracy = await this.#measure('samples held back', confirm, chosen)
    this.#confirmed.set(key(chosen), accuracy)
    return accuracy
  }

  #within(accuracy: number, baseline: number): boolean {
    return accuracy >= baseline - this.#options.maxDrop / 100 - ROUNDING
  }

  async #measure(what: string, by: (model: Uint8Array) => Promise<number>, chosen: ChosenLevels): Promise<number> {
    const { units, quantizeWith, signal, progress } = this.#options
    signal.throwIfAborted()
    progress?.(what, this.count)
    const model = await quantizeWith(planOf(units, chosen))
    signal.throwIfAborted()
    return by(model)
  }
}

function key(chosen: ChosenLevels): string {
  return chosen.join(',')
}
