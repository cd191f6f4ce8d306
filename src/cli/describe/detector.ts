import type { TensorSpec } from '../../core/tensors.ts'
import { type DescribeContext, type Guess, taskNote } from './context.ts'
import { namesOf, sideOf } from './detector-names.ts'
import { pictureFields } from './image-fields.ts'
import { type LabelOutcome, labelsIn } from './labels.ts'
import { describeYolo } from './yolo.ts'

/** A head that a few of transformers' detectors have: a query is one thing or nothing. Others say yes or no to each class. */
const SOFTMAX = /^(?:Detr|TableTransformer|Yolos)For/

/** A model that says what is where in a picture: transformers' detectors, RT-DETR's own exports, and the YOLO family. */
export async function describeDetector(context: DescribeContext): Promise<LabelOutcome<Guess>> {
  const { architecture, family, metadata, signature } = context
  if (architecture !== undefined && /ForObjectDetection$/.test(architecture)) {
    return answersInside(signature.outputs) ? describeAnswers(context) : describeQueries(context)
  }
  if (family !== undefined || metadata.has('names')) return describeYolo(context)
  return { problem: 'no setting describes how its outputs become boxes (postprocess.detection)' }
}

/** Outputs of RT-DETR's and D-FINE's own exports, which end with their postprocessing. */
function answersInside(outputs: readonly TensorSpec[]): boolean {
  return ['labels', 'boxes', 'scores'].every((name) => outputs.some((output) => output.name === name))
}

/** Scores and boxes of queries, as transformers' models answer them. */
function describeQueries(context: DescribeContext): LabelOutcome<Guess> {
  const { signature, architecture = '' } = context
  const logits = signature.outputs.find(({ name }) => name === 'logits')
  const boxes = signature.outputs.find(({ name }) => name === 'pred_boxes')
  if (logits === undefined || boxes === undefined) {
    return { problem: 'it has no outputs "logits" and "pred_boxes"; export it with Optimum for object-detection' }
  }
  const width = sideOf(logits.shape.at(-1))
  const named = context.said.labels ?? labelsIn(context.config)
  const softmax = width === undefined || named === undefined ? SOFTMAX.test(architecture) : width === named.length + 1
  const count = width === undefined ? undefined : width - (softmax ? 1 : 0)
  const labels = namesOf(named, count)
  if ('problem' in labels) return labels
  const picture = pictureFields(context)
  if ('problem' in picture) return picture
  return {
    value: {
      fields: {
        task: context.task,
        labels: labels.value.names,
        activation: softmax ? 'softmax' : 'sigmoid',
        preprocess: picture.value.preprocess,
        postprocess: { detection: { head: 'detr', boxes: 'cxcywh', units: 'relative', threshold: 0.5, iou: 1 } },
      },
      notes: [
        taskNote(context),
        softmax ? 'scores by softmax; the last class means "no object"' : 'scores by sigmoid',
        ...labels.value.notes,
        ...picture.value.notes,
      ],
    },
  }
}

/** Boxes, scores and classes that the model has chosen, in pixels of the size that it is told. */
function describeAnswers(context: DescribeContext): LabelOutcome<Guess> {
  const labels = namesOf(context.said.labels ?? labelsIn(context.config), undefined)
  if ('problem' in labels) return labels
  const picture = pictureFields(context)
  if ('problem' in picture) return picture
  return {
    value: {
      fields: {
        task: context.task,
        labels: labels.value.names,
        preprocess: picture.value.preprocess,
        postprocess: { detection: { head: 'end-to-end', boxes: 'xyxy', units: 'pixels', threshold: 0.5, iou: 1 } },
      },
      notes: [taskNote(context), 'boxes, scores and classes are those of the model', ...picture.value.notes],
    },
  }
}
