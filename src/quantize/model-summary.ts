import { countOf, DataType } from '../onnx/data.ts'
import { type GraphView, graphsOf } from '../onnx/graph.ts'
import { attributeOf, isStandard } from '../onnx/make.ts'
import type { ModelProto, NodeProto, TensorProto } from '../onnx/schema/onnx_pb.js'

/** What a weight is for: it decides how it can be quantized. */
export type WeightKind = 'convolution' | 'product' | 'table' | 'recurrent' | 'other'

export interface WeightGroup {
  readonly kind: WeightKind
  readonly tensors: number
  /** Of 32-bit floats; others are in `otherBytes`. */
  readonly floats: number
}

export interface ModelSummary {
  readonly irVersion: number
  /** Versions by domain; the standard one is `ai.onnx`. */
  readonly opsets: Readonly<Record<string, number>>
  readonly producer: string
  readonly nodes: number
  readonly graphs: number
  /** Nodes by operator, most first. */
  readonly operators: readonly { readonly op: string; readonly count: number }[]
  readonly weights: readonly WeightGroup[]
  /** Bytes of weights that are not 32-bit floats, by type. */
  readonly otherBytes: Readonly<Record<string, number>>
  readonly largest: readonly { readonly name: string; readonly dims: readonly number[]; readonly type: string }[]
}

const LARGEST = 5
/** Weights with fewer elements are biases and the like, which stay as they are. */
const LEAST = 1024

const KINDS: Readonly<Record<string, readonly [kind: WeightKind, inputs: readonly number[]]>> = {
  Conv: ['convolution', [1]],
  ConvTranspose: ['convolution', [1]],
  MatMul: ['product', [0, 1]],
  Gemm: ['product', [0, 1]],
  Gather: ['table', [0]],
  LSTM: ['recurrent', [1, 2]],
  GRU: ['recurrent', [1, 2]],
  RNN: ['recurrent', [1, 2]],
}

/** Counts what a model is made of. Reads names, types and dimensions, and no weights. */
export function summarizeModel(model: ModelProto): ModelSummary {
  const operators = new Map<string, number>()
  const kinds = new Map<WeightKind, { tensors: number; floats: number }>()
  const otherBytes: Record<string, number> = {}
  const all: TensorProto[] = []
  const views = graphsOf(model)
  const initializers: Initializers = new Map(
    views.map((view) => [view, new Map(view.graph.initializer.map((tensor) => [tensor.name, tensor]))]),
  )
  const kindOf = new Map<TensorProto, WeightKind>()
  for (const view of views) {
    for (const node of view.graph.node) {
      const op = isStandard(node) ? node.opType : `${node.domain}.${node.opType}`
      operators.set(op, (operators.get(op) ?? 0) + 1)
      noteKinds(node, view, initializers, kindOf)
    }
  }
  for (const { graph } of views) {
    for (const tensor of [...graph.initializer, ...graph.node.flatMap((node) => constantOf(node) ?? [])]) {
      all.push(tensor)
      const elements = countOf(tensor)
      if (tensor.dataType !== DataType.FLOAT) {
        const type = typeName(tensor)
        otherBytes[type] = (otherBytes[type] ?? 0) + (tensor.rawData?.length ?? elements)
        continue
      }
      const kind = elements < LEAST ? 'other' : (kindOf.get(tensor) ?? 'other')
      const group = kinds.get(kind) ?? { tensors: 0, floats: 0 }
      kinds.set(kind, { tensors: group.tensors + 1, floats: group.floats + elements })
    }
  }
  return {
    irVersion: Number(model.irVersion),
    opsets: Object.fromEntries(model.opsetImport.map(({ domain, version }) => [domain || 'ai.onnx', Number(version)])),
    producer: [model.producerName, model.producerVersion].filter((part) => part !== '').join(' '),
    nodes: [...operators.values()].reduce((sum, count) => sum + count, 0),
    graphs: views.length,
    operators: [...operators].map(([op, count]) => ({ op, count })).sort((a, b) => b.count - a.count),
    weights: [...kinds].map(([kind, group]) => ({ kind, ...group })).sort((a, b) => b.floats - a.floats),
    otherBytes,
    largest: all
      .map((tensor) => ({ tensor, elements: countOf(tensor) }))
      .sort((a, b) => b.elements - a.elements)
      .slice(0, LARGEST)
      .map(({ tensor }) => ({ name: tensor.name, dims: tensor.dims.map(Number), type: typeName(tensor) })),
  }
}

/** Floats of a kind in all graphs. */
export function floatsIn({ weights }: ModelSummary, kind: WeightKind): number {
  return weights.find((group) => group.kind === kind)?.floats ?? 0
}

/** Initializers by name, of each graph. */
type Initializers = ReadonlyMap<GraphView, ReadonlyMap<string, TensorProto>>

function noteKinds(
  node: NodeProto,
  view: GraphView,
  initializers: Initializers,
  kindOf: Map<TensorProto, WeightKind>,
): void {
  const known = isStandard(node) && Object.hasOwn(KINDS, node.opType) ? KINDS[node.opType] : undefined
  if (known === undefined) return
  const [kind, inputs] = known
  for (const index of inputs) {
    const weight = weightOf(node.input[index] ?? '', view, initializers)
    if (weight) kindOf.set(weight, kind)
  }
}

/** Operators between a weight and the layer that reads it; constant folding takes them away. */
const PASSED: ReadonlySet<string> = new Set(['Identity', 'Transpose', 'Reshape', 'Squeeze', 'Unsqueeze', 'Cast'])
const MOST_PASSED = 8

/**
 * The constant that a value is or is made from, in this graph or in one around it. Older files list their constants
 * among the inputs, which a `GraphView` does not count as constants.
 */
function weightOf(value: string, view: GraphView, initializers: Initializers): TensorProto | undefined {
  let [name, at]: [string, GraphView | undefined] = [value, view]
  for (let passed = 0; at !== undefined && name !== '' && passed <= MOST_PASSED; ) {
    const found = initializers.get(at)?.get(name)
    if (found) return found
    const producer = at.producer(name)
    if (producer === undefined) {
      at = at.isInput(name) ? undefined : at.outer
      continue
    }
    const constant = constantOf(producer)
    if (constant || !isStandard(producer) || !PASSED.has(producer.opType)) return constant
    name = producer.input[0] ?? ''
    passed++
  }
  return undefined
}

/** The tensor of a `Constant` node. */
function constantOf(node: NodeProto): TensorProto | undefined {
  return node.opType === 'Constant' && isStandard(node) ? attributeOf(node, 'value')?.t : undefined
}

function typeName({ dataType }: TensorProto): string {
  return DataType[dataType]?.toLowerCase() ?? `type ${dataType}`
}
