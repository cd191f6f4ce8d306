import { isVergeError } from '../../core/errors.ts'
import type { RunCost } from '../../engine/engine.ts'
import { type ClientInferRequest, send } from '../oip-client.ts'
import { median } from '../statistics.ts'
import type { StagedWorker } from '../verify/stage.ts'
import { isTooMuch } from './failures.ts'
import { type CostPoint, fitCost } from './fit.ts'
import { REFERENCE, REFERENCE_UNITS, referenceInputs } from './reference-model.ts'
import type { SizedInputs } from './sizes.ts'

export interface MeasuredCost {
  readonly cost: RunCost
  readonly points: readonly CostPoint[]
  /** Time of a unit on this machine, in microseconds: the median of all rounds. */
  readonly unitMicroseconds: number
}

/** Rounds of each size; a ratio is taken within each, and their median counts. */
const ROUNDS = 5
/** How long the model and the reference each run within a round, at the least. */
const ROUND_MS = 100
/**
 * The Worker's clock has milliseconds. A run's time is cut to them at both ends; over many runs that begin at any moment
 * the cuts cancel each other out, and the mean is right to half a millisecond by the root of their number.
 */
const LEAST_RUNS = 12
const MOST_RUNS = 400
/** A model that takes longer than this is timed by single runs: cut milliseconds no longer matter. */
const SLOW_MS = 100

export interface CostOptions {
  readonly outputs: readonly string[]
  readonly signal: AbortSignal
  /** The Worker that the reference runs in, where it is not the model's: a large model leaves no memory for it. */
  readonly reference?: StagedWorker
}

/**
 * What runs of the model cost in units: their times, by the Worker's own word, over the reference's in the same
 * tenth of a second. A ratio of two times in one engine holds on other machines about as well as
 * counting operations does, and counts what operations do not show: memory, small layers, slow kernels.
 */
export async function measureCost(
  worker: StagedWorker,
  artifact: number,
  sizes: readonly SizedInputs[],
  { outputs, signal, reference: other = worker }: CostOptions,
): Promise<MeasuredCost> {
  const reference = other.requestTo(REFERENCE, referenceInputs())
  const unitMs = async (): Promise<number> => (await meanRunMs(other.url, reference, signal)) / REFERENCE_UNITS
  await warmUpWorker(other.url, reference, signal)
  const points: CostPoint[] = []
  const units: number[] = []
  for (const { elements, inputs } of sizes) {
    const request = worker.request(artifact, inputs, outputs)
    try {
      // A second size runs the kernels that the first has warmed up.
      await (points.length === 0 ? warmUpWorker(worker.url, request, signal) : repeat(worker.url, request, signal))
    } catch (error) {
      // A larger input may need more memory than there is. The smaller ones have already given the cost.
      if (points.length === 0 || !isVergeError(error) || !isTooMuch(error)) throw error
      break
    }
    const ratios: number[] = []
    // The reference's time after a round is its time before the next.
    let before = await unitMs()
    for (let round = 0; round < ROUNDS; round++) {
      const own = await meanRunMs(worker.url, request, signal)
      const after = await unitMs()
      const unit = (before + after) / 2
      units.push(unit)
      ratios.push(own / unit)
      before = after
    }
    points.push({ elements, units: Number(median(ratios).toPrecision(3)) })
  }
  return { cost: fitCost(points), points, unitMicroseconds: Math.round(median(units) * 1000) }
}

/** V8 compiles WebAssembly a second time, and better, after a while. */
const WARM_UP_MS = 500
const WARM_UP_RUNS = 5
/** A model that is slow has run long enough after this, however often it did. */
const LONGEST_WARM_UP_MS = 1500

export async function warmUpWorker(url: string, request: ClientInferRequest, signal: AbortSignal): Promise<void> {
  const begun = performance.now()
  for (let run = 0; ; run++) {
    const passed = performance.now() - begun
    if (run > 0 && passed > LONGEST_WARM_UP_MS) return
    if (run >= WARM_UP_RUNS && passed > WARM_UP_MS) return
    await send(url, request, signal)
  }
}

async function repeat(url: string, request: ClientInferRequest, signal: AbortSignal): Promise<void> {
  for (let run = 0; run < WARM_UP_RUNS; run++) await send(url, request, signal)
}

async function meanRunMs(url: string, request: ClientInferRequest, signal: AbortSignal): Promise<number> {
  const end = performance.now() + ROUND_MS
  let total = 0
  let runs = 0
  while (runs < MOST_RUNS && (runs < LEAST_RUNS || performance.now() < end)) {
    const { timings } = await send(url, request, signal)
    total += timings.run ?? 0
    runs++
    if (total > SLOW_MS * runs) break
  }
  return total / runs
}
