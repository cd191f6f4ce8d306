import { DataType, dimsOf, floatsOf, makeTensor } from '../data.ts'
import type { GraphView } from '../graph.ts'
import { attributeOf, floatOf, intOf, makeAttribute } from '../make.ts'
import type { Pass, PassContext, Patch } from '../pass.ts'
import type { NodeProto, TensorProto } from '../schema/onnx_pb.js'

/** What a batch normalization does to a channel at inference: y = scale * x + shift. */
interface Affine {
  readonly scale: Float64Array
  readonly shift: Float64Array
}

/** Moves batch normalizations into the convolutions and products before them, where nobody else reads those. */
export const foldBatchNorm: Pass = {
  name: 'fold-batch-norm',
  repeat: true,
  *propose(view, context) {
    for (const norm of view.graph.node) {
      if (norm.opType !== 'BatchNormalization' || norm.domain !== '') continue
      const patch = fold(norm, view, context)
      if (patch) yield patch
    }
  },
}

function fold(norm: NodeProto, view: GraphView, { namer }: PassContext): Patch | undefined {
  const [input = ''] = norm.input
  const layer = view.producer(input)
  if (layer === undefined || layer.domain !== '' || view.isOutput(input) || view.uses(input).length !== 1) return
  const affine = affineOf(norm, view)
  const weight = floats(view.constant(layer.input[1] ?? ''))
  const bias = layer.input[2] ? floats(view.constant(layer.input[2])) : null
  if (affine === undefined || weight === undefined || bias === undefined) return
  const channelOf = channelsOf(layer, weight, affine.scale.length)
  // A product's bias may broadcast in other ways than over its columns.
  if (channelOf === undefined || (bias !== null && bias.values.length !== affine.scale.length)) return
  const folded = scaled(weight.values, affine, channelOf)
  // beta multiplies a product's bias, which becomes part of the new one.
  const beta = layer.opType === 'Gemm' ? floatOf(layer, 'beta', 1) : 1
  const shift = Float32Array.from(affine.shift, (value, channel) => {
    return value + (affine.scale[channel] ?? 0) * beta * (bias?.values[channel] ?? 0)
  })
  if (!folded.every(Number.isFinite) || !shift.every(Number.isFinite)) return
  const names = [namer.fresh(`${layer.input[1]}_folded`), namer.fresh(`${layer.output[0]}_bias`)] as const
  const attributes = layer.attribute.filter(({ name }) => name !== 'beta')
  return {
    what: `fold ${norm.name || 'BatchNormalization'} into ${layer.name || layer.opType}`,
    remove: [layer, norm],
    add: [
      {
        ...layer,
        input: [layer.input[0] ?? '', ...names],
        output: [norm.output[0] ?? ''],
        attribute: layer.opType === 'Gemm' ? [...attributes, makeAttribute('beta', { float: 1 })] : attributes,
      },
    ],
    initializers: [
      makeTensor(names[0], DataType.FLOAT, weight.dims, folded),
      makeTensor(names[1], DataType.FLOAT, [shift.length], shift),
    ],
  }
}

interface Weight {
  readonly values: Float32Array
  readonly dims: readonly number[]
}

function floats(tensor: TensorProto | undefined): Weight | undefined {
  if (tensor?.dataType !== DataType.FLOAT) return undefined
  return { values: floatsOf(tensor), dims: dimsOf(tensor) }
}

/** Undefined where the node trains, normalizes by position, or has statistics that are no constants. */
function affineOf(norm: NodeProto, view: GraphView): Affine | undefined {
  const training = intOf(norm, 'training_mode', 0) !== 0 || norm.output.slice(1).some((value) => value !== '')
  const old = view.opset() < 7 && intOf(norm, 'is_test', 0) === 0
  if (training || old || intOf(norm, 'spatial', 1) === 0) return undefined
  const [gain, offset, mean, variance] = norm.input.slice(1, 5).map((value) => floats(view.constant(value))?.values)
  if (!gain || !offset || !mean || !variance) return undefined
  const epsilon = attributeOf(norm, 'epsilon') ? floatOf(norm, 'epsilon', 0) : 1e-5
  const scale = Float64Array.from(gain, (value, at) => value / Math.sqrt((variance[at] ?? 0) + epsilon))
  const shift = Float64Array.from(offset, (value, at) => value - (mean[at] ?? 0) * (scale[at] ?? 0))
  return { scale, shift }
}

/** The output channel that an element of a layer's weight belongs to; undefined where the sizes do not fit. */
function channelsOf(layer: NodeProto, { dims }: Weight, channels: number): ((index: number) => number) | undefined {
  const [first = 0, second = 0] = dims
  const kernel = dims.slice(2).reduce((product, dim) => product * dim, 1)
  switch (layer.opType) {
    case 'Conv':
      return first === channels ? (index) => Math.floor(index / (second * kernel)) : undefined
    case 'ConvTranspose': {
      // [in, out / group, ...kernel]: inputs of a group give that group's outputs.
      const groups = intOf(layer, 'group', 1)
      if (second * groups !== channels || first % groups !== 0) return undefined
      return (index) => {
        const group = Math.floor(Math.floor(index / (second * kernel)) / (first / groups))
        return group * second + (Math.floor(index / kernel) % second)
      }
    }
    case 'Gemm':
      if (intOf(layer, 'transB', 0) !== 0) return first === channels ? (index) => Math.floor(index / second) : undefined
      return second === channels ? (index) => index % second : undefined
    default:
      return undefined
  }
}

function scaled(values: Float32Array, { scale }: Affine, channelOf: (index: number) => number): Float32Array {
  const result = new Float32Array(values.length)
  for (let index = 0; index < values.length; index++) {
    result[index] = (values[index] as number) * (scale[channelOf(index)] as number)
  }
  return result
}
