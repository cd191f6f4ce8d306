import { DataType, makeTensor } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { makeNode } from '../../onnx/make.ts'
import type { Pass, PassContext, Patch } from '../../onnx/pass.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import { type ConstantProduct, constantProduct, surround } from '../shared/products.ts'
import { type Int8Matrix, quantizeMatrix, type ScaleOptions, transposed } from '../shared/scales.ts'
import { finiteWeight, layerResult, nameOf, Readers, requireOpset } from '../shared/weights.ts'
import type { QuantizePassOptions } from '../types.ts'
import { TiedInt8 } from './tied-int8.ts'
import type { Ties } from './ties.ts'

export interface DynamicInt8Options extends QuantizePassOptions, Partial<ScaleOptions> {
  /** A scale for each column of a weight, and not one for all of it. */
  readonly perChannel?: boolean
  /** Told which weights are stored, for lookups in the same weights. */
  readonly ties?: Ties
}

/** `DynamicQuantizeLinear` came with this operator set. */
const OPSET = 11

/** A weight's initializers in a graph. */
interface Names {
  readonly data: string
  readonly scale: string
  /** Left out where it is zero. */
  readonly zero: string | undefined
}

/**
 * Products of an activation and a constant matrix (`MatMul`, `Gemm`) in eight bits: the weight is stored so, and the
 * activation quantized to uint8 as it comes. It has one scale for the tensor, so the other items of a batch change an
 * item's result a little. The nodes are ONNX's own, as `onnxruntime.quantization.quantize_dynamic` writes them; ONNX
 * Runtime fuses them. Products that read the same activation share its quantization.
 *
 * Weights are signed, symmetric and scaled per column unless said otherwise.
 * @throws OnnxError unsupported below operator set 11; bad_weights where a weight has NaN or infinity
 */
export function dynamicInt8(options: DynamicInt8Options = {}): Pass {
  const { select, skip } = options
  const scales: ScaleOptions = {
    weightType: options.weightType ?? 'int8',
    symmetric: options.symmetric ?? true,
    reduceRange: options.reduceRange ?? false,
  }
  const matrices = new Matrices(scales, options.perChannel ?? true)
  const freed = new Set<TensorProto>()
  return {
    name: 'dynamic int8',
    *propose(view, context) {
      const readers = new Readers(view, freed)
      const graph = new GraphRewriter(view, context, matrices, options.ties)
      yield* readers.sweep()
      for (const node of view.graph.node) {
        const product = constantProduct(view, node)
        if (product === undefined || select?.(node, view) === false) continue
        if ('reason' in product) {
          skip?.({ node: nameOf(node), op: node.opType, reason: product.reason })
          continue
        }
        requireOpset(view, OPSET)
        yield graph.rewrite(product, readers)
        const { weight } = product
        const matrix = matrices.of(product)
        const bytesAfter = bytesOf(matrix)
        const elements = matrix.data.length
        options.record?.(layerResult(node, weight, { to: scales.weightType, elements, bytesAfter, loss: matrix }))
      }
    },
  }
}

/** Weights in eight bits, quantized once however many nodes and graphs read them. */
class Matrices {
  readonly #options: ScaleOptions
  readonly #perChannel: boolean
  readonly #made = new Map<TensorProto, [upright?: Int8Matrix, turned?: Int8Matrix]>()

  constructor(options: ScaleOptions, perChannel: boolean) {
    this.#options = options
    this.#perChannel = perChannel
  }

  /** As [inner, outer]. @throws OnnxError bad_weights */
  of({ node, weight, inner, outer, transposed: turned }: ConstantProduct): Int8Matrix {
    const both = this.#made.get(weight) ?? []
    this.#made.set(weight, both)
    const known = both[turned ? 1 : 0]
    if (known) return known
    const shape = turned ? ([outer, inner] as const) : ([inner, outer] as const)
    const axis = this.#perChannel ? (turned ? 'row' : 'column') : 'matrix'
    let matrix = quantizeMatrix(finiteWeight(weight, node), shape, axis, this.#options)
    if (turned) matrix = { ...matrix, data: transposed(matrix.data, outer, inner) }
    both[turned ? 1 : 0] = matrix
    return matrix
  }
}

/** Writes the new nodes of one graph. */
class GraphRewriter {
  readonly #view: GraphView
  readonly #fresh: (base: string) => string
  readonly #matrices: Matrices
  readonly #ties: Ties | undefined
  /** Activations already quantized. */
  readonly #activations = new Map<string, readonly [data: string, scale: string, zero: string]>()
  readonly #weights = new Map<Int8Matrix, Map<number, Names>>()

