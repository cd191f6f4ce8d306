import { DataType, makeTensor } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import type { ValueType } from '../../onnx/infer/types.ts'
import { intOf, intsOf, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { bothWays, DOMAIN, isOp, type Matched, scalarOf, Taken } from '../pattern.ts'

/** What is known of a value of the model's own graph, by its name. */
export type TypeOf = (value: string) => ValueType

/**
 * Attention as PyTorch's exports of encoders spell it, from the heads' split to their join, as `verge.Attention`: inputs
 * queries, keys, values [batch, sequence, heads * size] and what is added to the scores; attributes `heads`, `scale`.
 * Vaswani et al., "Attention Is All You Need", https://arxiv.org/abs/1706.03762.
 *
 * Only the last node is taken out, and a view of the result takes its place: exports read the shapes of what lies
 * between. What nothing reads any more goes with the dead nodes.
 */
export const fuseAttention = (types: TypeOf): Pass => ({
  name: 'fuse-attention',
  *propose(view, { namer }) {
    const taken = new Taken()
    for (const softmax of view.graph.node) {
      const match = isOp(softmax, 'Softmax') ? matched(view, types, softmax) : undefined
      if (match === undefined || !taken.take(match.join)) continue
      const fresh = (base: string): string => namer.fresh(`${softmax.name}_${base}`)
      const [joined, split, zero] = [fresh('joined'), fresh('split'), fresh('zero')]
      const hiding = match.masks.map((mask) => added(mask, zero, fresh('mask')))
      const terms = [...match.added, ...hiding.flatMap(({ output }) => output)]
      const sums = summed(terms, fresh)
      const [mask = terms[0] ?? ''] = sums.at(-1)?.output ?? []
      yield {
        what: `fuse the attention around ${softmax.name}`,
        remove: [match.join],
        add: [
          ...hiding,
          ...sums,
          makeNode({
            op: 'Attention',
            domain: DOMAIN,
            inputs: [...match.heads, mask],
            outputs: [joined],
            name: fresh('attention'),
            attributes: { heads: { int: match.count }, scale: { float: match.scale } },
          }),
          makeNode({ op: 'Reshape', inputs: [joined, split], outputs: [...match.join.output], name: match.join.name }),
        ],
        initializers: [
          makeTensor(split, DataType.INT64, [4], BigInt64Array.of(0n, 0n, BigInt(match.count), -1n)),
          ...(hiding.length > 0 ? [makeTensor(zero, DataType.FLOAT, [], Float32Array.of(0))] : []),
        ],
      }
    }
  },
})

interface Match {
  /** Queries, keys and values before they are split into heads. */
  readonly heads: readonly string[]
  readonly count: number
  readonly scale: number
  /** Values that are added to the scores. */
  readonly added: readonly string[]
  /** `Where` nodes that hide scores. */
  readonly masks: readonly NodeProto[]
  /** The transposition that puts the heads side by side again. */
  readonly join: NodeProto
}

/** What is added to scores where a `Where` hides some of them: its low number there, zero elsewhere. */
function added({ input: [condition = '', low = ''] }: NodeProto, zero: string, name: string): NodeProto {
  return makeNode({ op: 'Where', inputs: [condition, low, zero], outputs: [name], name })
}

function summed(values: readonly string[], fresh: (base: string) => string): NodeProto[] {
  let [left = ''] = values
  return values.slice(1).map((right) => {
    const output = fresh('mask')
    const node = makeNode({ op: 'Add', inputs: [left, right], outputs: [output], name: output })
    left = output
    return node
  })
}

function matched(view: GraphView, types: TypeOf, softmax: NodeProto): Match | undefined {
  const axis = intOf(softmax, 'axis', -1)
  const weighted = reader(view, softmax.output[0], 'MatMul')
  if ((axis !== -1 && axis !== 3) || weighted === undefined || weighted.input[0] !== softmax.output[0]) return undefined
  const join = reader(view, weighted.output[0], 'Transpose')
  const scores = scoresOf(view, types, softmax.input[0])
  const value = headsOf(view, types, weighted.input[1], [0, 2, 1, 3])
  if (scores === undefined || value === undefined || join === undefined) return undefined
  if (!isPermutation(join, [0, 2, 1, 3])) return undefined
  const { query, key } = scores
  const alike = [query, key].every(({ count, size }) => count === value.count && size === value.size)
  if (!alike) return undefined
  return {
    heads: [query.source, key.source, value.source],
    count: value.count,
    scale: scores.scale * query.scale * key.scale,
    added: scores.added,
    masks: scores.masks,
    join,
  }
}

/** The only node of a kind that reads a value, whatever else asks for its shape. */
function reader(view: GraphView, value: string | undefined, op: string): Matched | undefined {
  if (value === undefined || view.isOutput(value)) return undefined
  const readers = view.uses(value).flatMap(({ node }) => (isOp(node, 'Shape') ? [] : [node]))
  const [first, ...others] = readers
  return isOp(first, op) && others.length === 0 ? first : undefined
}

function isPermutation(node: NodeProto, wanted: readonly number[]): boolean {
  const perm = intsOf(node, 'perm') ?? []
  return perm.length === wanted.length && wanted.every((axis, place) => perm[place] === axis)
}

interface Scores {
  readonly query: Heads
  readonly key: Heads
  readonly scale: number
  readonly added: string[]
  readonly masks: NodeProto[]
}

/** Walks from the softmax up to the product of queries and keys, past scales, masks and what is added. */
function scoresOf(view: GraphView, types: TypeOf, start: string | undefined): Scores | undefined {
  const added: string[] = []
  const masks: NodeProto[] = []
  let scale = 1
  let value = start ?? ''
  for (;;) {
    const node = view.producer(value)
    if (isOp(node, 'MatMul')) {
      const query = headsOf(view, types, node.input[0], [0, 2, 1, 3])
      const key = headsOf(view, types, node.input[1], [0, 2, 3, 1])
      return query && key ? { query, key, scale, added, masks } : undefined
    }
    if (isOp(node, 'Div', 'Mul')) {
      const scaled = scaledInput(view, node)
      if (scaled === undefined) return undefined
      scale *= scaled.by
      value = scaled.input
      continue
    }
    // A scale that was met before would scale what is added here as well.
    if (!isOp(node, 'Add', 'Where') || scale !== 1) return undefined
    if (isOp(node, 'Where')) {
      // What is hidden gets a number so low that the softmax gives it nothing.
      const low = scalarOf(view, node.input[1])
      if (low === undefined || low > LOW || !leadsToProduct(view, node.input[2])) return undefined
      masks.push(node)
      value = node.input[2] ?? ''
      continue
    }
    // Scores come from a product of two activations; what is added to them does not.
    const way = [...bothWays(node)].find(([scores]) => leadsToProduct(view, scores))
    if (way === undefined) return undefined
    added.push(way[1])
    value = way[0]
  }
}

const LOW = -1e4
/** Nodes between a softmax and its product: a scale, a bias, two masks. */
const MOST_BETWEEN = 4

function leadsToProduct(view: GraphView, start: string | undefined): boolean {
  let value = start ?? ''
  for (let steps = 0; steps <= MOST_BETWEEN; steps++) {
    const node = view.producer(value)
    if (isOp(node, 'MatMul')) return true
    if (!isOp(node, 'Div', 'Mul', 'Add', 'Where')) return false
    value = node.input[isOp(node, 'Where') ? 2 : 0] ?? ''
  }
  return false
}

/** A product with one number, or a quotient by it. */
function scaledInput(view: GraphView, node: NodeProto): { readonly input: string; readonly by: number } | undefined {
  if (isOp(node, 'Div')) {
    const by = scalarOf(view, node.input[1])
    return by === undefined || by === 0 ? undefined : { input: node.input[0] ?? '', by: 1 / by }
  }
  for (const [input, factor] of bothWays(node)) {
    const by = scalarOf(view, factor)
    if (by !== undefined) return { input, by }
  }
  return undefined
}

interface Heads {
  readonly source: string
  readonly count: number
  readonly size: number
  readonly scale: number
}

/** Steps between a layer's product and the attention's: a view, one or two transpositions, a scale. */
const MOST_STEPS = 5

/** A value [batch, sequence, heads * size] that is reshaped to heads and transposed as wanted, scaled on the way. */
function headsOf(
  view: GraphView,
  types: TypeOf,
  start: string | undefined,
  wanted: readonly number[],
): Heads | undefined {
  let perm: readonly number[] = [0, 1, 2, 3]
  let scale = 1
  let value = start ?? ''
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    const node = view.producer(value)
    if (isOp(node, 'Transpose')) {
      const own = intsOf(node, 'perm')
      if (own?.length !== 4) return undefined
      perm = perm.map((axis) => own[axis] ?? -1)
      value = node.input[0] ?? ''
    } else if (isOp(node, 'Div', 'Mul')) {
      const scaled = scaledInput(view, node)
      if (scaled === undefined) return undefined
      scale *= scaled.by
      value = scaled.input
    } else if (isOp(node, 'Reshape')) {
      const source = node.input[0] ?? ''
      const shape = types(value).shape
      const flat = types(source).shape
      const [count, size] = shape?.slice(2) ?? []
      if (perm.some((axis, place) => axis !== wanted[place]) || shape?.length !== 4 || flat?.length !== 3)
        return undefined
      if (typeof count !== 'number' || typeof size !== 'number' || flat[2] !== count * size) return undefined
      return { source, count, size, scale }
    } else return undefined
  }
  return undefined
}
