import type { Manifest } from '../../../catalog/manifest.ts'
import type { DetectionSettings } from '../../../catalog/settings/detection.ts'
import { type Floats, wrongOutput } from '../../shared/outputs.ts'
import { endToEndHead, selectedHead } from './chosen.ts'
import type { Head } from './head.ts'
import { asRows, type Rows } from './rows.ts'
import { yoloHead } from './yolo.ts'

/**
 * The head of a detector, by its settings and the shapes of its outputs. Where these fit several layouts, the numbers
 * decide that only one of them can have written; where they do not, the output is refused.
 * @param size of the model's input, [height, width]
 * @throws manifest_invalid if the outputs are not what the settings say, or may be several things
 */
export function headOf(
  outputs: readonly Floats[],
  manifest: Manifest,
  settings: DetectionSettings,
  size: readonly [number, number],
): Head {
  switch (settings.head) {
    case 'ssd':
      return ssdHead(outputs, manifest, settings)
    case 'detr':
      return detrHead(outputs, manifest, settings)
    case 'end-to-end':
      return endToEndHead(outputs, manifest, settings)
    case 'selected':
      return selectedHead(outputs, manifest, settings)
    case 'yolo':
      return yoloHead(outputs, manifest, settings, size)
  }
}

/** Scores [1, N, C] and boxes [1, N, 4], in either order. */
function ssdHead(outputs: readonly Floats[], manifest: Manifest, settings: DetectionSettings): Head {
  const boxes =
    settings.boxesOutput === undefined
      ? (outputs.find(({ name, shape }) => shape.at(-1) === 4 && /box/i.test(name)) ??
        outputs.find(({ name, shape }) => shape.at(-1) === 4 && name !== settings.scoresOutput))
      : outputs.find(({ name }) => name === settings.boxesOutput)
  const rows = boxes && asRows(boxes)
  if (boxes === undefined || rows === undefined || rows.width !== 4)
    throw wrongOutput(manifest, 'no output of boxes [1, N, 4]')
  const scores = scoresOf(
    outputs.filter((output) => output !== boxes),
    rows.count,
    manifest,
    settings,
  )
  return {
    boxes: rows,
    corners: settings.boxes,
    scores,
    activation: manifest.activation ?? 'none',
    objectness: undefined,
    classes: undefined,
    several: true,
    keepsOverlaps: false,
  }
}

/** Names of transformers' outputs. */
const LOGITS = 'logits'
const PRED_BOXES = 'pred_boxes'

/**
 * Queries with scores [1, N, C] and boxes [1, N, 4] of centre and size. By softmax a query is one thing, or with the last
 * class nothing; by sigmoid it may be several things. transformers' `post_process_object_detection` of DETR and of RT-DETR.
 */
function detrHead(outputs: readonly Floats[], manifest: Manifest, settings: DetectionSettings): Head {
  const own = { scoresOutput: settings.scoresOutput, boxesOutput: settings.boxesOutput }
  if (outputs.some(({ name }) => name === LOGITS)) own.scoresOutput ??= LOGITS
  if (outputs.some(({ name }) => name === PRED_BOXES)) own.boxesOutput ??= PRED_BOXES
  const activation = manifest.activation ?? 'softmax'
  const head = ssdHead(outputs, manifest, { ...settings, ...own })
  const several = activation !== 'softmax'
  const background = several ? undefined : head.scores.width - 1
  return { ...head, activation, several, background, keepsOverlaps: true }
}

/** The scores for each of `count` boxes: the output that is named, else the one that is as wide as there are labels. */
function scoresOf(
  outputs: readonly Floats[],
  count: number,
  manifest: Manifest,
  { background, scoresOutput }: DetectionSettings,
): Rows {
  const fitting = outputs
    .filter(({ name }) => scoresOutput === undefined || name === scoresOutput)
    .flatMap((output) => asRows(output) ?? [])
    .filter((scores) => scores.count === count && scores.width > 0)
  const [first, second] = fitting
  if (first === undefined) throw wrongOutput(manifest, 'no output with scores [1, N, C] for each of its boxes')
  if (second === undefined) return first
  // Beside the scores there may be landmarks or masks for each box. A class for nothing at all may have no label.
  const labels = manifest.labels?.length
  const named = fitting.filter(({ width }) => width === labels)
  const unnamed = fitting.filter(({ width }) => background !== undefined && width === (labels ?? 0) + 1)
  const [only, other] = named.length > 0 ? named : unnamed
  if (only !== undefined && other === undefined) return only
  throw wrongOutput(
    manifest,
    `${fitting.length} outputs with numbers for each of its boxes, and no setting that names the scores (set detection.scoresOutput)`,
  )
}
