import { DataType, makeTensor } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { floatOf, intOf, intsOf, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { bothWays, DOMAIN, isOp, type Matched, scalarOf, Taken } from '../pattern.ts'
import { type Heads, headsOf, scaledInput, type TypeOf } from './heads.ts'

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
    for (const node of view.graph.node) {
      const match = isOp(node, 'Softmax')
        ? matched(view, types, node)
        : isOp(node, 'Attention')
          ? attentionOperator(view, types, node)
          : undefined
      if (match === undefined || !taken.take(match.join)) continue
      const fresh = (base: string): string => namer.fresh(`${node.name}_${base}`)
      const [joined, split, zero, low] = [fresh('joined'), fresh('split'), fresh('zero'), fresh('low')]
      const hiding = [
        ...match.masks.map(({ input: [hidden = '', lowest = ''] }) => where([hidden, lowest, zero], fresh('mask'))),
        ...match.shown.map((shown) => where([shown, zero, low], fresh('mask'))),
      ]
      const terms = [...match.added, ...hiding.flatMap(({ output }) => output)]
      const sums = summed(terms, fresh)
      const [mask = terms[0] ?? ''] = sums.at(-1)?.output ?? []
      const turned = match.heads.map((heads, place) => rotated(heads, fresh(`turned_${place}`)))
      yield {
        what: `fuse the attention around ${node.name}`,
        remove: [match.join],
        add: [
          ...hiding,
          ...sums,
          ...turned.flatMap((item) => item ?? []),
          makeNode({
            op: 'Attention',
            domain: DOMAIN,
            inputs: [...match.heads.map(({ source }, place) => turned[place]?.output[0] ?? source), mask],
            outputs: [joined],
            name: fresh('attention'),
            attributes: {
              heads: { int: match.count },
              size: { int: match.size },
              scale: { float: match.scale },
              offsets: { ints: match.heads.map(({ offset }, place) => (turned[place] ? 0 : offset)) },
            },
          }),
          makeNode({ op: 'Reshape', inputs: [joined, split], outputs: [...match.join.output], name: match.join.name }),
        ],
        initializers: [
          makeTensor(split, DataType.INT64, [4], BigInt64Array.of(0n, 0n, BigInt(match.count), -1n)),
          ...(hiding.length > 0 ? [makeTensor(zero, DataType.FLOAT, [], Float32Array.of(0))] : []),
          ...(match.shown.length > 0 ? [makeTensor(low, DataType.FLOAT, [], Float32Array.of(LOWEST))] : []),
        ],
      }
    }
  },
})

interface Match {
  /** Queries, keys and values. */
  readonly heads: readonly Heads[]
  readonly count: number
  readonly size: number
  readonly scale: number
  /** Values that are added to the scores. */
  readonly added: readonly string[]
  /** `Where` nodes that hide scores. */
  readonly masks: readonly NodeProto[]
  /** Truth values that hide scores where they are false. */
  readonly shown: readonly string[]
  /** The transposition that puts the heads side by side again. */
  readonly join: NodeProto
}

const LOWEST = -3.4028234663852886e38

/** What is added to scores: a low number where they are hidden, zero elsewhere. */
function where(inputs: readonly string[], name: string): NodeProto {
  return makeNode({ op: 'Where', inputs, outputs: [name], name })
}

/** The channels of heads, turned by their positions. */
function rotated({ source, offset, count, size, rotation }: Heads, name: string): NodeProto | undefined {
  if (rotation === undefined) return undefined
  return makeNode({
    op: 'Rotary',
    domain: DOMAIN,
    inputs: [source, rotation.cos, rotation.sin],
    outputs: [name],
    name,
    attributes: { heads: { int: count }, size: { int: size }, offset: { int: offset } },
  })
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
  const weights = withoutGuard(view, softmax)
  const weighted = reader(view, weights, 'MatMul')
  if ((axis !== -1 && axis !== 3) || weighted === undefined || weighted.input[0] !== weights) return undefined
  const join = reader(view, weighted.output[0], 'Transpose')
  const scores = scoresOf(view, types, softmax.input[0])
  const value = headsOf(view, types, weighted.input[1], [0, 2, 1, 3])
  if (scores === undefined || value === undefined || join === undefined) return undefined
  if (!isPermutation(join, [0, 2, 1, 3])) return undefined
  const { query, key } = scores
  const heads = [query, key, value]
  const scale = scores.scale * query.scale * key.scale
  return alike(heads) && value.scale === 1 && value.rotation === undefined
    ? { heads, count: value.count, size: value.size, scale, added: scores.added, masks: scores.masks, shown: [], join }
    : undefined
}

function alike(heads: readonly Heads[]): boolean {
  const [first] = heads
  return heads.every(({ count, size }) => count === first?.count && size === first.size)
}

/** The operator of operator set 23, as PyTorch's newer exporter writes it: of heads that were split before. */
function attentionOperator(view: GraphView, types: TypeOf, node: NodeProto): Match | undefined {
  const [, , , mask = '', ...past] = node.input
  const join = reader(view, node.output[0], 'Transpose')
  const heads = node.input.slice(0, 3).flatMap((value) => headsOf(view, types, value, [0, 2, 1, 3]) ?? [])
  const [query, key, value] = heads
  if (query === undefined || key === undefined || value === undefined || join === undefined) return undefined
  if (past.some((name) => name !== '') || node.output.slice(1).some((name) => name !== '')) return undefined
  if (intOf(node, 'is_causal', 0) !== 0 || floatOf(node, 'softcap', 0) !== 0) return undefined
  if (!isPermutation(join, [0, 2, 1, 3]) || !alike(heads) || value.scale !== 1 || value.rotation) return undefined
  const isTruth = types(mask).elementType === DataType.BOOL
  return {
    heads,
    count: value.count,
    size: value.size,
    scale: floatOf(node, 'scale', 1 / Math.sqrt(value.size)) * query.scale * key.scale,
    added: mask === '' || isTruth ? [] : [mask],
    masks: [],
    shown: mask !== '' && isTruth ? [mask] : [],
    join,
  }
}

/**
 * What gives the weights: the softmax, or what puts zeros in the place of numbers that are none, as PyTorch guards rows
 * whose scores are all hidden. The engine gives such rows zeros, too.
 */
function withoutGuard(view: GraphView, softmax: NodeProto): string | undefined {
  const [weights = ''] = softmax.output
  const readers = view.uses(weights).flatMap(({ node }) => (isOp(node, 'Shape') ? [] : [node]))
  const test = readers.find((node) => isOp(node, 'IsNaN'))
  const where = readers.find((node) => isOp(node, 'Where'))
  if (test === undefined || where === undefined || readers.length !== 2) return weights
  const [condition, zero, otherwise] = where.input
  const isGuard = condition === test.output[0] && scalarOf(view, zero) === 0 && otherwise === weights
  return isGuard && view.uses(test.output[0] ?? '').length === 1 ? where.output[0] : weights
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