  constructor(view: GraphView, { namer }: PassContext, matrices: Matrices, ties: Ties | undefined) {
    this.#view = view
    this.#ties = ties
    this.#fresh = (base) => namer.fresh(base)
    this.#matrices = matrices
  }

  rewrite(product: ConstantProduct, readers: Readers): Patch {
    const { node, weight, through } = product
    const around = surround(product, this.#fresh)
    const nodes: NodeProto[] = [...around.nodes]
    const initializers: TensorProto[] = [...around.initializers]
    const [data, scale, zero] = this.#activation(around.input, nodes)
    const names = this.#weight(product, initializers)
    const make = (op: string, inputs: readonly string[], output: string, to?: DataType): string => {
      const attributes = to === undefined ? {} : { to: { int: to } }
      nodes.push(makeNode({ op, inputs, outputs: [output], name: this.#fresh(`${nameOf(node)}_${op}`), attributes }))
      return output
    }
    const output = node.output[0] as string
    const inputs = [data, names.data, zero, ...(names.zero === undefined ? [] : [names.zero])]
    const sums = make('MatMulInteger', inputs, this.#fresh(`${output}_sums`))
    const float = make('Cast', [sums], this.#fresh(`${output}_float`), DataType.FLOAT)
    const scales = make('Mul', [scale, names.scale], this.#fresh(`${output}_scale`))
    make('Mul', [float, scales], around.result)
    const { remove, removeInitializers } = readers.freed(weight, through)
    return {
      what: `${typeOf(this.#matrices.of(product))} ${nameOf(node)}`,
      remove: [node, ...remove],
      add: nodes,
      initializers,
      removeInitializers,
    }
  }

  /** Quantizes an activation where that has not been done. */
  #activation(input: string, nodes: NodeProto[]): readonly [data: string, scale: string, zero: string] {
    const known = this.#activations.get(input)
    if (known) return known
    const names = ['quantized', 'scale', 'zero_point'].map((part) => this.#fresh(`${input}_${part}`))
    const name = this.#fresh(`${input}_DynamicQuantizeLinear`)
    nodes.push(makeNode({ op: 'DynamicQuantizeLinear', inputs: [input], outputs: names, name }))
    const made = names as unknown as readonly [string, string, string]
    this.#activations.set(input, made)
    return made
  }

  /** Adds a weight's initializers where they are not there. A `Gemm`'s alpha goes into the scales. */
  #weight(product: ConstantProduct, initializers: TensorProto[]): Names {
    const matrix = this.#matrices.of(product)
    const variants = this.#weights.get(matrix) ?? new Map<number, Names>()
    this.#weights.set(matrix, variants)
    const known = variants.get(product.alpha)
    if (known) return known
    const { inner, outer, alpha, weight } = product
    const { scales } = matrix
    const type = matrix.data instanceof Int8Array ? DataType.INT8 : DataType.UINT8
    const add = (part: string, of: DataType, dims: readonly number[], data: ArrayBufferView): string => {
      const name = this.#fresh(`${weight.name}_${part}`)
      initializers.push(makeTensor(name, of, dims, data))
      return name
    }
    const first = variants.values().next().value
    const zeros = zerosOf(matrix)
    const names: Names = {
      data: first?.data ?? add('quantized', type, [inner, outer], matrix.data),
      scale: add(
        'scale',
        DataType.FLOAT,
        scales.length === 1 ? [] : [outer],
        alpha === 1 ? scales : scales.map((value) => value * alpha),
      ),
      zero: first
        ? first.zero
        : zeros.length === 0
          ? undefined
          : add('zero_point', type, zeros.length === 1 ? [] : [outer], zeros),
    }
    variants.set(alpha, names)
    if (alpha === 1 && scales.length === outer) {
      const table = new TiedInt8(
        { to: typeOf(matrix), loss: matrix, bytes: bytesOf(matrix) },
        { data: names.data, scale: names.scale, zero: names.zero, zeroByRow: zeros.length > 1 },
      )
      this.#ties?.note(this.#view, weight, !product.transposed, table)
    }
    return names
  }
}

function typeOf({ data }: Int8Matrix): 'int8' | 'uint8' {
  return data instanceof Int8Array ? 'int8' : 'uint8'
}

/** With scales and zero points. */
function bytesOf(matrix: Int8Matrix): number {
  return matrix.data.length + 4 * matrix.scales.length + zerosOf(matrix).length
}

/** A matrix's zero points as they are stored: none where all are 0, and one where all are the same. */
function zerosOf({ zeroPoints }: Int8Matrix): Int8Matrix['zeroPoints'] {
  const [first = 0] = zeroPoints
  if (zeroPoints.some((zero) => zero !== first)) return zeroPoints
  return zeroPoints.subarray(0, first === 0 ? 0 : 1)
}
