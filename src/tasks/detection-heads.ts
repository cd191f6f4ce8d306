import type { Manifest } from '../catalog/manifest.ts'
import type { DetectionSettings } from '../catalog/settings/detection.ts'
import { type Floats, wrongOutput } from './outputs.ts'

/** Rows of numbers in a tensor: element `k` of row `n` is at `first + n * rowStep + k * step`. */
export interface Rows {
  readonly data: Float32Array | Float64Array
  readonly first: number
  readonly count: number
  readonly width: number
  readonly rowStep: number
  readonly step: number
}

/** Where in a detector's outputs its boxes and scores are. */
export interface Head {
  readonly boxes: Rows
  /** What a box's four numbers are. */
  readonly corners: DetectionSettings['boxes']
  /** A score for each label; one score where there are `classes`. */
  readonly scores: Rows
  /** What turns them into scores. */
  readonly activation: NonNullable<Manifest['activation']>
  /** One number a row that multiplies its scores. */
  readonly objectness: Rows | undefined
  /** The number of each row's class, where the model has chosen it, and has left out what overlaps. */
  readonly classes: Rows | undefined
}

type Size = readonly [number, number]

/**
 * The head of a detector, by its settings and the shapes of its outputs. Where these fit several layouts, the numbers
 * decide that only one of them can have written; where they do not, the output is refused.
 * @param size of the model's input, [height, width]
 * @throws manifest_invalid if the outputs are not what the settings say, or may be several things
 */
export function headOf(outputs: readonly Floats[], manifest: Manifest, settings: DetectionSettings, size: Size): Head {
  switch (settings.head) {
    case 'ssd':
      return ssdHead(outputs, manifest, settings)
    case 'end-to-end':
      return endToEndHead(outputs, manifest, settings)
    case 'yolo':
      return yoloHead(outputs, manifest, settings, size)
  }
}

