import { type KeypointSettings, MOST_POINTS } from '../../catalog/settings/keypoints.ts'
import type { Signature, TensorSpec } from '../../core/tensors.ts'
import { type DescribeContext, type Guess, taskNote } from './context.ts'
import { sideOf } from './detector-names.ts'
import { PERSON_POINTS, PERSON_SKELETON } from './families/keypoints.ts'
import { pictureFields, sizedBy } from './image-fields.ts'
import { type LabelOutcome, labelsIn } from './labels.ts'
import type { Settings } from './settings.ts'
import { ultralyticsFacts } from './ultralytics.ts'

type Keypoints = Omit<KeypointSettings, 'numbers' | 'refine' | 'threshold' | 'iou'> & Partial<KeypointSettings>

/** A model that finds points: transformers' ViTPose, YOLO-pose by its own metadata, or a family by its preset. */
export async function describePose(context: DescribeContext): Promise<LabelOutcome<Guess>> {
  const { family, said, signature } = context
  const facts = ultralyticsFacts(context.metadata)
  const found =
    family === undefined || facts?.points !== undefined
      ? keypointsOf(context)
      : { value: ofFamily(family.keypoints, signature) }
  if ('problem' in found) return found
  const wishes = sizedBy(context, facts?.size)
  const picture = pictureFields({ ...context, wishes, processor: cropped(context.processor) })
  if ('problem' in picture) return picture
  const { image } = picture.value.preprocess
  const whole = family?.image === undefined && image ? { ...image, fit: 'letterbox' as const, pad: 0 } : image
  const labels = said.labels ?? (facts === undefined ? undefined : [...facts.names])
  const { head, names } = found.value
  return {
    value: {
      fields: {
        task: context.task,
        ...(labels && { labels }),
        preprocess: { ...picture.value.preprocess, ...(whole && { image: whole }) },
        postprocess: { keypoints: { ...DEFAULTS, ...found.value } },
      },
      notes: [
        taskNote(context),
        `${names.length} points: ${names.slice(0, 17).join(', ')}${names.length > 17 ? ' ...' : ''}`,
        ...(ALONE.includes(head) ? ['it finds the points of one person, who should fill the picture'] : []),
        ...picture.value.notes,
      ],
    },
  }
}

const DEFAULTS = { numbers: 3, refine: 'none', threshold: 0.25, iou: 0.7 } as const
const ALONE: readonly KeypointSettings['head'][] = ['heatmaps', 'simcc', 'movenet']

/** A processor that cuts a person out by a rotation, of which a person who fills the picture needs none. */
function cropped(processor: Settings | undefined): Settings | undefined {
  if (processor === undefined) return undefined
  const { do_affine_transform: _, normalize_factor: __, ...others } = processor
  return others
}

/** A family's own settings; its points are called by number where the model has another count. */
function ofFamily(own: Partial<KeypointSettings> | undefined, { outputs }: Signature): Keypoints {
  const { head = 'yolo', names = [], ...rest } = own ?? {}
  const count = head === 'yolo' ? undefined : pointsIn(head, outputs)
  return count === undefined || count === names.length
    ? { ...rest, head, names }
    : { ...rest, head, names: numbered(count), skeleton: [] }
}

function pointsIn(head: KeypointSettings['head'], outputs: readonly TensorSpec[]): number | undefined {
  const last = sideOf(outputs[0]?.shape.at(-1))
  if (head === 'movenet') return sideOf(outputs[0]?.shape.at(-2))
  return head === 'movenet-multipose' ? last && (last - 5) / 3 : sideOf(outputs[0]?.shape[1])
}

function keypointsOf({ architecture, config, metadata, signature }: DescribeContext): LabelOutcome<Keypoints> {
  const facts = ultralyticsFacts(metadata)
  if (facts?.points !== undefined) {
    const [count, numbers] = facts.points
    if ((numbers !== 2 && numbers !== 3) || count < 1 || count > MOST_POINTS) {
      return { problem: 'its kpt_shape is not a count of points with two or three numbers each' }
    }
    const named = { ...namesOf(count), ...(facts.pointNames?.length === count && { names: [...facts.pointNames] }) }
    return { value: { head: 'yolo', numbers, ...named } }
  }
  const maps = signature.outputs.find(({ shape }) => shape.length === 4)
  if (architecture === undefined || maps === undefined) {
    return { problem: 'no setting describes how its outputs become points (postprocess.keypoints)' }
  }
  const count = sideOf(maps.shape[1])
  const named = labelsIn(config)
  const names = named ?? (count === undefined ? undefined : namesOf(count).names)
  if (names === undefined) return { problem: 'no file names its points' }
  if (count !== undefined && names.length !== count) {
    return { problem: `there are names of ${names.length} points, but its output has ${count} maps` }
  }
  const skeleton = edgesIn(config.edges, names.length) ?? namesOf(names.length).skeleton
  return {
    value: { head: 'heatmaps', output: maps.name, refine: 'dark', threshold: 0, names, ...(skeleton && { skeleton }) },
  }
}

function namesOf(count: number): Pick<Keypoints, 'names' | 'skeleton'> {
  if (count !== PERSON_POINTS.length) return { names: numbered(count) }
  return { names: [...PERSON_POINTS], skeleton: PERSON_SKELETON.map(([a, b]): [number, number] => [a, b]) }
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `point_${i}`)
}

/** Pairs of points in a configuration; undefined where they are not all of this model. */
function edgesIn(edges: unknown, count: number): [number, number][] | undefined {
  if (!Array.isArray(edges)) return undefined
  const isPlace = (value: unknown): value is number =>
    Number.isInteger(value) && Number(value) >= 0 && Number(value) < count
  const pairs = edges as unknown[]
  return pairs.every(
    (pair): pair is [number, number] => Array.isArray(pair) && pair.length === 2 && pair.every(isPlace),
  )
    ? pairs
    : undefined
}
