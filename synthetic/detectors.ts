import { tensor } from '../src/core/tensors.ts'
import { type NodeSpec, onnxModel, seededFloats, type ValueInfo } from './onnx.ts'

export interface QueryDetectorOptions {
  readonly queries: number
  /** Scores of a query: with "no object", where it has such a class. */
  readonly scores: number
  /** Whether it takes transformers' `pixel_mask`. */
  readonly masked?: boolean
  readonly seed?: number
}

/** Sides of the patches that a picture is cut into, and numbers of each. */
const PATCH = 16
const WIDTH = 16

/**
 * A detector with the tensors of DETR and the structure of its kind: patches of a picture of any size, queries that attend to
 * them, and for each query scores and a box. Its weights are random, and large enough that some queries are sure.
 */
export function queryDetector({ queries, scores, masked = false, seed = 1 }: QueryDetectorOptions) {
  const weights = (shape: readonly number[], scale: number, offset: number) => {
    const count = shape.reduce((product, side) => product * side, 1)
    const values = seededFloats(count, seed * 100 + offset)
    const greatest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    return tensor(
      'FP32',
      shape,
      Float32Array.from(values, (value) => (value / greatest) * scale),
    )
  }
  const inputs: ValueInfo[] = [{ name: 'pixel_values', datatype: 'FP32', shape: ['batch', 3, 'height', 'width'] }]
  const nodes: NodeSpec[] = [
    {
      op: 'Conv',
      inputs: ['pixel_values', 'patches'],
      outputs: ['features'],
      attributes: { kernel_shape: { ints: [PATCH, PATCH] }, strides: { ints: [PATCH, PATCH] } },
    },
    { op: 'Tanh', inputs: ['features'], outputs: ['bent'] },
    { op: 'Reshape', inputs: ['bent', 'flat'], outputs: ['columns'] },
    { op: 'Transpose', inputs: ['columns'], outputs: ['tokens'], attributes: { perm: { ints: [0, 2, 1] } } },
  ]
  if (masked) {
    inputs.push({ name: 'pixel_mask', datatype: 'INT64', shape: ['batch', 64, 64] })
    nodes.push(
      { op: 'Cast', inputs: ['pixel_mask'], outputs: ['mask'], attributes: { to: { int: 1 } } },
      {
        op: 'ReduceMean',
        inputs: ['mask'],
        outputs: ['share'],
        attributes: { axes: { ints: [1, 2] }, keepdims: { int: 1 } },
      },
      { op: 'Mul', inputs: ['tokens', 'share'], outputs: ['seen'] },
    )
  }
  const tokens = masked ? 'seen' : 'tokens'
  nodes.push(
    { op: 'MatMul', inputs: [tokens, 'key'], outputs: ['keys'] },
    { op: 'Transpose', inputs: ['keys'], outputs: ['turned'], attributes: { perm: { ints: [0, 2, 1] } } },
    { op: 'MatMul', inputs: ['queries', 'turned'], outputs: ['products'] },
    { op: 'Softmax', inputs: ['products'], outputs: ['attention'], attributes: { axis: { int: -1 } } },
    { op: 'MatMul', inputs: ['attention', tokens], outputs: ['gathered'] },
    { op: 'Add', inputs: ['queries', 'gathered'], outputs: ['hidden'] },
    { op: 'MatMul', inputs: ['hidden', 'class'], outputs: ['logits'] },
    { op: 'MatMul', inputs: ['hidden', 'box'], outputs: ['places'] },
    { op: 'Sigmoid', inputs: ['places'], outputs: ['pred_boxes'] },
  )
  return onnxModel({
    inputs,
    outputs: [
      { name: 'logits', datatype: 'FP32', shape: ['batch', queries, scores] },
      { name: 'pred_boxes', datatype: 'FP32', shape: ['batch', queries, 4] },
    ],
    nodes,
    initializers: {
      patches: weights([WIDTH, 3, PATCH, PATCH], 0.15, 1),
      flat: tensor('INT64', [3], BigInt64Array.of(0n, BigInt(WIDTH), -1n)),
      key: weights([WIDTH, WIDTH], 2, 2),
      queries: weights([1, queries, WIDTH], 1.5, 3),
      class: weights([WIDTH, scores], 2.5, 4),
      box: weights([WIDTH, 4], 0.3, 5),
    },
  })
}
