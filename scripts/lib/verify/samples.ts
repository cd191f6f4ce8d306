import { numberToHalf } from '../../../src/core/half.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import {
  ARRAY_TYPES,
  elementCount,
  type NumericArray,
  type Signature,
  type Tensor,
  type TensorSpec,
  tensor,
} from '../../../src/core/tensors.ts'
import { OnnxError, printable } from '../../../src/onnx/errors.ts'
import type { Sample } from '../../../src/quantize/types.ts'
import { normal, uniform } from './random.ts'

export interface SyntheticOptions {
  readonly count: number
  readonly seed: number
  /** How many values an integer input may have, by its name: see `inputBounds`. Others get 0 and 1. */
  readonly bounds?: ReadonlyMap<string, number>
  /** Size of open dimensions other than the batch: the length of a text, 16 if left out. */
  readonly length?: number
  /** Size of the batch, where it is open; 1 if left out. */
  readonly batch?: number
}

const TEXT_LENGTH = 16
/** Height and width of pictures whose size is open. */
const PICTURE_SIDE = 64
const CHANNELS = [1, 3, 4]
/** Sampling rate that models of speech take. */
const SAMPLING_RATE = 16_000
const WORDS = ['a', 'b', 'c', 'male', 'female', 'yes', 'no']

/**
 * Made-up inputs for a model without samples, the same for the same seed. Enough to see whether two forms of a model
 * compute the same, and what a run takes; they say nothing about how well a model does its task.
 *
 * Inputs named as encoders name them get what encoders take: ids within the vocabulary, a mask of ones, a single segment.
 * Pictures are in [0, 1), other floats normal with variance 1.
 * @throws OnnxError unsupported where an input is not a tensor, too_large
 */
export function syntheticSamples(signature: Signature, options: SyntheticOptions): Sample[] {
  const sizes = openSizes(signature, options)
  const shapes = signature.inputs.map((spec) => ({ spec, shape: shapeOf(spec, sizes, options) }))
  const total = shapes.reduce((sum, { shape }) => sum + elementCount(shape), 0)
  if (!(total <= LIMITS.inputElements)) {
    throw new OnnxError(
      'too_large',
      `One input of the model would have ${total} elements; a request may have ${LIMITS.inputElements}.`,
    )
  }
  return Array.from({ length: options.count }, (_, index) => {
    const next = uniform(options.seed * 65_537 + index)
    return {
      inputs: new Map(shapes.map(({ spec, shape }) => [spec.name, madeUp(spec, shape, next, options.bounds)])),
    }
  })
}

/** Whether a dimension of an input is open: symbolic, or not known. */
export function isOpen(dimension: number | string): dimension is string | number {
  return typeof dimension === 'string' || dimension < 0
}

/** Whether an open dimension is the number of examples that are run together: by its name, else because it is the first. */
export function isBatch(dimension: number | string, axis: number): boolean {
  if (typeof dimension === 'string') {
    if (/batch/i.test(dimension)) return true
    if (/seq|len|time|token|height|width/i.test(dimension)) return false
  }
  return axis === 0
}

/** Sizes by symbolic name: the same name has the same size everywhere, the batch's wherever it stands for the batch once. */
function openSizes({ inputs }: Signature, options: SyntheticOptions): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>()
  for (const spec of inputs) {
    for (const [axis, dimension] of spec.shape.entries()) {
      if (typeof dimension !== 'string') continue
      if (isBatch(dimension, axis)) sizes.set(dimension, options.batch ?? 1)
      else if (!sizes.has(dimension)) sizes.set(dimension, openSize(spec, axis, options))
    }
  }
  return sizes
}

function shapeOf(spec: TensorSpec, sizes: ReadonlyMap<string, number>, options: SyntheticOptions): number[] {
  return spec.shape.map((dimension, axis) => {
    if (typeof dimension === 'string') return sizes.get(dimension) ?? 1
    if (dimension >= 0) return dimension
    return isBatch(dimension, axis) ? (options.batch ?? 1) : openSize(spec, axis, options)
  })
}

function openSize(spec: TensorSpec, axis: number, { length = TEXT_LENGTH }: SyntheticOptions): number {
  if (spec.shape.length !== 4 || spec.datatype !== 'FP32') return length
  if (axis === 1 && !CHANNELS.includes(Number(spec.shape[3]))) return 3
  return PICTURE_SIDE
}

function madeUp(
  spec: TensorSpec,
  shape: readonly number[],
  next: () => number,
  bounds: ReadonlyMap<string, number> = new Map(),
): Tensor {
  const count = elementCount(shape)
  const { datatype, name } = spec
  if (datatype === null) {
    throw new OnnxError('unsupported', `Input "${printable(name)}" is not a tensor; give samples of your own.`, {
      node: name,
    })
  }
  if (datatype === 'BYTES') {
    return tensor(
      'BYTES',
      shape,
      Array.from({ length: count }, () => WORDS[Math.floor(next() * WORDS.length)] as string),
    )
  }
  const data: NumericArray = new ARRAY_TYPES[datatype](count)
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < count; i++) data[i] = BigInt(wholeNumber(name, shape, next, bounds))
  } else if (datatype === 'FP32' || datatype === 'FP64' || datatype === 'FP16') {
    const picture = shape.length === 4 && [shape[1], shape[3]].some((side) => CHANNELS.includes(side ?? 0))
    for (let i = 0; i < count; i++) {
      const value = picture ? next() : normal(next)
      data[i] = datatype === 'FP16' ? numberToHalf(value) : value
    }
  } else if (datatype === 'UINT8' && shape.length >= 3) {
    for (let i = 0; i < count; i++) data[i] = Math.floor(next() * 256)
  } else {
    for (let i = 0; i < count; i++) data[i] = wholeNumber(name, shape, next, bounds)
  }
  return { datatype, shape, data } as Tensor
}

function wholeNumber(
  name: string,
  shape: readonly number[],
  next: () => number,
  bounds: ReadonlyMap<string, number>,
): number {
  if (/mask/i.test(name)) return 1
  if (/token_type|segment/i.test(name)) return 0
  if (shape.length === 0 && /^(sr|rate|sampl)/i.test(name)) return SAMPLING_RATE
  return Math.floor(next() * (bounds.get(name) ?? 2))
}
