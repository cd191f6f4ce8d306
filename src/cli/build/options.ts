import { VISIBILITIES, type Visibility } from '../../catalog/alias.ts'
import { MODEL_NAME, TASKS, type TaskName, VERSION_NAME } from '../../catalog/manifest.ts'
import { ENGINES, type EngineName } from '../../config/values.ts'
import { BLOCK_SIZES, type BlockSize } from '../../quantize/blocks.ts'
import { DTYPES, type Dtype } from '../../quantize/types.ts'
import { type ImageWishes, PRESETS, saysAnything } from '../describe/wishes.ts'
import type { SampleParts } from '../samples/items.ts'
import { UsageError } from '../terminal/command-line.ts'
import { helpOf, type Options } from '../terminal/options.ts'
import { flag, integerIn, list, numberIn, type OptionValues, oneOf, text } from '../terminal/values.ts'
import { refuseContradictions, refuseUnusedSamples } from './contradictions.ts'

/** Quantization settings. Missing settings are chosen for the model. */
export interface QuantizeSettings {
  readonly dtype: Dtype | 'auto'
  readonly method: 'auto' | 'dynamic' | 'static' | 'weights'
  readonly perChannel: boolean | undefined
  readonly symmetric: boolean | undefined
  readonly reduceRange: boolean
  readonly blockSize: BlockSize | undefined
  readonly excludeNodes: readonly string[]
  readonly excludeOps: readonly string[]
  readonly calibration: 'minmax' | 'percentile' | 'entropy'
  readonly percentile: number | undefined
  /** Share of each weight set to zero. */
  readonly prune: number | undefined
  /** Points of accuracy (per cent) that may be lost. */
  readonly maxDrop: number | undefined
}

/** Name and description of a model. Missing fields are read from the files beside it. */
export interface ModelSettings {
  readonly name: string | undefined
  readonly version: string | undefined
  /** `none`: raw tensors, whatever lies beside it says. */
  readonly task: TaskName | 'none' | undefined
  readonly labels: string | undefined
  /** How pictures become tensors, where the files beside the model do not say it, or otherwise. */
  readonly image: ImageWishes | undefined
  readonly licence: string | undefined
  readonly visibility: Visibility | undefined
  /** Maximum steps at the edge of a loop whose length depends on the inputs. */
  readonly loopSteps: number | undefined
  /** Engines that artifacts for the edge are made for. */
  readonly engines: EngineName[] | undefined
  /** Bits that do not depend on the processor, of convolutional models in floats too. */
  readonly sameBits: boolean | undefined
  /** Which file, where a source has several. */
  readonly file: string | undefined
  /** Plain http to other machines than this one. */
  readonly insecure: boolean
  /** Serve a model that draws random numbers, without proof and without caching its answers. */
  readonly allowRandom: boolean
}

/** How the result is compared with the original. */
export interface SampleSettings {
  /** Folder or file of samples. */
  readonly samples: string | undefined
  readonly limit: number
  readonly part: SampleParts | undefined
  /** Least cosine between the outputs of the original and of the result. */
  readonly tolerance: number | undefined
}

const DTYPE_CHOICES = ['auto', ...DTYPES] as const
const METHODS = ['auto', 'dynamic', 'static', 'weights'] as const
const LAYOUTS = ['NCHW', 'NHWC'] as const
const CALIBRATIONS = ['minmax', 'percentile', 'entropy'] as const

