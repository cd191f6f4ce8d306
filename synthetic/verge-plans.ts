import { writeArtifact } from '../src/engine/verge/artifact.ts'
import type {
  Attribute,
  ConstantType,
  Dim,
  Layout,
  Operand,
  Plan,
  PlanBuffer,
  PlanConstant,
  PlanStep,
  PlanSymbol,
  PlanTensor,
  ValueType,
} from '../src/engine/verge/plan.ts'

type Data = Float32Array | Int32Array | Uint8Array | Int8Array | Uint16Array

const TYPES: Readonly<Record<string, ValueType>> = {
  FP32: 'f32',
  FP16: 'f32',
  INT64: 'i32',
  INT32: 'i32',
  INT16: 'i32',
  INT8: 'i32',
  UINT16: 'i32',
  UINT8: 'i32',
  BOOL: 'u8',
}

/** Writes artifacts of Verge's own engine by hand, so that its tests do not depend on the compiler. */
export class PlanWriter {
  readonly symbols: PlanSymbol[] = []
  readonly buffers: PlanBuffer[] = []
  readonly constants: PlanConstant[] = []
  readonly steps: PlanStep[] = []
  readonly inputs: PlanTensor[] = []
  readonly outputs: PlanTensor[] = []
  readonly #data: Uint8Array[] = []
  #bytes = 0

  symbol(name: string, max = 4096): Dim {
    this.symbols.push({ name, max })
    return ['s', this.symbols.length - 1]
  }

  buffer(dtype: ValueType, shape: readonly Dim[]): number {
    this.buffers.push({ dtype, shape })
    return this.buffers.length - 1
  }

  input(name: string, datatype: string, shape: readonly Dim[]): Operand {
    const buffer = this.buffer(TYPES[datatype] ?? 'f32', shape)
    this.inputs.push({ name, datatype, shape, buffer })
    return { buffer }
  }

  output(name: string, datatype: string, shape: readonly Dim[], operand: Operand): void {
    if (operand === null || !('buffer' in operand)) throw new Error('an output is a buffer')
    this.outputs.push({ name, datatype, shape, buffer: operand.buffer })
  }

  constant(dtype: ConstantType, shape: readonly number[], data: Data, layout: Layout = 'rows'): Operand {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    this.constants.push({ dtype, layout, shape, offset: this.#bytes, bytes: bytes.length })
    this.#data.push(bytes)
    this.#bytes = Math.ceil((this.#bytes + bytes.length) / 64) * 64
    return { constant: this.constants.length - 1 }
  }

  step(
    op: string,
    reads: readonly Operand[],
    dtype: ValueType,
    shape: readonly Dim[],
    attributes?: Readonly<Record<string, Attribute>>,
  ): Operand {
    const buffer = this.buffer(dtype, shape)
    this.steps.push({ op, in: reads, out: [buffer], ...(attributes && { with: attributes }) })
    return { buffer }
  }

  plan(): Plan {
    const { symbols, inputs, outputs, buffers, constants, steps } = this
    return { format: 1, symbols, inputs, outputs, buffers, constants, steps }
  }

  image(): Uint8Array {
    const image = new Uint8Array(this.#bytes)
    for (const [index, { offset }] of this.constants.entries()) image.set(this.#data[index] as Uint8Array, offset)
    return image
  }

  artifact(): Uint8Array<ArrayBuffer> {
    return artifactBytes(this.plan(), this.image())
  }
}

/** Plan and image as an artifact; the plan may be a damaged one. */
export function artifactBytes(plan: unknown, image: Uint8Array): Uint8Array<ArrayBuffer> {
  const artifact = writeArtifact(plan as Plan, image.length)
  artifact.image.set(image)
  return artifact.bytes
}

/** `[columns / 8][depth][8]`, filled up with zeros. */
export function columnsF32(values: Float32Array, depth: number, columns: number): Float32Array {
  const packed = new Float32Array(Math.ceil(columns / 8) * depth * 8)
  for (let row = 0; row < depth; row++) {
    for (let column = 0; column < columns; column++) {
      packed[((column >> 3) * depth + row) * 8 + (column & 7)] = values[row * columns + column] as number
    }
  }
  return packed
}

export interface Int8Weight {
  readonly packed: Int8Array
  readonly scales: Float32Array
  readonly sums: Int32Array
  /** Row-major, [depth, columns]. */
  readonly values: Int8Array
}

/** Symmetric by column, `[columns / 8][depth / 4][8][4]`, filled up with zeros. */
export function columnsInt8(values: Float32Array, depth: number, columns: number): Int8Weight {
  const scales = new Float32Array(columns)
  const sums = new Int32Array(columns)
  const quantized = new Int8Array(depth * columns)
  const steps = Math.ceil(depth / 4)
  const packed = new Int8Array(Math.ceil(columns / 8) * steps * 32)
  for (let column = 0; column < columns; column++) {
    let most = 0
    for (let row = 0; row < depth; row++) most = Math.max(most, Math.abs(values[row * columns + column] as number))
    const scale = Math.fround(most / 127) || 1
    scales[column] = scale
    for (let row = 0; row < depth; row++) {
      const q = Math.max(-127, Math.min(127, Math.round((values[row * columns + column] as number) / scale)))
      quantized[row * columns + column] = q
      sums[column] = (sums[column] as number) + q
      packed[(column >> 3) * steps * 32 + (row >> 2) * 32 + (column & 7) * 4 + (row & 3)] = q
    }
  }
  return { packed, scales, sums, values: quantized }
}
