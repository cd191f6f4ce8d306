import type { DetectionSettings } from '../../catalog/settings/detection.ts'
import type { Signature, TensorSpec } from '../../core/tensors.ts'
import { type DescribeContext, type Guess, taskNote } from './context.ts'
import { namesOf, sideOf } from './detector-names.ts'
import type { Family } from './families/family.ts'
import { familyNamed } from './families/index.ts'
import { pictureFields, sizedBy } from './image-fields.ts'
import type { LabelOutcome } from './labels.ts'
import { ultralyticsFacts } from './ultralytics.ts'

/** A detector of the YOLO family, by a preset or by what its exporter wrote into its file. */
export function describeYolo(context: DescribeContext): LabelOutcome<Guess> {
  const { signature, said, metadata } = context
  const facts = ultralyticsFacts(metadata)
  const family = context.family ?? familyNamed('yolov8')
  if (family === undefined) return { problem: 'no setting describes how its outputs become boxes' }
  const found = detectionOf(signature, family, facts?.task === 'segment')
  if ('problem' in found) return found
  const { classes, detection, notes } = found.value
  const given =
    said.labels ??
    facts?.names ??
    (classes === undefined || classes === family.labels?.length ? family.labels : undefined)
  const labels = namesOf(given, classes)
  if ('problem' in labels) return labels
  const picture = pictureFields({ ...context, family, wishes: sizedBy(context, facts?.size) })
  if ('problem' in picture) return picture
  return {
    value: {
      fields: {
        task: context.task,
        labels: labels.value.names,
        activation: said.activation ?? family.activation ?? 'none',
        preprocess: picture.value.preprocess,
        postprocess: { detection },
      },
      notes: [taskNote(context), ...notes, ...labels.value.notes, ...picture.value.notes],
    },
  }
}

interface Found {
  /** How many, where the outputs say it. */
  readonly classes: number | undefined
  readonly detection: DetectionSettings
  readonly notes: readonly string[]
}

/** How outputs become boxes, by a family's settings and the shapes that there are. */
function detectionOf({ outputs }: Signature, family: Family, hasMasks: boolean): LabelOutcome<Found> {
  const own: DetectionSettings = {
    ...{ head: 'yolo', boxes: 'cxcywh', units: 'pixels', threshold: 0.25, iou: 0.45 },
    ...family.detection,
  }
  const inside = suppressedInside(outputs)
  if (inside !== undefined) {
    return {
      value: {
        classes: undefined,
        detection: { ...own, ...inside },
        notes: ['overlapping boxes are left out by the model itself'],
      },
    }
  }
  if (own.head !== 'yolo') {
    const scores = outputs.find(
      ({ name, shape }) => shape.length === 3 && shape.at(-1) !== 4 && /score|class/i.test(name),
    )
    return {
      value: { classes: own.head === 'ssd' ? sideOf(scores?.shape.at(-1)) : undefined, detection: own, notes: [] },
    }
  }
  const raw = outputs.find(({ shape }) => shape.length === 5)
  if (raw !== undefined && outputs.every(({ shape }) => shape.length >= 4)) {
    return { problem: `its output "${raw.name}" has boxes relative to anchors; export the model with its grid decoded` }
  }
  const output = outputs.find(({ shape }) => shape.length === 3)
  if (output === undefined) return { problem: 'it has no output [1, 4 + C, N] or [1, N, 4 + C]' }
  const masks = hasMasks || outputs.some(({ shape }) => shape.length === 4)
  const prototypes = masks ? outputs.find(({ shape }) => shape.length === 4) : undefined
  const extra = prototypes && (sideOf(prototypes.shape[1]) ?? MASK_NUMBERS)
  return {
    value: {
      classes: classesIn(output, own, extra ?? 0),
      detection: { ...own, ...(extra !== undefined && { extra, scoresOutput: output.name }) },
      notes: extra === undefined ? [] : ['masks are not answered, only boxes'],
    },
  }
}

/** Of Ultralytics' segmentation heads. */
const MASK_NUMBERS = 32

/** Heads of models that leave overlapping boxes out themselves, by the names and shapes of their outputs. */
function suppressedInside(outputs: readonly TensorSpec[]): Partial<DetectionSettings> | undefined {
  const named = (pattern: RegExp): boolean => outputs.some(({ name }) => pattern.test(name))
  if (outputs.some(({ datatype, shape }) => datatype === 'INT64' && shape.length === 2 && shape[1] === 3)) {
    return { head: 'selected', boxes: 'yxyx' }
  }
  if (outputs.length >= 3 && named(/box/i) && named(/score/i) && named(/class|label/i)) {
    return { head: 'end-to-end', boxes: 'xyxy' }
  }
  const [only] = outputs
  return outputs.length === 1 && only?.shape.length === 2 && only.shape[1] === 7 ? { head: 'end-to-end' } : undefined
}

/** Columns have no objectness, as Ultralytics writes them; rows have one, unless they are chosen boxes. */
function classesIn({ shape }: TensorSpec, { objectness }: DetectionSettings, extra: number): number | undefined {
  const [a, b] = [sideOf(shape[1]), sideOf(shape[2])]
  const width = a === undefined || b === undefined ? undefined : Math.min(a, b)
  if (width === undefined || width === 6 + extra || (width === 7 && b === 7)) return undefined
  const rows = width === b
  return width - extra - ((objectness ?? rows) ? 5 : 4)
}
