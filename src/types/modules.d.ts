declare module '*.wasm' {
  const module: WebAssembly.Module
  export default module
}

declare module 'onnxruntime-web/ort-wasm-simd-threaded.mjs' {
  const factory: unknown
  export default factory
}