export const QUANTIZE_OPTIONS = {
  dtype: { type: 'string', value: 'D', choices: DTYPE_CHOICES, help: `auto, ${DTYPES.join(', ')}` },
  method: {
    type: 'string',
    value: 'M',
    choices: METHODS,
    help: [
      'auto; dynamic (activations quantized at run time), static (calibrated with --samples), weights',
      '(quantizes only weights; computes in floats)',
    ],
  },
  'per-channel': { type: 'boolean', help: 'one scale per output channel; --no-per-channel for one per tensor' },
  symmetric: { type: 'boolean', help: 'zero points at zero; --no-symmetric for the full range' },
  'reduce-range': { type: 'boolean', help: '7 bits per weight, for processors whose 8-bit products saturate' },
  'block-size': {
    type: 'string',
    value: 'N',
    choices: BLOCK_SIZES.map(String),
    help: 'weights per scale in 4-bit precision: 16, 32 (default), 64, 128, 256',
  },
  exclude: {
    type: 'string',
    multiple: true,
    value: 'NAME',
    help: 'do not quantize this node; * matches anything; may be repeated',
  },
  'exclude-op': {
    type: 'string',
    multiple: true,
    value: 'OP',
    help: 'do not quantize nodes of this operator; may be repeated',
  },
  calibration: {
    type: 'string',
    value: 'C',
    choices: CALIBRATIONS,
    help: `${CALIBRATIONS.join(', ')}: how ranges are computed from the samples (default: percentile)`,
  },
  percentile: { type: 'string', value: 'P', help: 'for percentile (default: 99.999)' },
  prune: {
    type: 'string',
    value: 'SHARE',
    help: 'set this fraction of each weight to zero, smallest values first: 0 to 0.95',
  },
  'max-drop': {
    type: 'string',
    value: 'POINTS',
    help: 'mix precisions: the smallest model whose accuracy on --samples drops by at most N points',
  },
} as const satisfies Options

export const IMAGE_OPTIONS = {
  preset: {
    type: 'string',
    value: 'P',
    choices: PRESETS,
    help: [
      'image preprocessing: imagenet, inception (-1 to 1), clip, unit (0 to 1), bytes (0 to 255),',
      "caffe (blue, green, red; 0 to 255 without ImageNet's mean)",
    ],
  },
  size: { type: 'string', value: 'N or HxW', help: 'image height and width, if the model accepts any size' },
  mean: { type: 'string', value: 'A,B,C', help: 'subtracted from scaled pixels; one number, or one per channel' },
  std: { type: 'string', value: 'A,B,C', help: 'divisor of the difference; one number, or one per channel' },
  layout: {
    type: 'string',
    value: 'L',
    choices: LAYOUTS,
    help: "NCHW or NHWC, if the shape of the model's input does not tell",
  },
} as const satisfies Options

/** Which file of a source, and how it may be fetched. */
export const SOURCE_OPTIONS = {
  file: { type: 'string', value: 'PATH', help: 'which .onnx file, if there are several' },
  insecure: { type: 'boolean', help: 'allow plain http:// to other machines' },
} as const satisfies Options

export const MODEL_OPTIONS = {
  name: { type: 'string', value: 'NAME', help: 'model name in URLs' },
  'model-version': { type: 'string', value: 'V', help: 'default: the next number' },
  task: {
    type: 'string',
    value: 'TASK',
    choices: [...TASKS, 'none'],
    help: `${TASKS.join(', ')}; none for raw tensors`,
  },
  labels: { type: 'string', value: 'FILE', help: 'file of class names, one per line' },
  ...IMAGE_OPTIONS,
  licence: { type: 'string', value: 'ID', help: 'such as MIT' },
  public: {
    type: 'boolean',
    shown: '--public, --private',
    help: 'who may call the model (default: unchanged; a new model is private, or public in local storage)',
  },
  private: { type: 'boolean' },
  'loop-steps': {
    type: 'string',
    value: 'N',
    help: 'maximum steps at the edge for loops whose length depends on the inputs',
  },
  engines: {
    type: 'string',
    value: 'LIST',
    help: `engines at the edge to pack for, separated by commas: ${ENGINES.join(', ')} (default: both)`,
  },
  'same-bits': {
    type: 'boolean',
    help: 'the same bits on every processor, of float convolutions too, which are slower then',
  },
  ...SOURCE_OPTIONS,
  'allow-random': {
    type: 'boolean',
    help: 'accept a model that draws random numbers; its outputs are neither verified nor cached',
  },
} as const satisfies Options

