import { FAMILY_NAMES, familyNamed } from '../describe/families/index.ts'
import { type ImageWishes, PRESETS, saysAnything } from '../describe/wishes.ts'
import { closest } from '../terminal/closest.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { Options } from '../terminal/options.ts'
import { type OptionValues, oneOf, text } from '../terminal/values.ts'

const LAYOUTS = ['NCHW', 'NHWC'] as const

export const IMAGE_OPTIONS = {
  preset: {
    type: 'string',
    value: 'P',
    choices: [...PRESETS, ...FAMILY_NAMES],
    help: [
      'image preprocessing: imagenet, inception (-1 to 1), clip, unit (0 to 1), bytes (0 to 255),',
      "caffe (blue, green, red; 0 to 255 without ImageNet's mean);",
      ...wrapped('or all settings of a known family of models: ', FAMILY_NAMES),
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

/** Names in lines of a help. */
function wrapped(begin: string, names: readonly string[]): string[] {
  const lines = [begin]
  names.forEach((name, i) => {
    const word = i === names.length - 1 ? name : `${name}, `
    const last = lines.at(-1) ?? ''
    if (last.length + word.length > 80) lines.push(word)
    else lines[lines.length - 1] = last + word
  })
  return lines.map((line) => line.trimEnd())
}

/** The family that `--preset` names, by its name. @throws UsageError with the closest name, where nothing is called so */
export function familyWish(values: OptionValues): string | undefined {
  const name = text(values, 'preset')
  if (name === undefined || (PRESETS as readonly string[]).includes(name)) return undefined
  const family = familyNamed(name)
  const task = text(values, 'task')
  if (family !== undefined && task !== undefined && task !== family.task) {
    throw new UsageError(`--preset ${name} is of task ${family.task}, but --task is ${task}. Remove one of them.`)
  }
  if (family !== undefined) return name
  const meant = closest(name, [...PRESETS, ...FAMILY_NAMES])
  throw new UsageError(
    `--preset has no "${name}".${meant === undefined ? '' : ` Did you mean ${meant}?`} Image preprocessing: ${PRESETS.join(', ')}. Families: ${FAMILY_NAMES.join(', ')}.`,
  )
}

/** @throws UsageError if an option does not accept the value, or image preprocessing is set for raw tensors */
export function imageWishes(values: OptionValues): ImageWishes | undefined {
  const wishes: ImageWishes = {
    preset: PRESETS.find((preset) => preset === values.preset),
    size: pictureSize(text(values, 'size')),
    mean: numbers(values, 'mean'),
    std: numbers(values, 'std'),
    layout: oneOf(values, 'layout', LAYOUTS),
  }
  if (!saysAnything(wishes)) return undefined
  if (wishes.std?.some((value) => value <= 0)) throw new UsageError('--std takes numbers above 0.')
  const task = text(values, 'task')
  if (task !== undefined && !/image|object|keypoint|depth|background/.test(task)) {
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
