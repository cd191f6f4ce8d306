import type { ImageSettings } from '../../catalog/manifest.ts'
import type { DescribeContext, TaskFields } from './context.ts'
import { type ImageOutcome, imageOutcome, imageSettings } from './image.ts'
import { type ImageInput, imageInput } from './image-input.ts'
import type { LabelOutcome } from './labels.ts'
import type { Settings } from './settings.ts'
import { timmProcessor } from './timm.ts'
import {
  type ImageWishes,
  presetSettings,
  recipeSettings,
  saysAnything,
  wishedInput,
  wishedSettings,
} from './wishes.ts'

type PictureFields = { readonly preprocess: NonNullable<TaskFields['preprocess']>; readonly notes: readonly string[] }
type Input = Pick<DescribeContext, 'signature' | 'processor' | 'timm' | 'said' | 'wishes' | 'family'>

/**
 * How a picture becomes a tensor: as a person says, by a preset, or by the files of transformers' processors and timm.
 * @throws UsageError if the options contradict the model
 */
export function pictureFields(context: Input): LabelOutcome<PictureFields> {
  const { said, signature } = context
  if (said.preprocess?.image) return { value: { preprocess: said.preprocess, notes: [] } }
  const found = imageInput(signature)
  if ('problem' in found) return found
  const image = pictureSettings(found.value, context)
  return 'problem' in image ? image : { value: { preprocess: { image: image.value.image }, notes: image.value.notes } }
}

/** Options with the size that a model's file names, for a model that takes any, where a person says none. */
export function sizedBy(
  { wishes, signature }: Pick<DescribeContext, 'wishes' | 'signature'>,
  size: readonly [number, number] | undefined,
): ImageWishes {
  const input = imageInput(signature)
  const open = 'value' in input && input.value.height === undefined && input.value.width === undefined
  return size !== undefined && open && wishes.size === undefined ? { ...wishes, size } : wishes
}

/** The same for an input that is known. */
function pictureSettings(
  input: ImageInput,
  { processor, timm, wishes, family }: Omit<Input, 'signature' | 'said'>,
): LabelOutcome<{ readonly image: ImageSettings; readonly notes: readonly string[] }> {
  const wished = wishedInput(input, wishes)
  if (family?.image !== undefined) {
    return {
      value: { image: recipeSettings(family.image, wished, wishes), notes: ['image preprocessing of the preset'] },
    }
  }
  if (wishes.preset !== undefined || (saysAnything(wishes) && timm === undefined && processor === undefined)) {
    const preset = wishes.preset ?? 'unit'
    const note =
      wishes.preset === undefined
        ? 'images are stretched and scaled to 0 to 1 (preset unit), because no file describes the preprocessing'
        : `image preprocessing of preset ${preset}${processor === undefined && timm === undefined ? '' : ', instead of the files beside the model'}`
    return { value: { image: presetSettings(preset, wished, wishes), notes: [note] } }
  }
  const read = timm === undefined ? byProcessor(processor, wished) : byTimm(timm, wished)
  return 'problem' in read ? read : { value: { ...read.value, image: wishedSettings(read.value.image, wishes) } }
}

function byProcessor(processor: Settings | undefined, input: ImageInput): LabelOutcome<ImageOutcome> {
  if (processor !== undefined) return imageSettings(processor, input)
  return { problem: 'the folder has no preprocessor_config.json, which describes the image preprocessing' }
}

function byTimm(timm: Settings, input: ImageInput): LabelOutcome<ImageOutcome> {
  const read = timmProcessor(timm)
  return 'problem' in read ? read : imageOutcome(read.value.processor, input, read.value.notes)
}
