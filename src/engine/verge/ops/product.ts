import { ACTIVATION, activate, activationOf } from './activation.ts'
import {
  type Binding,
  type Bound,
  FLOATS,
  INTEGERS,
  type OperandRule,
  type Operator,
  PER_FLOAT,
  roundUp,
  type View,
} from './operator.ts'
import { broadcastShape, broadcastStrides, stridesOf } from './strides.ts'
import { UNARY_CODE } from './unary-kinds.ts'

/** For tiles at an edge, and data of columns that do not fill a panel. */
export const TILE_BYTES = 256
/** Packed rows that are held at once; with their results they stay in the second-level cache. */
const BLOCK_BYTES = 256 * 1024
const BLOCK_ROWS = 128

/** Rows of `rowBytes` bytes that are packed at a time: a multiple of 4. */
export function blockRows(rowBytes: number, rows: number): number {
  const fit = Math.floor(BLOCK_BYTES / Math.max(1, rowBytes) / 4) * 4
  return Math.max(4, Math.min(BLOCK_ROWS, fit, roundUp(Math.max(1, rows), 4)))
}

/** Sums of products of 8 and 7 bits stay inside 32. */
export const MOST_DEPTH = 65_536

/** Rows, depth and columns of x [..., K] times [K, N]. */
export function productSizes(step: Binding, x: View, weight: View): { rows: number; depth: number; columns: number } {
  const [depth = 0, columns = 0] = weight.shape
  step.need(weight.shape.length === 2 && depth > 0 && depth <= MOST_DEPTH, 'its weight is not a matrix')
  step.need(x.shape.at(-1) === depth, `its input has ${x.shape.at(-1) ?? 'no'} channels, and its weight takes ${depth}`)
  const rows = x.count / depth
  const out = step.output()
  step.need(out.shape.at(-1) === columns && out.count === rows * columns, 'its result has another shape')
  return { rows, depth, columns }
}

export function columnData(step: Binding, index: number, columns: number): View {
  const data = step.input(index)
  step.need(data.count === columns, `operand ${index} has ${data.count} values for ${columns} columns`)
  return data
}

export function optionalColumns(step: Binding, index: number, columns: number): View | undefined {
  return step.inputs[index] === undefined ? undefined : columnData(step, index, columns)
}

/** Operands of a product with 8-bit weights [K, N], behind its first. */
export const WEIGHTS_INT8: readonly OperandRule[] = [
  { name: 'weight', types: ['i8'], layouts: ['columns-int8'], constant: true },
  { name: 'scales', types: FLOATS, constant: true },
  { name: 'sums', types: INTEGERS, constant: true },
  { name: 'bias', types: FLOATS, constant: true, optional: true },
]

const linearInt8: Operator = {
  name: 'linear-int8',
  what: 'x [..., K] times 8-bit weights [K, N], activations quantized by row to 7 bits; plus bias; activation',
  inputs: [{ name: 'x', types: FLOATS }, ...WEIGHTS_INT8],
  outputs: [{ types: FLOATS }],
  attributes: ACTIVATION,
  bind(step: Binding): Bound {
    const [x, weight, out] = [step.input(0), step.input(1), step.output()]
    const { rows, depth, columns } = productSizes(step, x, weight)
    const scales = columnData(step, 2, columns)
    const sums = columnData(step, 3, columns)
    const bias = optionalColumns(step, 4, columns)
    const activation = activationOf(step)
    // The kernel applies this one itself, while a result is near.
    const gelu = activation.code === UNARY_CODE.gelu ? 1 : 0
    const packedDepth = roundUp(depth, 4)
    const block = blockRows(packedDepth, rows)
    const ranges = block * packedDepth
    const tile = ranges + block * 16
    return {
      cost: rows * depth * columns + rows * columns * activation.cost,
      scratch: tile + TILE_BYTES,
      run(kernels, frame, scratch) {
        const from = x.at(frame)
        const to = out.at(frame)
        const data = [weight.at(frame), scales.at(frame), sums.at(frame), bias?.at(frame) ?? 0] as const
        for (let row = 0; row < rows; row += block) {
          const count = Math.min(block, rows - row)
          const target = to + row * columns * 4
          kernels.quantizeRows(from + row * depth * 4, count, depth, scratch, scratch + ranges)
          kernels.productInt8(
            scratch,
            scratch + ranges,
            ...data,
            target,
            count,
            columns,
            depth,
            columns * 4,
            4,
            scratch + tile,
            activation.least,
            activation.most,
            gelu,
          )
          if (gelu === 0) activate(kernels, activation, target, count * columns)
        }
      },
    }
  },
}