export function at({ data, first, rowStep, step }: Rows, row: number, k: number): number {
  return data[first + row * rowStep + k * step] ?? Number.NaN
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
  const { activation = 'none' } = manifest
  return { boxes: rows, corners: settings.boxes, scores, activation, objectness: undefined, classes: undefined }
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

/** Numbers of a row whose class and score the model has chosen: two corners, score, class. */
const CHOSEN = 6

/** One output [1, N, 6] of two corners, score and class. */
function endToEndHead(outputs: readonly Floats[], manifest: Manifest, settings: DetectionSettings): Head {
  const wanted = settings.scoresOutput
  const output = outputs.find(({ name, shape }) => (wanted === undefined ? shape.at(-1) === CHOSEN : name === wanted))
  const rows = output && asRows(output)
  if (rows?.width !== CHOSEN) throw wrongOutput(manifest, 'no output [1, N, 6] of boxes, scores and classes')
  return chosen(rows, settings.boxes, manifest.activation ?? 'none')
}

function chosen(rows: Rows, corners: Head['corners'], activation: Head['activation']): Head {
  const [boxes, scores, classes] = [part(rows, 0, 4), part(rows, 4, 1), part(rows, 5, 1)]
  return { boxes, corners, scores, activation, objectness: undefined, classes }
}

/**
 * One output whose rows, or columns, are four numbers of a box, perhaps an objectness, and the scores; or, of an export
 * with the suppression inside, rows of two corners, a score and a class.
 */
function yoloHead(outputs: readonly Floats[], manifest: Manifest, settings: DetectionSettings, size: Size): Head {
  const wanted = settings.scoresOutput
  const output = outputs.find(({ name, shape }) => (wanted === undefined ? shape.length >= 2 : name === wanted))
  const rows = output && asRows(output)
  if (rows === undefined) throw wrongOutput(manifest, 'no output [1, 4 + C, N] or [1, N, 4 + C]')
  const found = settings.objectness === undefined ? selfChosen(rows, manifest, size) : 'no'
  if (found === 'yes') return chosen(rows, 'xyxy', 'none')
  const [across, sure] = yoloRows(rows, manifest, settings)
  return {
    boxes: part(across, 0, 4),
    corners: settings.boxes,
    objectness: sure ? part(across, 4, 1) : undefined,
    scores: part(across, sure ? 5 : 4, across.width - (sure ? 5 : 4)),
    activation: manifest.activation ?? 'none',
    classes: undefined,
  }
}

/** One row for each box, whichever way they lie, and whether it has an objectness. */
function yoloRows(rows: Rows, manifest: Manifest, { objectness }: DetectionSettings): readonly [Rows, boolean] {
  // There are more places in a picture than numbers to say of each.
  const either = [rows, transposed(rows)].filter(({ count, width }) => count >= width)
  const [only = rows] = either
  const labels = manifest.labels?.length
  if (either.length > 1)
    throw wrongOutput(manifest, `an output of ${rows.count} x ${rows.width} numbers, whose orientation is ambiguous`)
  if (labels === undefined) {
    if (only.width > (objectness === true ? 5 : 4)) return [only, objectness ?? false]
  } else {
    if (only.width === labels + 4 && objectness !== true) return [only, false]
    // Exporters that write columns have no objectness: a number more is an angle or the like.
    if (only.width === labels + 5 && (objectness ?? only === rows)) return [only, true]
    if (only.width === labels + 5 && objectness === undefined) {
      throw wrongOutput(
        manifest,
        `an output of ${rows.count} x ${rows.width} numbers, one more per box than its labels need, perhaps an angle: set detection.objectness, or export boxes without it`,
      )
    }
  }
  throw wrongOutput(manifest, `an output of ${rows.count} x ${rows.width} numbers, which does not match its labels`)
}

/**
 * Whether an output holds boxes that the model has chosen itself, [1, N, 6] of two corners, score and class, as
 * Ultralytics' exports write them (`nms=True`, YOLOv10, YOLO26): its last number is a whole one, and below the count of
 * labels, in every row, which scores are not.
 * @throws manifest_invalid where the rows hold more than that, or its shape says the contrary
 */
function selfChosen(rows: Rows, manifest: Manifest, size: Size): 'yes' | 'no' {
  const { count, width } = rows
  const labels = manifest.labels?.length
  // YOLOv7's: the picture's place in the batch, then the box, the class and the score.
  if (width === CHOSEN + 1 && looksChosen(rows, labels, { box: 1, score: 6, class: 5 }) === true && allZero(rows, 0)) {
    throw wrongOutput(manifest, 'rows of image, box, class and score, which are not supported: export boxes and scores')
  }
  if (width < CHOSEN || count < width) return 'no'
  const looks = looksChosen(rows, labels, { box: 0, score: 4, class: 5 })
  const fits = labels === undefined || width === labels + 4 || width === labels + 5
  if (looks === undefined) return width === CHOSEN && !fits ? 'yes' : 'no'
  if (!looks) return 'no'
  if (width > CHOSEN) {
    throw wrongOutput(
      manifest,
      `rows of box, score, class and ${width - CHOSEN} more numbers, which are not supported: export only boxes`,
    )
  }
  if (fits && isGrid(count, size)) {
    throw wrongOutput(
      manifest,
      'an output [1, N, 6] that may be scores of labels, or score and class: set detection.head ("end-to-end") or detection.objectness',
    )
  }
  return 'yes'
}

/** True and false by every row; undefined where no row has a score, so that nothing can be told. */
function looksChosen(
  rows: Rows,
  labels: number | undefined,
  places: { readonly box: number; readonly score: number; readonly class: number },
): boolean | undefined {
  let any = false
  for (let row = 0; row < rows.count; row++) {
    const [x1, y1, x2, y2] = [0, 1, 2, 3].map((k) => at(rows, row, places.box + k)) as [number, number, number, number]
    const [score, label] = [at(rows, row, places.score), at(rows, row, places.class)]
    if (!Number.isInteger(label) || label < (score > 0 ? 0 : -1) || label >= (labels ?? Number.POSITIVE_INFINITY))
      return false
    if (!(score >= 0 && score <= 1 && x2 >= x1 && y2 >= y1)) return false
    any ||= score > 0
  }
  return any ? true : undefined
}

function allZero(rows: Rows, k: number): boolean {
  for (let row = 0; row < rows.count; row++) if (at(rows, row, k) !== 0) return false
  return true
}

/** Steps between the places that heads of the YOLO family look at, and boxes for each place. */
const STRIDES = [
  [8, 16, 32],
  [8, 16, 32, 64],
  [16, 32],
]
const ANCHORS = [1, 3]

/** Whether there are as many rows as such a head has places in a picture of this size. */
function isGrid(count: number, [height, width]: Size): boolean {
  return STRIDES.some((strides) => {
    const places = strides.reduce((sum, stride) => sum + Math.ceil(height / stride) * Math.ceil(width / stride), 0)
    return ANCHORS.some((anchors) => count === anchors * places)
  })
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
