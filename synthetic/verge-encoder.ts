import type { Operand } from '../src/engine/verge/plan.ts'
import { seededFloats } from './onnx.ts'
import { columnsF32, columnsInt8, PlanWriter } from './verge-plans.ts'

export interface EncoderShape {
  readonly layers: number
  readonly width: number
  readonly heads: number
  readonly inner: number
  readonly words: number
  readonly positions: number
  /** Weights in floats instead of 8 bits. */
  readonly floats?: boolean
}

/** all-MiniLM-L6-v2's shape. */
export const MINILM: EncoderShape = { layers: 6, width: 384, heads: 12, inner: 1536, words: 30_522, positions: 512 }
export const SMALL_ENCODER: EncoderShape = { layers: 2, width: 48, heads: 4, inner: 100, words: 50, positions: 40 }

/**
 * A text encoder like BERT as a plan: ids and mask [batch, sequence] to the states of all tokens and to their mean, normalized.
 * Weights are made up; the same shape always has the same.
 */
export function encoderPlan(shape: EncoderShape): PlanWriter {
  const { layers, width, heads, inner, words, positions, floats = false } = shape
  const writer = new PlanWriter()
  const [b, s] = [writer.symbol('batch', 64), writer.symbol('sequence', positions)]
  const ids = writer.input('input_ids', 'INT64', [b, s])
  const mask = writer.input('attention_mask', 'INT64', [b, s])
  let seed = 1
  const made = (count: number, scale: number) => seededFloats(count, seed++ * 7919).map((value) => value * scale)
  const vector = (size: number, centre: number) =>
    writer.constant(
      'f32',
      [size],
      made(size, 0.1).map((value) => value + centre),
    )
  const linear = (x: Operand, depth: number, columns: number, activation: string): Operand => {
    const weight = made(depth * columns, 2 / Math.sqrt(depth))
    const bias = vector(columns, 0)
    if (floats) {
      const packed = writer.constant('f32', [depth, columns], columnsF32(weight, depth, columns), 'columns-f32')
      return writer.step('linear-f32', [x, packed, bias], 'f32', [b, s, columns], { activation })
    }
    const { packed, scales, sums } = columnsInt8(weight, depth, columns)
    const operands = [
      writer.constant('i8', [depth, columns], packed, 'columns-int8'),
      writer.constant('f32', [columns], scales),
      writer.constant('i32', [columns], sums),
    ]
    return writer.step('linear-int8', [x, ...operands, bias], 'f32', [b, s, columns], { activation })
  }
  const norm = (x: Operand, skip: Operand): Operand =>
    writer.step('layer-norm', [x, skip, vector(width, 1), vector(width, 0)], 'f32', [b, s, width], { epsilon: 1e-12 })

  const table = Int8Array.from(made(words * width, 127))
  const scales = writer.constant('f32', [words], new Float32Array(words).fill(1 / 127))
  const embedded = writer.step('gather-rows', [writer.constant('i8', [words, width], table), ids, scales], 'f32', [
    b,
    s,
    width,
  ])
  const places = writer.constant('f32', [1, positions, width], made(positions * width, 0.5))
  const starts = { starts: [0, 0, 0], steps: [1, 1, 1] }
  let x = norm(embedded, writer.step('slice', [places], 'f32', [1, s, width], starts))
  for (let layer = 0; layer < layers; layer++) {
    const qkv = linear(x, width, 3 * width, 'none')
    const attributes = {
      heads,
      headSize: width / heads,
      scale: Math.sqrt(heads / width),
      offsets: [0, width, 2 * width],
    }
    const mixed = writer.step(
      floats ? 'attention' : 'attention-int8',
      [qkv, qkv, qkv, null, mask],
      'f32',
      [b, s, width],
      attributes,
    )
    x = norm(linear(mixed, width, width, 'none'), x)
    x = norm(linear(linear(x, width, inner, 'gelu'), inner, width, 'none'), x)
  }
  writer.output('last_hidden_state', 'FP32', [b, s, width], x)
  const weights = writer.step('cast', [mask], 'f32', [b, s])
  const column = weights && 'buffer' in weights ? { ...weights, shape: [b, s, 1] } : weights
  const masked = writer.step('binary', [x, column], 'f32', [b, s, width], { kind: 'mul' })
  const sum = writer.step('reduce', [masked], 'f32', [b, width], { kind: 'sum', axes: [1] })
  const count = writer.step('reduce', [weights], 'f32', [b, 1], { kind: 'sum', axes: [1] })
  const mean = writer.step('binary', [sum, count], 'f32', [b, width], { kind: 'div' })
  const length = writer.step('reduce', [mean], 'f32', [b, 1], { kind: 'l2', axes: [1] })
  writer.output(
    'sentence',
    'FP32',
    [b, width],
    writer.step('binary', [mean, length], 'f32', [b, width], { kind: 'div' }),
  )
  return writer
}

/** Ids of `words` words, made up. */
export function tokenIds(count: number, words: number, seed: number): bigint[] {
  return [...seededFloats(count, seed)].map((value) => BigInt(Math.floor(((value + 1) / 2) * words)))
}
