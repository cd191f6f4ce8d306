import type {
  Attribute,
  Dim,
  Operand,
  Plan,
  PlanBuffer,
  PlanStep,
  PlanSymbol,
  PlanTensor,
  ValueType,
} from '../../engine/verge/plan.ts'
import { DataType, dimsOf, floatsOf, integersOf } from '../../onnx/data.ts'
import { intOf } from '../../onnx/make.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import { Declined } from '../declined.ts'
import { Image } from '../image.ts'
import { HELD, isHeld, type Range, rangeOf } from '../range.ts'
import { equal, fitsPlan, numberOf, product, type Size, size, toDim } from '../size.ts'
import { writtenOut } from './lazy.ts'
import { Ranges, type WholeResult } from './ranges.ts'
import { asConstant, dequantized } from './stored.ts'
import {
  type Constant,
  type InBuffer,
  isLazy,
  type Lazy,
  type Lowered,
  type Quantized,
  type Value,
  valueType,
} from './values.ts'

export interface StepFields extends WholeResult {
  readonly op: string
  readonly in: readonly Operand[]
  readonly type: DataType
  readonly shape: readonly Size[]
  readonly with?: Readonly<Record<string, Attribute>>
}

/** Collects a plan while the nodes of a graph are lowered one after the other. */
export class Builder {
  readonly image = new Image()
  readonly symbols: PlanSymbol[] = []
  readonly buffers: PlanBuffer[] = []
  readonly steps: PlanStep[] = []
  /** What is known of whole numbers. */
  readonly ranges = new Ranges(this.symbols)
  readonly #values = new Map<string, Value>()
  readonly #written = new Map<Lazy, Lowered>()
  readonly #computed = new Map<string, readonly [InBuffer, InBuffer]>()
  #node: NodeProto | undefined

  /** The node that is being lowered: what a refusal names. */
  enter(node: NodeProto): void {
    this.#node = node
  }

  decline(reason: string): Declined {
    return new Declined(this.#node ?? { opType: 'graph', name: '' }, reason)
  }

  /** A size as a plan has it. @throws Declined where it is too large for one */
  dim(size: Size): Dim {
    if (!fitsPlan(size)) throw this.decline('it computes with a size beyond what the engine takes')
    return toDim(size)
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value)
  }

  /** @throws Declined for a value that nothing gave */
  lazy(name: string | undefined): Value {
    const value = name === undefined ? undefined : this.#values.get(name)
    if (value === undefined) throw this.decline(`it reads "${name ?? ''}", which is no tensor that was computed before`)
    return value
  }

  /** As `lazy`, with all elements at a place. @throws Declined for a value that nothing gave */
  value(name: string | undefined): Lowered {
    return this.plain(this.lazy(name))
  }

  /** Written out once, whatever reads it; steps that nothing reads are left out in the end. */
  plain(value: Value): Lowered {
    if (!isLazy(value)) return value
    const known = this.#written.get(value) ?? writtenOut(this, value)
    this.#written.set(value, known)
    return known
  }

  optional(name: string | undefined): Lowered | undefined {
    return name === undefined || name === '' ? undefined : this.value(name)
  }

  buffer(dtype: ValueType, shape: readonly Size[], range: Range = HELD): number {
    this.buffers.push({ dtype, shape: shape.map((dim) => this.dim(dim)) })
    this.ranges.addBuffer(dtype, shape, range)
    return this.buffers.length - 1
  }

  /** Adds a step and the buffer that it writes. */
  step(fields: StepFields): InBuffer {
    return this.twofold(fields, 1)[0]
  }

  /** Adds a step and the buffers that it writes: one, or two of one shape. What was computed before is not computed again. */
  twofold(
    { op, in: operands, type, shape, with: given, ...whole }: StepFields,
    count: 1 | 2 = 2,
  ): readonly [InBuffer, InBuffer] {
    const dtype = valueType(type)
    if (dtype === undefined) throw this.decline(`it gives tensors of type ${DataType[type] ?? type}`)
    const { range, isChecked } = this.ranges.ofStep({ op, in: operands, type }, whole)
    const attributes = isChecked ? { ...given, checked: 1 } : given
    const dims = shape.map((dim) => this.dim(dim))
    const key = JSON.stringify([op, operands, type, dims, attributes, count])
    const known = this.#computed.get(key)
    if (known !== undefined) return known
    const out = Array.from({ length: count }, () => this.buffer(dtype, shape, range))
    const from = this.#node?.name
    this.steps.push({
      op,
      in: operands,
      out,
      ...(attributes && { with: attributes }),
      ...(from !== undefined && from !== '' && { from }),
    })
    const [first, second = first] = out.map((buffer): InBuffer => ({ kind: 'buffer', buffer, type, shape }))
    if (first === undefined || second === undefined) throw new RangeError('a step writes nothing')
    this.#computed.set(key, [first, second])
    return [first, second]
  }

  /** The step that gives a buffer; undefined for inputs. */
  stepOf(buffer: number): PlanStep | undefined {
    return this.steps.find(({ out }) => out.includes(buffer))
  }

