import { DataType, makeTensor } from '../../onnx/data.ts'
import { OnnxError } from '../../onnx/errors.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { makeNode } from '../../onnx/make.ts'
import type { Pass, PassContext, Patch } from '../../onnx/pass.ts'
import type { TensorProto } from '../../onnx/schema/onnx_pb.js'
import { BLOCK_SIZES, type BlockSize, type Blocks, quantizeBlocks } from '../shared/blocks.ts'
import { type ConstantProduct, constantProduct, surround } from '../shared/products.ts'
import { finiteWeight, layerResult, nameOf, Readers, requireOpset } from '../shared/weights.ts'
import type { QuantizePassOptions } from '../types.ts'
import { TiedBlocks } from './tied-blocks.ts'
import type { Ties } from './ties.ts'

export interface WeightOnly4Options extends QuantizePassOptions {
  /** Consecutive rows of a column that share a scale. 32 if left out. */
  readonly blockSize?: BlockSize
  /** Levels around zero, without zero points. The default: 1/8 bit a weight less for blocks of 32. */
  readonly symmetric?: boolean
  /**
   * What a native build may compute in: 0, the default, as the operator's inputs are; 4, in int8, faster there and
   * less exact. The WebAssembly build multiplies in float whatever this says.
   */
  readonly accuracyLevel?: 0 | 4
  /** Told which weights are stored, for lookups in the same weights. */
  readonly ties?: Ties
}

/** Operators as they are written here: `Add` and `Gemm` broadcast in this way since. */
const OPSET = 7

/** Weights whose four-bit form is not smaller than this share of their floats stay: short columns fill no block. */
const MOST_SHARE = 0.5

/**
 * Products of an activation and a constant matrix (`MatMul`, `Gemm`) with the weight in four bits, by blocks along each
 * column: `MatMulNBits`, an operator of ONNX Runtime's own. Activations stay in float.
 * @throws OnnxError bad_options; unsupported below operator set 7; bad_weights where a weight has NaN or infinity
 */
export function weightOnly4(options: WeightOnly4Options = {}): Pass {
  const { select, skip } = options
  const blockSize = checkedBlockSize(options.blockSize)
  const symmetric = options.symmetric ?? true
  const made = new Map<TensorProto, [upright?: Blocks, turned?: Blocks]>()
  const freed = new Set<TensorProto>()

  const blocksOf = ({ node, weight, inner, outer, transposed }: ConstantProduct): Blocks => {
    const both = made.get(weight) ?? []
    made.set(weight, both)
    const at = transposed ? 1 : 0
    both[at] ??= quantizeBlocks(
      { floats: finiteWeight(weight, node), count: outer, length: inner, columns: !transposed },
      (Math.ceil(inner / blockSize) * blockSize) / 2,
      { blockSize, symmetric, scales: 'fp32' },
    )
    return both[at]
  }

  return {
    name: 'weight-only 4 bits',
    *propose(view, context) {
      const readers = new Readers(view, freed)
      const { accuracyLevel = 0, ties } = options
      const rewriter = new GraphRewriter(view, context, { blockSize, accuracyLevel, ties })
      yield* readers.sweep()
      for (const node of view.graph.node) {
        const product = constantProduct(view, node)
        if (product === undefined || select?.(node, view) === false) continue
        const reason = 'reason' in product ? product.reason : tooShort(product, blockSize, symmetric)
        if ('reason' in product || reason !== undefined) {
          skip?.({ node: nameOf(node), op: node.opType, reason: reason ?? '' })
          continue
        }
        requireOpset(view, OPSET)
        const blocks = blocksOf(product)
        yield rewriter.rewrite(product, blocks, readers)
        options.record?.(
          layerResult(node, product.weight, {
            to: symmetric ? 'int4' : 'uint4',
            elements: product.inner * product.outer,
            bytesAfter: bytesOf(blocks),
            loss: blocks,
          }),
        )
      }
    },
  }
}

/** @throws OnnxError bad_options */
export function checkedBlockSize(blockSize: number = 32): BlockSize {
  const known = BLOCK_SIZES.find((size) => size === blockSize)
  if (known) return known
  throw new OnnxError('bad_options', `A block has ${BLOCK_SIZES.join(', ')} weights, not ${blockSize}.`)
}

