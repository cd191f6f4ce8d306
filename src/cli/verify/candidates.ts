import type { Manifest } from '../../catalog/manifest.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Signature, TensorSpec } from '../../core/tensors.ts'
import type { Sample } from '../../quantize/types.ts'
import {
  elementsOf,
  type InputSizes,
  type InputValues,
  inputShapes,
  isBatch,
  isCache,
  isOpen,
  isPicture,
  type PictureSize,
  type Shapes,
  samplesOfShapes,
  syntheticSamples,
  TEXT_LENGTH,
} from './samples.ts'

/** What Verge knows of the inputs of a model with a task: the part of a manifest, or of a description's `preprocess`. */
export type InputSettings = Partial<Pick<Manifest, 'image' | 'text' | 'audio' | 'bytes'>>

export interface InputFacts {
  readonly signature: Signature
  /** How many values each integer input may have: see `inputBounds`. */
  readonly bounds: ReadonlyMap<string, number>
  readonly settings?: InputSettings | undefined
}

export interface MakeOptions extends Pick<InputValues, 'scale' | 'pixels'> {
  readonly count: number
  readonly seed: number
}

/** One way of making up inputs for a model. */
export interface InputMaker {
  /** Description of the attempt: `an image of 32 x 128`. */
  readonly name: string
  readonly shapes: Shapes
  /** Inputs of these shapes, the same for the same options. @throws OnnxError unsupported where an input is no tensor */
  make(options: MakeOptions): Sample[]
}

/** More ways than this are not tried: each is a run of the model. */
const MOST_CANDIDATES = 48

/**
 * Lengths that are tried for open dimensions: some models take few, some are made for one, and models of sounds take a
 * window of 512 with what comes before it, thirty seconds of spectrogram, or a second of samples.
 */
const LENGTHS = [16, 1, 32, 64, 128, 2, 512, 576, 256, 400, 3000, 8000, 16_000, 48_000]

/** Seconds of sound that are tried, for models that take samples at a rate. */
const SECONDS = [1, 0.25, 2, 5, 10]

/**
 * Heights and widths that are tried for pictures: small ones, lines of text as recognisers take them, and the sizes of
 * well-known classifiers and detectors.
 */
const PICTURES: readonly (readonly [number, number])[] = [
  [64, 64],
  [32, 128],
  [48, 320],
  [224, 224],
  [32, 320],
  [256, 256],
  [28, 28],
  [320, 320],
  [96, 96],
  [112, 112],
  [128, 128],
  [299, 299],
  [384, 384],
  [512, 512],
  [640, 640],
]

/**
 * Ways of making up inputs for a model, the most plausible first: by what Verge knows of its task, then by sizes that
 * models commonly take. No two have the same shapes, and each is within what one request may hold.
 * @throws OnnxError unsupported if an input is not a tensor, too_large where every way is too large for a request
 */
export function inputCandidates(facts: InputFacts): InputMaker[] {
  const makers = new Map<string, InputMaker>()
  for (const { name, ...sizes } of [...bySettings(facts), ...byUsualSizes(facts.signature)]) {
    const maker = makerOf(name, sizes, facts)
    const key = JSON.stringify([...maker.shapes])
    if (elementsOf(maker.shapes) <= LIMITS.inputElements && !makers.has(key)) makers.set(key, maker)
    if (makers.size === MOST_CANDIDATES) break
  }
  // Without other inputs, the error of the usual inputs is reported.
  if (makers.size === 0) syntheticSamples(facts.signature, { count: 1, seed: 1 })
  return [...makers.values()]
}

/**
 * Ways of making up inputs of several sizes, to see how the time of a run grows with them. A model without open
 * dimensions has one; not every model runs on all of them.
 */
export function sizedCandidates(facts: InputFacts, { lengths, batches }: Ladders = LADDERS): InputMaker[] {
  const { signature, settings = {} } = facts
  const open = signature.inputs.flatMap((spec) => spec.shape.map((dimension, axis) => ({ spec, dimension, axis })))
  const sized = open.filter(({ axis, dimension }) => isOpen(dimension) && !isBatch(dimension, axis))
  const ladder = (): Named[] => {
    const known = bySettings(facts)
    if (settings.audio?.window !== undefined || settings.audio?.samples !== undefined) return known.slice(0, 1)
    if (settings.audio !== undefined) return SOUND_LADDER.map((seconds) => soundOf(facts, seconds))
    if (sized.length === 0)
      return open.some(({ dimension }) => isOpen(dimension)) ? batches.map(batchOf) : [{ name: '' }]
    if (sized.some(({ spec }) => !isPicture(spec))) return lengths.map(lengthOf)
    const [largest = 128, other = largest] = settings.image?.size ?? []
    return SHARES.map((share) => pictureOf(facts, Math.ceil(largest * share), Math.ceil(other * share)))
  }
  return ladder().map(({ name, ...sizes }) => makerOf(name, sizes, facts))
}

/**
 * The same inputs and larger ones: every open dimension but the batch's twice and four times as long; then, where that is
 * another, the last of them alone, for models that take one height.
 * @param shapes of inputs that the model runs on
 */
