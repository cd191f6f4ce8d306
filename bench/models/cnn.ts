import { tensor } from '../../src/core/tensors.ts'
import { Graph } from '../../synthetic/graph.ts'
import { normals } from '../../synthetic/random.ts'
import type { Precision } from './products.ts'

/** MobileNet v1's blocks: output channels and stride of each depthwise separable convolution. */
const BLOCKS = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [1024, 2],
  [1024, 1],
] as const
const STEM = 32
const CLASSES = 1000
/** Smaller weights stay floats. */
const LEAST_QUANTIZED = 1024

/**
 * A network of MobileNet v1's shape with made-up weights: FP32 `image` [1, 3, 224, 224] -> FP32 `logits` [1, 1000].
 *
 * `int8` is what `verge quantize` writes where it has no samples: weights in eight bits with a scale for each channel,
 * those of fewer than 1,024 elements left out, and activations in float.
 */
export function cnnModel(precision: Precision): Uint8Array<ArrayBuffer> {
  const graph = new Graph()
  const weightOf = (name: string, shape: readonly number[], values: Float32Array, axis: number): string =>
    precision === 'fp32' || values.length < LEAST_QUANTIZED
      ? graph.weight(name, tensor('FP32', [...shape], values))
      : eightBits(graph, name, { axis, shape, values })
  const zero = graph.scalar('zero', 0)
  const six = graph.scalar('six', 6)
  const convolve = (
    name: string,
    input: string,
    shape: { readonly from: number; readonly to: number; readonly kernel: 1 | 3; readonly stride: number },
    depthwise = false,
  ): string => {
    const { from, to, kernel, stride } = shape
    const inner = depthwise ? 1 : from
    const fan = inner * kernel * kernel
    // He's initialization keeps the values' size from layer to layer under rectifiers.
    const values = normals(name, to * fan, Math.sqrt(2 / fan))
    const weight = weightOf(name, [to, inner, kernel, kernel], values, 0)
    const bias = graph.weight(`${name}.bias`, tensor('FP32', [to], normals(`${name}.bias`, to, 0.1)))
    const pad = kernel === 3 ? 1 : 0
    const sums = graph.node('Conv', [input, weight, bias], {
      kernel_shape: { ints: [kernel, kernel] },
      strides: { ints: [stride, stride] },
      pads: { ints: [pad, pad, pad, pad] },
      group: { int: depthwise ? from : 1 },
    })
    return graph.node('Clip', [sums, zero, six])
  }
  let channels: number = STEM
  let value = convolve('stem', 'image', { from: 3, to: STEM, kernel: 3, stride: 2 })
  for (const [index, [to, stride]] of BLOCKS.entries()) {
    value = convolve(`block${index}.depth`, value, { from: channels, to: channels, kernel: 3, stride }, true)
    value = convolve(`block${index}.point`, value, { from: channels, to, kernel: 1, stride: 1 })
    channels = to
  }
  const flat = graph.node('Flatten', [graph.node('GlobalAveragePool', [value])])
  const head = weightOf('head', [channels, CLASSES], normals('head', channels * CLASSES, 0.03), 1)
  const bias = graph.weight('head.bias', tensor('FP32', [CLASSES], normals('head.bias', CLASSES, 0.1)))
  return graph.model(
    [{ name: 'image', datatype: 'FP32', shape: [1, 3, 224, 224] }],
    { name: 'logits', datatype: 'FP32', shape: [1, CLASSES] },
    graph.node('Gemm', [flat, head, bias]),
  )
}

interface Weight {
  readonly shape: readonly number[]
  /** That its channels lie along. */
  readonly axis: number
  readonly values: Float32Array
}

/** A weight in eight bits, symmetric, by channel, and the node that makes floats of it. */
function eightBits(graph: Graph, name: string, { axis, shape, values }: Weight): string {
  const channels = shape[axis] ?? 1
  const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1)
  const channelOf = (index: number): number => Math.floor(index / inner) % channels
  const scales = new Float32Array(channels)
  for (const [index, value] of values.entries()) {
    scales[channelOf(index)] = Math.max(scales[channelOf(index)] ?? 0, Math.abs(value) / 127)
  }
  const stored = Int8Array.from(values, (value, index) => Math.round(value / (scales[channelOf(index)] ?? 1)))
  return graph.node(
    'DequantizeLinear',
    [
      graph.weight(name, tensor('INT8', [...shape], stored)),
      graph.weight(`${name}.scale`, tensor('FP32', [channels], scales)),
      graph.weight(`${name}.zero`, tensor('INT8', [channels], new Int8Array(channels))),
    ],
    { axis: { int: axis } },
  )
}
