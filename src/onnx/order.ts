import { nodeLabel, OnnxError } from './errors.ts'
import { capturedBy } from './graph.ts'
import type { NodeProto } from './schema/onnx_pb.js'

/**
 * Nodes in an order in which each comes after those it reads from, otherwise as they stood.
 * @throws OnnxError cycle
 */
export function sorted(nodes: readonly NodeProto[]): NodeProto[] {
  const producers = new Map<string, NodeProto>()
  for (const node of nodes) for (const value of node.output) if (value !== '') producers.set(value, node)
  const result: NodeProto[] = []
  const state = new Map<NodeProto, 'open' | 'done'>()
  for (const start of nodes) {
    // Depth first with a stack of its own: graphs are deeper than the engine's.
    const stack: { readonly node: NodeProto; readonly needs: NodeProto[] }[] = []
    const enter = (node: NodeProto): void => {
      const known = state.get(node)
      if (known === 'done') return
      if (known === 'open') {
        throw new OnnxError('cycle', `${nodeLabel(node)} depends on its own output. Export the model again.`, {
          node: node.name || (node.output[0] ?? ''),
        })
      }
      state.set(node, 'open')
      const read = [...node.input, ...capturedBy(node)]
      const needs = new Set(read.flatMap((value) => producers.get(value) ?? []))
      stack.push({ node, needs: [...needs].reverse() })
    }
    enter(start)
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.needs.pop()
      if (next !== undefined) {
        enter(next)
        continue
      }
      state.set(top.node, 'done')
      result.push(top.node)
      stack.pop()
    }
  }
  return result
}
