/**
 * Multiply-adds of eight bits in a unit of a run's cost (docs/decisions/0008). A unit is 75 us in ONNX Runtime's
 * WebAssembly; in that time the kernels make about so many.
 */
export const UNIT_WORK = 4_000_000
