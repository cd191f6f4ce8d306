import type { SegmentationSettings } from '../../catalog/settings/segmentation.ts'
import type { TensorSpec } from '../../core/tensors.ts'
import { type DescribeContext, type Guess, taskNote } from './context.ts'
import { namesOf, sideOf } from './detector-names.ts'
import { type LabelOutcome, labelsIn } from './labels.ts'
import { wholePicture } from './whole-picture.ts'

/** Names of outputs: masks of queries, and the scores of their classes, of MaskFormer and of DETR. */
const MASKS = ['masks_queries_logits', 'pred_masks']
const SCORES = ['class_queries_logits', 'logits']

/** As transformers.js and transformers set them where nobody else does. */
const THRESHOLDS = { threshold: 0.5, maskThreshold: 0.5, overlapMaskAreaThreshold: 0.8 } as const

/** A model that says what each part of a picture is: scores of classes for each pixel, or queries with masks. */
export async function describeSegmentation(context: DescribeContext): Promise<LabelOutcome<Guess>> {
  const { outputs } = context.signature
  const masks = outputs.find(({ name }) => MASKS.includes(name))
  return masks === undefined ? describeClasses(context) : describeQueries(context, outputs, masks.name)
}

function describeClasses(context: DescribeContext): LabelOutcome<Guess> {
  const { signature } = context
  const floats = signature.outputs.filter(({ datatype }) => datatype === 'FP32' || datatype === 'FP16')
  const scores = floats.find(({ name }) => SCORES.includes(name)) ?? floats.find(({ shape }) => shape.length === 4)
  const chosen = signature.outputs.find(
    ({ datatype, shape }) =>
      (datatype === 'INT64' || datatype === 'INT32' || datatype === 'UINT8') && shape.length >= 3 && shape.length <= 4,
  )
  if (scores?.shape.length !== 4 && chosen === undefined) {
    return { problem: 'it has no output of scores [1, C, h, w], and none of classes [1, h, w]' }
  }
  const named = context.said.labels ?? labelsIn(context.config)
  const count = scores === undefined ? undefined : classesOf(scores, named?.length)
  const output = scores ?? chosen
  const several = floats.length > 1 && output !== undefined
  return described(context, count, {
    head: 'classes',
    ...THRESHOLDS,
    ...(several && { scoresOutput: output.name }),
  })
}

/** Classes of scores, whichever way they lie. Undefined where the model's signature does not say it. */
function classesOf({ shape }: TensorSpec, named: number | undefined): number | undefined {
  const [first, last] = [sideOf(shape[1]), sideOf(shape[3])]
  return named !== undefined && (first === named || last === named) ? named : first
}

function describeQueries(
  context: DescribeContext,
  outputs: readonly TensorSpec[],
  masksOutput: string,
): LabelOutcome<Guess> {
  const scores = outputs.find(({ name }) => SCORES.includes(name))
  if (scores === undefined) return { problem: `it has masks ("${masksOutput}"), but no output of scores for them` }
  const width = sideOf(scores.shape.at(-1))
  return described(context, width === undefined ? undefined : width - 1, {
    head: 'queries',
    ...THRESHOLDS,
    scoresOutput: scores.name,
    masksOutput,
  })
}

function described(
  context: DescribeContext,
  count: number | undefined,
  segmentation: SegmentationSettings,
): LabelOutcome<Guess> {
  const labels = namesOf(context.said.labels ?? labelsIn(context.config), count)
  if ('problem' in labels) return labels
  const picture = wholePicture(context)
  if ('problem' in picture) return picture
  const { preprocess, notes } = picture.value
  const how =
    segmentation.head === 'classes'
      ? 'the class of each pixel is that with the greatest score'
      : 'masks and scores of queries; the last class means "nothing"'
  return {
    value: {
      fields: { task: context.task, labels: labels.value.names, preprocess, postprocess: { segmentation } },
      notes: [taskNote(context), how, ...labels.value.notes, ...notes],
    },
  }
}
