import type { Manifest } from '../catalog/manifest.ts'
import type { DetectionSettings } from '../catalog/settings/detection.ts'
import { type Floats, wrongOutput } from './outputs.ts'

/** A box that a detector is sure enough of, in pixels of its input. */
export interface Candidate {
  readonly label: number
  readonly score: number
  readonly xmin: number
  readonly ymin: number
  readonly xmax: number
  readonly ymax: number
}

/** Rows of numbers in a tensor: element `k` of row `n` is at `first + n * rowStep + k * step`. */
interface Rows {
  readonly data: Float32Array | Float64Array
  readonly first: number
  readonly count: number
  readonly width: number
  readonly rowStep: number
  readonly step: number
}

interface Head {
  readonly boxes: Rows
  readonly scores: Rows
  /** One number a row that multiplies its scores. */
  readonly objectness: Rows | undefined
}

/**
 * Boxes with a score of at least `threshold`, best first. A row of an `ssd` head may be several things at once; one of a
 * `yolo` head is what it is most.
 * @param size of the model's input, [height, width]
 * @param most how many are kept
 * @throws manifest_invalid if the outputs are not what the settings say
 */
export function candidates(
  outputs: readonly Floats[],
  manifest: Manifest,
  settings: DetectionSettings,
  size: readonly [number, number],
  threshold: number,
  most: number,
): Candidate[] {
  const head = settings.head === 'ssd' ? ssdHead(outputs, manifest, settings) : yoloHead(outputs, manifest, settings)
  const found: { row: number; label: number; score: number }[] = []
  const scores = new Float64Array(head.scores.width)
  for (let row = 0; row < head.scores.count; row++) {
    readScores(head, row, scores, manifest.activation ?? 'none')
    let best = -1
    for (let label = 0; label < scores.length; label++) {
      const score = scores[label] ?? 0
      if (label === settings.background || !(score >= threshold)) continue
      if (settings.head === 'ssd') found.push({ row, label, score })
      else if (best === -1 || score > (scores[best] ?? 0)) best = label
    }
    if (best !== -1) found.push({ row, label: best, score: scores[best] ?? 0 })
    // With a low threshold nearly every score of every row is one.
    if (found.length > 4 * most) keepBest(found, most)
  }
  return keepBest(found, most)
    .map(({ row, label, score }) => ({ label, score, ...corners(head.boxes, row, settings, size) }))
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

function at({ data, first, rowStep, step }: Rows, row: number, k: number): number {
  return data[first + row * rowStep + k * step] ?? Number.NaN
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
  for (const output of outputs) {
    if (output === boxes || (settings.scoresOutput !== undefined && output.name !== settings.scoresOutput)) continue
    const scores = asRows(output)
    if (scores !== undefined && scores.count === rows.count && scores.width > 0)
      return { boxes: rows, scores, objectness: undefined }
  }
  throw wrongOutput(manifest, 'no output with scores [1, N, C] for each of its boxes')
}

/** One output whose rows, or columns, are four numbers of a box, perhaps an objectness, and the scores. */
function yoloHead(outputs: readonly Floats[], manifest: Manifest, settings: DetectionSettings): Head {
  const wanted = settings.scoresOutput
  const output = outputs.find(({ name, shape }) => (wanted === undefined ? shape.length >= 2 : name === wanted))
  const rows = output && asRows(output)
  if (rows === undefined) throw wrongOutput(manifest, 'no output [1, 4 + C, N] or [1, N, 4 + C]')
  const [across, sure] = yoloRows(rows, manifest, settings)
  return {
    boxes: part(across, 0, 4),
    objectness: sure ? part(across, 4, 1) : undefined,
    scores: part(across, sure ? 5 : 4, across.width - (sure ? 5 : 4)),
  }
}

/** One row for each box, whichever way they lie, and whether it has an objectness. */
function yoloRows(rows: Rows, manifest: Manifest, { objectness }: DetectionSettings): readonly [Rows, boolean] {
  const either = [rows, transposed(rows)]
  const labels = manifest.labels?.length
  if (labels === undefined) {
    // There are more places in a picture than numbers to say of each.
    const [first = rows] = either.sort((a, b) => a.width - b.width)
    if (first.width > (objectness === true ? 5 : 4)) return [first, objectness ?? false]
  }
  for (const sure of objectness === undefined ? [false, true] : [objectness]) {
    const found = either.find(({ width }) => width === (labels ?? 0) + (sure ? 5 : 4))
    if (labels !== undefined && found !== undefined) return [found, sure]
  }
  throw wrongOutput(manifest, `an output of ${rows.count} x ${rows.width} numbers, which does not fit its labels`)
}

/** The last two dimensions, if there is nothing more than one picture in front of them. */
function asRows({ shape, data }: Floats): Rows | undefined {
  const [count, width] = shape.slice(-2)
  if (count === undefined || width === undefined || count * width !== data.length) return undefined
  return { data, first: 0, count, width, rowStep: width, step: 1 }
}

function transposed({ data, first, count, width, rowStep, step }: Rows): Rows {
  return { data, first, count: width, width: count, rowStep: step, step: rowStep }
}

function part(rows: Rows, from: number, width: number): Rows {
  return { ...rows, first: rows.first + from * rows.step, width }
}

/**
 * Class-wise non-maximum suppression: of boxes of one class that overlap by more than `iou`, only the best is kept.
 * @param sorted best first
 * @param most how many are answered
 */
export function suppressed(sorted: readonly Candidate[], iou: number, most: number): Candidate[] {
  const kept: Candidate[] = []
  for (const candidate of sorted) {
    if (kept.length >= most) break
    if (kept.every((better) => better.label !== candidate.label || overlap(better, candidate) <= iou))
      kept.push(candidate)
  }
  return kept
}

/** Intersection over union. */
export function overlap(a: Omit<Candidate, 'label' | 'score'>, b: Omit<Candidate, 'label' | 'score'>): number {
  const width = Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin)
  const height = Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin)
  if (width <= 0 || height <= 0) return 0
  const both = width * height
  const area = (box: typeof a): number => (box.xmax - box.xmin) * (box.ymax - box.ymin)
  return both / (area(a) + area(b) - both)
}
