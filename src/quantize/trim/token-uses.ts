import { DataType } from '../../onnx/data.ts'
import { nodeLabel, OnnxError, safeName } from '../../onnx/errors.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { intOf, isStandard } from '../../onnx/make.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'

/** A constant that has a row for each token: a table, or the scales or zero points of its rows. */
export interface TableOfTokens {
  readonly tensor: TensorProto
  /** The nodes from the constant to the lookup, the lookup last. */
  readonly path: readonly NodeProto[]
}

/** A node that looks tokens up. */
export interface TokenLookup {
  readonly node: NodeProto
  readonly tables: readonly TableOfTokens[]
}

/** A constant that a node compares numbers with. */
export interface TokenComparison {
  readonly node: NodeProto
  readonly index: number
  readonly constant: TensorProto
}

/** A node that reads numbers for another purpose. */
export interface OtherUse {
  readonly node: NodeProto
  readonly index: number
  readonly value: string
  readonly type: DataType
}

/** What a model does with the numbers of tokens. */
export interface TokenUses {
  readonly lookups: readonly TokenLookup[]
  readonly comparisons: readonly TokenComparison[]
  readonly others: readonly OtherUse[]
}

/** Nodes whose first output has the numbers of their first input, in another shape or order, or some of them. */
const CARRIERS = new Set([
  ...['Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Transpose', 'Expand', 'Slice', 'Tile'],
  ...['Gather', 'GatherElements', 'GatherND'],
])

/** Nodes whose answer does not depend on the numbers: their shape, or which is the greatest, since their order stays. */
const INDIFFERENT = new Set(['Shape', 'Size', 'ArgMax', 'ArgMin'])

/**
 * Follows the numbers of tokens from an input to the nodes that use them.
 * @throws OnnxError unsupported for an input that does not exist, or numbers that an inner graph or a caller reads
 */
export function followNumbers(view: GraphView, input: string): TokenUses {
  const type = view.graph.input.find(({ name }) => name === input)?.type?.value
  const elements = type?.case === 'tensorType' ? (type.value.elemType as DataType) : undefined
  if (elements === undefined) {
    throw new OnnxError(
      'unsupported',
      `The model has no input "${safeName(input)}" with numbers of tokens, so its vocabulary cannot be trimmed.`,
    )
  }
  const lookups: TokenLookup[] = []
  const comparisons: TokenComparison[] = []
  const others: OtherUse[] = []
  const waiting: { readonly value: string; readonly type: DataType }[] = [{ value: input, type: elements }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value } = next
    if (view.isOutput(value)) throw unfollowed(`Output "${safeName(value)}" has the numbers of tokens`, value)
    for (const { node, index } of view.uses(value)) {
      if (index === -1) throw unfollowed(`${nodeLabel(node)} reads the numbers of tokens in an inner graph`, node.name)
      const lookup = lookupOf(view, node, index)
      const constant = comparedWith(view, node, index)
      const carried = carries(view, node, index, next.type)
      if (lookup !== undefined) lookups.push(lookup)
      else if (isStandard(node) && INDIFFERENT.has(node.opType)) continue
      else if (constant !== undefined) comparisons.push({ node, index: 1 - index, constant })
      else if (carried !== undefined) waiting.push({ value: node.output[0] ?? '', type: carried })
      else others.push({ node, index, value, type: next.type })
    }
  }
  if (lookups.length === 0) {
    throw new OnnxError(
      'unsupported',
      `No table is looked up by the input "${safeName(input)}", so the vocabulary cannot be trimmed. Remove the options that trim it.`,
      { node: input },
    )
  }
  return { lookups, comparisons, others }
}

function unfollowed(what: string, node: string): OnnxError {
  return new OnnxError('unsupported', `${what}, so the vocabulary cannot be trimmed. Export the model without that.`, {
    node,
  })
}

