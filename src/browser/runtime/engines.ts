import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Clock, Logger, RunCounter } from '../../core/runtime.ts'
import type { Engine } from '../../engine/engine.ts'
import { HeapBudget } from '../../engine/heap-budget.ts'
import type { OrtBinary } from '../../engine/ort/instance.ts'
import { VergeEngine } from '../../engine/verge/engine.ts'
import type { BrowserEngine } from './artifacts.ts'

/** The engines' code, downloaded when the first model needs it. */
export interface EngineAssets {
  /** A build of the kernels that the device runs. */
  kernels(): Promise<WebAssembly.Module>
  /** ONNX Runtime's WebAssembly, driven by the Worker's own engine. */
  onnxruntime(): Promise<{
    readonly binary: OrtBinary
    readonly version: string
    readonly OrtEngine: typeof import('../../engine/ort/engine.ts').OrtEngine
  }>
  /** ONNX Runtime on WebGPU. @throws engine_unsupported where the device has none */
  webgpu(options: WebGpuParts): Promise<Engine>
}

/** What the engine on WebGPU shares with the others. */
export interface WebGpuParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly runs: RunCounter
  readonly memoryLimitBytes: number
  readonly turnLeaseMs: number
}

export interface EnginesOptions {
  readonly assets: EngineAssets
  readonly limits: Limits
  readonly clock: Clock
  readonly logger: Logger
  readonly runs: RunCounter
}

/** The engines of one web worker, each started when it is first needed, on one budget of memory. */
export class Engines {
  readonly #options: EnginesOptions
  readonly #heapBudget: HeapBudget
  readonly #started = new Map<BrowserEngine, Promise<Engine>>()

  constructor(options: EnginesOptions) {
    this.#options = options
    this.#heapBudget = new HeapBudget(options.limits.engineHeapBytes)
  }

  /** An engine that could not be downloaded is tried again the next time. @throws store_unavailable, engine_unsupported */
  get(name: BrowserEngine): Promise<Engine> {
    const known = this.#started.get(name)
    if (known !== undefined) return known
    const starting = this.#start(name).catch((error: unknown) => {
      if (this.#started.get(name) === starting) this.#started.delete(name)
      throw error
    })
    this.#started.set(name, starting)
    return starting
  }

  async #start(name: BrowserEngine): Promise<Engine> {
    const { assets, clock, limits, logger, runs } = this.#options
    const heapLimitBytes = limits.engineHeapBytes
    const shared = { clock, logger, runs, turnLeaseMs: limits.turnLeaseMs }
    if (name === 'webgpu') return assets.webgpu({ ...shared, memoryLimitBytes: heapLimitBytes })
    const options = {
      ...shared,
      heapLimitBytes,
      heapBudget: this.#heapBudget,
      costBetweenYields: limits.costBetweenYields,
      loadStaleMs: limits.loadStaleMs,
    }
    if (name === 'onnxruntime') {
      const { OrtEngine, binary, version } = await assets.onnxruntime()
      return new OrtEngine({ ...options, binary, version })
    }
    const kernels = await assets.kernels()
    try {
      return new VergeEngine({
        ...options,
        kernels,
        workBetweenYields: limits.workBetweenYields,
        pageBytes: limits.pageBytes,
        pageCacheBytes: limits.pageCacheBytes,
        pageBytesInFlight: limits.pageBytesInFlight,
        heldRowBytes: limits.heldRowBytes,
        heldRowsLeaseMs: limits.requestDeadlineMs,
      })
    } catch (cause) {
      // A memory reserves addresses for all that it may grow to: a browser may have none left.
      throw new VergeError(
        'engine_full',
        'This browser has no memory left for models. Close other pages, or send the request to the Worker.',
        { cause },
      )
    }
  }
}

/** The error for a part of an engine that did not arrive. */
export function assetUnavailable(cause: unknown): VergeError {
  return new VergeError(
    'store_unavailable',
    'A part of the engine could not be downloaded. Check the connection, then try again.',
    { cause, retryAfter: 1 },
  )
}