function tooShort({ inner }: ConstantProduct, blockSize: number, symmetric: boolean): string | undefined {
  const blocks = Math.ceil(inner / blockSize)
  const bytes = blocks * (blockSize / 2 + 4) + (symmetric ? 0 : Math.ceil(blocks / 2))
  if (bytes <= MOST_SHARE * 4 * inner) return undefined
  return `its columns of ${inner} are too short for blocks of ${blockSize}`
}

interface Names {
  readonly levels: string
  readonly scales: string
  readonly zeroPoints: string | undefined
}

function bytesOf({ levels, scales, zeroPoints }: Blocks): number {
  return levels.length + 4 * scales.length + (zeroPoints?.length ?? 0)
}

interface RewriterOptions {
  readonly blockSize: BlockSize
  readonly accuracyLevel: 0 | 4
  readonly ties: Ties | undefined
}

/** Writes the new nodes of one graph. */
class GraphRewriter {
  readonly #view: GraphView
  readonly #fresh: (base: string) => string
  readonly #options: RewriterOptions
  readonly #weights = new Map<Blocks, Map<number, Names>>()

  constructor(view: GraphView, { namer }: PassContext, options: RewriterOptions) {
    this.#view = view
    this.#fresh = (base) => namer.fresh(base)
    this.#options = options
  }

  rewrite(product: ConstantProduct, blocks: Blocks, readers: Readers): Patch {
    const { node, inner, outer, weight, through } = product
    const { accuracyLevel, blockSize } = this.#options
    const around = surround(product, this.#fresh)
    const initializers: TensorProto[] = [...around.initializers]
    const { levels, scales, zeroPoints } = this.#weight(product, blocks, initializers)
    const replacement = makeNode({
      op: 'MatMulNBits',
      domain: 'com.microsoft',
      name: this.#fresh(`${nameOf(node)}_Q4`),
      inputs: [around.input, levels, scales, ...(zeroPoints === undefined ? [] : [zeroPoints])],
      outputs: [around.result],
      attributes: {
        K: { int: inner },
        N: { int: outer },
        bits: { int: 4 },
        block_size: { int: blockSize },
        ...(accuracyLevel === 0 ? {} : { accuracy_level: { int: accuracyLevel } }),
      },
    })
    const { remove, removeInitializers } = readers.freed(weight, through)
    return {
      what: `4 bits ${nameOf(node)}`,
      remove: [node, ...remove],
      add: [...around.nodes, replacement],
      initializers,
      removeInitializers,
      opsets: { 'com.microsoft': 1 },
    }
  }

  /** Adds a weight's initializers where they are not there. A `Gemm`'s alpha goes into the scales. */
  #weight(product: ConstantProduct, blocks: Blocks, initializers: TensorProto[]): Names {
    const { weight, inner, outer, alpha, transposed } = product
    const variants = this.#weights.get(blocks) ?? new Map<number, Names>()
    this.#weights.set(blocks, variants)
    const known = variants.get(alpha)
    if (known) return known
    const { blockSize } = this.#options
    const { levels, scales, zeroPoints } = blocks
    const add = (part: string, type: DataType, dims: readonly number[], data: ArrayBufferView): string => {
      const name = this.#fresh(`${weight.name}_${part}`)
      initializers.push(makeTensor(name, type, dims, data))
      return name
    }
    const first = variants.values().next().value
    const along = Math.ceil(inner / blockSize)
    const names: Names = {
      levels: first?.levels ?? add('Q4', DataType.UINT8, [outer, along, blockSize / 2], levels),
      scales: add(
        'scales',
        DataType.FLOAT,
        [scales.length],
        alpha === 1 ? scales : scales.map((value) => value * alpha),
      ),
      zeroPoints: first
        ? first.zeroPoints
        : zeroPoints && add('zero_points', DataType.UINT8, [zeroPoints.length], zeroPoints),
    }
    variants.set(alpha, names)
    if (first === undefined && inner % blockSize === 0 && zeroPoints === undefined) {
      const options = { levels: names.levels, columns: inner, blockSize, bytes: bytesOf(blocks) + 4 * scales.length }
      this.#options.ties?.note(this.#view, weight, !transposed, new TiedBlocks(blocks, options))
    }
    return names
  }
}
