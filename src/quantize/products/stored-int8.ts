import { DataType, dimsOf, makeTensor } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { intOf, makeNode } from '../../onnx/make.ts'
import type { Pass, PassContext, Patch } from '../../onnx/pass.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import { type Int8Matrix, quantizeColumns, quantizeRows, type ScaleOptions } from '../shared/scales.ts'
import { finiteFloats, LEAST_ELEMENTS, layerResult, nameOf, Readers, requireOpset } from '../shared/weights.ts'
import type { QuantizePassOptions } from '../types.ts'

export interface StoredInt8Options extends QuantizePassOptions, Partial<Omit<ScaleOptions, 'reduceRange'>> {
  /** A scale for each output channel, and not one for all of a weight. True if left out. */
  readonly perChannel?: boolean
}

/** `DequantizeLinear` has an axis since. */
const OPSET = 13

/** Which inputs of an operator are weights, and along which axis their output channels lie; null for one scale. */
const WEIGHTS: Readonly<Record<string, (node: NodeProto, rank: number) => ReadonlyMap<number, number | null>>> = {
  Conv: () => new Map([[1, 0]]),
  // [channels in, channels out of a group, ...]: the channels out are neither first nor last.
  ConvTranspose: () => new Map([[1, null]]),
  MatMul: (_node, rank) => new Map([[1, rank - 1]]),
  Gemm: (node) => new Map([[1, intOf(node, 'transB', 0) === 1 ? 0 : 1]]),
  LSTM: recurrent,
  GRU: recurrent,
  RNN: recurrent,
}

/** [directions, gates, ...], for the inputs and for the state. */
function recurrent(): ReadonlyMap<number, null> {
  return new Map([
    [1, null],
    [2, null],
  ])
}

/**
 * Weights stored in eight bits and turned back into floats where they are used (`DequantizeLinear`): a quarter of the
 * size, no loss but the weights' own, and no calibration. For what has neither samples nor products that can be
 * quantized as they come: convolutions, recurrent layers.
 * @throws OnnxError unsupported below operator set 13; bad_weights where a weight has NaN or infinity
 */
export function storedInt8(options: StoredInt8Options = {}): Pass {
  const { select, skip, record } = options
  const freed = new Set<TensorProto>()
  const matrices = new Matrices(options)
  return {
    name: 'stored int8',
    *propose(view, context) {
      const readers = new Readers(view, freed)
      const weights = new StoredWeights(context, matrices)
      yield* readers.sweep()
      for (const node of view.graph.node) {
        const inputs = weightInputs(view, node)
        if (inputs.length === 0 || select?.(node, view) === false) continue
        const large = inputs.filter(({ weight }) => weight.dims.reduce((a, b) => a * b, 1n) >= LEAST_ELEMENTS)
        if (large.length === 0) {
          skip?.({
            node: nameOf(node),
            op: node.opType,
            reason: `its weights have less than ${LEAST_ELEMENTS} elements`,
          })
          continue
        }
        requireOpset(view, OPSET)
        yield replaced(node, large, weights, readers)
        for (const input of large) {
          const matrix = matrices.of(node, input)
          record?.(
            layerResult(node, input.weight, {
              to: options.weightType ?? 'int8',
              elements: matrix.data.length,
              bytesAfter: matrix.data.length + 5 * matrix.scales.length,
              loss: matrix,
            }),
          )
        }
      }
    },
  }
}

interface WeightInput {
  readonly index: number
  readonly weight: TensorProto
  readonly axis: number | null
}

function weightInputs(view: GraphView, node: NodeProto): WeightInput[] {
  if (node.domain !== '' && node.domain !== 'ai.onnx') return []
  const known = Object.hasOwn(WEIGHTS, node.opType) ? WEIGHTS[node.opType] : undefined
  if (known === undefined) return []
  const found: WeightInput[] = []
  for (const index of [1, 2]) {
    const weight = view.constant(node.input[index] ?? '')
    if (weight === undefined || weight.dataType !== DataType.FLOAT || weight.dims.length < 2) continue
    const axis = known(node, weight.dims.length).get(index)
    if (axis !== undefined) found.push({ index, weight, axis })
  }
  return found
}

