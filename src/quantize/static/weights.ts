import { DataType, makeTensor } from '../../onnx/data.ts'
import type { NodeProto, TensorProto } from '../../onnx/schema/onnx_pb.js'
import { type Int8Matrix, quantizeColumns, quantizeRows, type ScaleOptions } from '../shared/scales.ts'
import { finiteFloats, type Loss } from '../shared/weights.ts'
import type { Layer } from './ops.ts'
import { squant } from './squant.ts'

/**
 * Largest whole number that a bias becomes. Biases are added up with the products in 32 bits; the other half is left
 * for those: 2^15 products of two 8-bit numbers.
 */
const MOST_BIAS = 2 ** 30

export interface LayerOptions extends Omit<ScaleOptions, 'symmetric'> {
  readonly perChannel: boolean
  /** Means of the input's channels, to make up for what rounding the weights shifts the output by. */
  readonly means: Float64Array | undefined
}

export interface QuantizedLayer {
  readonly weight: Int8Matrix
  /** Of scale `scales[channel] * inputScale`, zero at 0. */
  readonly bias: Int32Array<ArrayBuffer> | undefined
}

/**
 * A layer's weight, with zero in the middle of the levels as kernels with a scale a channel need it, and its bias as
 * whole numbers on the products' scale.
 * @param inputScale scale of the activations that come in
 * @throws OnnxError bad_weights
 */
export function quantizeLayer(
  layer: Layer,
  inputScale: number,
  { perChannel, means, ...options }: LayerOptions,
): QuantizedLayer {
  const [weightFactor, biasFactor] = layer.factors
  const values = scaled(finiteFloats(layer.weight, layer.node), weightFactor)
  const [rows, columns] = matrixOf(layer)
  const scaleOptions = { ...options, symmetric: true }
  const byRow = layer.axis === 0
  const nearest = !perChannel
    ? quantizeRows(values, 1, values.length, scaleOptions)
    : byRow
      ? quantizeRows(values, rows, columns, scaleOptions)
      : quantizeColumns(values, rows, columns, scaleOptions)
  const channels = byRow ? rows : columns
  if (layer.weight.dims.length > 2) {
    const kernels = Number(layer.weight.dims[1])
    squant(values, nearest, { kernels, taps: columns / kernels })
  }
  const channelOf = (index: number): number => (byRow ? Math.floor(index / columns) : index % columns)
  const weight = { ...nearest, ...lossOf(values, nearest, channelOf) }
  const shifts = means && layer.takesBias ? outputShifts(layer, values, weight, means) : undefined
  if (layer.bias === undefined && shifts === undefined) return { weight, bias: undefined }
  const floats = layer.bias ? scaled(finiteFloats(layer.bias, layer.node), biasFactor) : new Float32Array(1)
  const bias = spread(floats, channels).map((value, channel) => value - (shifts?.[channel] ?? 0))
  const fitted = fitBias(weight, bias, inputScale, channelOf)
  return { weight: fitted, bias: roundBias(bias, fitted.scales, inputScale) }
}

function lossOf(
  values: Float32Array,
  { data, scales, zeroPoints }: Int8Matrix,
  channelOf: (index: number) => number,
): Loss {
  const single = scales.length === 1
  let [signal, noise] = [0, 0]
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number
    const at = single ? 0 : channelOf(index)
    const lost = value - ((data[index] as number) - (zeroPoints[at] as number)) * (scales[at] as number)
    signal += value * value
    noise += lost * lost
  }
  return { signal, noise }
}

/**
 * By how much the mean of each output channel moves when the weight is rounded: the rounding errors times the means of
 * what they are multiplied with, padding aside. After a ReLU those are all above zero and the errors do not cancel out.
 * (M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section 4.2,
 * with measured means.)
 */
