import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import factory from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import { LIMITS } from '../../core/limits.ts'
import { silentLogger, systemClock } from '../../core/runtime.ts'
import { OrtEngine } from '../../engine/ort/engine.ts'
import type { OrtBinary } from '../../engine/ort/instance.ts'
import type { ModuleFactory } from '../../engine/ort/module.ts'

const require = createRequire(import.meta.url)
const project = require('../../../package.json') as { readonly dependencies: { readonly 'onnxruntime-web': string } }
let binary: Promise<OrtBinary> | undefined

/** The Worker's engine, in Node: the same WebAssembly under the same limits, so that a model can be tried beforehand. */
export async function edgeEngine(): Promise<OrtEngine> {
  binary ??= readFile(require.resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm')).then(async (bytes) => ({
    factory: factory as ModuleFactory,
    wasm: await WebAssembly.compile(bytes),
  }))
  return new OrtEngine({
    binary: await binary,
    version: project.dependencies['onnxruntime-web'],
    heapLimitBytes: LIMITS.engineHeapBytes,
    turnLeaseMs: LIMITS.turnLeaseMs,
    costBetweenYields: LIMITS.costBetweenYields,
    runs: { finished: 0 },
    loadStaleMs: LIMITS.loadStaleMs,
    clock: systemClock,
    logger: silentLogger,
  })
}
