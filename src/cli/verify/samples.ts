import type { ImageSettings } from '../../catalog/manifest.ts'
import { LIMITS } from '../../core/limits.ts'
import {
  ARRAY_TYPES,
  elementCount,
  halves,
  type NumericArray,
  type Signature,
  type Tensor,
  type TensorSpec,
  tensor,
} from '../../core/tensors.ts'
import { OnnxError, safeName } from '../../onnx/errors.ts'
import type { Sample } from '../../quantize/types.ts'
import type { Pixels } from './pictures.ts'
import { normal, uniform } from './random.ts'

/** How large the open dimensions of made-up inputs are. */
export interface InputSizes {
  /** Size of open dimensions that are neither the batch nor a picture's: the length of a text or a sound. 16 if left out. */
  readonly length?: number
  /** Size of the batch, where it is open; 1 if left out. */
  readonly batch?: number
  /** Image size for dynamic dimensions. Default: 64 x 64 with channels first. */
  readonly picture?: PictureSize
  /** Positions that a decoder has seen before: the length of its caches. As `length` if left out. */
  readonly past?: number
  /** Whole shapes of inputs, by their names. */
  readonly shapes?: ReadonlyMap<string, readonly number[]>
}

export interface PictureSize {
  readonly height: number
  readonly width: number
  /** Where that is open; 3 if left out. */
  readonly channels?: number
  /** Layout of images with a dynamic channel dimension. Default: NCHW. */
  readonly layout?: 'NCHW' | 'NHWC'
}

/** The distribution of generated inputs. */
export interface InputValues {
  /** How many values an integer input may have, by its name: see `inputBounds`. Others get 0 and 1. */
  readonly bounds?: ReadonlyMap<string, number>
  /** How the model's pictures are scaled: then their pixels are random bytes, treated like those of a real picture. */
  readonly image?: Pick<ImageSettings, 'rescale' | 'mean' | 'std' | 'layout'> | undefined
  /** What every element of an integer input is, by its name: the rate of a sound. */
  readonly constants?: ReadonlyMap<string, number>
  /** Multiplied with every floating-point number; 1 if left out. */
  readonly scale?: number
  /** Pixels of pictures, by the sample's index: random ones if left out. */
  readonly pixels?: (sample: number, height: number, width: number) => Pixels
}

export interface SyntheticOptions extends InputSizes, InputValues {
  readonly count: number
  readonly seed: number
}

/** The shape of each input, by its name. */
export type Shapes = ReadonlyMap<string, readonly number[]>

/** Tokens of a text, where nothing says how many it takes. */
export const TEXT_LENGTH = 16
/** Height and width of images with dynamic dimensions. */
const PICTURE_SIDE = 64
const CHANNELS = [1, 3, 4]
/** Sampling rate that models of speech take. */
const SAMPLING_RATE = 16_000
const WORDS = ['a', 'b', 'c', 'male', 'female', 'yes', 'no']

/** Inputs that a decoder gets from its own last run, by the names that exporters give them. */
const CACHE = /past_key|past_value|key_values|(^|[._])(past|cache)/i
/** Inputs that a recurrent model gets from its own last run: one row for each example. */
const STATE = /(^|[._])(state|hidden|cell)([._]?(in|n|\d+))?$|^[hc]_?[0-9n]?$/i

/**
 * Generated inputs for a model without samples, the same for the same seed. They suffice to compare two forms of a
 * model and to measure a run, but not to measure accuracy.
 *
 * Inputs with the names of encoder inputs get valid values: ids within the vocabulary, a mask of ones, a single
 * segment. Images are in [0, 1), other floats are normal with variance 1.
 * @throws OnnxError unsupported if an input is not a tensor, too_large
 */
export function syntheticSamples(signature: Signature, options: SyntheticOptions): Sample[] {
  return samplesOfShapes(signature, inputShapes(signature, options), options)
}

/**
 * Made-up inputs of these shapes.
 * @throws OnnxError as `syntheticSamples`
 */