/** The type of the numbers that a node hands on; undefined where it does something else with them. */
function carries(view: GraphView, node: NodeProto, index: number, type: DataType): DataType | undefined {
  if (!isStandard(node)) return undefined
  // Times 0 or 1: the first token has the number 0 before and after.
  if (node.opType === 'Mul') return isMask(view, node.input[1 - index] ?? '') ? type : undefined
  if (index !== 0) return undefined
  if (CARRIERS.has(node.opType)) return type
  if (node.opType !== 'Cast') return undefined
  const to = intOf(node, 'to', 0)
  return to === DataType.INT32 || to === DataType.INT64 ? to : undefined
}

/** The input that says which tokens count, by transformers' name. */
const MASK = 'attention_mask'

function isMask(view: GraphView, value: string): boolean {
  if (view.isInput(value)) return value === MASK
  const node = view.producer(value)
  return node?.opType === 'Cast' && isStandard(node) && isMask(view, node.input[0] ?? '')
}

function comparedWith(view: GraphView, node: NodeProto, index: number): TensorProto | undefined {
  if (!isStandard(node) || node.opType !== 'Equal') return undefined
  const constant = view.constant(node.input[1 - index] ?? '')
  const whole = constant?.dataType === DataType.INT32 || constant?.dataType === DataType.INT64
  return whole ? constant : undefined
}

/** @returns undefined where the node looks up nothing, or not rows of a constant */
function lookupOf(view: GraphView, node: NodeProto, index: number): TokenLookup | undefined {
  if (isStandard(node) && node.opType === 'Gather' && index === 1) {
    const tables = intOf(node, 'axis', 0) === 0 ? rowsOf(view, [node], node.input[0] ?? '') : undefined
    return tables && { node, tables }
  }
  if (node.domain !== 'com.microsoft') return undefined
  if (node.opType === 'GatherBlockQuantized' && index === 1) {
    const [data, , scales, zeroPoints] = node.input
    const byRow = intOf(node, 'gather_axis', 0) === 0 && intOf(node, 'quantize_axis', 1) !== 0
    return byRow ? ofConstants(view, node, [data, scales, zeroPoints]) : undefined
  }
  if (node.opType === 'EmbedLayerNormalization' && index === 0) return ofConstants(view, node, [node.input[2]])
  return undefined
}

function ofConstants(
  view: GraphView,
  node: NodeProto,
  values: readonly (string | undefined)[],
): TokenLookup | undefined {
  const tensors = values.flatMap((value) => (value === undefined || value === '' ? [] : [view.constant(value)]))
  const tables = tensors.flatMap((tensor) => (tensor ? [{ tensor, path: [node] }] : []))
  return tables.length === tensors.length ? { node, tables } : undefined
}

/** The constants behind a value that has a row for each token: as it is, of another type, or made of fewer bits. */
function rowsOf(view: GraphView, path: readonly NodeProto[], value: string): readonly TableOfTokens[] | undefined {
  const tensor = view.constant(value)
  if (tensor) return [{ tensor, path }]
  const node = view.producer(value)
  if (node === undefined || !isStandard(node)) return undefined
  if (node.opType === 'Cast') return rowsOf(view, [node, ...path], node.input[0] ?? '')
  if (node.opType !== 'DequantizeLinear') return undefined
  const table = view.constant(node.input[0] ?? '')
  const parts = node.input.slice(1).flatMap((name) => (name === '' ? [] : [view.constant(name)]))
  const [scale] = parts
  if (table === undefined || scale === undefined) return undefined
  const inBlocks = intOf(node, 'block_size', 0) > 0
  const rank = table.dims.length
  const ofRows = (intOf(node, 'axis', 1) + rank) % rank === 0
  // A block of several rows cannot lose one of them.
  if (inBlocks && ofRows) return undefined
  // One scale for each row is a list; blocks along a row have as many dimensions as the table.
  const byRow = inBlocks || (ofRows && scale.dims.length === 1 && scale.dims[0] === table.dims[0])
  return [table, ...(byRow ? parts : [])].flatMap((part) => (part ? [{ tensor: part, path: [node, ...path] }] : []))
}
