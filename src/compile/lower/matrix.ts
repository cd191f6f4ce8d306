import type { Attribute, Operand } from '../../engine/verge/plan.ts'
import { DataType, integersOf } from '../../onnx/data.ts'
import { floatOf, intOf, intsOf } from '../../onnx/make.ts'
import { fusedActivation, gridOf, isTransposed } from '../passes/fuse-activation.ts'
import { equal, numberOf, ONE, size } from '../size.ts'
import {
  besideColumns,
  columnSums,
  type Int8Columns,
  packFloats,
  packInt8,
  quantizeColumns,
  transposed,
} from '../weights.ts'
import { binaryStep } from './arithmetic.ts'
import { broadcast } from './broadcast.ts'
import type { Builder } from './builder.ts'
import { narrow } from './lazy.ts'
import type { RuleContext, Rules } from './rule.ts'
import { storedMatrix } from './stored.ts'
import type { Constant, InBuffer, Lowered, Quantized } from './values.ts'
import { valueType } from './values.ts'

/** The compiler's own nodes. */
export const FUSED_PRODUCTS: Rules = {
  Linear: (context) => [{ ...linear(context), ...gridOf(context.node) }],
  Attention: (context) => [attention(context)],
  Rotary: (context) => [rotary(context)],
}

export const MATRIX: Rules = {
  MatMul: (context) => [multiplied(context)],
  Gemm: (context) => [gemm(context)],
}

/** One whose second input is no constant, or whose factors are not 1. */
function gemm({ node, at, maybe, build }: RuleContext): Lowered {
  const [left, right, added] = [at(0), at(1), maybe(2)]
  if (left.shape.length !== 2 || right.shape.length !== 2 || valueType(left.type) !== 'f32')
    throw build.decline('it multiplies no matrices of floats')
  const [isTurned, isTransposedRight] = [intOf(node, 'transA', 0) !== 0, intOf(node, 'transB', 0) !== 0]
  const rows = isTurned ? turnedMatrix(build, left) : left
  const [inner = ONE, outer = ONE] = isTransposedRight ? right.shape.toReversed() : right.shape
  if (!equal(rows.shape[1] ?? ONE, inner)) throw build.decline('it cannot be shown that its matrices fit together')
  const product = build.step({
    op: 'matmul',
    in: [build.operand(rows), build.operand(right)],
    type: left.type,
    shape: [rows.shape[0] ?? ONE, outer],
    with: { transposeB: isTransposedRight ? 1 : 0, alpha: floatOf(node, 'alpha', 1) },
  })
  const beta = floatOf(node, 'beta', 1)
  if (added === undefined || beta === 0) return product
  return binaryStep(build, product, times(build, added, beta), { kind: 'add', type: left.type })
}

function turnedMatrix(build: Builder, value: Lowered): Lowered {
  const shape = value.shape.toReversed()
  return build.step({ op: 'transpose', in: [build.operand(value)], type: value.type, shape, with: { perm: [1, 0] } })
}

function times(build: Builder, value: Lowered, factor: number): Lowered {
  if (factor === 1) return value
  const by = build.step({ op: 'fill', in: [], type: value.type, shape: [ONE], with: { value: factor } })
  return binaryStep(build, value, by, { kind: 'mul', type: value.type })
}

function multiplied({ at, build }: RuleContext): Lowered {
  const [left, right] = [at(0), at(1)]
  const [rows, columns] = [left.shape.length, right.shape.length]
  if (rows < 2 || columns < 2 || valueType(left.type) !== 'f32')
    throw build.decline('it multiplies no matrices of floats')
  if (!equal(left.shape[rows - 1] ?? ONE, right.shape[columns - 2] ?? ONE)) {
    throw build.decline('it cannot be shown that its matrices fit together')
  }
  const batch = broadcast(build, left.shape.slice(0, -2), right.shape.slice(0, -2))
  const shape = [...batch, left.shape[rows - 2] ?? ONE, right.shape[columns - 1] ?? ONE]
  return build.step({ op: 'matmul', in: [build.operand(left), build.operand(right)], type: left.type, shape })
}

/** A weight [inner, outer] of a product; `transposed` where it is stored as [outer, inner]. */
export interface Matrix {
  readonly inner: number
  readonly outer: number
  readonly source: Constant | Quantized
  readonly transposed: boolean
}

