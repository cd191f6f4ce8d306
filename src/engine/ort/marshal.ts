import { VergeError } from '../../core/errors.ts'
import { ARRAY_TYPES, type Datatype, elementCount, notATensor, type Tensor, tensor } from '../../core/tensors.ts'
import type { OrtModule } from './module.ts'

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
    throw new VergeError(
      'invalid_tensor',
      `Input "${name}" is not a tensor that the engine accepts. Check its shape.`,
      {
        cause: new Error(rawError(module)),
        details: { input: name },
      },
    )
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
      `Input "${name}" has a string with a zero byte. ONNX Runtime's WebAssembly build would truncate it.`,
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
  const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })
  const heap = module.HEAPU8
  const start = (index: number): number => module.getValue(pointers + index * module.PTR_SIZE, '*')
  return Array.from({ length: count }, (_, index) => {
    const from = start(index)
    const to = index + 1 < count ? start(index + 1) : heap.indexOf(0, from)
    return decoder.decode(heap.slice(from, to))
  })
}

/** ONNX `TensorProto.DataType` numbers, as ONNX Runtime's C API uses them. */
export const ONNX_TYPE: Readonly<Record<Datatype, number>> = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
}

const BY_NUMBER = new Map<number, Datatype>(
  (Object.entries(ONNX_TYPE) as [Datatype, number][]).map(([name, number]) => [number, name]),
)

/** Null for types that the protocol does not have (bfloat16, complex, 4-bit, ...). */
export function datatypeOf(onnxType: number): Datatype | null {
  return BY_NUMBER.get(onnxType) ?? null
}

/** Heap blocks and ORT objects of one call, released together in reverse order. */
export class Allocations {
  readonly #module: OrtModule
  readonly #releases: (() => void)[] = []

  constructor(module: OrtModule) {
    this.#module = module
  }

  /** A block of at least one byte. @throws engine_full when the heap is at its maximum */
  malloc(bytes: number): number {
    const pointer = this.#module._malloc(Math.max(1, bytes))
    if (pointer === 0) throw heapFull()
    this.#releases.push(() => this.#module._free(pointer))
    return pointer
  }

  /** A NUL-terminated copy of a string. */
  string(text: string): number {
    const bytes = new TextEncoder().encode(text)
    const pointer = this.malloc(bytes.length + 1)
    this.#module.HEAPU8.set(bytes, pointer)
    this.#module.HEAPU8[pointer + bytes.length] = 0
    return pointer
  }

  onRelease(release: () => void): void {
    this.#releases.push(release)
  }

  release(): void {
    for (let release = this.#releases.pop(); release; release = this.#releases.pop()) release()
  }
}

/** The heap has no room for one call or one model. `Tenancy` decides whether another try can succeed. */
export function heapFull(cause?: unknown): VergeError {
  return new VergeError('engine_full', 'The engine has no free memory for this request. Try again in a moment.', {
    cause,
    retryAfter: 1,
  })
}

/** The last error of the calling thread, for people: without the source file and function of ONNX Runtime's own. */
export function lastError(module: OrtModule): string {
  return cleanMessage(rawError(module))
}

/** The last error of the calling thread as it is: for logs, and to be told in other words. */
export function rawError(module: OrtModule): string {
  const stack = module.stackSave()
  try {
    const pointer = module.stackAlloc(2 * module.PTR_SIZE)
    module._OrtGetLastError(pointer, pointer + module.PTR_SIZE)
    const message = module.getValue(pointer + module.PTR_SIZE, '*')
    return message === 0 ? 'no reason given' : module.UTF8ToString(message)
  } finally {
    module.stackRestore(stack)
  }
}

const LONGEST_MESSAGE = 400

/** Strips source locations and keeps the first line, at most 400 characters. */
export function cleanMessage(message: string): string {
  const first = message.split('\n', 1)[0] ?? ''
  return first
    .replace(/\S*\.(?:cc|h|cpp):\d+ /g, '')
    .replace(/(?:\/[\w.-]+)+\//g, '')
    .slice(0, LONGEST_MESSAGE)
    .trim()
}

/** Whether a failure says that memory ran out, which is worth evicting other models for. */
export function isOutOfMemory(message: string): boolean {
  return /bad_alloc|failed to allocate|out of memory|Failed to allocate/i.test(message)
}
