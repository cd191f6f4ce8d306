import { DataType, makeTensor } from '../../onnx/data.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import type { BlockOptions } from '../shared/blocks.ts'
import type { FloatWeights } from '../shared/floats.ts'
import type { Lookup } from '../shared/lookups.ts'
import { nodeList } from '../shared/node-list.ts'
import type { Loss } from '../shared/weights.ts'
import { BlockTable, castNode } from './embedding-blocks.ts'

/** `GatherElements` came with this operator set, and `Unsqueeze` takes its axes as an input since the other. */
export const COLUMN_OPSET = 11
const AXES_AS_INPUT = 13

/**
 * A table of one column in four bits. A row of one element fills no block, so the column is folded into rows of a block
 * each: an element is looked up as its row, and picked out of that by `GatherElements`.
 */
export class ColumnTable {
  readonly to: BlockTable['to']
  readonly opsets: BlockTable['opsets']
  readonly loss: Loss
  readonly bytes: number
  readonly #table: BlockTable
  readonly #name: string
  readonly #rows: number
  readonly #blockSize: number

  constructor({ table, rows }: Lookup, floats: FloatWeights, options: BlockOptions) {
    const { blockSize } = options
    this.#table = new BlockTable({ table, rows: Math.ceil(rows / blockSize), columns: blockSize }, floats, options)
    this.to = this.#table.to
    this.opsets = this.#table.opsets
    this.loss = this.#table.loss
    this.bytes = this.#table.bytes
    this.#name = table.name
    this.#rows = rows
    this.#blockSize = blockSize
  }

  /** Numbers that indices are reckoned with, and those of the table in blocks. */
  initializers(fresh: (base: string) => string): TensorProto[] {
    const integer = (part: string, value: number, dims: readonly number[] = []): TensorProto =>
      makeTensor(fresh(`${this.#name}_${part}`), DataType.INT64, dims, BigInt64Array.of(BigInt(value)))
    return [
      integer('zero', 0),
      integer('length', this.#rows),
      integer('block', this.#blockSize),
      integer('last_axis', -1, [1]),
      ...this.#table.initializers(fresh),
    ]
  }

  lookup(
    node: NodeProto,
    [zero = '', length = '', block = '', lastAxis = '', ...blocks]: readonly string[],
    fresh: (base: string) => string,
    opset: number,
  ): NodeProto[] {
    const output = node.output[0] as string
    const { nodes, add } = nodeList(node, fresh)
    const indices = add('Cast', 'indices', [node.input[1] as string], { to: { int: DataType.INT64 } })
    // Negative indices count from the end, which is not where the last block ends.
    const negative = add('Less', 'negative', [indices, zero])
    const fromEnd = add('Add', 'from_end', [indices, length])
    const position = add('Where', 'position', [negative, fromEnd, indices])
    const row = add('Div', 'row', [position, block])
    const within = add('Mod', 'within', [position, block])
    const rows = fresh(`${output}_rows`)
    nodes.push(this.#table.gather(node, blocks, { indices: row, rows }, fresh))
    const picks =
      opset < AXES_AS_INPUT
        ? add('Unsqueeze', 'picks', [within], { axes: { ints: [-1] } })
        : add('Unsqueeze', 'picks', [within, lastAxis])
    const half = this.#table.rowType !== DataType.FLOAT
    const element = add('GatherElements', 'element', [rows, picks], { axis: { int: -1 } }, half ? undefined : output)
    return half ? [...nodes, castNode(node, element, fresh)] : nodes
  }
}
