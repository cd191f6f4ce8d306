import type { GraphView } from '../../onnx/graph.ts'
import { graphsOf } from '../../onnx/graph.ts'
import { intOf } from '../../onnx/make.ts'
import type { ModelProto } from '../../onnx/schema/onnx_pb.js'

/** Nodes that hand whole numbers on as they are. */
const CARRIERS = new Set(['Cast', 'Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'Expand'])

/** A chain of carriers longer than this is not followed. */
const LONGEST_CHAIN = 16

/**
 * How many values each integer input may have: the rows of the table that it is looked up in (a vocabulary), the
 * smallest where there are several. Inputs that are looked up nowhere are left out.
 */
export function inputBounds(model: ModelProto): ReadonlyMap<string, number> {
  const view = graphsOf(model)[0]
  const bounds = new Map<string, number>()
  for (const { name } of view?.graph.input ?? []) {
    const rows = view === undefined ? [] : tableRows(view, name, LONGEST_CHAIN)
    if (rows.length > 0) bounds.set(name, Math.min(...rows))
  }
  return bounds
}

function tableRows(view: GraphView, value: string, depth: number): number[] {
  if (depth === 0) return []
  return view.uses(value).flatMap(({ node, index }) => {
    if (index < 0) return []
    const table = node.input[0] === undefined ? undefined : view.constant(node.input[0])
    if (index === 1 && (node.opType === 'Gather' || node.opType === 'GatherBlockQuantized') && table) {
      const axis = intOf(node, node.opType === 'Gather' ? 'axis' : 'gather_axis', 0)
      const rows = Number(table.dims.at(axis) ?? 0n)
      return rows > 0 ? [rows] : []
    }
    const next = node.output[0]
    return index === 0 && next !== undefined && CARRIERS.has(node.opType) ? tableRows(view, next, depth - 1) : []
  })
}
