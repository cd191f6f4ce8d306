import { safeName } from '../onnx/errors.ts'
import { graphsOf } from '../onnx/graph.ts'
import type { ModelProto, NodeProto } from '../onnx/schema/onnx_pb.js'

export interface Exclusion {
  /** Names of nodes; `*` stands for any run of characters. */
  readonly nodes: readonly string[]
  /** Operators, as `MatMul`. */
  readonly ops: readonly string[]
}

/** Whether a node is to be left as it is. */
export function excluder({ nodes, ops }: Exclusion): (node: NodeProto) => boolean {
  const exact = new Set(nodes.filter((name) => !name.includes('*')))
  const patterns = nodes.filter((name) => name.includes('*')).map((name) => name.split('*'))
  const ofOps = new Set(ops)
  return ({ name, opType }) => ofOps.has(opType) || exact.has(name) || patterns.some((parts) => matches(name, parts))
}

/** Exclusions by which nothing is left as it is, most likely by a slip of the pen: a sentence each. */
export function unmatched(model: ModelProto, { nodes, ops }: Exclusion): string[] {
  const all = graphsOf(model).flatMap(({ graph }) => graph.node)
  const matchesNone = (exclusion: Exclusion): boolean => !all.some(excluder(exclusion))
  return [
    ...nodes
      .filter((name) => matchesNone({ nodes: [name], ops: [] }))
      .map((name) => `exclusions: no node has the name "${safeName(name)}"`),
    ...ops
      .filter((op) => matchesNone({ nodes: [], ops: [op] }))
      .map((op) => `exclusions: no node has the operator "${safeName(op)}"`),
  ]
}

/** Whether the parts stand in the name in this order, the first at its beginning and the last at its end. */
function matches(name: string, parts: readonly string[]): boolean {
  const [first = '', ...rest] = parts
  const last = rest.pop() ?? ''
  if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last)) return false
  const end = name.length - last.length
  let at = first.length
  for (const part of rest) {
    const found = name.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
