import type { Manifest } from '../../../catalog/manifest.ts'
import type { DetectionSettings } from '../../../catalog/settings/detection.ts'
import type { Head } from './head.ts'
import { at, type Rows } from './rows.ts'

/** A box that a detector is sure enough of, in pixels of its input. */
export interface DetectedBox {
  /** Its row in the head. */
  readonly row: number
  readonly label: number
  readonly score: number
  readonly xmin: number
  readonly ymin: number
  readonly xmax: number
  readonly ymax: number
}

/** A class that no list of labels bounds: of more there are no models. */
const MOST_LABELS = 65_536

/**
 * Boxes with a score of at least `threshold`, best first.
 * @param size of the model's input, [height, width]
 * @param most how many are kept
 */
export function fromHead(
  head: Head,
  manifest: Manifest,
  settings: DetectionSettings,
  size: readonly [number, number],
  threshold: number,
  most: number,
): DetectedBox[] {
  const found: { row: number; label: number; score: number }[] = []
  const scores = new Float64Array(head.scores.width)
  const background = head.background ?? settings.background
  for (let row = 0; row < head.scores.count; row++) {
    readScores(head, row, scores, head.activation)
    let best = -1
    if (head.classes !== undefined) {
      const [label, score] = [at(head.classes, row, 0), scores[0] ?? 0]
      const named = Number.isInteger(label) && label >= 0 && label < (manifest.labels?.length ?? MOST_LABELS)
      if (named && label !== background && score >= threshold) found.push({ row, label, score })
      continue
    }
    for (let label = 0; label < scores.length; label++) {
      const score = scores[label] ?? 0
      if (label === background || !(score >= threshold)) continue
      if (head.several) found.push({ row, label, score })
      else if (best === -1 || score > (scores[best] ?? 0)) best = label
    }
    if (best !== -1) found.push({ row, label: best, score: scores[best] ?? 0 })
    // With a low threshold nearly every score of every row is one.
    if (found.length > 4 * most) keepBest(found, most)
  }
  return keepBest(found, most)
    .map(({ row, label, score }) => ({
      row,
      label,
      score,
      ...corners(head.boxes, row, { ...settings, boxes: head.corners }, size),
    }))
    .filter(({ xmin, ymin, xmax, ymax }) => Number.isFinite(xmin + ymin + xmax + ymax))
}

/** The best, best first, of equals those that came first; the others are let go. */
function keepBest<T extends { readonly score: number }>(found: T[], most: number): T[] {
  found.sort((a, b) => b.score - a.score)
  if (found.length > most) found.length = most
  return found
}

function readScores(head: Head, row: number, into: Float64Array, activation: 'softmax' | 'sigmoid' | 'none'): void {
  const sure = head.objectness === undefined ? 1 : activated(at(head.objectness, row, 0), activation)
  let greatest = Number.NEGATIVE_INFINITY
  for (let k = 0; k < into.length; k++) {
    into[k] = at(head.scores, row, k)
    greatest = Math.max(greatest, into[k] ?? 0)
  }
  if (activation === 'softmax') {
    let sum = 0
    for (let k = 0; k < into.length; k++) sum += into[k] = Math.exp((into[k] ?? 0) - greatest)
    for (let k = 0; k < into.length; k++) into[k] = ((into[k] ?? 0) / sum) * sure
  } else {
    for (let k = 0; k < into.length; k++) into[k] = activated(into[k] ?? 0, activation) * sure
  }
}

function activated(value: number, activation: 'softmax' | 'sigmoid' | 'none'): number {
  return activation === 'none' ? value : 1 / (1 + Math.exp(-value))
}

function corners(
  rows: Rows,
  row: number,
  { boxes, units }: DetectionSettings,
  [height, width]: readonly [number, number],
) {
  const [a, b, c, d] = [at(rows, row, 0), at(rows, row, 1), at(rows, row, 2), at(rows, row, 3)]
  const [x, y] = units === 'relative' ? [width, height] : [1, 1]
  if (boxes === 'cxcywh')
    return { xmin: (a - c / 2) * x, ymin: (b - d / 2) * y, xmax: (a + c / 2) * x, ymax: (b + d / 2) * y }
  if (boxes === 'yxyx') return { xmin: b * x, ymin: a * y, xmax: d * x, ymax: c * y }
  return { xmin: a * x, ymin: b * y, xmax: c * x, ymax: d * y }
}

/**
 * Class-wise non-maximum suppression: of boxes of one class that overlap by more than `iou`, only the best is kept.
 * @param sorted best first
 * @param most how many are answered
 */
export function suppressed<T extends Omit<DetectedBox, 'row'>>(sorted: readonly T[], iou: number, most: number): T[] {
  const kept: T[] = []
  for (const candidate of sorted) {
    if (kept.length >= most) break
    if (kept.every((better) => better.label !== candidate.label || overlap(better, candidate) <= iou))
      kept.push(candidate)
  }
  return kept
}

type Corners = Pick<DetectedBox, 'xmin' | 'ymin' | 'xmax' | 'ymax'>

/** Intersection over union. */
export function overlap(a: Corners, b: Corners): number {
  const width = Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin)
  const height = Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin)
  if (width <= 0 || height <= 0) return 0
  const both = width * height
  const area = (box: typeof a): number => (box.xmax - box.xmin) * (box.ymax - box.ymin)
  return both / (area(a) + area(b) - both)
}
