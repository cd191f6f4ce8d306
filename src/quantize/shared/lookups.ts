import { DataType, dimsOf } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { intOf } from '../../onnx/make.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import { matrixOf } from './products.ts'
import { LEAST_ELEMENTS } from './weights.ts'

/** A table of one or two dimensions that rows are looked up in; elements are rows of one column. */
export interface Lookup {
  readonly node: NodeProto
  readonly table: TensorProto
  readonly rows: number
  readonly columns: number
  /** The `Transpose` that the table is read through: of a weight that a product reads as it lies. */
  readonly through: NodeProto | undefined
}

/** The lookup that a node is; why it cannot be quantized; undefined where no floats are looked up. */
export function constantLookup(view: GraphView, node: NodeProto): Lookup | { readonly reason: string } | undefined {
  if (node.opType !== 'Gather' || (node.domain !== '' && node.domain !== 'ai.onnx')) return undefined
  const { tensor: table, through } = matrixOf(view, node.input[0] ?? '') ?? {}
  if (!table || table.dataType !== DataType.FLOAT) return undefined
  if (scalesRows(view, node)) return undefined
  const dims = through === undefined ? dimsOf(table) : dimsOf(table).reverse()
  const [rows = 0, columns = 1] = dims
  if (dims.length === 0 || dims.length > 2) return { reason: `its table has ${dims.length} dimensions` }
  const axis = intOf(node, 'axis', 0)
  if (axis !== 0 && axis !== -dims.length) return { reason: `it gathers along axis ${axis} instead of the first` }
  if (rows * columns < LEAST_ELEMENTS) return { reason: `its table has only ${rows * columns} elements` }
  if (view.constant(node.input[1] ?? '')) return { reason: 'its indices are constants: fold the node first' }
  return { node, table, rows, columns, through }
}

/** Whether a lookup's floats scale rows of whole numbers: a table in eight bits, whose scales are not to become so too. */
function scalesRows(view: GraphView, { output: [value = ''] }: NodeProto): boolean {
  const [use, ...others] = view.uses(value)
  if (use?.node.opType !== 'Mul' || others.length > 0) return false
  const cast = view.producer(use.node.input[1 - use.index] ?? '')
  const rows = cast?.opType === 'Cast' ? view.producer(cast.input[0] ?? '') : undefined
  if (rows?.opType !== 'Gather') return false
  return view.constant(rows.input[0] ?? '')?.dataType === DataType.INT8
}
