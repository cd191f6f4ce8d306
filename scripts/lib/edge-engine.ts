import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import factory from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import type { ArtifactInfo } from '../../src/engine/engine.ts'
import { OrtEngine } from '../../src/engine/ort/engine.ts'
import type { OrtBinary } from '../../src/engine/ort/instance.ts'
import type { ModuleFactory, OrtModule } from '../../src/engine/ort/module.ts'
import { memorySource } from './bytes.ts'

const require = createRequire(import.meta.url)
const project = require('../../package.json') as { readonly dependencies: { readonly 'onnxruntime-web': string } }
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

/** Figures are rounded up to this, so that they do not change with every byte of the runtime. */
const ROUNDING = 64 * 1024

/**
 * Loads an artifact in the Worker's engine, and measures what its session holds: how much smaller the largest block
 * that can still be allocated has become. (The heap's own size says little: it grows by fifths and never shrinks.)
 * @returns bytes, rounded up to 64 KiB
 * @throws model_invalid, model_too_large where the artifact does not run at the edge
 */
export async function measureSession(artifact: ArtifactInfo, bytes: Uint8Array): Promise<number> {
  const engine = await edgeEngine()
  const { instance } = engine
  await instance.ready()
  const { generation } = instance
  const before = instance.use(generation, largestBlock)
  const session = await engine.load(artifact, memorySource(bytes), { signal: new AbortController().signal })
  const after = instance.use(instance.generation, largestBlock)
  session.dispose()
  return Math.max(ROUNDING, Math.ceil((before - after) / ROUNDING) * ROUNDING)
}

/** Bytes of the largest block that can be allocated, to the page. */
function largestBlock(module: OrtModule): number {
  const page = 4096
  let fits = 0
  let fails = Math.ceil(LIMITS.engineHeapBytes / page)
  while (fails - fits > 1) {
    const middle = Math.floor((fits + fails) / 2)
    const pointer = module._malloc(middle * page)
    if (pointer === 0) fails = middle
    else {
      module._free(pointer)
      fits = middle
    }
  }
  return fits * page
}
