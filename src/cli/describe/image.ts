import type { ImageSettings } from '../../catalog/manifest.ts'
import { RESAMPLING, type Resampling } from '../../catalog/settings/resample.ts'
import { familyOf, processorName } from './image-family.ts'
import { framingOf } from './image-framing.ts'
import type { ImageInput } from './image-input.ts'
import { IMAGE_KEYS } from './image-keys.ts'
import { checkKeys } from './keys.ts'
import type { LabelOutcome } from './labels.ts'
import { numberOf, numbersOf, type Settings } from './settings.ts'

/** Settings, with notes about differences from the training. */
export interface ImageOutcome {
  readonly image: ImageSettings
  readonly notes: readonly string[]
}

/**
 * How a picture becomes a tensor, by a `preprocessor_config.json` as transformers' image processors write and read it:
 * every key that changes pixels is obeyed, noted or refused. Where the model's own input has a fixed size, that counts.
 */
export function imageSettings(processor: Settings, input: ImageInput): LabelOutcome<ImageOutcome> {
  const keys = checkKeys('preprocessor_config.json', processor, IMAGE_KEYS)
  return 'problem' in keys ? keys : imageOutcome(processor, input, keys.value)
}

/** The same for settings that were checked already. @param known notes of that check */
export function imageOutcome(
  processor: Settings,
  input: ImageInput,
  known: readonly string[],
): LabelOutcome<ImageOutcome> {
  const notes = [...known]
  const mode = modeOf(processor, input)
  if ('problem' in mode) return mode
  const framing = framingOf(processor, input, notes)
  if ('problem' in framing) return framing
  const values = valuesOf(processor, input.channels)
  if ('problem' in values) return values
  const resample = resampling(processor, notes)
  return {
    value: {
      image: {
        mode: mode.value,
        ...framing.value,
        ...(resample && { resample }),
        ...values.value,
        layout: input.layout,
      },
      notes,
    },
  }
}

function modeOf(processor: Settings, { channels }: ImageInput): LabelOutcome<ImageSettings['mode']> {
  if (channels === 1) return { value: 'L' }
  const said = processor.do_flip_channel_order ?? processor.do_flip_channels
  // MobileViT's processor does it unless told not to.
  if (said !== true && !(said === undefined && processorName(processor) === 'MobileViT')) return { value: 'RGB' }
  const normalized = 'mean' in valuesOrNothing(processor)
  const same = [processor.image_mean, processor.image_std].every((value) => perChannel(value, 1) !== undefined)
  return normalized && !same
    ? { problem: 'it takes blue, green, red, but the order of its mean and standard deviation is unknown' }
    : { value: 'BGR' }
}

function valuesOrNothing(processor: Settings): Partial<Values> {
  const values = valuesOf(processor, 3)
  return 'problem' in values ? {} : values.value
}

type Values = Pick<ImageSettings, 'rescale' | 'mean' | 'std'>

/** Scale, mean and deviation. */
function valuesOf(processor: Settings, channels: 1 | 3): LabelOutcome<Values> {
  const name = processorName(processor)
  const rescale = processor.do_rescale === false ? 1 : (numberOf(processor.rescale_factor) ?? 1 / 255)
  // EfficientNet takes 1 away after scaling, before mean and deviation.
  const shift = processor.rescale_offset === true && processor.do_rescale !== false ? 1 : 0
  const normalizes =
    // MobileViT's processor has no such step, whatever the settings say.
    name !== 'MobileViT' && (processor.do_normalize ?? processor.image_mean !== undefined) !== false
  // EfficientNet's divides by the deviation once more for classifiers, unless told not to, and does so even without a mean.
  const again = name === 'EfficientNet' && processor.include_top !== false && processor.image_std !== undefined
  if (!normalizes && !again) {
    return { value: shift === 0 ? { rescale } : { rescale, mean: fill(shift, channels), std: fill(1, channels) } }
  }
  const mean = normalizes ? perChannel(processor.image_mean, channels) : fill(0, channels)
  const std = perChannel(processor.image_std, channels)
  if (mean === undefined || std === undefined || std.some((value) => value <= 0)) {
    return {
      problem: `preprocessor_config.json has no mean and standard deviation for ${channels === 1 ? 'one channel' : 'three channels'}`,
    }
  }
  const twice = normalizes && again
  return {
    value: { rescale, mean: mean.map((value) => value + shift), std: twice ? std.map((value) => value * value) : std },
  }
}

function perChannel(value: unknown, channels: 1 | 3): number[] | undefined {
  const single = numberOf(value)
  const values = single === undefined ? numbersOf(value) : [single]
  if (values === undefined) return undefined
  if (values.length === channels) return values
  const [first] = values
  // One value for all channels, written once or several times.
  return first !== undefined && values.every((other) => other === first) ? fill(first, channels) : undefined
}

function fill(value: number, channels: number): number[] {
  return Array.from({ length: channels }, () => value)
}

/** Pillow's filter numbers, or timm's names; default: the processor's own. Undefined for the default filter. */
function resampling(processor: Settings, notes: string[]): Resampling | undefined {
  const { resample } = processor
  if (resample === undefined || resample === null) {
    const own = familyOf(processor)?.resample
    return own === 'bilinear' ? undefined : own
  }
  const named = typeof resample === 'number' ? RESAMPLING[resample] : RESAMPLING.find((name) => name === resample)
  if (named === undefined) {
    notes.push(
      `images are resized with a bilinear filter, but the model was trained with "${String(resample).slice(0, 64)}", so scores differ slightly`,
    )
  }
  return named === 'bilinear' ? undefined : named
}
