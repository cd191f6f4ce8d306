import type { StepMeter, Work } from '../../../core/work.ts'
import type { Axis } from '../../../media/image/axis.ts'
import { labelling } from '../../../media/image/label-map.ts'
import { NO_LABEL } from '../../../media/image/mask-runs.ts'
import { type Planes, paintingAbove, refuseMap } from '../../../media/image/planes.ts'
import type { Floats } from '../../shared/outputs.ts'
import type { ChosenClasses } from './dense-output.ts'

/** Which segment each pixel of a picture belongs to: `segments` by the numbers of the map. */
export interface SegmentMap {
  readonly map: Uint16Array
  readonly segments: readonly Segment[]
}

export interface Segment {
  /** Number of the class. */
  readonly label: number
  readonly score?: number
}

/** What a model of queries answers: scores of Q things, with one for nothing at the end, and their masks. */
export interface Queries {
  readonly scores: Floats
  readonly classes: number
  readonly masks: Planes
}

export interface SegmentThresholds {
  readonly threshold: number
  readonly maskThreshold: number
  readonly overlapMaskAreaThreshold: number
  /** Classes of which all things are one segment. */
  readonly fuse: readonly number[]
}

/** Steps (docs/limits.md): of a sigmoid, of a multiplication that is added, and of a pixel that is given a number. */
const SIGMOID = 12
const ADDED = 1.5
const NUMBERED = 2

/** Classes as segments, the strongest of each pixel. @throws input_too_large */
export function* semanticSegments(planes: Planes, across: Axis, down: Axis, meter: StepMeter): Work<SegmentMap> {
  return { map: yield* labelling(planes, across, down, meter), segments: eachClass(planes.count) }
}

/** The same where the model has chosen a class for each pixel: the nearest one. @throws input_too_large */
export function* chosenSegments(
  { classes, width }: ChosenClasses,
  count: number,
  across: Axis,
  down: Axis,
  meter: StepMeter,
): Work<SegmentMap> {
  const [columns, rows] = [across.first.length, down.first.length]
  meter.require(columns * rows * NUMBERED, refuseMap)
  yield meter.piece()
  const map = new Uint16Array(columns * rows)
  let greatest = -1
  for (let y = 0, to = 0; y < rows; y++) {
    const row = nearest(down, y) * width
    for (let x = 0; x < columns; x++) {
      const label = Number(classes[row + nearest(across, x)] ?? -1)
      const known = label >= 0 && label < count
      map[to++] = known ? label : NO_LABEL
      if (known && label > greatest) greatest = label
    }
    meter.spend(columns * NUMBERED, refuseMap)
    if (y % 64 === 0) yield meter.piece()
  }
  return { map, segments: eachClass(greatest + 1) }
}

function nearest({ first, second, share }: Axis, i: number): number {
  return ((share[i] ?? 0) < 0.5 ? first[i] : second[i]) ?? 0
}

function eachClass(count: number): Segment[] {
  return Array.from({ length: count }, (_, label) => ({ label }))
}

/**
 * Things that do not overlap: each pixel belongs to the thing with the greatest product of score and mask, as
 * `post_process_panoptic_segmentation` of transformers has it.
 * @throws input_too_large
 */
export function* panopticSegments(
  queries: Queries,
  { threshold, maskThreshold, overlapMaskAreaThreshold, fuse }: SegmentThresholds,
  across: Axis,
  down: Axis,
  meter: StepMeter,
): Work<SegmentMap> {
  const things = surest(queries, threshold)
  if (things.length === 0) return nothing(across, down)
  const planes = yield* probabilities(queries.masks, things, meter)
  const map = yield* labelling(planes, across, down, meter)
  const areas = new Uint32Array(things.length)
  for (let i = 0; i < map.length; i++) {
    const label = map[i] ?? 0
    areas[label] = (areas[label] ?? 0) + 1
  }
  meter.spend(map.length * NUMBERED, refuseMap)
  yield meter.piece()

  const numbers = new Uint16Array(things.length).fill(NO_LABEL)
  const segments: Segment[] = []
  const fused = new Map<number, number>()
  for (const [i, { label, score }] of things.entries()) {
    const area = areas[i] ?? 0
    if (area === 0) continue
    let whole = 0
    yield* paintingAbove(planes, i, maskThreshold, across, down, meter, (_, from, to) => {
      whole += to - from
    })
    if (whole === 0 || area / whole <= overlapMaskAreaThreshold) continue
    const number = fused.get(label) ?? segments.length
    numbers[i] = number
    const before = segments[number]
    segments[number] = { label, score: Math.max(score, before?.score ?? 0) }
    if (fuse.includes(label)) fused.set(label, number)
  }
  for (let i = 0; i < map.length; i++) map[i] = numbers[map[i] ?? 0] ?? NO_LABEL
  return { map, segments }
}

/**
 * Things that may overlap, by the scores of `post_process_instance_segmentation` of Mask2Former: of a class, times the mean
 * probability inside of the mask. Where two overlap, a pixel belongs to the surer one.
 * @throws input_too_large
 */
