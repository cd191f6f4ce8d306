import type { ValueType } from '../../engine/verge/plan.ts'
import { DataType } from '../../onnx/data.ts'
import type { TensorProto } from '../../onnx/schema/onnx_pb.js'
import type { Size } from '../size.ts'

/** What is known of a value of the graph while it is lowered. */
export type Lowered = InBuffer | Constant | Quantized | Sizes

/** A value whose elements have no place yet: they get one where a step reads them all. */
export type Lazy = Repeated | Ramp | Places

export type Value = Lowered | Lazy

/** Computed in a run. */
export interface InBuffer {
  readonly kind: 'buffer'
  readonly buffer: number
  /** Where its elements are known to be whole numbers 0..255 less `zero`, times `step`. */
  readonly grid?: { readonly step: number; readonly zero: number }
  readonly type: DataType
  readonly shape: readonly Size[]
}

export interface Constant {
  readonly kind: 'constant'
  readonly tensor: TensorProto
  readonly type: DataType
  readonly shape: readonly Size[]
}

/** What `DequantizeLinear` makes of constants. */
export interface Quantized {
  readonly kind: 'quantized'
  readonly tensor: TensorProto
  readonly scale: TensorProto
  readonly zero: TensorProto | undefined
  readonly axis: number
  readonly type: DataType
  readonly shape: readonly Size[]
}

/** Whole numbers that follow from the inputs' shapes: what `Shape` gives and what is computed from it. */
export interface Sizes {
  readonly kind: 'sizes'
  readonly values: readonly Size[]
  readonly type: DataType
  readonly shape: readonly Size[]
}

/** Another value, repeated along axes where it has one element, as broadcasting does it. */
export interface Repeated {
  readonly kind: 'repeated'
  readonly of: InBuffer | Constant
  readonly type: DataType
  readonly shape: readonly Size[]
}

/** Whole numbers that grow evenly along each axis from `start` on, by `steps`: what indices are made of. */
export interface Ramp {
  readonly kind: 'ramp'
  readonly start: Size
  readonly steps: readonly Size[]
  readonly type: DataType
  readonly shape: readonly Size[]
}

/** Indices of several axes side by side along the last axis, as `GatherND` takes them. */
export interface Places {
  readonly kind: 'places'
  /** Of the shape without the last axis. */
  readonly parts: readonly (Ramp | Lowered)[]
  readonly type: DataType
  readonly shape: readonly Size[]
}

export function isLazy(value: Value): value is Lazy {
  return value.kind === 'repeated' || value.kind === 'ramp' || value.kind === 'places'
}

export function valueType(type: DataType): ValueType | undefined {
  switch (type) {
    case DataType.FLOAT:
    case DataType.FLOAT16:
    case DataType.DOUBLE:
      return 'f32'
    case DataType.INT64:
    case DataType.INT32:
      return 'i32'
    case DataType.BOOL:
      return 'u8'
    default:
      return undefined
  }
}
