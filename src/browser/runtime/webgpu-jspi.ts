import * as ort from 'onnxruntime-web/jspi'
import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url'
import { downloaded } from './download.ts'

/** onnxruntime-web for browsers that can suspend WebAssembly. @throws store_unavailable */
export async function loadLibrary(): Promise<typeof ort> {
  ort.env.wasm.wasmBinary = await (await downloaded(wasm)).arrayBuffer()
  return ort
}
