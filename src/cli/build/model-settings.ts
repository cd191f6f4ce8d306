import { VISIBILITIES, type Visibility } from '../../catalog/alias.ts'
import { MODEL_NAME, TASKS, type TaskName, VERSION_NAME } from '../../catalog/manifest.ts'
import { ENGINES, type EngineName } from '../../config/values.ts'
import type { ImageWishes } from '../describe/wishes.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { Options } from '../terminal/options.ts'
import { flag, integerIn, type OptionValues, oneOf, text } from '../terminal/values.ts'
import { familyWish, IMAGE_OPTIONS, imageWishes } from './image-settings.ts'
import { PAGE_OPTIONS, type PageSettings, pageSettings } from './page-settings.ts'

/** Name and description of a model. Missing fields are read from the files beside it. */
export interface ModelSettings {
  readonly name: string | undefined
  readonly version: string | undefined
  /** `none`: raw tensors, whatever lies beside it says. */
  readonly task: TaskName | 'none' | undefined
  readonly labels: string | undefined
  /** How pictures become tensors, where the files beside the model do not say it, or otherwise. */
  readonly image: ImageWishes | undefined
  /** The name of a well-known family of models, whose settings apply. */
  readonly family: string | undefined
  readonly licence: string | undefined
  readonly visibility: Visibility | undefined
  /** Whether browsers may download it. */
  readonly downloadable: boolean | undefined
  /** Maximum steps at the edge of a loop whose length depends on the inputs. */
  readonly loopSteps: number | undefined
  /** Engines that artifacts for the edge are made for. */
  readonly engines: EngineName[] | undefined
  /** Bits that do not depend on the processor, of convolutional models in floats too. */
  readonly sameBits: boolean | undefined
  readonly paging: PageSettings
  /** Which file, where a source has several. */
  readonly file: string | undefined
  /** Plain http to other machines than this one. */
  readonly insecure: boolean
  /** Serve a model that draws random numbers, without proof and without caching its answers. */
  readonly allowRandom: boolean
}

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
  downloadable: {
    type: 'boolean',
    help: 'browsers of those who may call the model may download its weights and run it (default: no)',
  },
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
  ...PAGE_OPTIONS,
  ...SOURCE_OPTIONS,
  'allow-random': {
    type: 'boolean',
    help: 'accept a model that draws random numbers; its outputs are neither verified nor cached',
  },
} as const satisfies Options

/** @throws UsageError where it is no list of engines */
export function engineList(values: OptionValues): EngineName[] | undefined {
  const value = text(values, 'engines')
  if (value === undefined) return undefined
  const parts = value.split(',').map((part) => part.trim())
  const known = ENGINES.filter((engine) => parts.includes(engine))
  if (known.length === parts.length) return known
  throw new UsageError(`--engines takes ${ENGINES.join(', ')}, or both separated by a comma; "${value}" is neither.`)
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
    family: familyWish(values),
    licence: text(values, 'licence'),
    loopSteps: integerIn(values, 'loop-steps', 1, 1_000_000_000),
    engines: engineList(values),
    sameBits: flag(values, 'same-bits'),
    paging: pageSettings(values),
    visibility,
    downloadable: flag(values, 'downloadable'),
    file: text(values, 'file'),
    insecure: flag(values, 'insecure') ?? false,
    allowRandom: flag(values, 'allow-random') ?? false,
  }
}
