import { DataType, floatsOf, makeTensor } from '../onnx/data.ts'
import type { GraphView } from '../onnx/graph.ts'
import { inferTypes, type TypeTable } from '../onnx/infer/infer.ts'
import type { Pass, PassContext, Patch } from '../onnx/pass.ts'
import type { NodeProto, TensorProto } from '../onnx/schema/onnx_pb.js'
import { nameOf } from './shared/weights.ts'

/**
 * Makes a constant that is added to a layer's output the layer's bias: a convolution's own, or that of the Gemm that a
 * product of matrices becomes. Integer kernels add biases in 32 bits; an addition behind them would round twice, and
 * ONNX Runtime joins it with a product in a way that keeps the product from running on integers.
 *
 * Comes before calibration. Constants that nobody reads afterwards stay for `dropDead`.
 */
export const foldBias: Pass = {
  name: 'fold-bias',
  repeat: true,
  *propose(view, context) {
    let types: TypeTable | undefined
    for (const add of view.graph.node) {
      if (add.opType !== 'Add' || add.domain !== '') continue
      const isMatrix = (value: string): boolean => {
        types ??= inferTypes(view.model)
        return types.of(view.graph, value).shape?.length === 2
      }
      const patch = fold(add, view, isMatrix, context)
      if (patch) yield patch
    }
  },
}

function fold(
  add: NodeProto,
  view: GraphView,
  isMatrix: (value: string) => boolean,
  { namer }: PassContext,
): Patch | undefined {
  const at = view.constant(add.input[1] ?? '') ? 1 : 0
  const constant = view.constant(add.input[at] ?? '')
  const value = add.input[1 - at] ?? ''
  const layer = view.producer(value)
  if (constant?.dataType !== DataType.FLOAT || layer === undefined || layer.domain !== '') return undefined
  if (view.isOutput(value) || view.uses(value).length !== 1) return undefined
  const weight = view.constant(layer.input[1] ?? '')
  if (weight?.dataType !== DataType.FLOAT) return undefined
  const bias = layer.opType === 'Conv' ? convolutionBias(layer, weight, constant, view) : undefined
  const product =
    layer.opType === 'MatMul' && isMatrix(layer.input[0] ?? '') ? productBias(weight, constant) : undefined
  const values = bias ?? product
  if (values === undefined) return undefined
  const name = namer.fresh(`${layer.output[0]}_bias`)
  return {
    what: `make ${nameOf(add)} the bias of ${nameOf(layer)}`,
    remove: [layer, add],
    add: [
      {
        ...layer,
        opType: layer.opType === 'Conv' ? 'Conv' : 'Gemm',
        input: [layer.input[0] ?? '', layer.input[1] ?? '', name],
        output: [...add.output],
      },
    ],
    initializers: [makeTensor(name, DataType.FLOAT, [values.length], values)],
  }
}

/** [C, 1, 1] or [1, C, 1, 1] to a weight of four dimensions, with what bias there is already. */
function convolutionBias(
  layer: NodeProto,
  weight: TensorProto,
  constant: TensorProto,
  view: GraphView,
): Float32Array | undefined {
  const [channels = 0n] = weight.dims
  const behind = weight.dims.length - 2
  const dims = constant.dims
  const place = dims.length - 1 - behind
  if (place < 0 || dims.length > weight.dims.length || dims[place] !== channels) return undefined
  if (dims.some((size, index) => index !== place && size !== 1n)) return undefined
  const added = floatsOf(constant)
  if (!layer.input[2]) return added
  const bias = view.constant(layer.input[2])
  if (bias?.dataType !== DataType.FLOAT) return undefined
  const before = floatsOf(bias)
  return added.map((value, channel) => value + (before[channel] ?? 0))
}

/** [N] or [1, N] to a weight of [K, N]. */
function productBias(weight: TensorProto, constant: TensorProto): Float32Array | undefined {
  const { dims } = constant
  if (weight.dims.length !== 2 || dims.length > 2 || dims.at(-1) !== weight.dims[1]) return undefined
  if (dims.length === 2 && dims[0] !== 1n) return undefined
  return floatsOf(constant)
}
