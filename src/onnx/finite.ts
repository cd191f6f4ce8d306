import { DataType, floatsOf, rawBytesOf } from './data.ts'
import { nodeLabel, OnnxError, safeName } from './errors.ts'
import { functionBodies, type GraphView, graphsOf } from './graph.ts'
import { attributeOf } from './make.ts'
import type { ModelProto, NodeProto, TensorProto } from './schema/onnx_pb.js'

/** How a node reads a constant, which decides whether NaN or an infinity in it is a mistake. */
type Use =
  /** Multiplied or accumulated: one element that is not finite makes every answer NaN or infinite. */
  | 'product'
  /** Looked up: an element that is not finite spoils each answer that needs its row. */
  | 'table'
  /** Added to a value: minus infinity is how attention masks and suppressed classes are written. */
  | 'sum'
  /** Chosen, compared or filled in: the infinities are bounds and masks, and a single NaN marks what is missing. */
  | 'constant'
  /** Moved without being computed with: what counts is who reads it next. */
  | 'moved'
  | 'unknown'

/** Inputs that are weights, by operator; all inputs where the list is empty. Names are unique across domains. */
const PRODUCTS: Readonly<Record<string, readonly number[]>> = {
  Conv: [],
  ConvTranspose: [],
  FusedConv: [],
  MatMul: [],
  FusedMatMul: [],
  Gemm: [],
  FusedGemm: [],
  GemmFastGelu: [],
  Einsum: [],
  Mul: [],
  PRelu: [],
  LSTM: [],
  GRU: [],
  RNN: [],
  DynamicQuantizeLSTM: [],
  BatchNormalization: [],
  LayerNormalization: [],
  SimplifiedLayerNormalization: [],
  SkipLayerNormalization: [],
  SkipSimplifiedLayerNormalization: [],
  EmbedLayerNormalization: [],
  InstanceNormalization: [],
  GroupNormalization: [],
  RMSNormalization: [],
  GroupNorm: [],
  BiasGelu: [],
  FastGelu: [],
  Attention: [1, 2],
  QAttention: [1, 2, 3, 4],
  MultiHeadAttention: [3],
  QuantizeLinear: [1],
  DequantizeLinear: [1],
  MatMulNBits: [],
  MatMulBnb4: [],
  MatMulIntegerToFloat: [],
  DynamicQuantizeMatMul: [],
  GatherBlockQuantized: [2],
  QMoE: [],
  MoE: [],
}

const TABLES: ReadonlySet<string> = new Set(['Gather', 'GatherND', 'GatherElements'])
const SUMS: ReadonlySet<string> = new Set(['Add', 'Sub', 'Sum'])
const CONSTANTS: ReadonlySet<string> = new Set([
  'Where',
  'Clip',
  'Max',
  'Min',
  'Pad',
  'Equal',
  'Less',
  'LessOrEqual',
  'Greater',
  'GreaterOrEqual',
  'Div',
  'OneHot',
  'ConstantOfShape',
  'IsNaN',
  'IsInf',
  'Scatter',
  'ScatterND',
  'ScatterElements',
])
const MOVERS: ReadonlySet<string> = new Set([
  'Identity',
  'Cast',
  'CastLike',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'Expand',
  'Tile',
  'Slice',
  'Split',
  'Concat',
  'Neg',
])
/** A chain of movers longer than this is not followed. */
const LONGEST_CHAIN = 16
/** Weights that are named; a diverged training leaves all of them without numbers. */
const MOST_NAMED = 3

/** Attributes of ai.onnx.ml that are weights. Thresholds of trees may be infinite, and what an imputer puts in may be NaN. */
const ML_WEIGHTS: ReadonlySet<string> = new Set([
  'coefficients',
  'intercepts',
  'rho',
  'support_vectors',
  'target_weights',
  'class_weights',
  'base_values',
])

interface Fault {
  readonly weight: string
  readonly reader: NodeProto
  readonly what: string
}

/** What of a tensor is not finite. */
interface NotFinite {
  readonly elements: number
  readonly count: number
  readonly first: number
  readonly value: number
  readonly nan: boolean
  readonly positive: boolean
  /** No more than two different values, as a mask has. */
  readonly mask: boolean
}

/**
 * Refuses weights that are NaN or infinite, in all graphs and functions of a model and in every floating-point type, and lets through
 * what is legitimate: bounds, fillers, and masks of minus infinity that are added to scores.
 * @param model with its external data read in
 * @throws OnnxError bad_weights that names the weights, the nodes that read them and the elements; what `floatsOf` throws
 */
export function refuseNonFinite(model: ModelProto): void {
  const faults = new Map<string, Fault>()
  const views = [...graphsOf(model), ...functionBodies(model)]
  for (const view of views) {
    for (const [name, tensor] of constantsOf(view)) {
      const found = notFinite(tensor)
      if (found === undefined) continue
      for (const { node, use } of readers(views, view, name, { mask: found.mask, seen: new Set() }, LONGEST_CHAIN)) {
        if (!isFault(use, found)) continue
        const { count, elements, first, value } = found
        const what = `has ${value} at element ${first}${count > 1 ? ` (${count} of ${elements} elements are not finite)` : ''}`
        const key = `${view.path}/${name}`
        if (!faults.has(key)) faults.set(key, { weight: name, reader: node, what })
      }
    }
    for (const node of view.graph.node) {
      const fault = attributeFault(node)
      if (fault) faults.set(`${view.path}/${fault.weight} ${node.output[0]}`, fault)
    }
  }
  const [first, ...others] = faults.values()
  if (first === undefined) return
  const named = [first, ...others.slice(0, MOST_NAMED - 1)]
  const rest = faults.size - named.length
  const sentences = named.map(
    ({ weight, reader, what }) => `${nodeLabel(reader)} reads "${safeName(weight)}", which ${what}.`,
  )
  throw new OnnxError(
    'bad_weights',
    `The model has weights that are not finite. ${sentences.join(' ')}${rest > 0 ? ` So do ${rest} other weights.` : ''} Train or export the model again.`,
    { node: first.reader.name || first.weight },
  )
}