const linearF32: Operator = {
  name: 'linear-f32',
  what: 'x [..., K] times weights [K, N] in f32, or stored in f16; plus bias; activation. `fast`: 1 lets the processor round (relaxed madd)',
  inputs: [
    { name: 'x', types: FLOATS },
    { name: 'weight', types: ['f32', 'f16'], layouts: ['columns-f32', 'columns-f16'], constant: true },
    { name: 'bias', types: FLOATS, constant: true, optional: true },
  ],
  outputs: [{ types: FLOATS }],
  attributes: { ...ACTIVATION, fast: { type: 'number', otherwise: 0 } },
  bind(step: Binding): Bound {
    const [x, weight, out] = [step.input(0), step.input(1), step.output()]
    const { rows, depth, columns } = productSizes(step, x, weight)
    const bias = optionalColumns(step, 2, columns)
    const activation = activationOf(step)
    const half = weight.layout === 'columns-f16' ? 1 : 0
    const fast = step.number('fast') === 0 ? 0 : 1
    const block = blockRows(depth * 4, rows)
    const tile = block * depth * 4
    return {
      cost: rows * depth * columns * PER_FLOAT + rows * columns * activation.cost,
      scratch: tile + TILE_BYTES + half * depth * 32,
      run(kernels, frame, scratch) {
        const from = x.at(frame)
        const to = out.at(frame)
        for (let row = 0; row < rows; row += block) {
          const count = Math.min(block, rows - row)
          const target = to + row * columns * 4
          kernels.packRows(from + row * depth * 4, count, depth, depth * 4, scratch, 1)
          kernels.productF32(
            scratch,
            weight.at(frame),
            bias?.at(frame) ?? 0,
            target,
            count,
            columns,
            depth,
            columns * 4,
            4,
            scratch + tile,
            activation.least,
            activation.most,
            fast,
            half,
          )
          activate(kernels, activation, target, count * columns)
        }
      },
    }
  },
}

const matmul: Operator = {
  name: 'matmul',
  what: 'a [..., M, K] times b [..., K, N] (`transposeB`: 1 for [..., N, K]), times `alpha`; leading axes broadcast',
  inputs: [
    { name: 'a', types: FLOATS },
    { name: 'b', types: FLOATS },
  ],
  outputs: [{ types: FLOATS }],
  attributes: {
    transposeB: { type: 'number', otherwise: 0 },
    alpha: { type: 'number', otherwise: 1 },
    fast: { type: 'number', otherwise: 0 },
  },
  bind(step: Binding): Bound {
    const [a, b, out] = [step.input(0), step.input(1), step.output()]
    step.need(a.shape.length >= 2 && b.shape.length >= 2, 'its inputs are not matrices')
    const [rows = 0, depth = 0] = a.shape.slice(-2)
    const turned = step.number('transposeB') !== 0
    const right = b.shape.slice(-2)
    const [inner, columns = 0] = turned ? right.reverse() : right
    step.need(depth === inner, `its inputs have ${depth} and ${inner} elements to multiply`)
    const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))
    step.need(batch !== undefined, 'its inputs do not broadcast')
    const expected = [...batch, rows, columns]
    step.need(
      out.shape.length === expected.length && expected.every((size, axis) => size === out.shape[axis]),
      'its result has another shape',
    )
    const pairs = batchPairs(batch, a.shape.slice(0, -2), b.shape.slice(0, -2))
    // One matrix for all: the batch is more rows.
    const shared = b.count === depth * columns
    const calls = shared ? [[0, 0] as const] : pairs
    const height = shared ? rows * pairs.length : rows
    const block = blockRows(depth * 4, height)
    const panels = roundUp(columns, 8) * depth * 4
    const strips = panels + block * depth * 4
    const alpha = step.number('alpha')
    const fast = step.number('fast') === 0 ? 0 : 1
    return {
      cost: pairs.length * rows * depth * columns * PER_FLOAT + b.count,
      scratch: strips + TILE_BYTES,
      run(kernels, frame, scratch) {
        let packed = -1
        for (const [index, [left, at]] of calls.entries()) {
          if (at !== packed) {
            const matrix = b.at(frame) + at * depth * columns * 4
            if (turned) kernels.packColumnsTransposed(matrix, depth, columns, depth * 4, scratch)
            else kernels.packColumns(matrix, depth, columns, columns * 4, scratch)
            packed = at
          }
          for (let row = 0; row < height; row += block) {
            const count = Math.min(block, height - row)
            const from = a.at(frame) + (left * rows + row) * depth * 4
            const to = out.at(frame) + (index * rows + row) * columns * 4
            kernels.packRows(from, count, depth, depth * 4, scratch + panels, alpha)
            const tile = scratch + strips
            kernels.productF32(
              scratch + panels,
              scratch,
              0,
              to,
              count,
              columns,
              depth,
              columns * 4,
              4,
              tile,
              Number.NEGATIVE_INFINITY,
              Number.POSITIVE_INFINITY,
              fast,
              0,
            )
          }
        }
      },
    }
  },
}

/** For each matrix of the result, in order, which matrices of a and b it comes from. */
function batchPairs(
  batch: readonly number[],
  left: readonly number[],
  right: readonly number[],
): (readonly [number, number])[] {
  const a = broadcastStrides(left, batch) ?? []
  const b = broadcastStrides(right, batch) ?? []
  const own = stridesOf(batch)
  const count = batch.reduce((product, size) => product * size, 1)
  return Array.from({ length: count }, (_, index) => {
    let [x, y] = [0, 0]
    for (const [axis, size] of batch.entries()) {
      const at = Math.floor(index / (own[axis] ?? 1)) % size
      x += at * (a[axis] ?? 0)
      y += at * (b[axis] ?? 0)
    }
    return [x, y] as const
  })
}

export const PRODUCTS: readonly Operator[] = [linearInt8, linearF32, matmul]
