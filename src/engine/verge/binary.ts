import { hasRelaxedSimd } from './capabilities.ts'
import plain from './kernels/plain.wasm'
import relaxed from './kernels/relaxed.wasm'

/** The build of the kernels that this runtime takes: both give the same answers for 8-bit weights. */
export function workerKernels(): WebAssembly.Module {
  return hasRelaxedSimd() ? relaxed : plain
}
