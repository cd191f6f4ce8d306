import { DataType, dimsOf } from '../../onnx/data.ts'
import { floatOf, intOf, intsOf } from '../../onnx/make.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import type { Contrib } from './expand-contrib.ts'
import type { GraphWriter } from './graph-writer.ts'

/** The sum of the rows of three tables, normalized; its second output counts the tokens of each text that are there. */
export function embeddings({ view, node, write }: Contrib): boolean {
  const [ids = '', kinds = '', words = '', places = '', segments = '', scale = '', shift = '', mask = '', given = ''] =
    node.input
  const [result = '', counts = '', sum = ''] = node.output
  if ([words, places, scale, shift].some((name) => view.constant(name) === undefined)) return false
  if (given === '' && node.input.length > 8) return false
  const table = (rows: string, indices: string): string =>
    write.node('Gather', [rows, indices], { attributes: { axis: { int: 0 } } })
  const position = given === '' ? positions(write, ids) : given
  const both = write.node('Add', [table(words, ids), table(places, position)])
  const known = kinds === '' || segments === ''
  const whole = known ? both : write.node('Add', [both, table(segments, kinds)], sum === '' ? {} : { output: sum })
  if (known && sum !== '') write.node('Identity', [both], { output: sum })
  write.node('LayerNormalization', [whole, scale, shift], {
    output: result,
    attributes: { axis: { int: -1 }, epsilon: { float: floatOf(node, 'epsilon', 1e-12) } },
  })
  if (counts === '' || (view.uses(counts).length === 0 && !view.isOutput(counts))) return true
  if (mask === '') return false
  write.node('ReduceSum', [mask, write.whole([1])], { output: counts, attributes: { keepdims: { int: 0 } } })
  return true
}

/** 0, 1, ... for each token of a text. */
function positions(write: GraphWriter, ids: string): string {
  const range = write.node('Range', [write.whole([0], []), length(write, ids), write.whole([1], [])])
  return write.node('Unsqueeze', [range, write.whole([0])])
}

function length(write: GraphWriter, value: string): string {
  const axis = { axis: { int: 0 } }
  return write.node('Gather', [write.node('Shape', [value]), write.whole([1], [])], { attributes: axis })
}

/** Queries, keys and values by one product, and their attention. */
export function contribAttention({ view, types, node, write }: Contrib): boolean {
  const [value = '', weight = '', bias = '', mask = '', past = '', added = '', ...others] = node.input
  const heads = intOf(node, 'num_heads', 0)
  const widths = intsOf(node, 'qkv_hidden_sizes') ?? []
  const weights = view.constant(weight)
  const width = (weights === undefined ? 0 : (dimsOf(weights)[1] ?? 0)) / 3
  if (heads === 0 || width === 0 || width % heads !== 0 || widths.some((own) => own !== width)) return false
  if (past !== '' || others.some((name) => name !== '') || !isPlain(node)) return false
  const product = write.node('MatMul', [value, weight])
  const joined = bias === '' ? product : write.node('Add', [product, bias])
  const hidden =
    mask === ''
      ? ''
      : hiding(write, { mask, rank: rankOf(types, mask, node, view.producer(mask)), value, low: lowest(node) })
  if (hidden === undefined) return false
  attend(write, node, {
    sources: [joined, joined, joined],
    heads,
    width,
    offsets: [0, width, 2 * width],
    mask: sumOf(write, hidden, added),
  })
  return true
}

/** Attention of queries, keys and values that come from products of their own. */
export function multiHeadAttention({ view, types, node, write }: Contrib): boolean {
  const [query = '', key = '', value = '', bias = '', mask = '', added = '', ...others] = node.input
  const heads = intOf(node, 'num_heads', 0)
  const ranks = [query, key, value].map((name) => types(name).shape?.length)
  const widths = [query, key, value].map((name) => types(name).shape?.[2]).filter((dim) => typeof dim === 'number')
  const [width] = widths
  if (ranks.some((rank) => rank !== 3) || width === undefined || heads === 0 || width % heads !== 0) return false
  // Values may be of another width than queries, and the result with them.
  if (widths.some((own) => own !== width)) return false
  if (bias !== '' || others.some((name) => name !== '') || !isPlain(node)) return false
  const hidden =
    mask === ''
      ? ''
      : hiding(write, { mask, rank: rankOf(types, mask, node, view.producer(mask)), value: key, low: lowest(node) })
  if (hidden === undefined) return false
  attend(write, node, {
    sources: [query, key, value],
    heads,
    width,
    offsets: [0, 0, 0],
    mask: sumOf(write, hidden, added),
  })
  return true
}

function isPlain(node: NodeProto): boolean {
  const isOneWay = intOf(node, 'unidirectional', 0) !== 0 || intOf(node, 'do_rotary', 0) !== 0
  return !isOneWay && node.output.slice(1).every((name) => name === '')
}

function lowest(node: NodeProto): number {
  return floatOf(node, 'mask_filter_value', -10_000)
}

/** How many axes a mask has: one counts the tokens of each text, two say of each token whether it is there. */
function rankOf(
  types: Contrib['types'],
  mask: string,
  node: NodeProto,
  producer: NodeProto | undefined,
): number | undefined {
  const counted = producer?.opType === 'EmbedLayerNormalization' && producer.domain === node.domain
  return counted ? 1 : types(mask).shape?.length
}

/** What is added to scores [batch, 1, 1, keys] for a mask; undefined where it has another form. */
function hiding(
  write: GraphWriter,
  {
    mask,
    rank,
    value,
    low,
  }: { readonly mask: string; readonly rank: number | undefined; readonly value: string; readonly low: number },
): string | undefined {
  if (rank !== 1 && rank !== 2) return undefined
  // ONNX Runtime shows what is above 0.
  const shown =
    rank === 2
      ? write.node('Greater', [mask, write.whole([0], [])])
      : write.node('Less', [positions(write, value), counts(write, mask)])
  const wide = write.node('Unsqueeze', [shown, write.whole([1, 2])])
  return write.node('Where', [wide, write.number(0), write.number(low)])
}

function counts(write: GraphWriter, mask: string): string {
  const whole = write.node('Cast', [mask], { attributes: { to: { int: DataType.INT64 } } })
  return write.node('Unsqueeze', [whole, write.whole([1])])
}

function sumOf(write: GraphWriter, left: string, right: string): string {
  return left === '' || right === '' ? left + right : write.node('Add', [left, right])
}

interface Attended {
  readonly sources: readonly string[]
  readonly heads: number
  readonly width: number
  readonly offsets: readonly number[]
  readonly mask: string
}

function attend(write: GraphWriter, node: NodeProto, { sources, heads, width, offsets, mask }: Attended): void {
  const size = width / heads
  const scale = floatOf(node, 'scale', 0)
  write.fused('Attention', [...sources, mask], node.output[0] ?? '', {
    heads: { int: heads },
    size: { int: size },
    scale: { float: scale === 0 ? 1 / Math.sqrt(size) : scale },
    offsets: { ints: offsets },
  })
}
