import type { GraphView } from '../../onnx/graph.ts'
import { graphsOf } from '../../onnx/graph.ts'
import { intOf } from '../../onnx/make.ts'
import type { ModelProto } from '../../onnx/schema/onnx_pb.js'

/** Nodes that hand whole numbers on as they are. */
const CARRIERS = new Set(['Cast', 'Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'Expand'])

/** Nodes that a hash of whole numbers consists of, before a rest is taken. */
const HASHING = new Set(['Add', 'Mul'])

/** What is only hashed may be any number: a word of a large vocabulary, or a character of Unicode. */
const HASHED = 0x110000

/** A chain of nodes longer than this is not followed. */
const LONGEST_CHAIN = 16

/**
 * How many values each integer input may have: the rows of the table that it is looked up in (a vocabulary), the
 * smallest where there are several; many where it is hashed and not looked up itself. Others are left out.
 */
export function inputBounds(model: ModelProto): ReadonlyMap<string, number> {
  const view = graphsOf(model)[0]
  const bounds = new Map<string, number>()
  for (const { name } of view?.graph.input ?? []) {
    if (view === undefined) continue
    const rows = tableRows(view, name, LONGEST_CHAIN)
    if (rows.length > 0) bounds.set(name, Math.min(...rows))
    else if (!isMask(view, name, 0) && isHashed(view, name, LONGEST_CHAIN)) bounds.set(name, HASHED)
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
    const carries =
      (index === 0 && CARRIERS.has(node.opType)) ||
      // Ids that do not count are made 0.
      (node.opType === 'Mul' && isMask(view, node.input[1 - index], LONGEST_CHAIN))
    return next !== undefined && carries ? tableRows(view, next, depth - 1) : []
  })
}

/** Whether a value is an input that says which ids count, by its name. */
function isMask(view: GraphView, value: string | undefined, depth: number): boolean {
  const node = value === undefined ? undefined : view.producer(value)
  if (node === undefined) return value !== undefined && /mask/i.test(value)
  return depth > 0 && CARRIERS.has(node.opType) && isMask(view, node.input[0], depth - 1)
}

function isHashed(view: GraphView, value: string, depth: number): boolean {
  if (depth === 0) return false
  return view.uses(value).some(({ node, index }) => {
    const [next, by] = [node.output[0], node.input[1]]
    if (index === 0 && node.opType === 'Mod') return by !== undefined && view.constant(by) !== undefined
    return next !== undefined && HASHING.has(node.opType) && isHashed(view, next, depth - 1)
  })
}
