import { OnnxError } from '../../onnx/errors.ts'
import {
  bytesAt,
  levelAt,
  movesOf,
  type PlanLayer,
  type Precision,
  type PrecisionPlan,
  planOf,
  type Unit,
  unitsOf,
} from './precision-levels.ts'
import { measureSensitivity } from './sensitivity.ts'
import { type ChosenLevels, type PlanTrial, Trials } from './trials.ts'

export type { PlanLayer, Precision, PrecisionPlan } from './precision-levels.ts'
export type { PlanTrial } from './trials.ts'

/** How much weights matter: the error of the outputs where they alone are lowered. */
export interface LayerSensitivity {
  readonly nodes: readonly string[]
  readonly errors: Readonly<Partial<Record<Precision, number>>>
}

export interface PrecisionPlanOptions {
  readonly layers: readonly PlanLayer[]
  /** The whole model with these precisions, as bytes. */
  readonly quantizeWith: (plan: PrecisionPlan) => Promise<Uint8Array>
  /** Share of the samples that a model answers well, 0 to 1: right, or as the original does. */
  readonly evaluate: (model: Uint8Array) => Promise<number>
  /**
   * Distance of a model's outputs from the original's, finer than `evaluate`, on a few samples: 0 for none. Accuracy on
   * few samples does not see a single layer. What `evaluate` loses, if left out.
   */
  readonly error?: (model: Uint8Array) => Promise<number>
  /** `evaluate` on samples that have no part in the choice. The plan chosen must keep the budget on these too. */
  readonly confirm?: (model: Uint8Array) => Promise<number>
  /** Percentage points that accuracy may fall. */
  readonly maxDrop: number
  /** The least precision to try; `q4` if left out. */
  readonly lowest?: Precision
  /** What `evaluate` gives for the original; measured on the plan of nothing but `fp32` if left out. */
  readonly baseline?: number
  /** Models given to `evaluate` and `confirm`, at most; 10 are the least that a search can do with. */
  readonly maxEvaluations?: number
  /** Models given to `error`, at most. */
  readonly maxSensitivity?: number
  readonly signal: AbortSignal
  readonly progress?: (step: string, done: number, total: number) => void
}

export interface MixedPrecision {
  readonly plan: PrecisionPlan
  /** Bytes of the layers' weights. */
  readonly bytes: number
  readonly baseline: number
  readonly accuracy: number
  /** On the samples that had no part in the choice. */
  readonly confirmed?: { readonly baseline: number; readonly accuracy: number }
  /** Models given to `evaluate` and `confirm`. */
  readonly evaluated: number
  readonly trace: readonly PlanTrial[]
  /** Empty where the choice needed none. */
  readonly sensitivity: readonly LayerSensitivity[]
}

const MAX_EVALUATIONS = 32
const MAX_SENSITIVITY = 160
/** The search needs these at least: nothing quantized, the lowest, nothing but int8, and one between. */
const SEARCH_EVALUATIONS = 4
/** What confirming may take: the original, the plan, two larger ones on both kinds of samples, less what is known. */
const CONFIRM_EVALUATIONS = 6

/**
 * The smallest mix of precisions that was found to keep accuracy within a budget.
 *
 * All layers at the lowest precision, if that fits. Otherwise layers are raised in the order of the error that this takes
 * away a byte, as many as a binary search says; what was raised for nothing is lowered again. Every plan that is
 * returned was measured: the search assumes that more precision is no worse, and where that is not so, it finds a larger
 * plan and never one over budget. Where nothing but `int8` fits, the result is no larger, unless samples that were held
 * back ask for it.
 * @throws OnnxError bad_options; disagrees where even the model without a quantized layer is over budget
 */
export async function planMixedPrecision(options: PrecisionPlanOptions): Promise<MixedPrecision> {
  if (!(options.maxDrop >= 0 && options.maxDrop <= 100)) {
    throw new OnnxError('bad_options', 'The maximum drop must be a number of percentage points from 0 to 100.')
  }
  return new Planner(options).plan()
}

class Planner {
  readonly #options: PrecisionPlanOptions
  readonly #units: readonly Unit[]
  readonly #bottom: ChosenLevels
  readonly #top: ChosenLevels
  readonly #trials: Trials
  /** Evaluations that the search may take. */
  readonly #search: number
  #sensitivity: readonly LayerSensitivity[] = []

