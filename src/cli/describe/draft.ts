import { basename } from 'node:path'
import type { ImageSettings, TaskName } from '../../catalog/manifest.ts'
import type { Signature } from '../../core/tensors.ts'
import type { ModelSource } from '../source/source.ts'
import { UsageError } from '../terminal/command-line.ts'
import { type ImageInput, imageInput } from './image-input.ts'
import { defaultName } from './name.ts'
import { type ImageWishes, presetSettings } from './wishes.ts'

/** Tasks whose settings can be drafted from a signature: image tasks. */
const OF_PICTURES: readonly (TaskName | undefined)[] = [
  'image-classification',
  'object-detection',
  'image-feature-extraction',
  'image-to-image',
  'image-segmentation',
  'background-removal',
  'depth-estimation',
]

/** A model that cannot be described as it was asked, and a `verge.json` to be filled in. */
export class DraftError extends UsageError {
  readonly draft: object

  constructor(message: string, draft: object) {
    super(message)
    this.draft = draft
  }
}

/**
 * A draft of `verge.json` for an image model, as complete as its signature allows. A person must correct the
 * preprocessing and the labels. Undefined for other tasks, and for models that do not take images.
 */
export function draftOf(
  task: TaskName,
  {
    source,
    signature,
    name,
  }: { readonly source: ModelSource; readonly signature: Signature; readonly name?: string | undefined },
): object | undefined {
  if (!OF_PICTURES.includes(task)) return undefined
  const input = imageInput(signature)
  if ('problem' in input) return undefined
  return {
    name: name ?? defaultName(source),
    version: '1',
    task,
    licence: source.licence ?? 'unknown',
    ...labelsOf(task, signature),
    preprocess: { image: imageOf(task, input.value) },
    ...postprocessOf(task),
    artifacts: [{ file: basename(source.modelFile), dtype: 'fp32' }],
  }
}

const UNLABELLED: readonly TaskName[] = [
  'image-feature-extraction',
  'image-to-image',
  'background-removal',
  'depth-estimation',
]

/** Tasks that answer for all pixels, so that nothing is cut off. */
const WHOLE: readonly TaskName[] = ['image-segmentation', 'background-removal', 'depth-estimation']

function imageOf(task: TaskName, input: ImageInput): ImageSettings {
  const { resize, ...image } = presetSettings('imagenet', input, {} satisfies ImageWishes)
  if (WHOLE.includes(task)) return { ...image, fit: 'stretch' }
  return { ...image, ...(resize !== undefined && { resize }) }
}

/** More classes than this are no list that a person fills in. */
const MOST_LABELS = 10_000

function labelsOf(task: TaskName, { outputs }: Signature): object {
  if (UNLABELLED.includes(task)) return {}
  const last = outputs[0]?.shape.at(-1)
  const count =
    task === 'image-classification' && typeof last === 'number' && last > 0 && last <= MOST_LABELS ? last : 2
  return {
    labels: Array.from({ length: count }, (_, i) => `LABEL_${i}`),
    ...(task === 'image-classification' && { activation: 'softmax' }),
  }
}

function postprocessOf(task: TaskName): object {
  if (task === 'object-detection') {
    return { postprocess: { detection: { head: 'yolo', boxes: 'cxcywh', units: 'pixels', threshold: 0.5, iou: 0.45 } } }
  }
  if (task === 'image-segmentation') return { postprocess: { segmentation: { head: 'classes' } } }
  if (task === 'image-to-image') return { postprocess: { imageOutput: { colour: 'RGB', rescale: 255 } } }
  return task === 'image-feature-extraction' ? { postprocess: { imageFeatures: { normalize: false } } } : {}
}
