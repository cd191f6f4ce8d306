import type { Config } from '../config/config.ts'
import type { Engine } from '../engine/engine.ts'
import { EngineSet } from '../engine/engine-set.ts'
import { HeapBudget } from '../engine/heap-budget.ts'
import { workerBinary } from '../engine/ort/binary.ts'
import { OrtEngine } from '../engine/ort/engine.ts'
import { ORT_VERSION } from '../engine/ort/version.ts'
import { workerKernels } from '../engine/verge/binary.ts'
import { VergeEngine } from '../engine/verge/engine.ts'
import { VERGE_ENGINE_VERSION } from '../engine/verge/version.ts'
import type { Shared } from './shared.ts'

/** Results are kept by it: another engine may compute other ones. */
export const ENGINE_VERSIONS = `verge ${VERGE_ENGINE_VERSION}, onnxruntime-web ${ORT_VERSION}`

/** Verge's own engine, and ONNX Runtime for what it does not run, on one budget of memory. */
export function enginesOf({ engines }: Config, shared: Shared): Engine {
  const { limits } = shared
  const options = {
    ...shared,
    heapLimitBytes: limits.engineHeapBytes,
    heapBudget: new HeapBudget(limits.engineHeapBytes),
    turnLeaseMs: limits.turnLeaseMs,
    costBetweenYields: limits.costBetweenYields,
    loadStaleMs: limits.loadStaleMs,
  }
  const make = {
    verge: () =>
      new VergeEngine({
        ...options,
        kernels: workerKernels(),
        workBetweenYields: limits.workBetweenYields,
        pageBytes: limits.pageBytes,
        pageCacheBytes: limits.pageCacheBytes,
        pageBytesInFlight: limits.pageBytesInFlight,
        heldRowBytes: limits.heldRowBytes,
        heldRowsLeaseMs: limits.requestDeadlineMs,
      }),
    onnxruntime: () => new OrtEngine({ ...options, binary: workerBinary, version: ORT_VERSION }),
  }
  return new EngineSet(engines.map((name) => make[name]()))
}
