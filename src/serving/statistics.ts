import type { Manifest } from '../catalog/manifest.ts'
import type { Tensors } from '../core/tensors.ts'
import type { RunResult } from './serving.ts'

/** How often something happened, and how long it took together by the isolate's clock. */
export interface Duration {
  readonly count: number
  readonly ms: number
}

/** What one version of a model has done here since this process began. */
export interface ModelStatistics {
  /** Milliseconds since 1970 of the last success; 0 if there was none. */
  readonly lastMs: number
  /** Inputs that were answered, each of a batch. */
  readonly inferences: number
  /** Runs of the engine. */
  readonly executions: number
  readonly success: Duration
  readonly fail: Duration
  readonly queue: Duration
  readonly run: Duration
  readonly cacheHit: Duration
  readonly cacheMiss: Duration
}

const NOTHING: Duration = { count: 0, ms: 0 }
const NONE: ModelStatistics = {
  lastMs: 0,
  inferences: 0,
  executions: 0,
  success: NOTHING,
  fail: NOTHING,
  queue: NOTHING,
  run: NOTHING,
  cacheHit: NOTHING,
  cacheMiss: NOTHING,
}

/** Versions that are counted; the one that was used longest ago is forgotten for another. */
const MOST_COUNTED = 256

/** Counts the runs of models. */
export class RunStatistics {
  readonly #counted = new Map<string, ModelStatistics>()

  /** @param version as `name@version` */
  of(version: string): ModelStatistics {
    return this.#counted.get(version) ?? NONE
  }

  succeeded(
    version: string,
    { start, timings }: Pick<RunResult, 'start' | 'timings'>,
    batch: number,
    now: number,
  ): void {
    const { runMs, queueMs, loadMs } = timings
    const before = this.of(version)
    const cached = start === 'cached'
    this.#set(version, {
      ...before,
      lastMs: now,
      inferences: before.inferences + batch,
      executions: before.executions + (cached ? 0 : 1),
      success: plus(before.success, loadMs + queueMs + runMs),
      queue: cached ? before.queue : plus(before.queue, queueMs),
      run: cached ? before.run : plus(before.run, runMs),
      cacheHit: cached ? plus(before.cacheHit, 0) : before.cacheHit,
      cacheMiss: cached ? before.cacheMiss : plus(before.cacheMiss, 0),
    })
  }

  failed(version: string): void {
    const before = this.of(version)
    this.#set(version, { ...before, fail: plus(before.fail, 0) })
  }

  #set(version: string, statistics: ModelStatistics): void {
    // Last in the map's order, which is that of use.
    this.#counted.delete(version)
    this.#counted.set(version, statistics)
    const [oldest] = this.#counted.keys()
    if (this.#counted.size > MOST_COUNTED && oldest !== undefined) this.#counted.delete(oldest)
  }
}

function plus({ count, ms }: Duration, more: number): Duration {
  return { count: count + 1, ms: ms + more }
}

/** A version as statistics name it. */
export function versionName({ model, version }: Pick<Manifest, 'model' | 'version'>): string {
  return `${model}@${version}`
}

/** Inputs of a run: the first dimension of the first tensor, where the model takes any number. */
export function batchOf({ inputs: [first] }: Manifest, inputs: Tensors): number {
  if (first === undefined || typeof first.shape[0] === 'number') return 1
  return inputs.get(first.name)?.shape[0] ?? 1
}
