import factory from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url'
import { OrtEngine } from '../../engine/ort/engine.ts'
import type { ModuleFactory } from '../../engine/ort/module.ts'
import { ORT_VERSION } from '../../engine/ort/version.ts'
import { compiledFrom } from './download.ts'

/** ONNX Runtime's WebAssembly, 14 MB, and the engine that drives it. @throws store_unavailable */
export async function loadOrt() {
  return {
    OrtEngine,
    binary: { factory: factory as ModuleFactory, wasm: await compiledFrom(wasm) },
    version: ORT_VERSION,
  }
}
