import { DataType } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import type { TypeTable } from '../../onnx/infer/infer.ts'
import { intOf, stringOf, subgraphsOf } from '../../onnx/make.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

/**
 * Operators that stay in single precision unless told otherwise: their specification takes no halves, one of their
 * inputs is a float in any case (scales of quantization, factors of resizing), or they compute positions, which halves
 * above 2,048 no longer tell apart. After onnxconverter-common's `DEFAULT_OP_BLOCK_LIST`.
 */
export const BLOCKED_OPS: readonly string[] = [
  ...words(`
    Bernoulli BlackmanWindow Celu ConvInteger CumSum DequantizeLinear DynamicQuantizeLinear HammingWindow HannWindow
    ImageDecoder IsInf MatMulInteger MaxRoiPool MeanVarianceNormalization MelWeightMatrix Multinomial NonMaxSuppression QLinearConv QLinearMatMul
    QuantizeLinear Range Resize RoiAlign STFT DFT TfIdfVectorizer TopK Unique Upsample
  `),
]

/** ONNX Runtime's own operators that take halves. */
const CONTRIBUTED = words(`
  BiasGelu FastGelu FusedMatMul GatherBlockQuantized Gelu MatMulNBits QuickGelu SkipLayerNormalization
`)

/** They make values of nothing, or change types: what reads them changes the type on the way. */
const SOURCES = words(`
  Cast CastLike Constant ConstantOfShape EyeLike RandomNormal RandomNormalLike RandomUniform RandomUniformLike
`)

/** They move elements and compute nothing: not worth a conversion there and back. */
const MOVING = words(`
  Concat DepthToSpace Expand Flatten Gather GatherElements GatherND Identity Pad Reshape ReverseSequence Slice
  SpaceToDepth Split Squeeze Tile Transpose Unsqueeze
`)

export const isMoving = ({ opType }: NodeProto): boolean => MOVING.has(opType)

/** Why a node is left in single precision without a word, or with one; undefined where it can be converted. */
export function obstacle(node: NodeProto, blocked: ReadonlySet<string>): 'silent' | 'blocked' | undefined {
  const { domain, opType } = node
  const standard = domain === '' || domain === 'ai.onnx'
  if (subgraphsOf(node).length > 0 || (standard && SOURCES.has(opType))) return 'silent'
  // Sequences and optional values hold what they were given.
  if (/^(Sequence|Optional|SplitToSequence|ConcatFromSequence)/.test(opType)) return 'silent'
  if (blocked.has(opType)) return 'blocked'
  if (!standard) return domain === 'com.microsoft' && CONTRIBUTED.has(opType) ? undefined : 'blocked'
  // ONNX Runtime adds up, or takes the larger of, scattered floats only.
  if (opType.startsWith('Scatter') && stringOf(node, 'reduction', 'none') !== 'none') return 'blocked'
  // Statistics come out in single precision whatever goes in.
  if (opType === 'LayerNormalization' && node.output.slice(1).some((value) => value !== '')) return 'blocked'
  return undefined
}

const INTEGERS: readonly DataType[] = [DataType.INT32, DataType.INT64, DataType.UINT8, DataType.INT8, DataType.UINT32]

/**
 * Nodes whose floats end as whole numbers: sizes and positions on their way to a `Resize` or a `Slice`. Halves are not
 * exact enough for those.
 */
export function positional(view: GraphView, types: TypeTable): ReadonlySet<NodeProto> {
  const found = new Set<NodeProto>()
  for (const node of [...view.graph.node].reverse()) {
    const floats = node.output.filter((value) => types.of(view.graph, value).elementType === DataType.FLOAT)
    const uses = floats.flatMap((value) => view.uses(value))
    const ends = uses.every(({ node: user, index }) => {
      if (index < 0) return false
      return found.has(user) || (user.opType === 'Cast' && INTEGERS.includes(intOf(user, 'to', DataType.UNDEFINED)))
    })
    if (uses.length > 0 && ends && !floats.some((value) => view.isOutput(value))) found.add(node)
  }
  return found
}