function replaced(node: NodeProto, inputs: readonly WeightInput[], weights: StoredWeights, readers: Readers): Patch {
  const input = [...node.input]
  const add: NodeProto[] = []
  const initializers: TensorProto[] = []
  const removeInitializers: string[] = []
  for (const each of inputs) {
    const { value, nodes, tensors } = weights.restored(node, each)
    input[each.index] = value
    add.push(...nodes)
    initializers.push(...tensors)
    removeInitializers.push(...readers.replace(each.weight))
  }
  return {
    what: `stored in 8 bits ${nameOf(node)}`,
    remove: [node],
    add: [...add, { ...node, input }],
    initializers,
    removeInitializers,
  }
}

/** Weights in eight bits, quantized once however many nodes and graphs read them. */
class Matrices {
  readonly #perChannel: boolean
  readonly #scales: ScaleOptions
  readonly #made = new Map<TensorProto, Map<number | null, Int8Matrix>>()

  constructor({ perChannel = true, weightType = 'int8', symmetric = true }: StoredInt8Options) {
    this.#perChannel = perChannel
    this.#scales = { weightType, symmetric, reduceRange: false }
  }

  /** @throws OnnxError bad_weights */
  of(node: NodeProto, { weight, axis }: WeightInput): Int8Matrix {
    const byAxis = this.#made.get(weight) ?? new Map<number | null, Int8Matrix>()
    this.#made.set(weight, byAxis)
    const matrix = byAxis.get(axis) ?? this.#quantize(finiteFloats(weight, node), weight, axis)
    byAxis.set(axis, matrix)
    return matrix
  }

  #quantize(values: Float32Array, weight: TensorProto, axis: number | null): Int8Matrix {
    const dims = dimsOf(weight)
    const channels = axis === null ? 1 : (dims[axis] ?? 1)
    if (!this.#perChannel || axis === null) return quantizeRows(values, 1, values.length, this.#scales)
    if (axis === 0) return quantizeRows(values, channels, values.length / channels, this.#scales)
    return quantizeColumns(values, values.length / channels, channels, this.#scales)
  }
}

/** The weights of one graph, each restored once. */
class StoredWeights {
  readonly #context: PassContext
  readonly #matrices: Matrices
  readonly #restored = new Map<Int8Matrix, string>()

  constructor(context: PassContext, matrices: Matrices) {
    this.#context = context
    this.#matrices = matrices
  }

  /** The value that holds a weight in float again, with the nodes and initializers that it takes where they are new. */
  restored(node: NodeProto, input: WeightInput) {
    const matrix = this.#matrices.of(node, input)
    const known = this.#restored.get(matrix)
    if (known !== undefined) return { value: known, nodes: [], tensors: [] }
    const { namer } = this.#context
    const { weight } = input
    const axis = matrix.scales.length === 1 ? null : input.axis
    const type = matrix.data instanceof Int8Array ? DataType.INT8 : DataType.UINT8
    const dims = axis === null ? [] : [matrix.scales.length]
    const tensors = [
      makeTensor(namer.fresh(`${weight.name}_stored`), type, dimsOf(weight), matrix.data),
      makeTensor(namer.fresh(`${weight.name}_scale`), DataType.FLOAT, dims, matrix.scales),
      makeTensor(namer.fresh(`${weight.name}_zero_point`), type, dims, matrix.zeroPoints),
    ]
    const value = namer.fresh(`${weight.name}_restored`)
    this.#restored.set(matrix, value)
    const restore = makeNode({
      op: 'DequantizeLinear',
      inputs: tensors.map(({ name }) => name),
      outputs: [value],
      name: namer.fresh(`${weight.name}_DequantizeLinear`),
      attributes: axis === null ? {} : { axis: { int: axis } },
    })
    return { value, nodes: [restore], tensors }
  }
}
