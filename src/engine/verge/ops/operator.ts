import { elementCount } from '../../../core/tensors.ts'
import type { Kernels } from '../kernels.ts'
import type { ConstantType, Layout } from '../plan.ts'
import type { Guarded } from './guard.ts'

/** Addresses of one run: what an operand's place is relative to. */
export interface Frame {
  readonly arena: number
  readonly image: number
  /** Of the step, where it puts operands of its own. */
  readonly scratch?: number
}

/** Rows that a run brings along for a step, because their table is not all in the image. */
export interface BroughtRows {
  /** For each id: the place of a row in the image, or `~index` of a record in `cold`. */
  readonly slots: Int32Array
  /** Records: a row's bytes in each operand, one after the other. */
  readonly cold: Uint8Array
  readonly recordBytes: number
}

/** An operand or a result with its concrete shape. */
export interface View {
  readonly dtype: ConstantType
  readonly layout: Layout
  readonly shape: readonly number[]
  /** Elements. */
  readonly count: number
  at(frame: Frame): number
}

export interface OperandRule {
  readonly name: string
  readonly types: readonly ConstantType[]
  /** `rows` if left out. */
  readonly layouts?: readonly Layout[]
  readonly constant?: true
  readonly optional?: true
}

/** Attributes that a step may have. `dims` are lists of expressions, evaluated before a run. */
export type AttributeRule =
  | { readonly type: 'number'; readonly otherwise?: number }
  | { readonly type: 'numbers'; readonly otherwise?: readonly number[] }
  | { readonly type: 'dims' }
  | { readonly type: 'choice'; readonly of: readonly string[]; readonly otherwise?: string }

/** A step that is ready to run. */
export interface Bound {
  /** Work, in multiply-adds of eight bits. */
  readonly cost: number
  /** Bytes that it needs while it runs. */
  readonly scratch?: number
  run?(kernels: Kernels, frame: Frame, scratch: number): void
  /** Puts what a run brings along into the scratch, before `run`. */
  bring?(rows: BroughtRows, memory: ArrayBufferLike, frame: Frame, scratch: number): void
  /** In the place of `run`, by what may refuse its data. */
  readonly guarded?: Guarded
}

/** What an operator's `bind` sees of a step: operands with their shapes, attributes with their values. */
export interface Binding {
  readonly inputs: readonly (View | undefined)[]
  readonly outputs: readonly (View | undefined)[]
  input(index: number): View
  output(index?: number): View
  number(name: string): number
  numbers(name: string): readonly number[]
  choice(name: string): string
  /** @throws run_rejected unless it holds: shapes that do not fit together */
  need(holds: boolean, reason: string): asserts holds
  /** @throws integer_too_large unless whole numbers that follow from the sizes of the inputs are within 32 bits */
  needHeld(...numbers: readonly number[]): void
}

export interface Operator {
  readonly name: string
  /** What it computes, for the table in the documents. */
  readonly what: string
  readonly inputs: readonly OperandRule[]
  /** Any number of operands as the last rule has them. */
  readonly variadic?: true
  readonly outputs: readonly { readonly types: readonly ConstantType[]; readonly optional?: true }[]
  readonly attributes?: Readonly<Record<string, AttributeRule>>
  /** Inputs in whose place the result may be written, where it has as many bytes. */
  readonly inPlace?: readonly number[]
  bind(step: Binding): Bound
}

export const FLOATS: readonly ConstantType[] = ['f32']
export const INTEGERS: readonly ConstantType[] = ['i32']
export const BYTES: readonly ConstantType[] = ['u8']
export const ANY: readonly ConstantType[] = ['f32', 'i32', 'u8']

/** Bytes of an element. */
export const SIZE: Readonly<Record<ConstantType, number>> = { f32: 4, i32: 4, u8: 1, i8: 1, f16: 2, u4: 0.5 }

/** As the kernels number types. */
export const TYPE_CODE: Readonly<Partial<Record<ConstantType, number>>> = { f32: 0, i32: 1, u8: 2 }

/** An element that is moved or computed with vectors counts as this many multiply-adds. */
export const PER_ELEMENT = 4
/** A multiply-add of floats takes as long as this many of eight bits. */
export const PER_FLOAT = 5

/** Bytes of elements as they lie in memory: each row of the last axis begins with a byte. */
export function rowsBytes(dtype: ConstantType, shape: readonly number[]): number {
  return elementCount(shape.slice(0, -1)) * Math.ceil((shape.at(-1) ?? 1) * SIZE[dtype])
}

export function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to
}

export function sameShape(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((size, axis) => size === right[axis])
}