export const SAMPLE_OPTIONS = {
  samples: {
    type: 'string',
    value: 'PATH',
    help: [
      'folder of images (subfolders are labels), .jsonl of texts, IDX files, ONNX test data, or',
      'Open Inference Protocol requests (default: random inputs)',
    ],
  },
  'samples-limit': {
    type: 'string',
    value: 'N',
    help: 'at most N, chosen at random with a fixed seed (default: 200; 2000 for --max-drop)',
  },
  'samples-part': {
    type: 'string',
    value: 'R/N',
    help: 'only samples whose index divided by N leaves the remainder R: those not used for training',
  },
  tolerance: {
    type: 'string',
    value: 'C',
    help: 'minimum cosine similarity to the original (default: depends on the precision)',
  },
} as const satisfies Options

/** Width of the column of options in the helps of commands that build a model, so that their parts line up. */
export const BUILD_COLUMN = 21

export const QUANTIZE_HELP = `Quantization (default: chosen for the model):
${helpOf(QUANTIZE_OPTIONS, BUILD_COLUMN)}`

export const MODEL_HELP = `Description (default: read from the files beside the model):
${helpOf(MODEL_OPTIONS, BUILD_COLUMN)}`

export const SAMPLE_HELP = `Samples:
${helpOf(SAMPLE_OPTIONS, BUILD_COLUMN)}`

/** @throws UsageError where it is no list of engines */
export function engineList(values: OptionValues): EngineName[] | undefined {
  const value = text(values, 'engines')
  if (value === undefined) return undefined
  const parts = value.split(',').map((part) => part.trim())
  const known = ENGINES.filter((engine) => parts.includes(engine))
  if (known.length === parts.length) return known
  throw new UsageError(`--engines takes ${ENGINES.join(', ')}, or both separated by a comma; "${value}" is neither.`)
}

/** @throws UsageError if an option does not accept the value, or options contradict each other */
export function quantizeSettings(values: OptionValues): QuantizeSettings {
  const settings: QuantizeSettings = {
    dtype: oneOf(values, 'dtype', DTYPE_CHOICES) ?? 'auto',
    method: oneOf(values, 'method', METHODS) ?? 'auto',
    perChannel: flag(values, 'per-channel'),
    symmetric: flag(values, 'symmetric'),
    reduceRange: flag(values, 'reduce-range') ?? false,
    blockSize: blockSizeOf(values),
    excludeNodes: list(values, 'exclude'),
    excludeOps: list(values, 'exclude-op'),
    calibration: oneOf(values, 'calibration', CALIBRATIONS) ?? 'percentile',
    percentile: numberIn(values, 'percentile', 50, 100),
    prune: numberIn(values, 'prune', 0, 0.95),
    maxDrop: numberIn(values, 'max-drop', 0, 100),
  }
  refuseContradictions(values, settings)
  return settings
}

/** @throws UsageError where it is no size of a block */
function blockSizeOf(values: OptionValues): QuantizeSettings['blockSize'] {
  const value = text(values, 'block-size')
  const size = BLOCK_SIZES.find((known) => String(known) === value)
  if (value === undefined || size !== undefined) return size
  throw new UsageError(`--block-size takes ${BLOCK_SIZES.join(', ')}, not "${value}".`)
}

