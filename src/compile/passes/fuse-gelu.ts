import type { GraphView } from '../../onnx/graph.ts'
import { makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { bothWays, DOMAIN, isOp, near, scalarOf, soleProducer, Taken } from '../pattern.ts'

/**
 * The spellings of GELU that PyTorch exports, as one node, and of SiLU, which is the same shape of curve.
 *
 * Exact: x * 0.5 * (1 + erf(x / sqrt 2)), whatever the order of the products. By tanh:
 * 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))). Hendrycks and Gimpel, "Gaussian Error Linear Units",
 * https://arxiv.org/abs/1606.08415. CLIP's: x * sigmoid(1.702 * x); SiLU: x * sigmoid(x).
 */
export const fuseGelu: Pass = {
  name: 'fuse-gelu',
  repeat: true,
  *propose(view) {
    const taken = new Taken()
    for (const node of view.graph.node) {
      const match = exact(view, node) ?? tanh(view, node) ?? quick(view, node)
      if (match === undefined || !taken.take(...match.nodes)) continue
      const [last] = match.nodes
      yield {
        what: `fuse ${last?.name} into GELU`,
        remove: match.nodes,
        add: [
          makeNode({
            op: 'Gelu',
            domain: DOMAIN,
            inputs: [match.input],
            outputs: [last?.output[0] ?? ''],
            name: last?.name ?? '',
            attributes: { approximate: { string: match.approximate } },
          }),
        ],
      }
    }
  },
}

interface Match {
  readonly input: string
  /** Last one first. */
  readonly nodes: readonly NodeProto[]
  readonly approximate: 'none' | 'tanh' | 'quick' | 'silu'
}

/** A product of factors, flattened: what is multiplied, and the products in between that nobody else reads. */
function factors(
  view: GraphView,
  node: NodeProto,
): { readonly values: readonly string[]; readonly nodes: NodeProto[] } {
  const nodes: NodeProto[] = [node]
  const values: string[] = []
  for (const value of node.input) {
    const inner = soleProducer(view, value)
    if (isOp(inner, 'Mul')) {
      nodes.push(inner)
      values.push(...inner.input)
    } else values.push(value)
  }
  return { values, nodes }
}

/** The only part of a product that is left without its constants; the constants' product beside it. */
function half(
  view: GraphView,
  node: NodeProto,
): { readonly values: string[]; readonly nodes: NodeProto[] } | undefined {
  if (!isOp(node, 'Mul')) return undefined
  const { values, nodes } = factors(view, node)
  const rest = values.filter((value) => scalarOf(view, value) === undefined)
  const scale = values.reduce((product, value) => product * (scalarOf(view, value) ?? 1), 1)
  return rest.length === 2 && near(scale, 0.5) ? { values: rest, nodes } : undefined
}

function exact(view: GraphView, node: NodeProto): Match | undefined {
  return matched(view, node, 'Erf', 'none', (argument, input) => {
    const scaled = soleProducer(view, argument)
    return scaled !== undefined && isScaled(view, scaled, input, Math.SQRT1_2) ? [scaled] : undefined
  })
}

function tanh(view: GraphView, node: NodeProto): Match | undefined {
  return matched(view, node, 'Tanh', 'tanh', (argument, input) => cubic(view, argument, input))
}

/**
 * 0.5 * x * (1 + f(...)).
 * @param inner the nodes of what the function is taken of, where that is made of x as it should be
 */
function matched(
  view: GraphView,
  node: NodeProto,
  op: 'Erf' | 'Tanh',
  approximate: Match['approximate'],
  inner: (argument: string | undefined, input: string) => readonly NodeProto[] | undefined,
): Match | undefined {
  const product = half(view, node)
  const [first = '', second = ''] = product?.values ?? []
  for (const [input, factor] of [
    [first, second],
    [second, first],
  ] as const) {
    const add = soleProducer(view, factor)
    if (product === undefined || !isOp(add, 'Add')) continue
    for (const [value, one] of bothWays(add)) {
      const applied = soleProducer(view, value)
      if (!near(scalarOf(view, one), 1) || !isOp(applied, op)) continue
      const nodes = inner(applied.input[0], input)
      if (nodes) return { input, nodes: [...product.nodes, add, applied, ...nodes], approximate }
    }
  }
  return undefined
}

/** x * sigmoid(x), or of 1.702 * x. */
function quick(view: GraphView, node: NodeProto): Match | undefined {
  if (!isOp(node, 'Mul')) return undefined
  for (const [input, factor] of bothWays(node)) {
    const sigmoid = soleProducer(view, factor)
    if (!isOp(sigmoid, 'Sigmoid')) continue
    if (sigmoid.input[0] === input) return { input, nodes: [node, sigmoid], approximate: 'silu' }
    const scaled = soleProducer(view, sigmoid.input[0])
    if (scaled !== undefined && isScaled(view, scaled, input, 1.702))
      return { input, nodes: [node, sigmoid, scaled], approximate: 'quick' }
  }
  return undefined
}

/** Whether a node multiplies a value by a number, or divides it by the number's reciprocal. */
function isScaled(view: GraphView, node: NodeProto, value: string, by: number): boolean {
  if (isOp(node, 'Div')) return node.input[0] === value && near(scalarOf(view, node.input[1]), 1 / by)
  if (!isOp(node, 'Mul')) return false
  return [...bothWays(node)].some(([left, right]) => left === value && near(scalarOf(view, right), by))
}

/** The nodes of sqrt(2 / pi) * (x + 0.044715 * x^3). */
function cubic(view: GraphView, value: string | undefined, input: string): NodeProto[] | undefined {
  const scaled = soleProducer(view, value)
  if (!isOp(scaled, 'Mul')) return undefined
  for (const [sum, root] of bothWays(scaled)) {
    const add = soleProducer(view, sum)
    if (!near(scalarOf(view, root), Math.sqrt(2 / Math.PI)) || !isOp(add, 'Add')) continue
    for (const [own, cube] of bothWays(add)) {
      if (own !== input) continue
      const nodes = cubeOf(view, soleProducer(view, cube), input)
      if (nodes) return [scaled, add, ...nodes]
    }
  }
  return undefined
}

/** The nodes of 0.044715 * x^3: by a power, or by products. */
function cubeOf(view: GraphView, node: NodeProto | undefined, input: string): NodeProto[] | undefined {
  if (!isOp(node, 'Mul')) return undefined
  const nodes: NodeProto[] = []
  let count = 0
  let scale = 1
  const open: NodeProto[] = [node]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    nodes.push(next)
    if (isOp(next, 'Pow')) {
      const exponent = scalarOf(view, next.input[1])
      if (next.input[0] !== input || exponent === undefined) return undefined
      count += exponent
      continue
    }
    for (const value of next.input) {
      const number = scalarOf(view, value)
      if (value === input) count++
      else if (number !== undefined) scale *= number
      else {
        const inner = soleProducer(view, value)
        if (!isOp(inner, 'Mul', 'Pow') || nodes.length > 4) return undefined
        open.push(inner)
      }
    }
  }
  return count === 3 && near(scale, 0.044715) ? nodes : undefined
}