function isFault(use: Use, { elements, mask, nan, positive }: NotFinite): boolean {
  switch (use) {
    case 'product':
      return true
    case 'table':
      return nan || !mask
    case 'sum':
      return nan || (positive && elements > 1)
    case 'constant':
      return nan && elements > 1
    case 'unknown':
      return nan
    case 'moved':
      return false
  }
}

/** Initializers and constants of a graph, by the value that they are. */
function* constantsOf({ graph }: GraphView): Iterable<readonly [string, TensorProto]> {
  for (const tensor of graph.initializer) yield [tensor.name, tensor]
  for (const { values } of graph.sparseInitializer) if (values) yield [values.name, values]
  for (const node of graph.node) {
    const [output] = node.output
    if (node.opType !== 'Constant' || output === undefined) continue
    const tensor = attributeOf(node, 'value')?.t ?? attributeOf(node, 'sparse_value')?.sparseTensor?.values
    if (tensor) yield [output, tensor]
  }
}

interface Reader {
  readonly node: NodeProto
  readonly use: Use
}

interface Following {
  readonly mask: boolean
  /** Values that were followed already: a value may be read several times, and so may each that is made of it. */
  readonly seen: Set<string>
}

/** The nodes that compute with a constant, those after nodes that merely move it, and those in graphs inside. */
function readers(
  views: readonly GraphView[],
  view: GraphView,
  value: string,
  following: Following,
  depth: number,
): readonly Reader[] {
  const { mask, seen } = following
  const key = `${views.indexOf(view)} ${value}`
  if (depth === 0 || seen.has(key)) return []
  seen.add(key)
  const found: Reader[] = []
  for (const { node, index } of view.uses(value)) {
    if (index < 0) continue
    const use = useOf(node, index)
    // Rows of a mask are a mask.
    if (use === 'moved' || (use === 'table' && mask)) {
      for (const output of node.output) {
        if (output !== '') found.push(...readers(views, view, output, following, depth - 1))
      }
    } else found.push({ node, use })
  }
  for (const inner of views) {
    if (inner.outer !== view || inner.isInput(value) || inner.producer(value) || inner.ownsConstant(value)) continue
    if (inner.uses(value).length > 0) found.push(...readers(views, inner, value, following, depth - 1))
  }
  return found
}

function useOf({ opType }: NodeProto, index: number): Use {
  const slots = Object.hasOwn(PRODUCTS, opType) ? PRODUCTS[opType] : undefined
  if (slots !== undefined && (slots.length === 0 || slots.includes(index))) return 'product'
  if (opType.startsWith('QLinear')) return 'product'
  if (TABLES.has(opType) && index === 0) return 'table'
  if (SUMS.has(opType)) return 'sum'
  if (CONSTANTS.has(opType)) return 'constant'
  return MOVERS.has(opType) && (index === 0 || opType === 'Concat') ? 'moved' : 'unknown'
}

const FLOATS: ReadonlySet<number> = new Set([DataType.FLOAT, DataType.FLOAT16, DataType.BFLOAT16, DataType.DOUBLE])

function notFinite(tensor: TensorProto): NotFinite | undefined {
  if (!FLOATS.has(tensor.dataType)) return undefined
  const values = tensor.dataType === DataType.DOUBLE ? doublesOf(tensor) : floatsOf(tensor)
  // Only NaN and the infinities times 0 are not 0: one test for all elements.
  let sum = 0
  for (let index = 0; index < values.length; index++) sum += (values[index] as number) * 0
  if (sum === 0) return undefined
  let [count, first, nan, positive] = [0, -1, false, false]
  const distinct = new Set<number>()
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number
    if (distinct.size < 3) distinct.add(value)
    if (Number.isFinite(value)) continue
    count++
    if (first < 0) first = index
    if (Number.isNaN(value)) nan = true
    else if (value > 0) positive = true
  }
  const value = values[first] ?? Number.NaN
  return { elements: values.length, count, first, value, nan, positive, mask: !nan && distinct.size <= 2 }
}

/** Doubles beyond the range of single precision are numbers. */
function doublesOf(tensor: TensorProto): Float64Array {
  const bytes = rawBytesOf(tensor)
  return new Float64Array(
    bytes.byteOffset % 8 === 0 ? bytes.buffer : new Uint8Array(bytes).buffer,
    bytes.byteOffset % 8 === 0 ? bytes.byteOffset : 0,
    bytes.byteLength / 8,
  )
}

function attributeFault(node: NodeProto): Fault | undefined {
  if (node.domain !== 'ai.onnx.ml') return undefined
  for (const { floats, name } of node.attribute) {
    if (!ML_WEIGHTS.has(name)) continue
    const first = floats.findIndex((value) => !Number.isFinite(value))
    if (first >= 0) return { weight: name, reader: node, what: `has ${floats[first]} at element ${first}` }
  }
  return undefined
}
