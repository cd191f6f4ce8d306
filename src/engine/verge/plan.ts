/**
 * The plan of an artifact of Verge's own engine: what the compiler writes and the executor checks and runs. It is stored
 * as JSON in front of the weight image. Readers refuse a `format` that they do not know; a field's meaning never changes.
 */
export const PLAN_FORMAT = 1

/**
 * A size that is known once the inputs are: a number, or an expression over the plan's symbols. Division rounds down, and
 * its divisor is a positive number.
 */
export type Dim = number | readonly ['s', number] | readonly ['+' | '-' | '*', Dim, Dim] | readonly ['/', Dim, number]

/** Element types in memory. INT64 and the smaller integers of ONNX are `i32` here, BOOL is `u8`. */
export type ValueType = 'f32' | 'i32' | 'u8'
/** `u4`: two elements of the last axis a byte, the earlier in the lower half. Each row of that axis begins with a byte. */
export type ConstantType = ValueType | 'f16' | 'i8' | 'u4'

/** A size that callers choose, bound by the first input axis that is just this symbol. */
export interface PlanSymbol {
  /** Empty where the model has none. */
  readonly name: string
  /** Largest value, inclusive: the model's positions, or what the packer allows. */
  readonly max: number
}

/** Where a step's result lies. The arena gives a buffer its bytes from its first writing to its last reading. */
export interface PlanBuffer {
  readonly dtype: ValueType
  readonly shape: readonly Dim[]
}

/**
 * `rows`: row-major as it is. `columns-int8`: the [K, N] right side of a product as [N/8][K/4][8][4], N and K filled up
 * with zeros. `columns-f32`, `columns-f16`: the same as [N/8][K][8].
 */
export type Layout = 'rows' | 'columns-int8' | 'columns-f32' | 'columns-f16'

export interface PlanConstant {
  readonly dtype: ConstantType
  readonly layout: Layout
  readonly shape: readonly number[]
  /** In the image; a multiple of 64. */
  readonly offset: number
  readonly bytes: number
}

/** What a step reads: a buffer, seen with a shape of as many elements, or a constant. */
export type Operand =
  | { readonly buffer: number; readonly shape?: readonly Dim[] }
  | { readonly constant: number }
  | null

export type Attribute = number | string | readonly number[] | readonly Dim[]

export interface PlanStep {
  readonly op: string
  readonly in: readonly Operand[]
  /** Buffers that it writes. */
  readonly out: readonly number[]
  readonly with?: Readonly<Record<string, Attribute>>
  /** The ONNX node that it came from, for profiles and messages. */
  readonly from?: string
}

export interface PlanTensor {
  readonly name: string
  /** The Open Inference Protocol's name of what callers see: `FP32`, `INT64`, ... */
  readonly datatype: string
  readonly shape: readonly Dim[]
  readonly buffer: number
}

export interface Plan {
  readonly format: typeof PLAN_FORMAT
  readonly symbols: readonly PlanSymbol[]
  readonly inputs: readonly PlanTensor[]
  readonly outputs: readonly PlanTensor[]
  readonly buffers: readonly PlanBuffer[]
  readonly constants: readonly PlanConstant[]
  readonly steps: readonly PlanStep[]
}
