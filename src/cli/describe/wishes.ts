import type { ImageSettings } from '../../catalog/manifest.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { ImageInput } from './image-input.ts'

/** Ways in which pictures are commonly prepared, by the names that `--preset` knows. */
export const PRESETS = ['imagenet', 'inception', 'clip', 'unit', 'bytes', 'caffe'] as const
export type Preset = (typeof PRESETS)[number]

/** The person's options for image preprocessing. */
export interface ImageWishes {
  readonly preset?: Preset | undefined
  /** [height, width] */
  readonly size?: readonly [number, number] | undefined
  /** One number, or one for each channel. */
  readonly mean?: readonly number[] | undefined
  readonly std?: readonly number[] | undefined
  readonly layout?: 'NCHW' | 'NHWC' | undefined
}

/** A way to prepare pictures for a model of any size. */
export interface Recipe extends Pick<ImageSettings, 'resample' | 'rescale' | 'pad' | 'anchor'> {
  readonly mode?: 'BGR'
  readonly mean?: readonly number[]
  readonly std?: readonly number[]
  /** Keeps the whole picture, with margins. Left out with `cutFrom`: pictures are stretched. */
  readonly fit?: 'letterbox'
  /** The picture's shorter side before the centre is cut, as a share of the cut. */
  readonly cutFrom?: number
  /** Of a model that takes any size, both or [height, width]; left out: 224. */
  readonly side?: number | readonly [number, number]
}

const UNIT = 1 / 255
/** torchvision's evaluation of ImageNet: the shorter side to 256 for a cut of 224. */
const CUT = 256 / 224

/**
 * `imagenet`: torchvision's, `inception`: -1 to 1 as TensorFlow's slim has it, `clip`: OpenAI's, `unit`: 0 to 1,
 * `bytes`: 0 to 255, `caffe`: blue, green, red without ImageNet's mean, as Keras' `mode="caffe"` has it.
 */
const RECIPES: Readonly<Record<Preset, Recipe>> = {
  imagenet: { rescale: UNIT, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], cutFrom: CUT },
  inception: { rescale: UNIT, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], cutFrom: 1 / 0.875 },
  clip: {
    rescale: UNIT,
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
    cutFrom: 1,
    resample: 'bicubic',
  },
  unit: { rescale: UNIT },
  bytes: { rescale: 1 },
  caffe: { mode: 'BGR', rescale: 1, mean: [103.939, 116.779, 123.68], cutFrom: CUT },
}

/** Of pictures of a model that takes any size, where nothing is said. */
const SIDE = 224

export function saysAnything(wishes: ImageWishes | undefined): wishes is ImageWishes {
  return wishes !== undefined && Object.values(wishes).some((value) => value !== undefined)
}

/** A model's input, completed by options. @throws UsageError if the two contradict each other */
export function wishedInput(input: ImageInput, { layout, size }: ImageWishes): ImageInput {
  const open = input.height === undefined && input.width === undefined
  // Channels that are fixed say which way the tensor lies; where all is open, a person has to.
  if (layout !== undefined && layout !== input.layout && !open) {
    throw new UsageError(`--layout ${layout} does not match the model, whose input is ${input.layout}.`)
  }
  const [height, width] = size ?? [input.height, input.width]
  if ((input.height ?? height) !== height || (input.width ?? width) !== width) {
    throw new UsageError(
      `--size ${height}x${width} does not match the model, which takes ${input.height ?? 'any'} x ${input.width ?? 'any'} (height x width).`,
    )
  }
  return { ...input, layout: layout ?? input.layout, height, width }
}

/** The settings of a preset for a model's input. @param input with a person's size, where there is one */
export function presetSettings(preset: Preset, input: ImageInput, wishes: ImageWishes): ImageSettings {
  return recipeSettings(RECIPES[preset], input, wishes)
}

/** The settings of a recipe for a model's input. @param input with a person's size, where there is one */
export function recipeSettings(wanted: Recipe, input: ImageInput, wishes: ImageWishes): ImageSettings {
  const { cutFrom, mean, std, mode = 'RGB', fit = 'stretch', side = SIDE, ...recipe } = wanted
  const [down, across] = typeof side === 'number' ? [side, side] : side
  const [height, width] = [input.height ?? input.width ?? down, input.width ?? input.height ?? across]
  const grey = input.channels === 1
  const settings: ImageSettings = {
    mode: grey ? 'L' : mode,
    size: [height, width],
    ...(cutFrom === undefined ? { fit } : { fit: 'crop', resize: Math.round(Math.max(height, width) * cutFrom) }),
    ...recipe,
    ...(mean && { mean: grey ? [average(mean)] : [...mean] }),
    ...(std && { std: grey ? [average(std)] : [...std] }),
    layout: input.layout,
  }
  return wishedSettings(settings, wishes)
}

/** Settings, overridden by options. @throws UsageError if an option has too many numbers */
export function wishedSettings(settings: ImageSettings, { mean, std }: ImageWishes): ImageSettings {
  const channels = settings.mode === 'L' ? 1 : 3
  for (const [name, values] of [
    ['mean', mean],
    ['std', std],
  ] as const) {
    if (values === undefined || values.length === 1 || values.length === channels) continue
    throw new UsageError(`--${name} takes one number or ${channels}, one per channel, not ${values.length}.`)
  }
  return { ...settings, ...(mean && { mean: [...mean] }), ...(std && { std: [...std] }) }
}

function average(values: readonly number[]): number {
  return Number((values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(6))
}