function outputShifts(
  layer: Layer,
  values: Float32Array,
  weight: Int8Matrix,
  means: Float64Array,
): Float64Array | undefined {
  const [rows, columns] = matrixOf(layer)
  const { data, scales, zeroPoints } = weight
  const single = scales.length === 1
  const byRow = layer.axis === 0
  const channels = byRow ? rows : columns
  // Of a grouped convolution, each output channel reads some of the input channels only.
  const read = Number(layer.weight.dims[1 - layer.axis])
  const inner = byRow ? columns / read : 1
  const groups = means.length / read
  if (!Number.isInteger(groups) || (groups > 1 && channels % groups !== 0)) return undefined
  const shifts = new Float64Array(channels)
  for (let index = 0; index < values.length; index++) {
    const channel = byRow ? Math.floor(index / columns) : index % columns
    const place = byRow ? Math.floor((index % columns) / inner) : Math.floor(index / columns)
    const group = Math.floor((channel * groups) / channels)
    const at = single ? 0 : channel
    const rounded = ((data[index] as number) - (zeroPoints[at] as number)) * (scales[at] as number)
    const error = rounded - (values[index] as number)
    shifts[channel] = (shifts[channel] as number) + error * (means[group * read + place] as number)
  }
  return shifts
}

/** A weight as a matrix, whose rows (axis 0) or columns (axis 1) are the channels. */
function matrixOf({ weight, axis }: Layer): readonly [rows: number, columns: number] {
  const count = weight.dims.reduce((product, size) => product * size, 1n)
  const channels = weight.dims[axis] ?? 1n
  return axis === 0 ? [Number(channels), Number(count / channels)] : [Number(count / channels), Number(channels)]
}

function scaled(values: Float32Array, factor: number): Float32Array {
  return factor === 1 ? values : values.map((value) => value * factor)
}

function spread(bias: Float32Array, channels: number): Float32Array {
  return bias.length === channels ? bias : new Float32Array(channels).fill(bias[0] ?? 0)
}

/**
 * Changes the scales of channels whose bias they cannot hold: of those whose weights are zero, any scale will do, and
 * one is taken that keeps the bias precise; of those whose weights are next to nothing beside the bias, a larger one.
 */
function fitBias(
  weight: Int8Matrix,
  bias: Float32Array,
  inputScale: number,
  channelOf: (index: number) => number,
): Int8Matrix {
  const { data, scales, zeroPoints } = weight
  const single = scales.length === 1
  const largest = Float32Array.from(scales, () => 0)
  for (const [channel, value] of bias.entries()) {
    const at = single ? 0 : channel
    largest[at] = Math.max(largest[at] ?? 0, Math.abs(value))
  }
  const used = new Uint8Array(scales.length)
  for (let index = 0; index < data.length; index++) {
    const at = single ? 0 : channelOf(index)
    if (data[index] !== zeroPoints[at]) used[at] = 1
  }
  const factors = Float64Array.from(scales, (scale, at) => {
    const least = (largest[at] ?? 0) / (inputScale * MOST_BIAS)
    if (used[at] === 0 && least > 0) return least / scale
    return least > scale ? least / scale : 1
  })
  if (factors.every((factor) => factor === 1)) return weight
  const fitted = data.slice() as typeof data
  for (let index = 0; index < data.length; index++) {
    const at = single ? 0 : channelOf(index)
    const zero = zeroPoints[at] ?? 0
    fitted[index] = zero + Math.round(((data[index] ?? 0) - zero) / (factors[at] ?? 1))
  }
  return { ...weight, data: fitted, scales: scales.map((scale, at) => scale * (factors[at] ?? 1)) }
}

function roundBias(bias: Float32Array, scales: Float32Array, inputScale: number): Int32Array<ArrayBuffer> {
  return Int32Array.from(bias, (value, channel) =>
    Math.round(value / biasScale(scales[scales.length === 1 ? 0 : channel] ?? 1, inputScale)),
  )
}

/** As single precision multiplies, because the runtime does. */
export function biasScale(weightScale: number, inputScale: number): number {
  return Math.fround(Math.fround(weightScale) * Math.fround(inputScale))
}

/** A constant beside activations, on a scale of its own. @throws OnnxError bad_weights */
export function quantizeConstant(tensor: TensorProto, node: NodeProto, type: 'uint8' | 'int8'): Int8Matrix {
  const values = finiteFloats(tensor, node)
  return quantizeRows(values, 1, values.length, { weightType: type, symmetric: false, reduceRange: false })
}

/** A tensor of 8-bit numbers. */
export function bytesTensor(name: string, dims: readonly number[], data: Int8Matrix['data']): TensorProto {
  return makeTensor(name, data instanceof Int8Array ? DataType.INT8 : DataType.UINT8, dims, data)
}