export function samplesOfShapes(
  { inputs }: Signature,
  shapes: Shapes,
  { count, seed, ...values }: InputValues & Pick<SyntheticOptions, 'count' | 'seed'>,
): Sample[] {
  const total = elementsOf(shapes)
  if (!(total <= LIMITS.inputElements)) {
    throw new OnnxError(
      'too_large',
      `One input of the model would have ${total} elements; the limit of a request is ${LIMITS.inputElements}.`,
    )
  }
  return Array.from({ length: count }, (_, index) => {
    const next = uniform(seed * 65_537 + index)
    return {
      inputs: new Map(
        inputs.map((spec) => [spec.name, madeUp(spec, shapes.get(spec.name) ?? [], next, index, values)]),
      ),
    }
  })
}

/** Elements of all inputs of these shapes together. */
export function elementsOf(shapes: Shapes): number {
  return [...shapes.values()].reduce((sum, shape) => sum + elementCount(shape), 0)
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

/** Whether an input can be a picture: four dimensions of numbers, and no decoder's cache or state. */
export function isPicture({ datatype, name, shape }: TensorSpec): boolean {
  return (
    shape.length === 4 &&
    (datatype === 'FP32' || datatype === 'FP16' || datatype === 'UINT8') &&
    !CACHE.test(name) &&
    !STATE.test(name)
  )
}

/** Whether an input is a decoder's memory of what came before. */
export function isCache({ name, shape }: TensorSpec): boolean {
  return shape.length >= 3 && CACHE.test(name)
}

/** The shape of each input with its open dimensions filled: the same symbol has the same size everywhere. */
export function inputShapes({ inputs }: Signature, sizes: InputSizes): Shapes {
  const symbols = new Map<string, number>()
  const decodes = inputs.some(isCache)
  const given = (spec: TensorSpec, axis: number): number | undefined => {
    const shape = sizes.shapes?.get(spec.name)
    return shape?.length === spec.shape.length ? shape[axis] : undefined
  }
  for (const known of [true, false]) {
    for (const spec of inputs) {
      for (const [axis, dimension] of spec.shape.entries()) {
        if (typeof dimension !== 'string') continue
        const size = given(spec, axis)
        if (known && size !== undefined) symbols.set(dimension, size)
        if (known || symbols.has(dimension)) continue
        symbols.set(dimension, openSize(spec, axis, sizes, decodes))
      }
    }
  }
  const shapeOf = (spec: TensorSpec): number[] =>
    spec.shape.map((dimension, axis) => {
      if (typeof dimension === 'string') return symbols.get(dimension) ?? 1
      return dimension >= 0 ? dimension : (given(spec, axis) ?? openSize(spec, axis, sizes, decodes))
    })
  return new Map(inputs.map((spec) => [spec.name, shapeOf(spec)]))
}

function openSize(spec: TensorSpec, axis: number, sizes: InputSizes, decodes: boolean): number {
  const { length = TEXT_LENGTH, past = length, picture } = sizes
  const dimension = spec.shape[axis] ?? -1
  if (isBatch(dimension, axis)) return sizes.batch ?? 1
  if (isCache(spec)) return past
  if (decodes && /mask/i.test(spec.name)) return past + length
  if (isPicture(spec)) return pictureSize(spec.shape, axis, picture)
  return STATE.test(spec.name) ? (sizes.batch ?? 1) : length
}

function pictureSize(shape: TensorSpec['shape'], axis: number, picture: PictureSize | undefined): number {
  const { height = PICTURE_SIDE, width = PICTURE_SIDE, channels = 3, layout = 'NCHW' } = picture ?? {}
  const [first, last] = [Number(shape[1]), Number(shape[3])]
  const lastHolds = CHANNELS.includes(last) && !CHANNELS.includes(first)
  const channelsLast = lastHolds || (layout === 'NHWC' && !(first > 0))
  return (channelsLast ? [1, height, width, channels] : [1, channels, height, width])[axis] ?? 1
}

function madeUp(
  spec: TensorSpec,
  shape: readonly number[],
  next: () => number,
  sample: number,
  values: InputValues,
): Tensor {
  const count = elementCount(shape)
  const { datatype, name } = spec
  if (datatype === null) {
    throw new OnnxError('unsupported', `Input "${safeName(name)}" is not a tensor. Give your own samples.`, {
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
  const whole = wholeNumbers(name, shape, next, values)
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < count; i++) data[i] = BigInt(whole(i))
  } else if (datatype === 'FP32' || datatype === 'FP64' || datatype === 'FP16') {
    const float = floats(spec, shape, next, sample, values)
    const { scale = 1 } = values
    const numbers = datatype === 'FP16' ? halves(data as Uint16Array) : data
    for (let i = 0; i < count; i++) numbers[i] = float(i) * scale
  } else if (datatype === 'UINT8' && shape.length >= 3) {
    const pixel = pixelsOf(spec, shape, next, sample, values)
    for (let i = 0; i < count; i++) data[i] = pixel(i)
  } else {
    for (let i = 0; i < count; i++) data[i] = whole(i)
  }
  return { datatype, shape, data } as Tensor
}

/** What each element of a floating-point input is, by its place in the tensor. */
function floats(
  spec: TensorSpec,
  shape: readonly number[],
  next: () => number,
  sample: number,
  values: InputValues,
): (index: number) => number {
  const { image, pixels } = values
  if (!isPicture(spec) || !hasChannels(shape)) return () => normal(next)
  if (image === undefined && pixels === undefined) return next
  const pixel = pixelsOf(spec, shape, next, sample, values)
  if (image === undefined) return (index) => pixel(index) / 255
  const { mean, rescale, std } = image
  const { channelOf } = layoutOf(shape, image)
  return (index) => {
    const channel = channelOf(index)
    const shift = mean?.[channel] ?? mean?.[0] ?? 0
    return (pixel(index) * rescale - shift) / (std?.[channel] ?? std?.[0] ?? 1)
  }
}

function hasChannels(shape: readonly number[]): boolean {
  return [shape[1], shape[3]].some((side) => CHANNELS.includes(side ?? 0))
}

/** Samples of a picture's pixels, 0 to 255, by their place in the tensor. */
function pixelsOf(
  spec: TensorSpec,
  shape: readonly number[],
  next: () => number,
  sample: number,
  { image, pixels }: InputValues,
): (index: number) => number {
  if (pixels === undefined || !isPicture(spec) || !hasChannels(shape)) return () => Math.floor(next() * 256)
  const { channelOf, height, pixelOf, width } = layoutOf(shape, image)
  const pixel = pixels(sample, height, width)
  return (index) => {
    const at = pixelOf(index)
    return pixel(Math.floor(at / width), at % width, channelOf(index))
  }
}

interface Layout {
  readonly height: number
  readonly width: number
  channelOf(index: number): number
  /** Which pixel of its picture an element belongs to, row by row. */
  pixelOf(index: number): number
}

function layoutOf([, a = 1, b = 1, c = 1]: readonly number[], image: InputValues['image']): Layout {
  const channelsLast = image === undefined ? !CHANNELS.includes(a) : image.layout === 'NHWC'
  return channelsLast
    ? {
        height: a,
        width: b,
        channelOf: (index) => index % c,
        pixelOf: (index) => Math.floor(index / c) % (a * b),
      }
    : {
        height: b,
        width: c,
        channelOf: (index) => Math.floor(index / (b * c)) % a,
        pixelOf: (index) => index % (b * c),
      }
}

/** What each element of an input of whole numbers is; the largest that it may have is among them. */
function wholeNumbers(
  name: string,
  shape: readonly number[],
  next: () => number,
  values: InputValues,
): (index: number) => number {
  const constant = values.constants?.get(name)
  if (constant !== undefined) return () => constant
  if (/mask/i.test(name)) return () => 1
  if (/token_type|segment/i.test(name)) return () => 0
  if (isRate(name, shape)) return () => SAMPLING_RATE
  const below = values.bounds?.get(name)
  const last = elementCount(shape) - 1
  return (index) => {
    const number = Math.floor(next() * (below ?? 2))
    return below !== undefined && index === last && last > 0 ? below - 1 : number
  }
}

function isRate(name: string, shape: readonly number[]): boolean {
  return elementCount(shape) === 1 && shape.length <= 1 && /^(sr|rate|sampl)/i.test(name)
}
