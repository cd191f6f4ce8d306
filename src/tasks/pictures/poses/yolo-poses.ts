import type { Manifest } from '../../../catalog/manifest.ts'
import type { KeypointSettings } from '../../../catalog/settings/keypoints.ts'
import { type Floats, wrongOutput } from '../../shared/outputs.ts'
import { fromHead, suppressed } from '../detection/candidates.ts'
import { looksChosen } from '../detection/chosen.ts'
import { CHOSEN, chosenHead, type Head } from '../detection/head.ts'
import { asRows, at, part, type Rows, transposed } from '../detection/rows.ts'
import type { Pose } from './poses.ts'

export interface PoseChoice {
  readonly threshold: number
  /** Left out: of the settings, and none of boxes that the model has chosen itself. */
  readonly iou: number | undefined
  /** Boxes that are compared, and poses that are answered. */
  readonly candidates: number
  readonly most: number
}

/**
 * The poses of a `yolo` head: rows or columns of centre, size, scores and points; or rows of two corners, score, class and
 * points, which the model has chosen itself.
 * @param size of the model's input, [height, width]
 * @throws manifest_invalid
 */
export function yoloPoses(
  outputs: readonly Floats[],
  manifest: Manifest,
  settings: KeypointSettings,
  size: readonly [number, number],
  { threshold, iou, candidates, most }: PoseChoice,
): Pose[] {
  const { output: wanted, names, numbers } = settings
  const labels = manifest.labels?.length ?? 1
  const output = outputs.find(({ name, shape }) => (wanted === undefined ? shape.length === 3 : name === wanted))
  const found = output && asRows(output)
  if (found === undefined) throw wrongOutput(manifest, 'no output [1, 4 + C + K x 3, N] of boxes, scores and points')
  const pointNumbers = names.length * numbers
  const { head, points } = headOf(found, labels, pointNumbers, manifest)
  const detection = {
    ...({ head: 'yolo', boxes: head.corners, units: 'pixels', threshold, iou: settings.iou } as const),
  }
  const limited = { ...manifest, labels: manifest.labels ?? ['0'] }
  const sure = fromHead(head, limited, detection, size, threshold, candidates)
  const overlap = iou ?? (head.keepsOverlaps ? 1 : settings.iou)
  return suppressed(sure, overlap, most).map(({ row, label, score, xmin, ymin, xmax, ymax }) => ({
    score,
    label,
    box: { xmin, ymin, xmax, ymax },
    points: names.map((_, index) => ({
      x: at(points, row, index * numbers),
      y: at(points, row, index * numbers + 1),
      score: numbers === 3 ? at(points, row, index * numbers + 2) : undefined,
    })),
  }))
}

function headOf(
  rows: Rows,
  labels: number,
  pointNumbers: number,
  manifest: Manifest,
): { readonly head: Head; readonly points: Rows } {
  const [raw, chosen] = [4 + labels + pointNumbers, CHOSEN + pointNumbers]
  if (rows.width === chosen && (raw !== chosen || isChosen(rows, labels))) {
    return { head: chosenHead(rows, 'xyxy', 'none'), points: part(rows, CHOSEN, pointNumbers) }
  }
  const across = [rows, transposed(rows)].find(({ width, count }) => width === raw && count !== raw)
  if (across === undefined) {
    throw wrongOutput(
      manifest,
      `an output of ${rows.count} x ${rows.width} numbers, which does not match its labels and points`,
    )
  }
  const head: Head = {
    boxes: part(across, 0, 4),
    corners: 'cxcywh',
    scores: part(across, 4, labels),
    activation: manifest.activation ?? 'none',
    objectness: undefined,
    classes: undefined,
    several: false,
    keepsOverlaps: false,
  }
  return { head, points: part(across, 4 + labels, pointNumbers) }
}

function isChosen(rows: Rows, labels: number): boolean {
  return looksChosen(rows, labels, { box: 0, score: 4, class: 5 }) !== false
}
