import { ORT_VERSION } from '../../engine/ort/version.ts'
import { requestDevice } from '../../engine/webgpu/device.ts'
import { WebGpuEngine } from '../../engine/webgpu/engine.ts'
import type { WebGpuParts } from './engines.ts'

/**
 * ONNX Runtime's WebGPU build, and the engine over it. The build waits for the graphics processor in the middle of its
 * WebAssembly: where the browser can suspend that (JSPI), by a build of 17 MB, else by one of 27 MB that was rewritten for it.
 * @throws engine_unsupported where the browser has no WebGPU, store_unavailable
 */
export async function loadWebGpu(options: WebGpuParts): Promise<WebGpuEngine> {
  const device = await requestDevice(navigator.gpu)
  try {
    const { loadLibrary } = await ('Suspending' in WebAssembly
      ? import('./webgpu-jspi.ts')
      : import('./webgpu-asyncify.ts'))
    const ort = await loadLibrary()
    ort.env.wasm.numThreads = 1
    ort.env.logLevel = 'fatal'
    ort.env.webgpu.device = device
    return new WebGpuEngine({ ...options, ort, version: ORT_VERSION, device })
  } catch (error) {
    device.destroy()
    throw error
  }
}