/** @throws UsageError where a name is not allowed */
export function modelSettings(values: OptionValues): ModelSettings {
  const name = text(values, 'name')
  const version = text(values, 'model-version')
  if (name !== undefined && !MODEL_NAME.test(name)) {
    throw new UsageError(
      `--name takes lower-case letters, digits, ".", "_" and "-", at most 64 characters, not "${name}".`,
    )
  }
  if (version !== undefined && !VERSION_NAME.test(version)) {
    throw new UsageError(
      `--model-version takes letters, digits, ".", "_" and "-", at most 32 characters, not "${version}".`,
    )
  }
  if (values.public === false || values.private === false) {
    throw new UsageError('Use --public or --private. Neither has a form with "--no-".')
  }
  if (values.public && values.private)
    throw new UsageError('--public and --private cannot be combined. Remove one of them.')
  const visibility = VISIBILITIES.find((known) => values[known] === true)
  return {
    name,
    version,
    task: oneOf(values, 'task', [...TASKS, 'none'] as const),
    labels: text(values, 'labels'),
    image: imageWishes(values),
    licence: text(values, 'licence'),
    loopSteps: integerIn(values, 'loop-steps', 1, 1_000_000_000),
    engines: engineList(values),
    sameBits: flag(values, 'same-bits'),
    visibility,
    file: text(values, 'file'),
    insecure: flag(values, 'insecure') ?? false,
    allowRandom: flag(values, 'allow-random') ?? false,
  }
}

/** @throws UsageError if an option does not accept the value, or image preprocessing is set for raw tensors */
function imageWishes(values: OptionValues): ImageWishes | undefined {
  const wishes: ImageWishes = {
    preset: oneOf(values, 'preset', PRESETS),
    size: pictureSize(text(values, 'size')),
    mean: numbers(values, 'mean'),
    std: numbers(values, 'std'),
    layout: oneOf(values, 'layout', LAYOUTS),
  }
  if (!saysAnything(wishes)) return undefined
  if (wishes.std?.some((value) => value <= 0)) throw new UsageError('--std takes numbers above 0.')
  const task = text(values, 'task')
  if (task !== undefined && !/image|object/.test(task)) {
    const given = Object.keys(IMAGE_OPTIONS).find((name) => values[name] !== undefined)
    throw new UsageError(`--${given} sets image preprocessing, but --task ${task} takes no images. Remove one of them.`)
  }
  return wishes
}

/** Sides above this make inputs that no request may have. */
const LARGEST_SIDE = 4096

/** @throws UsageError where it is neither one number nor height and width */
function pictureSize(value: string | undefined): readonly [number, number] | undefined {
  if (value === undefined) return undefined
  const [, height, width = height] = /^(\d{1,5})(?:x(\d{1,5}))?$/i.exec(value) ?? []
  const sides = [Number(height), Number(width)] as const
  if (height !== undefined && sides.every((side) => side >= 1 && side <= LARGEST_SIDE)) return sides
  throw new UsageError(`--size takes a number or height and width, such as 224 or 240x320; "${value}" is neither.`)
}

/** @throws UsageError where it is no list of numbers */
function numbers(values: OptionValues, name: string): readonly number[] | undefined {
  const value = text(values, name)
  if (value === undefined) return undefined
  const parts = value.split(',').map((part) => part.trim())
  const list = parts.map(Number)
  if (parts.length <= 3 && parts.every((part, i) => part !== '' && Number.isFinite(list[i]))) return list
  throw new UsageError(`--${name} takes one number or three, such as 0.5 or 0.485,0.456,0.406; "${value}" is neither.`)
}

/** @throws UsageError */
export function sampleSettings(values: OptionValues): SampleSettings {
  refuseUnusedSamples(values)
  return {
    samples: text(values, 'samples'),
    limit: integerIn(values, 'samples-limit', 1, 100_000) ?? (values['max-drop'] === undefined ? 200 : 2000),
    part: partOf(text(values, 'samples-part')),
    tolerance: numberIn(values, 'tolerance', 0, 1),
  }
}

/** @throws UsageError where it is not of the form R/N */
function partOf(value: string | undefined): SampleParts | undefined {
  if (value === undefined) return undefined
  const [, remainder, divisor] = /^(\d{1,6})\/(\d{1,6})$/.exec(value)?.map(Number) ?? []
  if (remainder === undefined || divisor === undefined || remainder >= divisor) {
    throw new UsageError(`--samples-part takes a remainder and a divisor, such as 3/4, not "${value}".`)
  }
  return { remainder, divisor }
}
