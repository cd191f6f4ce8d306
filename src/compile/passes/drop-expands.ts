import type { GraphView } from '../../onnx/graph.ts'
import { makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import { isOp, Taken } from '../pattern.ts'

/**
 * A condition that is expanded to the shape of what it chooses from, before `Where` would do that: PyTorch's
 * `masked_fill` of a mask that was expanded. Without it the scores' shape is not read, and attention can be fused.
 */
export const dropExpands: Pass = {
  name: 'drop-expands',
  *propose(view) {
    const taken = new Taken()
    for (const where of view.graph.node) {
      if (!isOp(where, 'Where')) continue
      const [condition = '', yes = '', no = ''] = where.input
      const source = expandedTo(view, condition, no)
      if (source === undefined || !taken.take(where)) continue
      yield {
        what: `read ${source} in ${where.name} as it is`,
        remove: [where],
        add: [makeNode({ op: 'Where', inputs: [source, yes, no], outputs: [...where.output], name: where.name })],
      }
    }
  },
}

/** What a value is expanded from, where it is expanded to the shape of another; casts to truth values are passed. */
function expandedTo(view: GraphView, value: string, like: string): string | undefined {
  const expand = view.producer(value)
  if (!isOp(expand, 'Expand')) return undefined
  const shape = view.producer(expand.input[1] ?? '')
  return isOp(shape, 'Shape') && shape.input[0] === like && shape.attribute.length === 0 ? expand.input[0] : undefined
}
