import factory from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm'
import type { OrtBinary } from './instance.ts'
import type { ModuleFactory } from './module.ts'

/** onnxruntime-web as the bundler compiles it into the Worker: Workers may not compile WebAssembly at request time. */
export const workerBinary: OrtBinary = { factory: factory as ModuleFactory, wasm }
