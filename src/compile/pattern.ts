import { DataType, dimsOf, floatsOf, integersOf } from '../onnx/data.ts'
import type { GraphView } from '../onnx/graph.ts'
import type { NodeProto } from '../onnx/schema/onnx_pb.js'

/** The domain of nodes that only the compiler makes and reads. */
export const DOMAIN = 'verge'

declare const matched: unique symbol

/** A node that was asked for: marked, so that one that was not is still a node. */
export type Matched = NodeProto & { readonly [matched]: true }

export function isOp(node: NodeProto | undefined, ...names: readonly string[]): node is Matched {
  return node !== undefined && (node.domain === '' || node.domain === 'ai.onnx') && names.includes(node.opType)
}

export function isFused(node: NodeProto | undefined, name: string): node is Matched {
  return node !== undefined && node.domain === DOMAIN && node.opType === name
}

/** The node that gives a value, where nothing else reads it and the graph does not answer it. */
export function soleProducer(view: GraphView, value: string | undefined): NodeProto | undefined {
  if (value === undefined || view.isOutput(value) || view.uses(value).length !== 1) return undefined
  return view.producer(value)
}

/** The node that reads a value, where there is one and the graph does not answer the value. */
export function soleReader(view: GraphView, value: string | undefined): NodeProto | undefined {
  if (value === undefined || view.isOutput(value)) return undefined
  const [use, ...others] = view.uses(value)
  return use === undefined || others.length > 0 || use.index === -1 ? undefined : use.node
}

/** The number that a constant of one element is. */
export function scalarOf(view: GraphView, value: string | undefined): number | undefined {
  const tensor = value === undefined ? undefined : view.constant(value)
  if (tensor === undefined || dimsOf(tensor).reduce((product, dim) => product * dim, 1) !== 1) return undefined
  switch (tensor.dataType) {
    case DataType.FLOAT:
    case DataType.FLOAT16:
    case DataType.DOUBLE:
      return floatsOf(tensor)[0]
    case DataType.INT64:
    case DataType.INT32:
      return integersOf(tensor)[0]
    default:
      return undefined
  }
}

/** Whole numbers of a constant: axes, a shape, a permutation. */
export function integersAt(view: GraphView, value: string | undefined): readonly number[] | undefined {
  const tensor = value === undefined ? undefined : view.constant(value)
  if (tensor?.dataType !== DataType.INT64 && tensor?.dataType !== DataType.INT32) return undefined
  return integersOf(tensor)
}

/** Both ways to read a node whose inputs may be exchanged: each with the other one. */
export function* bothWays({ input: [left = '', right = ''] }: NodeProto): Generator<readonly [string, string]> {
  yield [left, right]
  yield [right, left]
}

/** Whether a number is another one, as far as 32-bit floats and exporters' rounding tell them apart. */
export function near(value: number | undefined, wanted: number): boolean {
  return value !== undefined && Math.abs(value - wanted) <= 1e-3 * Math.abs(wanted)
}

/** Takes nodes for the patches of one round, each at most once. */
export class Taken {
  readonly #nodes = new Set<NodeProto>()

  /** False, and nothing taken, where one of them is taken already. */
  take(...nodes: readonly NodeProto[]): boolean {
    if (nodes.some((node) => this.#nodes.has(node))) return false
    for (const node of nodes) this.#nodes.add(node)
    return true
  }
}
