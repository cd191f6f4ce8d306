import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?gzip'
import * as ort from 'onnxruntime-web/webgpu'
import { downloaded } from './download.ts'

/**
 * onnxruntime-web for browsers that cannot suspend WebAssembly. Its binary is above what Workers Assets take for a file (25
 * MiB), so that it is stored compressed. @throws store_unavailable
 */
export async function loadLibrary(): Promise<typeof ort> {
  const { body } = await downloaded(wasm)
  const unpacked = body?.pipeThrough(new DecompressionStream('gzip'))
  ort.env.wasm.wasmBinary = await new Response(unpacked).arrayBuffer()
  return ort
}
