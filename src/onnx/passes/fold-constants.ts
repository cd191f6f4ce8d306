import { create } from '@bufbuild/protobuf'
import { toHex } from '../../core/bytes.ts'
import type { Datatype, Tensor, Tensors } from '../../core/tensors.ts'
import { encodeModel } from '../codec.ts'
import { byteCountOf, DataType, elementBits, isExternal, makeTensor } from '../data.ts'
import type { GraphView } from '../graph.ts'
import { inferTypes } from '../infer/infer.ts'
import { sizeOf, type ValueType } from '../infer/types.ts'
import { subgraphsOf } from '../make.ts'
import { type Pass, sorted } from '../pass.ts'
import {
  GraphProtoSchema,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  ValueInfoProtoSchema,
} from '../schema/onnx_pb.js'
import { constantNodes } from './constant-nodes.ts'
import { knownValues } from './known-values.ts'

/** What is needed of an engine to compute constants; those of `src/engine` have it. Engines stand above this toolkit. */
export interface ConstantEngine {
  load(
    artifact: { readonly sha256: string; readonly format: 'onnx'; readonly bytes: number },
    source: {
      readonly bytes: number
      deliver(write: (offset: number, data: Uint8Array) => void): Promise<void>
    },
    context: { readonly signal: AbortSignal },
  ): Promise<{
    run(inputs: Tensors, options: { readonly signal: AbortSignal }): Promise<Tensors>
    dispose(): void
  }>
}

export interface FoldConstantsOptions {
  /** Bytes that a node may give beyond those of the constants that it takes away. */
  readonly maxBytes?: number
  /** Told why the constants of a graph could not be computed; they are then left as they are. */
  readonly onFailure?: (graph: string, error: unknown) => void
}

/** Room for shapes, masks and scales; what is larger is made at run time in less time than it takes to read. */
const DEFAULT_BYTES = 16_384

/** Operators whose results differ from run to run, and those that quantization relies on finding where they are. */
const KEPT = new Set(
  (
    'RandomNormal RandomNormalLike RandomUniform RandomUniformLike Multinomial Bernoulli Dropout Constant ' +
    'QuantizeLinear DequantizeLinear DynamicQuantizeLinear MatMulInteger ConvInteger QLinearConv QLinearMatMul'
  ).split(' '),
)

const DATA_TYPES: Readonly<Partial<Record<Datatype, DataType>>> = {
  BOOL: DataType.BOOL,
  UINT8: DataType.UINT8,
  UINT16: DataType.UINT16,
  UINT32: DataType.UINT32,
  UINT64: DataType.UINT64,
  INT8: DataType.INT8,
  INT16: DataType.INT16,
  INT32: DataType.INT32,
  INT64: DataType.INT64,
  FP16: DataType.FLOAT16,
  FP32: DataType.FLOAT,
  FP64: DataType.DOUBLE,
}

/**
 * Computes what follows from constants alone, each graph's in one run, and from shapes that are fixed; `Constant` nodes
 * become initializers. Values whose size is not known, or grows by more than `maxBytes`, stay as they are.
 */
export function foldConstants(engine: ConstantEngine, options: FoldConstantsOptions = {}): Pass {
  const { maxBytes = DEFAULT_BYTES, onFailure } = options
  // What failed once fails again: it is not tried in every round.
  const failed = new Set<string>()
  return {
    name: 'fold-constants',
    repeat: true,
    async *propose(view, context) {
      const { signal } = context
      // Each makes more constants for the next; the engine, which costs most, comes last.
      for (const simple of [constantNodes, knownValues]) {
        let found = false
        for await (const patch of simple.propose(view, context)) {
          found = true
          yield patch
        }
        if (found) return
      }
      const nodes = foldable(view, maxBytes).filter(({ output }) => !failed.has(output[0] ?? ''))
      if (nodes.length === 0) return
      let results: Tensors
      try {
        results = await evaluate(engine, modelOf(view, nodes), signal)
      } catch (error) {
        signal.throwIfAborted()
        // A branch that is never taken may hold a computation that cannot be done.
        for (const { output } of nodes) failed.add(output[0] ?? '')
        onFailure?.(view.path, error)
        return
      }
      const made = new Set<NodeProto>()
      for (const node of nodes) {
        const initializers = node.output.flatMap((value) => constantOf(value, results.get(value)) ?? [])
        if (initializers.length !== node.output.filter((value) => value !== '').length) {
          failed.add(node.output[0] ?? '')
          continue
        }
        made.add(node)
        yield { what: `compute ${node.name || node.opType}`, remove: [node], initializers }
      }
    },
  }
}