/** One product, or several with the same left side and their results side by side: x, then weight and bias in turn. */
function linear({ node, at, maybe, build }: RuleContext): InBuffer {
  const value = at(0)
  const count = (node.input.length - 1) / 2
  const matrices = Array.from({ length: count }, (_, index) => matrixOf(build, at(1 + 2 * index), isTransposed(node)))
  const biases = Array.from({ length: count }, (_, index) => maybe(2 + 2 * index))
  const inner = matrices[0]?.inner ?? 0
  const last = value.shape.at(-1)
  if (
    valueType(value.type) !== 'f32' ||
    last === undefined ||
    numberOf(last) !== inner ||
    matrices.some((m) => m.inner !== inner)
  ) {
    throw build.decline('it cannot be shown that its input fits its weight')
  }
  const outer = matrices.reduce((sum, matrix) => sum + matrix.outer, 0)
  const bias = biases.every((item) => item === undefined) ? null : { constant: joinedBias(build, matrices, biases) }
  const shape = [...value.shape.slice(0, -1), size(outer)]
  const attributes = fusedActivation(node) as Record<string, Attribute>
  const into = { type: value.type, shape, with: attributes }
  if (matrices.every(({ source }) => source.kind === 'quantized')) {
    const grid = value.kind === 'buffer' ? value.grid : undefined
    return build.step({
      op: grid === undefined ? 'linear-int8' : 'linear-grid',
      in: [build.operand(value), ...int8Weight(build, besideColumns(matrices.map((m) => int8Columns(build, m)))), bias],
      ...into,
      with: { ...attributes, ...(grid && { grid: grid.step, zero: grid.zero }) },
    })
  }
  const weights = matrices.map((matrix) => packedFloats(build, matrix))
  // Strips of eight columns: weights whose columns fill their strips lie one after the other.
  if (matrices.slice(0, -1).some((matrix) => matrix.outer % 8 !== 0))
    throw build.decline('its weights do not lie side by side')
  const packed = new Float32Array(weights.reduce((sum, { length }) => sum + length, 0))
  let start = 0
  for (const weight of weights) {
    packed.set(weight, start)
    start += weight.length
  }
  const half = matrices.every(({ source }) => isHalf(source))
  const weight = floatWeight(build, packed, [inner, outer], half)
  return build.step({ op: 'linear-f32', in: [build.operand(value), weight, bias], ...into })
}

export function isHalf({ kind, tensor }: Constant | Quantized): boolean {
  return kind === 'constant' && tensor.dataType === DataType.FLOAT16
}

/** Weights of a product in half floats where the model has them so. */
export function floatWeight(build: Builder, packed: Float32Array, shape: readonly number[], half: boolean): Operand {
  if (!half) return { constant: build.image.add('f32', 'columns-f32', shape, packed) }
  return { constant: build.image.add('f16', 'columns-f16', shape, Float16Array.from(packed)) }
}

export function int8Weight(build: Builder, weight: Int8Columns): Operand[] {
  const { inner, outer, scales } = weight
  return [
    { constant: build.image.add('i8', 'columns-int8', [inner, outer], packInt8(weight)) },
    { constant: build.image.add('f32', 'rows', [outer], scales) },
    { constant: build.image.add('i32', 'rows', [outer], columnSums(weight)) },
  ]
}

function joinedBias(build: Builder, matrices: readonly Matrix[], biases: readonly (Lowered | undefined)[]): number {
  const values = new Float32Array(matrices.reduce((sum, { outer }) => sum + outer, 0))
  let start = 0
  for (const [index, { outer }] of matrices.entries()) {
    const bias = biases[index]
    if (bias !== undefined) {
      if (bias.kind !== 'constant' && bias.kind !== 'quantized') throw build.decline('its bias is no constant')
      const floats = build.floatsOf(bias)
      if (floats.length !== outer) throw build.decline('its bias is not of one number for each column')
      values.set(floats, start)
    }
    start += outer
  }
  return build.floats(values, [size(values.length)])
}

function matrixOf(build: Builder, weight: Lowered, isTransposed: boolean): Matrix {
  const [rows, columns] = weight.shape.map(numberOf)
  if ((weight.kind !== 'constant' && weight.kind !== 'quantized') || rows === undefined || columns === undefined) {
    throw build.decline('its weight is no constant matrix')
  }
  return {
    source: weight,
    transposed: isTransposed,
    inner: isTransposed ? columns : rows,
    outer: isTransposed ? rows : columns,
  }
}

function floatsIn(build: Builder, { source, inner, outer, transposed: turned }: Matrix): Float32Array {
  const values = build.floatsOf(source)
  return turned ? transposed(values, outer, inner) : values
}

function packedFloats(build: Builder, matrix: Matrix): Float32Array {
  return packFloats(floatsIn(build, matrix), matrix.inner, matrix.outer)
}

/** Eight bits that a file brings are taken as they are where they fit; others are made from the floats. */
export function int8Columns(build: Builder, matrix: Matrix): Int8Columns {
  const { source, inner, outer } = matrix
  return (
    (source.kind === 'quantized' ? stored(matrix, source) : undefined) ??
    quantizeColumns(floatsIn(build, matrix), inner, outer)
  )
}

