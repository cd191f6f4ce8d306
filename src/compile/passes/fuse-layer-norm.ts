import { DataType, dimsOf } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { intOf, intsOf, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { bothWays, integersAt, isOp, scalarOf, soleProducer, soleReader, Taken } from '../pattern.ts'

/**
 * Layer normalization as exports before operator set 17 spell it: a mean, a difference, its mean square, a quotient.
 * Becomes `LayerNormalization`, which the specification defines by the same steps.
 */
export const fuseLayerNorm: Pass = {
  name: 'fuse-layer-norm',
  repeat: true,
  *propose(view) {
    const taken = new Taken()
    for (const node of view.graph.node) {
      const match = matched(view, node)
      if (match === undefined || !taken.take(...match.nodes)) continue
      yield {
        what: `fuse ${node.name} into LayerNormalization`,
        remove: match.nodes,
        add: [
          makeNode({
            op: 'LayerNormalization',
            inputs: [match.input, match.scale, ...(match.bias === undefined ? [] : [match.bias])],
            outputs: [match.output],
            name: node.name,
            attributes: { axis: { int: -1 }, epsilon: { float: match.epsilon } },
          }),
        ],
        opsets: { '': 17 },
      }
    }
  },
}

interface Match {
  readonly input: string
  readonly scale: string
  readonly bias: string | undefined
  readonly epsilon: number
  readonly output: string
  readonly nodes: readonly NodeProto[]
}

/** @param div the quotient of the difference and the deviation */
function matched(view: GraphView, div: NodeProto): Match | undefined {
  if (!isOp(div, 'Div')) return undefined
  const root = soleProducer(view, div.input[1])
  const difference = view.producer(div.input[0] ?? '')
  if (!isOp(root, 'Sqrt') || !isOp(difference, 'Sub')) return undefined
  const add = soleProducer(view, root.input[0])
  const mean = view.producer(difference.input[1] ?? '')
  const input = difference.input[0] ?? ''
  if (!isOp(add, 'Add') || !isLastMean(view, mean) || mean.input[0] !== input) return undefined
  for (const [square, epsilon] of bothWays(add)) {
    const variance = soleProducer(view, square)
    const constant = scalarOf(view, epsilon)
    if (constant === undefined || !isLastMean(view, variance)) continue
    const power = soleProducer(view, variance.input[0])
    const own = power && squared(view, power)
    // Some exports compute the difference twice.
    const twin = own === undefined ? undefined : view.producer(own)
    if (power === undefined || !isOp(twin, 'Sub') || twin.input[0] !== input) continue
    if (twin !== difference && view.producer(twin.input[1] ?? '') !== mean) continue
    const inner = [...new Set([power, variance, add, root, div, difference, twin, mean])]
    if (!closed(view, inner, div)) continue
    return withAffine(view, div, { input, epsilon: constant, nodes: inner })
  }
  return undefined
}

function isLastMean(view: GraphView, node: NodeProto | undefined): node is NodeProto {
  if (!isOp(node, 'ReduceMean') || intOf(node, 'keepdims', 1) !== 1) return false
  const axes = intsOf(node, 'axes') ?? integersAt(view, node.input[1])
  return axes?.length === 1 && axes[0] === -1
}

function squared(view: GraphView, node: NodeProto): string | undefined {
  if (isOp(node, 'Pow') && scalarOf(view, node.input[1]) === 2) return node.input[0]
  return isOp(node, 'Mul') && node.input[0] === node.input[1] ? node.input[0] : undefined
}

/** Whether nothing else reads what the nodes give, but for the last one. */
function closed(view: GraphView, nodes: readonly NodeProto[], last: NodeProto): boolean {
  return nodes.every(
    (node) =>
      node === last ||
      node.output.every((value) => !view.isOutput(value) && view.uses(value).every((use) => nodes.includes(use.node))),
  )
}

function withAffine(
  view: GraphView,
  div: NodeProto,
  { input, epsilon, nodes }: Pick<Match, 'input' | 'epsilon' | 'nodes'>,
): Match | undefined {
  const scaling = soleReader(view, div.output[0])
  if (!isOp(scaling, 'Mul')) return undefined
  const scale = [...bothWays(scaling)].find(([value]) => value === div.output[0])?.[1]
  if (scale === undefined || !isRow(view, scale)) return undefined
  const shifting = soleReader(view, scaling.output[0])
  const bias = isOp(shifting, 'Add')
    ? [...bothWays(shifting)].find(([value]) => value === scaling.output[0])?.[1]
    : undefined
  const found = { input, epsilon, scale, nodes: [...nodes, scaling] }
  if (!isOp(shifting, 'Add') || bias === undefined || !isRow(view, bias)) {
    return { ...found, bias: undefined, output: scaling.output[0] ?? '' }
  }
  return { ...found, bias, nodes: [...found.nodes, shifting], output: shifting.output[0] ?? '' }
}

function isRow(view: GraphView, value: string): boolean {
  const tensor = view.constant(value)
  const isFloat = tensor?.dataType === DataType.FLOAT || tensor?.dataType === DataType.FLOAT16
  return tensor !== undefined && isFloat && dimsOf(tensor).length === 1
}
