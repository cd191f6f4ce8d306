import { DataType } from '../../onnx/data.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { nodeList } from '../shared/node-list.ts'
import type { Loss } from '../shared/weights.ts'
import type { TiedLookup, TiedTable } from './ties.ts'

/** Names of the initializers that a product in eight bits reads. */
export interface TiedNames {
  /** [columns of the table, rows]. */
  readonly data: string
  /** [rows], or one for all. */
  readonly scale: string
  /** As `scale`; undefined where it is zero. */
  readonly zero: string | undefined
  /** Whether there is a zero point for each row. */
  readonly zeroByRow: boolean
}

/** A product's weight in eight bits, which lies the other way round than a table: a row of that is a column of it. */
export class TiedInt8 implements TiedTable {
  readonly to: string
  readonly loss: Loss
  readonly bytes: number
  readonly opsets = {}
  readonly #names: TiedNames

  constructor({ to, loss, bytes }: Pick<TiedTable, 'to' | 'loss' | 'bytes'>, names: TiedNames) {
    this.to = to
    this.loss = loss
    this.bytes = bytes
    this.#names = names
  }

  lookup(node: NodeProto, rank: number, fresh: (base: string) => string): TiedLookup {
    const { data, scale, zero, zeroByRow } = this.#names
    const output = node.output[0] as string
    const indices = node.input[1] as string
    const { nodes, add } = nodeList(node, fresh)
    const asFloat = { to: { int: DataType.FLOAT } }
    // [columns, ...indices]: scales, which are of the indices' shape, fit that without another dimension.
    const columns = add('Gather', 'columns', [data, indices], { axis: { int: 1 } })
    let floats = add('Cast', 'float', [columns], asFloat)
    if (zero !== undefined) {
      const points = zeroByRow ? add('Gather', 'zero_points', [zero, indices]) : zero
      floats = add('Sub', 'centred', [floats, add('Cast', 'zero_float', [points], asFloat)])
    }
    const scaled = add('Mul', 'scaled', [floats, add('Gather', 'scales', [scale, indices])])
    const perm = [...Array.from({ length: rank }, (_, axis) => axis + 1), 0]
    add('Transpose', 'rows', [scaled], { perm: { ints: perm } }, output)
    return { nodes, initializers: [] }
  }
}