function stored({ inner, outer, transposed: turned }: Matrix, source: Quantized): Int8Columns | undefined {
  const found = turned ? storedMatrix(source, outer, inner) : storedMatrix(source, inner, outer)
  if (found === undefined || ![turned ? 'rows' : 'columns', 'all'].includes(found.scaled)) return undefined
  return {
    inner,
    outer,
    values: turned ? transposed(found.values, outer, inner) : found.values,
    scales: Float32Array.from({ length: outer }, (_, column) => found.scaleOf(column)),
  }
}

/**
 * The attention of a whole layer: queries, keys and values side by side in one tensor, or in three. Where all of them come from
 * products of 8 bits, which leave larger errors, attention is computed in whole numbers too.
 */
function attention({ node, at, lazy, build }: RuleContext): Lowered {
  const [query, key, value] = [at(0), at(1), at(2)]
  const added = (node.input[3] ?? '') === '' ? undefined : narrow(build, lazy(3))
  // Exports of models for pictures hide nothing, and say so for each query.
  const mask = added?.kind === 'constant' && build.floatsOf(added).every((value) => value === 0) ? undefined : added
  const [heads, headSize] = [intOf(node, 'heads', 0), intOf(node, 'size', 0)]
  const wide = heads * headSize
  const offsets = intsOf(node, 'offsets') ?? [0, 0, 0]
  const fits = [query, key, value].every(
    ({ shape }, place) => shape.length === 3 && (numberOf(shape[2] ?? ONE) ?? 0) >= (offsets[place] ?? 0) + wide,
  )
  if (!fits) throw build.decline('the width of its heads is not known')
  if (mask !== undefined && valueType(mask.type) !== 'f32')
    throw build.decline('what is added to its scores is not of floats')
  const [batch, length] = [query.shape[0] ?? ONE, query.shape[1] ?? ONE]
  const keys = key.shape[1] ?? ONE
  if (mask !== undefined) broadcast(build, mask.shape, [batch, size(heads), length, keys])
  return build.step({
    op: [query, key, value].every((item) => isOfInt8(build, item)) ? 'attention-int8' : 'attention',
    in: [query, key, value, mask].map((item) => (item === undefined ? null : build.operand(item))),
    type: query.type,
    shape: [batch, length, size(wide)],
    with: { heads, headSize, scale: floatOf(node, 'scale', 1), offsets },
  })
}

/** Whether a product of 8 bits gives a value, turned by positions or not. */
function isOfInt8(build: Builder, value: Lowered): boolean {
  const step = value.kind === 'buffer' ? build.stepOf(value.buffer) : undefined
  const [first] = step?.in ?? []
  const source = step?.op === 'rotary' && first && 'buffer' in first ? build.stepOf(first.buffer) : step
  return source?.op === 'linear-int8'
}

/** The channels of heads, turned by angles [batch, sequence, channels], which may have an axis for the heads. */
function rotary({ node, at, lazy, build }: RuleContext): Lowered {
  const value = at(0)
  const [heads, headSize] = [intOf(node, 'heads', 0), intOf(node, 'size', 0)]
  const [batch, length] = [value.shape[0] ?? ONE, value.shape[1] ?? ONE]
  const angles = [1, 2].map((index) => {
    const angle = narrow(build, lazy(index))
    const shape =
      angle.shape.length === 4 && numberOf(angle.shape[1] ?? ONE) === 1 ? angle.shape.toSpliced(1, 1) : angle.shape
    const isKnown = shape.length === 3 && [headSize, headSize / 2].includes(numberOf(shape[2] ?? ONE) ?? 0)
    if (!isKnown) throw build.decline('its angles are not of positions')
    broadcast(build, shape.slice(0, 2), [batch, length])
    return build.reshaped(angle, shape)
  })
  return build.step({
    op: 'rotary',
    in: [value, ...angles].map((item) => build.operand(item)),
    type: value.type,
    shape: [batch, length, size(heads * headSize)],
    with: { heads, headSize, offset: intOf(node, 'offset', 0) },
  })
}

/** The whole numbers of an eight-bit weight [channels, ...], with their scales by channel, where it has such. */
export function storedRows(
  weight: Quantized,
  channels: number,
): { readonly values: Float32Array; readonly scales: Float32Array } | undefined {
  const inner = integersOf(weight.tensor).length / channels
  const columns = stored({ source: weight, transposed: true, inner, outer: channels }, weight)
  if (columns === undefined) return undefined
  return { values: Float32Array.from(transposed(columns.values, inner, channels)), scales: columns.scales }
}
