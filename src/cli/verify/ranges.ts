import { type GraphView, graphsOf } from '../../onnx/graph.ts'
import type { ModelProto, NodeProto } from '../../onnx/schema/onnx_pb.js'

/** Operators whose results lie between 0 and 1. */
const PROBABILITIES: ReadonlySet<string> = new Set(['Sigmoid', 'HardSigmoid', 'Softmax'])

/** Operators that keep values between 0 and 1 there, if all that they read of numbers is: moves, means, extremes, products. */
const KEEPERS: Readonly<Record<string, 'first' | 'all'>> = {
  Identity: 'first',
  Cast: 'first',
  Reshape: 'first',
  Flatten: 'first',
  Squeeze: 'first',
  Unsqueeze: 'first',
  Transpose: 'first',
  Expand: 'first',
  Tile: 'first',
  Slice: 'first',
  Split: 'first',
  Gather: 'first',
  GatherElements: 'first',
  GatherND: 'first',
  TopK: 'first',
  MaxPool: 'first',
  AveragePool: 'first',
  GlobalAveragePool: 'first',
  GlobalMaxPool: 'first',
  ReduceMax: 'first',
  ReduceMin: 'first',
  ReduceMean: 'first',
  Sqrt: 'first',
  Concat: 'all',
  Max: 'all',
  Min: 'all',
  Mean: 'all',
  Mul: 'all',
}

/** Graphs deeper than this are not followed: heads are a few nodes from the end. */
const DEEPEST = 32

/**
 * Outputs whose elements are probabilities by the graph, for any weights. Their range is 1, which determines the
 * negligible values. Other outputs are left out.
 */
export function outputRanges(model: ModelProto): ReadonlyMap<string, number> {
  const [view] = graphsOf(model)
  const ranges = new Map<string, number>()
  if (view === undefined) return ranges
  const known = new Map<string, boolean>()
  for (const { name } of view.graph.output) if (isProbability(view, name, DEEPEST, known)) ranges.set(name, 1)
  return ranges
}

function isProbability(view: GraphView, value: string, depth: number, known: Map<string, boolean>): boolean {
  const answer = known.get(value)
  if (answer !== undefined) return answer
  const node = view.producer(value)
  const is = node !== undefined && depth > 0 && gives(view, node, value, depth, known)
  known.set(value, is)
  return is
}

function gives(view: GraphView, node: NodeProto, value: string, depth: number, known: Map<string, boolean>): boolean {
  // The second output of TopK is where the values were.
  if (!isStandard(node) || (node.opType === 'TopK' && node.output[0] !== value)) return false
  if (PROBABILITIES.has(node.opType)) return true
  const kept = Object.hasOwn(KEEPERS, node.opType) ? KEEPERS[node.opType] : undefined
  if (kept === undefined) return false
  const read = kept === 'first' ? node.input.slice(0, 1) : node.input
  return read.length > 0 && read.every((input) => isProbability(view, input, depth - 1, known))
}

function isStandard({ domain }: NodeProto): boolean {
  return domain === '' || domain === 'ai.onnx'
}