  constructor(options: PrecisionPlanOptions) {
    const { layers, lowest = 'q4', maxEvaluations = MAX_EVALUATIONS, progress, ...measuring } = options
    this.#options = options
    this.#units = unitsOf(layers, lowest)
    this.#bottom = this.#units.map(() => 0)
    this.#top = this.#units.map(({ levels }) => levels.length - 1)
    const kept = options.confirm === undefined ? 1 : CONFIRM_EVALUATIONS
    this.#search = Math.max(SEARCH_EVALUATIONS, maxEvaluations - kept)
    this.#trials = new Trials({
      ...measuring,
      units: this.#units,
      ...(progress && { progress: (what, done) => progress(what, done, this.#search + kept) }),
    })
  }

  async plan(): Promise<MixedPrecision> {
    this.#trials.baseline = this.#options.baseline ?? (await this.#trials.score('fp32', this.#top))
    if (!Number.isFinite(this.#trials.baseline)) {
      throw new OnnxError(
        'disagrees',
        'The accuracy of the original on these samples is not a number. Check the samples.',
      )
    }
    let path = [this.#bottom]
    let chosen = 0
    if (!(await this.#trials.fits('lowest', this.#bottom))) {
      path = await this.#path()
      chosen = await this.#firstThatFits(path)
    }
    const pruned = await this.#pruned(path[chosen] as ChosenLevels)
    return this.#result(await this.#confirmed(pruned, path, chosen))
  }

  /** Plans from the lowest to one that fits, each with one more step than the one before. */
  async #path(): Promise<ChosenLevels[]> {
    const int8 = this.#units.map((unit) => levelAt(unit, 'int8'))
    const enough = await this.#trials.fits('int8', int8)
    const errors = await this.#errors()
    const path = [this.#bottom]
    for (const { unit, to } of movesOf(this.#units, errors, enough ? 'int8' : 'fp32')) {
      path.push((path.at(-1) as ChosenLevels).map((level, index) => (index === unit ? to : level)))
    }
    return path
  }

  async #errors(): Promise<number[][]> {
    const { quantizeWith, evaluate, error, signal, progress, maxSensitivity = MAX_SENSITIVITY } = this.#options
    const lost = async (model: Uint8Array): Promise<number> =>
      Math.max(0, this.#trials.baseline - (await evaluate(model)))
    const errors = await measureSensitivity({
      units: this.#units,
      quantizeWith,
      error: error ?? lost,
      most: maxSensitivity,
      signal,
      ...(progress && { progress: (done, total) => progress('sensitivity', done, total) }),
    })
    this.#sensitivity = this.#units.map(({ nodes, levels }, unit) => ({
      nodes,
      errors: Object.fromEntries(levels.map(({ precision }, level) => [precision, errors[unit]?.[level] ?? 0])),
    }))
    return errors
  }

  /** The first of the path that fits, as far as a binary search can tell. The last is known to. */
  async #firstThatFits(path: readonly ChosenLevels[]): Promise<number> {
    let over = 0
    let fits = path.length - 1
    while (fits - over > 1 && this.#trials.count < this.#search) {
      const middle = (over + fits) >> 1
      if (await this.#trials.fits(`${middle} of ${path.length - 1} steps up`, path[middle] as ChosenLevels))
        fits = middle
      else over = middle
    }
    return fits
  }

  /** Lowers again what was raised for nothing, the most bytes first, as far as evaluations are left. */
  async #pruned(start: ChosenLevels): Promise<ChosenLevels> {
    let chosen = start
    const savings = start
      .map((level, unit) => ({ unit, bytes: this.#bytesOf(unit, level) - this.#bytesOf(unit, level - 1) }))
      .filter(({ unit }) => (start[unit] as number) > 0)
      .sort((left, right) => right.bytes - left.bytes || left.unit - right.unit)
    for (const { unit } of savings) {
      if (this.#trials.count >= this.#search) break
      const lower = chosen.map((level, index) => (index === unit ? level - 1 : level))
      const [name = ''] = this.#units[unit]?.nodes ?? []
      if (await this.#trials.fits(`without raising ${name}`, lower)) chosen = lower
    }
    return chosen
  }

  /** The plan, or a larger one that keeps the budget on the samples held back as well. */
  async #confirmed(chosen: ChosenLevels, path: readonly ChosenLevels[], index: number): Promise<ChosenLevels> {
    const larger = [(index + path.length) >> 1, path.length - 1].map((at) => path[at] ?? chosen)
    for (const candidate of [chosen, ...larger]) {
      const fits = await this.#trials.fits('confirmed', candidate)
      if (fits && (await this.#trials.confirms(candidate, this.#top))) return candidate
    }
    if (await this.#trials.fits('fp32', this.#top)) return this.#top
    throw new OnnxError(
      'disagrees',
      'Even without a quantized layer the accuracy drops by more than allowed. Allow a larger drop, or give more samples.',
    )
  }

  async #result(chosen: ChosenLevels): Promise<MixedPrecision> {
    const accuracy = await this.#trials.score('chosen', chosen)
    const confirmed = await this.#trials.confirmation(chosen)
    const original = await this.#trials.confirmation(this.#top)
    return {
      plan: planOf(this.#units, chosen),
      bytes: bytesAt(this.#units, chosen),
      baseline: this.#trials.baseline,
      accuracy,
      ...(confirmed !== undefined &&
        original !== undefined && { confirmed: { baseline: original, accuracy: confirmed } }),
      evaluated: this.#trials.count,
      trace: this.#trials.done,
      sensitivity: this.#sensitivity,
    }
  }

  #bytesOf(unit: number, level: number): number {
    return this.#units[unit]?.levels[Math.max(0, level)]?.bytes ?? 0
  }
}