/** Nodes all of whose inputs are constants, or come from such nodes, in an order in which they can be computed. */
function foldable(view: GraphView, maxBytes: number): NodeProto[] {
  const types = inferTypes(view.model, { declared: false })
  const known = new Map<string, number>()
  const result: NodeProto[] = []
  for (const node of sorted(view.graph.node)) {
    if ((node.domain !== '' && node.domain !== 'ai.onnx') || KEPT.has(node.opType)) continue
    if (subgraphsOf(node).length > 0 || node.output.some((value) => view.isOutput(value))) continue
    const taken = node.input.map((value) => (value === '' ? 0 : (known.get(value) ?? constantBytes(view, value))))
    if (taken.includes(undefined)) continue
    const given = node.output.map((value) => (value === '' ? 0 : bytesOf(types.of(view.graph, value))))
    if (given.includes(undefined)) continue
    // Constants of the graphs around are read there too, or in another branch.
    const goes = (value: string): boolean =>
      view.uses(value).length === 1 && (known.has(value) || view.ownsConstant(value)) && !view.isOutput(value)
    const freed = node.input.map((value, index) => (goes(value) ? (taken[index] ?? 0) : 0))
    if (sum(given) > sum(freed) + maxBytes) continue
    for (const [index, value] of node.output.entries()) known.set(value, given[index] ?? 0)
    result.push(node)
  }
  return result
}

const sum = (values: readonly (number | undefined)[]): number =>
  values.reduce<number>((total, value) => total + (value ?? 0), 0)

function constantBytes(view: GraphView, value: string): number | undefined {
  const tensor = view.constant(value)
  if (tensor === undefined || isExternal(tensor) || tensor.dataType === DataType.STRING) return undefined
  return byteCountOf(tensor)
}

/** Undefined where it is unknown, or of a type that engines do not give out. */
function bytesOf({ elementType, shape }: ValueType): number | undefined {
  const size = sizeOf(shape)
  if (size === null || !Object.values(DATA_TYPES).includes(elementType)) return undefined
  return (size * elementBits(elementType)) / 8
}

/** A model of these nodes alone, with the constants that they read, that gives all their values. */
function modelOf(view: GraphView, nodes: readonly NodeProto[]): ModelProto {
  const outputs = nodes.flatMap(({ output }) => output.filter((value) => value !== ''))
  const made = new Set(outputs)
  const read = new Set(nodes.flatMap(({ input }) => input.filter((value) => value !== '' && !made.has(value))))
  const initializer = [...read].map((value) => view.constant(value)).filter((tensor) => tensor !== undefined)
  return {
    ...view.model,
    functions: [],
    graph: create(GraphProtoSchema, {
      name: 'constants',
      node: [...nodes],
      initializer,
      output: outputs.map((name) => create(ValueInfoProtoSchema, { name })),
    }),
  }
}

async function evaluate(engine: ConstantEngine, model: ModelProto, signal: AbortSignal): Promise<Tensors> {
  const bytes = encodeModel(model)
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  const sha256 = toHex(digest)
  const source = { bytes: bytes.length, deliver: async (write: Write): Promise<void> => write(0, bytes) }
  const session = await engine.load({ sha256, format: 'onnx', bytes: bytes.length }, source, { signal })
  try {
    return await session.run(new Map(), { signal })
  } finally {
    session.dispose()
  }
}

type Write = (offset: number, data: Uint8Array) => void

function constantOf(name: string, tensor: Tensor | undefined): TensorProto | undefined {
  const type = tensor && DATA_TYPES[tensor.datatype]
  if (tensor === undefined || type === undefined || tensor.datatype === 'BYTES') return undefined
  return makeTensor(name, type, tensor.shape, tensor.data)
}