export function* instanceSegments(
  { scores, classes, masks }: Queries,
  threshold: number,
  across: Axis,
  down: Axis,
  meter: StepMeter,
): Work<SegmentMap> {
  const pixels = masks.width * masks.height
  const found: { readonly query: number; readonly label: number; readonly score: number }[] = []
  for (let query = 0; query < masks.count; query++) {
    const shares = softmax(scores.data, query * classes, classes)
    for (let label = 0; label < classes - 1; label++) {
      const score = shares[label] ?? 0
      if (score >= threshold && score > 0) found.push({ query, label, score })
    }
  }
  found.sort((a, b) => b.score - a.score)
  const sure: Segment[] = []
  const planes: number[] = []
  for (const { query, label, score } of found.slice(0, masks.count)) {
    const inside = meanInside(masks, query)
    meter.spend(pixels * SIGMOID, refuseMap)
    yield meter.piece()
    if (inside === 0 || score * inside < threshold) continue
    sure.push({ label, score: score * inside })
    planes.push(query)
  }
  const order = sure.map((_, i) => i).sort((a, b) => (sure[b]?.score ?? 0) - (sure[a]?.score ?? 0))
  const { map } = nothing(across, down)
  const columns = across.first.length
  for (const [number, i] of [...order.entries()].reverse()) {
    yield* paintingAbove(masks, planes[i] ?? 0, Number.MIN_VALUE, across, down, meter, (row, from, to) => {
      map.fill(number, row * columns + from, row * columns + to)
    })
  }
  return { map, segments: order.flatMap((i) => sure[i] ?? []) }
}

/** Classes of a model of queries: the sum of all masks, each by its score for the class. @throws input_too_large */
export function* semanticOfQueries(
  { scores, classes, masks }: Queries,
  across: Axis,
  down: Axis,
  meter: StepMeter,
): Work<SegmentMap> {
  const pixels = masks.width * masks.height
  const count = classes - 1
  meter.require(masks.count * pixels * (SIGMOID + count * ADDED), refuseMap)
  yield meter.piece()
  const data = new Float32Array(count * pixels)
  const mask = new Float32Array(pixels)
  for (let query = 0; query < masks.count; query++) {
    const shares = softmax(scores.data, query * classes, classes)
    for (let i = 0; i < pixels; i++) mask[i] = sigmoid(masks.data[query * pixels + i] ?? 0)
    for (let label = 0; label < count; label++) {
      const share = shares[label] ?? 0
      const base = label * pixels
      for (let i = 0; i < pixels; i++) data[base + i] = (data[base + i] ?? 0) + share * (mask[i] ?? 0)
    }
    meter.spend(pixels * (SIGMOID + count * ADDED), refuseMap)
    yield meter.piece()
  }
  return yield* semanticSegments({ ...masks, data, count }, across, down, meter)
}

interface Thing {
  readonly query: number
  readonly label: number
  readonly score: number
}

/** Things whose best class is not "nothing", and whose score is above the threshold. */
function surest({ scores, classes, masks }: Queries, threshold: number): Thing[] {
  const things: Thing[] = []
  for (let query = 0; query < masks.count; query++) {
    const shares = softmax(scores.data, query * classes, classes)
    let label = 0
    for (let i = 1; i < classes; i++) if ((shares[i] ?? 0) > (shares[label] ?? 0)) label = i
    const score = shares[label] ?? 0
    if (label < classes - 1 && score > threshold) things.push({ query, label, score })
  }
  return things
}

/** Probabilities of things' masks, times their scores. */
function* probabilities(masks: Planes, things: readonly Thing[], meter: StepMeter): Work<Planes> {
  const pixels = masks.width * masks.height
  meter.require(things.length * pixels * SIGMOID, refuseMap)
  yield meter.piece()
  const data = new Float32Array(things.length * pixels)
  for (const [i, { query, score }] of things.entries()) {
    const [from, to] = [query * pixels, i * pixels]
    for (let at = 0; at < pixels; at++) data[to + at] = sigmoid(masks.data[from + at] ?? 0) * score
    meter.spend(pixels * SIGMOID, refuseMap)
    yield meter.piece()
  }
  return { ...masks, data, count: things.length }
}

/** Mean probability of the samples at which a mask is more likely than not; 0 where it is so nowhere. */
function meanInside({ data, width, height }: Planes, query: number): number {
  const pixels = width * height
  let [sum, count] = [0, 0]
  for (let i = query * pixels; i < (query + 1) * pixels; i++) {
    const value = data[i] ?? 0
    if (value <= 0) continue
    sum += sigmoid(value)
    count++
  }
  return count === 0 ? 0 : sum / count
}

function nothing(across: Axis, down: Axis): SegmentMap {
  return { map: new Uint16Array(across.first.length * down.first.length).fill(NO_LABEL), segments: [] }
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value))
}

function softmax(data: Float32Array | Float64Array, from: number, count: number): Float64Array {
  const row = Float64Array.from(data.subarray(from, from + count))
  let most = Number.NEGATIVE_INFINITY
  for (const value of row) most = Math.max(most, value)
  let sum = 0
  for (let i = 0; i < count; i++) sum += row[i] = Math.exp((row[i] ?? 0) - most)
  for (let i = 0; i < count; i++) row[i] = (row[i] ?? 0) / sum
  return row
}
