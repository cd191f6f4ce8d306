import { graphsOf } from '../graph.ts'
import type { Pass } from '../pass.ts'
import type { NodeProto } from '../schema/onnx_pb.js'

/** Gives every node a name that no other node of the model has: reports and messages go by names. */
export const nameNodes: Pass = {
  name: 'name-nodes',
  *propose(view, { namer }) {
    const first = new Map<string, NodeProto>()
    for (const { graph } of graphsOf(view.model)) {
      for (const node of graph.node) if (!first.has(node.name)) first.set(node.name, node)
    }
    for (const node of view.graph.node) {
      if (node.name !== '' && first.get(node.name) === node) continue
      const name = namer.fresh(node.name || node.opType)
      yield { what: `name ${name}`, remove: [node], add: [{ ...node, name }] }
    }
  },
}
