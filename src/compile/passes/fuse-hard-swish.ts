import type { GraphView } from '../../onnx/graph.ts'
import { floatOf, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { bothWays, isOp, near, scalarOf, soleProducer, Taken } from '../pattern.ts'
import { clipOf } from './fuse-activation.ts'

/**
 * The spellings of hard swish that exporters have, as one node: x * hard-sigmoid(x), and x * clip(x + 3, 0, 6) / 6 with the
 * division before or behind the product. Howard et al., "Searching for MobileNetV3", https://arxiv.org/abs/1905.02244.
 */
export const fuseHardSwish: Pass = {
  name: 'fuse-hard-swish',
  *propose(view) {
    const taken = new Taken()
    for (const node of view.graph.node) {
      const match = divided(view, node) ?? product(view, node, 6)
      if (match === undefined || !taken.take(...match.nodes)) continue
      yield {
        what: `fuse ${node.name} into hard swish`,
        remove: match.nodes,
        add: [makeNode({ op: 'HardSwish', inputs: [match.input], outputs: [...node.output], name: node.name })],
        opsets: { '': 14 },
      }
    }
  },
}

interface Match {
  readonly input: string
  /** Last one first. */
  readonly nodes: readonly NodeProto[]
}

/** A product that is divided by six, or multiplied with a sixth. */
function divided(view: GraphView, node: NodeProto): Match | undefined {
  const value = sixth(view, node)
  const inner = soleProducer(view, value)
  const match = inner && product(view, inner, 1)
  return match && { input: match.input, nodes: [node, ...match.nodes] }
}

/** What a node takes the sixth part of. */
function sixth(view: GraphView, node: NodeProto): string | undefined {
  if (isOp(node, 'Div') && near(scalarOf(view, node.input[1]), 6)) return node.input[0]
  if (!isOp(node, 'Mul')) return undefined
  return [...bothWays(node)].find(([, factor]) => near(scalarOf(view, factor), 1 / 6))?.[0]
}

/** x times clip(x + 3, 0, 6) of which a part is taken: 6 for the sixth, 1 for all. */
function product(view: GraphView, node: NodeProto, part: 1 | 6): Match | undefined {
  if (!isOp(node, 'Mul')) return undefined
  for (const [input, gate] of bothWays(node)) {
    const last = soleProducer(view, gate)
    if (last === undefined) continue
    const nodes =
      part === 1 ? clipped(view, last, input) : (hardSigmoid(last, input) ?? sixthOfClipped(view, last, input))
    if (nodes !== undefined) return { input, nodes: [node, ...nodes] }
  }
  return undefined
}

function hardSigmoid(node: NodeProto, input: string): NodeProto[] | undefined {
  if (!isOp(node, 'HardSigmoid') || node.input[0] !== input) return undefined
  return near(floatOf(node, 'alpha', 0.2), 1 / 6) && near(floatOf(node, 'beta', 0.5), 0.5) ? [node] : undefined
}

function sixthOfClipped(view: GraphView, node: NodeProto, input: string): NodeProto[] | undefined {
  const clip = soleProducer(view, sixth(view, node))
  const nodes = clip && clipped(view, clip, input)
  return nodes && [node, ...nodes]
}

function clipped(view: GraphView, node: NodeProto, input: string): NodeProto[] | undefined {
  const ends = clipOf(view, node)
  const add = soleProducer(view, node.input[0])
  if (ends?.min !== 0 || ends.max !== 6 || !isOp(add, 'Add')) return undefined
  const isShifted = [...bothWays(add)].some(([value, shift]) => value === input && near(scalarOf(view, shift), 3))
  return isShifted ? [node, add] : undefined
}
