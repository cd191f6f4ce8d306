import { hasRelaxedSimd } from '../../engine/verge/capabilities.ts'
import plainKernels from '../../engine/verge/kernels/plain.wasm?url'
import relaxedKernels from '../../engine/verge/kernels/relaxed.wasm?url'
import { compiledFrom } from './download.ts'
import type { EngineAssets } from './engines.ts'

/** The engines' code as `npm run build:browser` writes it beside the web worker's script. */
export const browserAssets: EngineAssets = {
  kernels: () => compiledFrom(hasRelaxedSimd() ? relaxedKernels : plainKernels),
  async onnxruntime() {
    const { loadOrt } = await import('./ort.ts')
    return loadOrt()
  },
  async webgpu(options) {
    const { loadWebGpu } = await import('./webgpu.ts')
    return loadWebGpu(options)
  },
}
