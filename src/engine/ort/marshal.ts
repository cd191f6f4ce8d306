import { VergeError } from '../../core/errors.ts'
import { ARRAY_TYPES, elementCount, type Tensor, tensor } from '../../core/tensors.ts'
import { notATensor } from '../selection.ts'
import type { Allocations } from './allocations.ts'
import { datatypeOf, ONNX_TYPE } from './datatypes.ts'
import type { OrtModule } from './module.ts'
import { rawError } from './status.ts'

/** ORT's data location "CPU": the wasm heap. */
const LOCATION_CPU = 1

/** Copies a tensor into the heap and returns its ORT value, which lives as long as `allocations`. */
export function writeTensor(module: OrtModule, allocations: Allocations, name: string, value: Tensor): number {
  const { pointer, bytes } =
    value.datatype === 'BYTES'
      ? writeStrings(module, allocations, name, value.data)
      : writeNumbers(module, allocations, value.data)
  const dimensions = allocations.malloc(value.shape.length * 4)
  value.shape.forEach((size, axis) => {
    module.setValue(dimensions + axis * 4, size, 'i32')
  })
  const handle = module._OrtCreateTensor(
    ONNX_TYPE[value.datatype],
    pointer,
    bytes,
    dimensions,
    value.shape.length,
    LOCATION_CPU,
  )
  if (handle === 0) {
    throw new VergeError('invalid_tensor', `Input "${name}" is not a tensor that the engine takes. Check its shape.`, {
      cause: new Error(rawError(module)),
      details: { input: name },
    })
  }
  allocations.onRelease(() => module._OrtReleaseTensor(handle))
  return handle
}

function writeNumbers(
  module: OrtModule,
  allocations: Allocations,
  data: Exclude<Tensor['data'], readonly string[]>,
): { pointer: number; bytes: number } {
  const pointer = allocations.malloc(data.byteLength)
  module.HEAPU8.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), pointer)
  return { pointer, bytes: data.byteLength }
}

/** Strings are an array of pointers to NUL-terminated UTF-8, so a NUL inside would silently cut one short. */
function writeStrings(
  module: OrtModule,
  allocations: Allocations,
  name: string,
  strings: readonly string[],
): { pointer: number; bytes: number } {
  const encoder = new TextEncoder()
  const encoded = strings.map((text) => encoder.encode(text))
  if (encoded.some((bytes) => bytes.includes(0))) {
    throw new VergeError(
      'invalid_tensor',
      `Input "${name}" has a string with a zero byte, which ONNX Runtime's WebAssembly build would cut off there.`,
      {
        details: { input: name },
      },
    )
  }
  const total = encoded.reduce((sum, bytes) => sum + bytes.length + 1, 0)
  const text = allocations.malloc(total)
  const pointer = allocations.malloc(strings.length * module.PTR_SIZE)
  let at = text
  encoded.forEach((bytes, index) => {
    module.setValue(pointer + index * module.PTR_SIZE, at, '*')
    module.HEAPU8.set(bytes, at)
    module.HEAPU8[at + bytes.length] = 0
    at += bytes.length + 1
  })
  return { pointer, bytes: strings.length * module.PTR_SIZE }
}

/** Copies an ORT value out of the heap. @throws unsupported_output if it is not a tensor of a known datatype */
export function readTensor(module: OrtModule, name: string, handle: number): Tensor {
  const stack = module.stackSave()
  try {
    const out = module.stackAlloc(4 * module.PTR_SIZE)
    const [type, data, dimensions, rank] = [0, 1, 2, 3].map((slot) => out + slot * module.PTR_SIZE) as [
      number,
      number,
      number,
      number,
    ]
    if (module._OrtGetTensorData(handle, type, data, dimensions, rank) !== 0) throw notATensor(name)
    const dataPointer = module.getValue(data, '*')
    const dimensionsPointer = module.getValue(dimensions, '*')
    const shape: number[] = []
    for (let axis = 0; axis < module.getValue(rank, 'i32'); axis++) {
      shape.push(module.getValue(dimensionsPointer + axis * module.PTR_SIZE, 'i32'))
    }
    module._OrtFree(dimensionsPointer)
    const datatype = datatypeOf(module.getValue(type, 'i32'))
    if (datatype === null) throw notATensor(name)
    const count = elementCount(shape)
    if (datatype === 'BYTES') {
      const strings = readStrings(module, dataPointer, count)
      module._free(dataPointer)
      return tensor('BYTES', shape, strings)
    }
    const array = new ARRAY_TYPES[datatype](count)
    const bytes = new Uint8Array(array.buffer)
    bytes.set(module.HEAPU8.subarray(dataPointer, dataPointer + bytes.length))
    return tensor(datatype, shape, array as never)
  } finally {
    module.stackRestore(stack)
  }
}

/**
 * `count` pointers into text without separators; one zero byte ends the last. The heap is shared memory, which
 * `TextDecoder` does not take, so each string's bytes are copied first.
 */
function readStrings(module: OrtModule, pointers: number, count: number): string[] {
  const decoder = new TextDecoder()
  const heap = module.HEAPU8
  const start = (index: number): number => module.getValue(pointers + index * module.PTR_SIZE, '*')
  return Array.from({ length: count }, (_, index) => {
    const from = start(index)
    const to = index + 1 < count ? start(index + 1) : heap.indexOf(0, from)
    return decoder.decode(heap.slice(from, to))
  })
}
