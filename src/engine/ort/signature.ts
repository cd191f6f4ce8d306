import type { Signature, TensorSpec } from '../../core/tensors.ts'
import { datatypeOf, lastError } from './marshal.ts'
import type { OrtModule } from './module.ts'

/** A session's signature, and the heap addresses of its names, which ORT wants back for every run. */
export interface NativeSignature {
  readonly signature: Signature
  readonly inputNames: readonly number[]
  readonly outputNames: readonly number[]
}

/** Reads names, datatypes and (symbolic) shapes. The name strings belong to the caller and are freed with `freeNames`. */
export function readSignature(module: OrtModule, session: number): NativeSignature {
  const stack = module.stackSave()
  try {
    const counts = module.stackAlloc(2 * module.PTR_SIZE)
    if (module._OrtGetInputOutputCount(session, counts, counts + module.PTR_SIZE) !== 0)
      throw new Error(lastError(module))
    const inputCount = module.getValue(counts, 'i32')
    const outputCount = module.getValue(counts + module.PTR_SIZE, 'i32')
    const names: number[] = []
    const specs: TensorSpec[] = []
    for (let index = 0; index < inputCount + outputCount; index++) {
      const { namePointer, spec } = readSpec(module, session, index)
      names.push(namePointer)
      specs.push(spec)
    }
    return {
      signature: { inputs: specs.slice(0, inputCount), outputs: specs.slice(inputCount) },
      inputNames: names.slice(0, inputCount),
      outputNames: names.slice(inputCount),
    }
  } finally {
    module.stackRestore(stack)
  }
}

export function freeNames(module: OrtModule, names: NativeSignature): void {
  for (const pointer of [...names.inputNames, ...names.outputNames]) module._OrtFree(pointer)
}

/** Metadata layout: element type, rank, then `rank` pointers to symbolic names, then `rank` sizes (4 bytes each). */
function readSpec(module: OrtModule, session: number, index: number): { namePointer: number; spec: TensorSpec } {
  const out = module.stackAlloc(2 * module.PTR_SIZE)
  if (module._OrtGetInputOutputMetadata(session, index, out, out + module.PTR_SIZE) !== 0) {
    throw new Error(lastError(module))
  }
  const namePointer = module.getValue(out, '*')
  const metadata = module.getValue(out + module.PTR_SIZE, '*')
  try {
    const name = module.UTF8ToString(namePointer)
    const elementType = module.getValue(metadata, 'i32')
    const datatype = datatypeOf(elementType)
    const shape: (number | string)[] = []
    const rank = elementType === 0 ? 0 : module.getValue(metadata + 4, 'i32')
    for (let axis = 0; axis < rank; axis++) {
      const symbol = module.getValue(metadata + 8 + axis * module.PTR_SIZE, '*')
      const size = module.getValue(metadata + 8 + (rank + axis) * module.PTR_SIZE, 'i32')
      const symbolName = symbol === 0 ? '' : module.UTF8ToString(symbol)
      shape.push(symbolName !== '' ? symbolName : size)
    }
    return { namePointer, spec: { name, datatype, shape } }
  } finally {
    if (metadata !== 0) module._OrtFree(metadata)
  }
}