export function multiples(facts: InputFacts, shapes: Shapes): InputMaker[] {
  const { inputs } = facts.signature
  const openAxes = ({ shape }: TensorSpec): number[] =>
    shape.flatMap((dimension, axis) => (isOpen(dimension) && !isBatch(dimension, axis) ? [axis] : []))
  const makers = new Map<string, InputMaker>()
  for (const which of ['all', 'last'] as const) {
    for (const factor of [1, 2, 4]) {
      const larger = new Map(
        inputs.map((spec) => {
          const axes = which === 'all' ? openAxes(spec) : openAxes(spec).slice(-1)
          const shape = shapes.get(spec.name) ?? []
          return [spec.name, shape.map((size, axis) => (axes.includes(axis) ? factor * size : size))] as const
        }),
      )
      if (elementsOf(larger) > Math.max(2 * elementsOf(shapes), MOST_MULTIPLIED)) continue
      makers.set(JSON.stringify([...larger]), makerOf(`${factor} times the length`, { shapes: larger }, facts))
    }
  }
  return [...makers.values()]
}

/** Sizes of texts and other sequences, and of batches, smallest first. */
export interface Ladders {
  readonly lengths: readonly number[]
  readonly batches: readonly number[]
}

/** Elements of a multiple beyond twice the original: a larger run may not fit where the original does. */
const MOST_MULTIPLIED = 65_536

const LADDERS: Ladders = { lengths: [16, 64, 128], batches: [1, 2, 4] }
const SOUND_LADDER = [0.25, 0.5, 1]
/** Of the largest picture's side. */
const SHARES = [0.5, 0.75, 1]

interface Named extends InputSizes {
  readonly name: string
}

function makerOf(name: string, sizes: InputSizes, { signature, bounds, settings = {} }: InputFacts): InputMaker {
  const shapes = inputShapes(signature, sizes)
  const { rate } = settings.audio?.window ?? {}
  const values: InputValues = {
    bounds,
    ...(settings.image && { image: settings.image }),
    ...(settings.audio && rate !== undefined && { constants: new Map([[rate, settings.audio.sampleRate]]) }),
  }
  return { name, shapes, make: (options) => samplesOfShapes(signature, shapes, { ...values, ...options }) }
}

function bySettings(facts: InputFacts): Named[] {
  const { signature, settings = {} } = facts
  const { audio, bytes, image, text } = settings
  const ways: Named[] = []
  if (image !== undefined) ways.push(pictureOf(facts, ...image.size))
  if (audio?.window !== undefined) {
    const { window } = audio
    const shapes = new Map<string, readonly number[]>([[window.input, [1, window.context + window.length]]])
    for (const { input, shape } of window.state) shapes.set(input, shape)
    ways.push({ name: `one window of ${window.length} samples`, shapes })
  } else if (audio?.samples !== undefined) {
    ways.push({ name: `audio of ${audio.samples} samples`, length: audio.samples })
  } else if (audio !== undefined) ways.push(...SECONDS.map((seconds) => soundOf(facts, seconds)))
  if (bytes !== undefined) ways.push(lengthOf(bytes.begin + bytes.middle + bytes.end))
  if (text !== undefined) {
    const fitting = LENGTHS.filter((length) => length < text.maxTokens)
    ways.push(...[Math.min(TEXT_LENGTH, text.maxTokens), ...fitting, text.maxTokens].map(lengthOf))
  }
  return signature.inputs.length === 0 ? [] : ways
}

/** By the dimensions that are open alone. */
function byUsualSizes({ inputs }: Signature): Named[] {
  const isSized = (dimension: number | string, axis: number): boolean => isOpen(dimension) && !isBatch(dimension, axis)
  const pictures = inputs.filter((spec) => isPicture(spec) && spec.shape.some(isSized))
  const sequences = inputs.filter((spec) => !isPicture(spec) && spec.shape.some(isSized))
  const lengths = sequences.length === 0 ? [undefined] : LENGTHS
  // Channels that are open may be three or one, first or last.
  const openChannels = pictures.some(({ shape }) => isOpen(shape[1] ?? 1) && isOpen(shape[3] ?? 1))
  const kinds: readonly Pick<PictureSize, 'channels' | 'layout'>[] = openChannels
    ? [{}, { channels: 1 }, { layout: 'NHWC' }, { channels: 1, layout: 'NHWC' }]
    : [{}]
  const ways: Named[] = []
  for (const [height, width] of pictures.length === 0 ? [[0, 0] as const] : PICTURES) {
    for (const kind of kinds) {
      for (const length of pictures.length === 0 ? lengths : lengths.slice(0, 3)) {
        ways.push({
          name: [pictures.length > 0 && `images of ${height} x ${width}`, length !== undefined && `length ${length}`]
            .filter((part) => part !== false)
            .join(', '),
          ...(pictures.length > 0 && { picture: { height, width, ...kind } }),
          ...(length !== undefined && { length }),
        })
      }
    }
  }
  // A decoder at its first step.
  if (inputs.some(isCache)) ways.splice(1, 0, { name: 'length 16 without a cache', length: 16, past: 0 })
  return ways
}

function pictureOf({ settings }: InputFacts, height: number, width: number): Named {
  const { layout = 'NCHW', mode } = settings?.image ?? {}
  const picture: PictureSize = { height, width, layout, ...(mode !== undefined && { channels: mode === 'L' ? 1 : 3 }) }
  return { name: `an image of ${height} x ${width}`, picture }
}

function soundOf({ settings }: InputFacts, seconds: number): Named {
  const rate = settings?.audio?.sampleRate ?? 16_000
  return { name: `${seconds} s of audio at ${rate} Hz`, length: Math.round(seconds * rate) }
}

function lengthOf(length: number): Named {
  return { name: `length ${length}`, length }
}

function batchOf(batch: number): Named {
  return { name: `a batch of ${batch}`, batch }
}