  /** A value as a step reads it: constants get their place in the image. */
  operand(value: Lowered): Operand {
    switch (value.kind) {
      case 'buffer':
        return { buffer: value.buffer, shape: value.shape.map((dim) => this.dim(dim)) }
      case 'constant':
        return { constant: this.#place(value) }
      case 'quantized':
        return { constant: this.floats(this.floatsOf(value), value.shape) }
      case 'sizes': {
        const numbers = value.values.map(numberOf)
        if (numbers.some((number) => number === undefined)) {
          const values = value.values.map((each) => this.dim(each))
          return this.operand(this.step({ op: 'dims', in: [], type: value.type, shape: value.shape, with: { values } }))
        }
        const known = numbers as number[]
        return {
          constant:
            valueType(value.type) === 'u8' ? this.#truths(known, value.shape) : this.integers(known, value.shape),
        }
      }
    }
  }

  floats(values: Float32Array, shape: readonly Size[]): number {
    return this.image.add('f32', 'rows', this.#numbers(shape), values)
  }

  integers(values: readonly number[], shape: readonly Size[]): number {
    const range = rangeOf(values)
    if (!isHeld(range)) throw this.decline('it computes with a whole number beyond 32 bits')
    const constant = this.image.add('i32', 'rows', this.#numbers(shape), Int32Array.from(values))
    this.ranges.addConstant(constant, range)
    return constant
  }

  #truths(values: readonly number[], shape: readonly Size[]): number {
    return this.image.add('u8', 'rows', this.#numbers(shape), Uint8Array.from(values))
  }

  #place({ tensor, type, shape }: Constant): number {
    switch (valueType(type)) {
      case 'f32':
        return this.floats(floatsOf(tensor), shape)
      case 'i32':
        return this.integers(integersOf(tensor), shape)
      case 'u8':
        return this.#truths(integersOf(tensor), shape)
      case undefined:
        throw this.decline(`it reads a constant of type ${DataType[type] ?? type}`)
    }
  }

  /** A constant's elements as floats, row-major. */
  floatsOf(value: Constant | Quantized): Float32Array {
    return value.kind === 'constant' ? floatsOf(value.tensor) : dequantized(value)
  }

  #numbers(shape: readonly Size[]): number[] {
    return shape.map((dim) => {
      const number = numberOf(dim)
      if (number === undefined) throw this.decline('a constant has a shape that is not known')
      return number
    })
  }

  /** Whole numbers that are known before a run, as sizes. Undefined where they are data. */
  sizes(value: Value | undefined): readonly Size[] | undefined {
    if (value?.kind === 'sizes') return value.values
    if (value?.kind !== 'constant' || valueType(value.type) !== 'i32') return undefined
    return integersOf(value.tensor).map(size)
  }

  /** As `sizes`, where all are numbers. */
  known(value: Value | undefined): readonly number[] | undefined {
    const numbers = this.sizes(value)?.map(numberOf)
    return numbers?.some((number) => number === undefined) ? undefined : (numbers as number[] | undefined)
  }

  /** The same elements with another shape, without a step. */
  reshaped(value: Lowered, shape: readonly Size[]): Lowered {
    if (!equal(product(value.shape), product(shape))) {
      throw this.decline('it reshapes a tensor in a way that cannot be shown to keep its elements')
    }
    return value.kind === 'quantized' ? { ...asConstant(value, this.floatsOf(value)), shape } : { ...value, shape }
  }

  /**
   * The plan of the steps that outputs need, and the image of the constants that these read. Shapes are read of values
   * that nothing else reads, so steps are left over.
   */
  finish(parts: Pick<Plan, 'inputs' | 'outputs'>): { readonly plan: Plan; readonly image: Image } {
    const needed = new Set(parts.outputs.map(({ buffer }) => buffer))
    const steps = this.steps.toReversed().filter(({ in: operands, out }) => {
      if (!out.some((buffer) => needed.has(buffer))) return false
      for (const operand of operands) if (operand !== null && 'buffer' in operand) needed.add(operand.buffer)
      return true
    })
    const image = new Image()
    const buffers = renumbered([
      ...parts.inputs.map(({ buffer }) => buffer),
      ...steps.toReversed().flatMap(({ out }) => out),
    ])
    const constants = new Map<number, number>()
    const moved = (operand: Operand): Operand => {
      if (operand === null) return null
      if ('buffer' in operand) return { ...operand, buffer: buffers.get(operand.buffer) ?? -1 }
      const known = constants.get(operand.constant) ?? image.take(this.image, operand.constant)
      constants.set(operand.constant, known)
      return { constant: known }
    }
    const tensors = (list: readonly PlanTensor[]): PlanTensor[] =>
      list.map((item) => ({ ...item, buffer: buffers.get(item.buffer) ?? -1 }))
    const plan: Plan = {
      format: 1,
      symbols: this.symbols,
      inputs: tensors(parts.inputs),
      outputs: tensors(parts.outputs),
      buffers: [...buffers.keys()].map((buffer) => this.buffers[buffer] as PlanBuffer),
      constants: image.constants,
      steps: steps.toReversed().map((step) => ({
        ...step,
        in: step.in.map(moved),
        out: step.out.map((buffer) => buffers.get(buffer) ?? -1),
      })),
    }
    return { plan, image }
  }
}

/** New numbers for what is left, in order. */
function renumbered(old: readonly number[]): Map<number, number> {
  const numbers = new Map<number, number>()
  for (const index of old) if (!numbers.has(index)) numbers.set(index, numbers.size)
  return numbers
}

/** An axis that may count from the end. */
export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}

export function axisAttribute(node: NodeProto, otherwise: number, rank: number): number {
  return axisOf(intOf(node, 'axis', otherwise), rank)
}

export function constantOf(tensor: TensorProto): Constant {
  return { kind: 'constant', tensor, type: tensor.dataType, shape: dimsOf(tensor).map(size) }
}
