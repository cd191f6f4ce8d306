import { ACTIVATION, activate, activationOf } from './activation.ts'
import {
  type Binding,
  type Bound,
  FLOATS,
  type Frame,
  INTEGERS,
  type Operator,
  PER_FLOAT,
  roundUp,
  type View,
} from './operator.ts'
import { broadcastShape, broadcastStrides, stridesOf } from './strides.ts'

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
function sizes(step: Binding, x: View, weight: View): { rows: number; depth: number; columns: number } {
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

const linearInt8: Operator = {
  name: 'linear-int8',
  what: 'x [..., K] times 8-bit weights [K, N], activations quantized by row to 7 bits; plus bias; activation',
  inputs: [
    { name: 'x', types: FLOATS },
    { name: 'weight', types: ['i8'], layouts: ['columns-int8'], constant: true },
    { name: 'scales', types: FLOATS, constant: true },
    { name: 'sums', types: INTEGERS, constant: true },
    { name: 'bias', types: FLOATS, constant: true, optional: true },
  ],
  outputs: [{ types: FLOATS }],
  attributes: ACTIVATION,
  bind(step: Binding): Bound {
    const [x, weight, out] = [step.input(0), step.input(1), step.output()]
    const { rows, depth, columns } = sizes(step, x, weight)
    const scales = columnData(step, 2, columns)
    const sums = columnData(step, 3, columns)
    const bias = optionalColumns(step, 4, columns)
    const activation = activationOf(step)
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
          )
          activate(kernels, activation, target, count * columns)
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
    const { rows, depth, columns } = sizes(step, x, weight)
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

const attention: Operator = {
  name: 'attention',
  what: 'softmax(q kᵀ · scale + mask) v of heads side by side in [B, S, heads · headSize], in f32, in blocks of keys; `keep` [B, T] hides keys with 0. `offsets` say where each head row begins in q, k and v, which may be one tensor',
  inputs: [
    { name: 'q', types: FLOATS },
    { name: 'k', types: FLOATS },
    { name: 'v', types: FLOATS },
    { name: 'mask', types: FLOATS, optional: true },
    { name: 'keep', types: INTEGERS, optional: true },
  ],
  outputs: [{ types: FLOATS }],
  attributes: {
    heads: { type: 'number' },
    headSize: { type: 'number' },
    scale: { type: 'number', otherwise: 1 },
    offsets: { type: 'numbers', otherwise: [0, 0, 0] },
  },
  bind(step: Binding): Bound {
    const [q, k, v, out] = [step.input(0), step.input(1), step.input(2), step.output()]
    const [mask, keep] = [step.inputs[3], step.inputs[4]]
    const heads = step.number('heads')
    const size = step.number('headSize')
    const offsets = step.numbers('offsets')
    step.need(Number.isInteger(heads) && heads > 0 && Number.isInteger(size) && size > 0, 'it has no heads')
    step.need(
      [q, k, v, out].every((view) => view.shape.length === 3),
      'its tensors are not of [batch, position, channel]',
    )
    const [batch = 0, queries = 0] = q.shape
    const keys = k.shape[1] ?? 0
    const width = heads * size
    step.need(width <= 65_536 && offsets.length === 3, 'its heads are too wide')
    step.need(k.shape[0] === batch && v.shape[0] === batch && v.shape[1] === keys, 'its keys do not fit its values')
    step.need(
      [q, k, v].every((view, index) => {
        const offset = offsets[index] ?? -1
        return Number.isInteger(offset) && offset >= 0 && offset + width <= (view.shape[2] ?? 0)
      }),
      'its heads lie outside its tensors',
    )
    step.need(
      out.shape[0] === batch && out.shape[1] === queries && out.shape[2] === width,
      'its result has another shape',
    )
    const strides = mask && broadcastStrides(mask.shape, [batch, heads, queries, keys])
    step.need(mask === undefined || strides !== undefined, 'its mask does not broadcast to its scores')
    step.need(
      keep === undefined || keep.count === batch * keys,
      'it says of another number of keys whether to keep them',
    )
    const [perBatch = 0, perHead = 0, perQuery = 0, perKey = 0] = strides ?? []
    const head = (view: View, frame: Frame, item: number, index: number, place: number): number =>
      view.at(frame) + (item * (view.shape[1] ?? 0) * (view.shape[2] ?? 0) + (offsets[place] ?? 0) + index * size) * 4
    return {
      cost: 2 * batch * heads * queries * keys * size * PER_FLOAT + batch * heads * queries * keys * 20,
      scratch: attentionScratch(keys, size),
      run(kernels, frame, scratch) {
        for (let item = 0; item < batch; item++) {
          for (let index = 0; index < heads; index++) {
            kernels.attentionHead(
              head(q, frame, item, index, 0),
              head(k, frame, item, index, 1),
              head(v, frame, item, index, 2),
              out.at(frame) + (item * queries * width + index * size) * 4,
              (q.shape[2] ?? 0) * 4,
              (k.shape[2] ?? 0) * 4,
              (v.shape[2] ?? 0) * 4,
              width * 4,
              queries,
              keys,
              size,
              step.number('scale'),
              mask === undefined ? 0 : mask.at(frame) + (item * perBatch + index * perHead) * 4,
              perQuery * 4,
              perKey * 4,
              keep === undefined ? 0 : keep.at(frame) + item * keys * 4,
              scratch,
            )
          }
        }
      },
    }
  },
}

/** As `attentionScratch` in `assembly/attention.ts`. */
function attentionScratch(keys: number, size: number): number {
  const [t, d] = [roundUp(keys, 8), roundUp(size, 8)]
  return (t * size + d * keys + size * 4 + 128 * 4 + d * 4 + 64) * 4
}

export const PRODUCTS: readonly Operator[] = [linearInt8, linearF32, matmul, attention]
