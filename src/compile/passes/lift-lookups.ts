import { DataType, dimsOf, floatsOf, makeTensor } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { intOf, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { bothWays, isOp, scalarOf, soleReader, Taken } from '../pattern.ts'

/**
 * Rows that are read from a table of eight bits and made floats afterwards are read from a table that is made floats: as
 * `DequantizeLinear` does it by one scale, or `Cast` and `Mul` by a scale for each row, which is looked up too, or for
 * each column; a table without columns has one.
 */
export const liftLookups: Pass = {
  name: 'lift-lookups',
  *propose(view, { namer }) {
    const taken = new Taken()
    for (const gather of view.graph.node) {
      if (!isOp(gather, 'Gather') || intOf(gather, 'axis', 0) !== 0) continue
      const [table = '', indices = ''] = gather.input
      if (view.constant(table) === undefined) continue
      const match = byOneScale(view, gather) ?? byMany(view, gather, indices)
      if (match === undefined || !taken.take(...match.nodes)) continue
      const rows = namer.fresh(`${table}_floats`)
      const scales = match.scales && namer.fresh(`${table}_scales`)
      yield {
        what: `read floats in ${gather.name}`,
        remove: match.nodes,
        add: [
          makeNode({
            op: 'DequantizeLinear',
            inputs: [table, ...(scales === undefined ? match.inputs : [scales])],
            outputs: [rows],
            name: namer.fresh(rows),
            attributes: { axis: { int: match.axis } },
          }),
          { ...gather, input: [rows, indices], output: [...match.output] },
        ],
        initializers:
          match.scales && scales !== undefined
            ? [makeTensor(scales, DataType.FLOAT, [match.scales.length], match.scales)]
            : [],
        opsets: { '': 13 },
      }
    }
  },
}

interface Match {
  readonly nodes: readonly NodeProto[]
  readonly output: readonly string[]
  readonly axis: number
  /** Scale and zero point, where they are there by name. */
  readonly inputs: readonly string[]
  /** Scales that get a name of their own. */
  readonly scales?: Float32Array
}

function byOneScale(view: GraphView, gather: NodeProto): Match | undefined {
  const floats = soleReader(view, gather.output[0])
  // By row the scales would have to be looked up too.
  if (!isOp(floats, 'DequantizeLinear') || scalarOf(view, floats.input[1]) === undefined) return undefined
  return { nodes: [gather, floats], output: floats.output, axis: 1, inputs: floats.input.slice(1) }
}

function byMany(view: GraphView, gather: NodeProto, indices: string): Match | undefined {
  const cast = soleReader(view, gather.output[0])
  const scaled = soleReader(view, cast?.output[0])
  if (!isOp(cast, 'Cast') || !isOp(scaled, 'Mul') || intOf(cast, 'to', 0) !== DataType.FLOAT) return undefined
  const factor = [...bothWays(scaled)].find(([value]) => value === cast.output[0])?.[1] ?? ''
  const table = view.constant(gather.input[0] ?? '')
  const [rows = 0, width = 0] = table === undefined ? [] : dimsOf(table)
  const byColumn = view.constant(factor)
  if (table !== undefined && dimsOf(table).length === 1) {
    if (byColumn?.dataType !== DataType.FLOAT || dimsOf(byColumn).length > 0) return undefined
    return { nodes: [gather, cast, scaled], output: scaled.output, axis: 0, inputs: [factor] }
  }
  if (table === undefined || dimsOf(table).length !== 2) return undefined
  if (byColumn !== undefined) {
    const scales = floatsOf(byColumn)
    if (byColumn.dataType !== DataType.FLOAT || scales.length !== width || dimsOf(byColumn).length !== 1)
      return undefined
    return { nodes: [gather, cast, scaled], output: scaled.output, axis: 1, inputs: [], scales }
  }
  const lookup = view.producer(factor)
  const byRow = isOp(lookup, 'Gather') ? view.constant(lookup.input[0] ?? '') : undefined
  if (lookup === undefined || byRow === undefined || byRow.dataType !== DataType.FLOAT) return undefined
  if (lookup.input[1] !== indices || intOf(lookup, 'axis', 0) !== 0 || dimsOf(byRow).join() !== `${rows},1`)
    return undefined
  return { nodes: [gather, cast, scaled], output: scaled.output, axis: 0, inputs: [], scales: floatsOf(byRow) }
}
