import { DataType } from '../data.ts'

/** A dimension: its size, the name that the model's inputs give it, or null where nothing is known. */
export type Dim = number | string | null

/** What is known of a value. */
export interface ValueType {
  /** `UNDEFINED` where it is unknown, and for what is no tensor: a sequence, a map, an optional value. */
  readonly elementType: DataType
  /** Undefined where not even the rank is known. */
  readonly shape: readonly Dim[] | undefined
  /**
   * Elements of a small tensor in row-major order, where they are known before a run: shapes, axes, sizes, scales.
   * Truth values are 0 and 1; a named dimension is its name; an element that is not known is null.
   */
  readonly values?: readonly Dim[]
}

export const UNKNOWN: ValueType = { elementType: DataType.UNDEFINED, shape: undefined }

/** Tensors with more elements than this are weights or data, and no shapes that other shapes are computed from. */
export const MOST_VALUES = 512

export function typed(elementType: DataType, shape?: readonly Dim[], values?: readonly Dim[]): ValueType {
  if (values === undefined || (values.length > 0 && values.every((value) => value === null)))
    return { elementType, shape }
  return { elementType, shape, values }
}

/** `rank` dimensions of which nothing is known. */
export function unknownDims(rank: number): Dim[] {
  return new Array<Dim>(rank).fill(null)
}

/** The element type of the first that has one. */
export function firstType(...types: readonly (ValueType | undefined)[]): DataType {
  return types.find((type) => type !== undefined && type.elementType !== DataType.UNDEFINED)?.elementType ?? 0
}

/** The place of an axis that may count from the end; undefined where it lies outside. */
export function placeOf(axis: number, rank: number): number | undefined {
  const place = axis < 0 ? axis + rank : axis
  return Number.isInteger(place) && place >= 0 && place < rank ? place : undefined
}

/** Elements of a shape; null where a dimension is not a number. */
export function sizeOf(shape: readonly Dim[] | undefined): number | null {
  if (shape === undefined) return null
  let size = 1
  for (const dim of shape) {
    if (typeof dim !== 'number') return null
    size *= dim
  }
  return size
}

/** Elements that are all known numbers; undefined otherwise. */
export function numbersOf(type: ValueType | undefined): number[] | undefined {
  const values = type?.values
  if (values === undefined || !values.every((value) => typeof value === 'number')) return undefined
  return values as number[]
}

/** The only element, where it is a known number. */
export function numberOf(type: ValueType | undefined): number | undefined {
  const numbers = numbersOf(type)
  return numbers?.length === 1 ? numbers[0] : undefined
}

/** One dimension of which two things are known: a number says more than a name, and a name more than nothing. */
export function meet(left: Dim, right: Dim): Dim {
  if (typeof left === 'number') return left
  return typeof right === 'number' ? right : (left ?? right)
}

/** What holds of a value that comes from either of two places. */
export function join(left: ValueType, right: ValueType): ValueType {
  const elementType = left.elementType === right.elementType ? left.elementType : DataType.UNDEFINED
  const { shape } = left
  const other = right.shape
  if (shape === undefined || other === undefined || shape.length !== other.length) return typed(elementType)
  return typed(
    elementType,
    shape.map((dim, index) => (dim === other[index] ? dim : null)),
  )
}

export function sameShape(left: ValueType, right: ValueType): boolean {
  return (
    left.elementType === right.elementType &&
    left.shape?.length === right.shape?.length &&
    (left.shape ?? []).every((dim, index) => dim === right.shape?.[index])
  )
}

/** Numpy's broadcasting; undefined where a rank is unknown. */
export function broadcast(...shapes: readonly (readonly Dim[] | undefined)[]): Dim[] | undefined {
  let result: readonly Dim[] = []
  for (const shape of shapes) {
    if (shape === undefined) return undefined
    const rank = Math.max(result.length, shape.length)
    const before = result
    result = Array.from({ length: rank }, (_, index) =>
      broadcastDim(dimAt(before, index, rank), dimAt(shape, index, rank)),
    )
  }
  return [...result]
}

function dimAt(shape: readonly Dim[], index: number, rank: number): Dim {
  const place = index - rank + shape.length
  return place < 0 ? 1 : (shape[place] as Dim)
}

function broadcastDim(left: Dim, right: Dim): Dim {
  if (left === 1) return right
  if (right === 1 || left === right) return left
  if (typeof left === 'number') return left
  return typeof right === 'number' ? right : null
}
