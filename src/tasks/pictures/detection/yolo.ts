import type { Manifest } from '../../../catalog/manifest.ts'
import type { DetectionSettings } from '../../../catalog/settings/detection.ts'
import { type Floats, wrongOutput } from '../../shared/outputs.ts'
import { looksChosen, numberedHead, ofFirstPicture } from './chosen.ts'
import { CHOSEN, chosenHead, type Head } from './head.ts'
import { asRows, at, madeRows, part, type Rows, transposed } from './rows.ts'

type Size = readonly [number, number]

/**
 * One output whose rows, or columns, are four numbers of a box, perhaps an objectness, and the scores; or, of an export
 * with the suppression inside, rows of two corners, a score and a class.
 * @throws manifest_invalid
 */
export function yoloHead(
  outputs: readonly Floats[],
  manifest: Manifest,
  settings: DetectionSettings,
  size: Size,
): Head {
  const wanted = settings.scoresOutput
  const output = outputs.find(({ name, shape }) => (wanted === undefined ? shape.length >= 2 : name === wanted))
  const rows = output && asRows(output)
  if (rows === undefined) throw wrongOutput(manifest, 'no output [1, 4 + C, N] or [1, N, 4 + C]')
  if (settings.objectness === undefined) {
    const own = selfChosen(rows, manifest, settings, size)
    if (own !== undefined) return own
  }
  const [across, sure] = yoloRows(rows, manifest, settings)
  const { extra = 0 } = settings
  const from = sure ? 5 : 4
  const boxes = part(across, 0, 4)
  return {
    boxes: settings.decode === 'yolox' ? decodedCells(boxes, manifest, size) : boxes,
    corners: settings.boxes,
    objectness: sure ? part(across, 4, 1) : undefined,
    scores: part(across, from, across.width - from - extra),
    activation: manifest.activation ?? 'none',
    classes: undefined,
    several: false,
    keepsOverlaps: false,
  }
}

/** One row for each box, whichever way they lie, and whether it has an objectness. */
function yoloRows(
  rows: Rows,
  manifest: Manifest,
  { objectness, extra = 0 }: DetectionSettings,
): readonly [Rows, boolean] {
  // There are more places in a picture than numbers to say of each.
  const either = [rows, transposed(rows)].filter(({ count, width }) => count >= width)
  const [only = rows] = either
  const width = only.width - extra
  const labels = manifest.labels?.length
  if (either.length > 1)
    throw wrongOutput(manifest, `an output of ${rows.count} x ${rows.width} numbers, whose orientation is ambiguous`)
  if (labels === undefined) {
    if (width > (objectness === true ? 5 : 4)) return [only, objectness ?? false]
  } else {
    if (width === labels + 4 && objectness !== true) return [only, false]
    // Exporters that write columns have no objectness: a number more is an angle or the like.
    if (width === labels + 5 && (objectness ?? only === rows)) return [only, true]
    if (width === labels + 5 && objectness === undefined) {
      throw wrongOutput(
        manifest,
        `an output of ${rows.count} x ${rows.width} numbers, one more per box than its labels need, perhaps an angle: set detection.objectness, or export boxes without it`,
      )
    }
  }
  throw wrongOutput(manifest, `an output of ${rows.count} x ${rows.width} numbers, which does not match its labels`)
}

/**
 * The head of an output that holds boxes that the model has chosen itself, [1, N, 6] of two corners, score and class, as
 * Ultralytics' exports write them (`nms=True`, YOLOv10, YOLO26): its last number is a whole one, and below the count of
 * labels, in every row, which scores are not. Undefined where it does not.
 * @throws manifest_invalid where the rows hold more than that, or its shape says the contrary
 */
function selfChosen(rows: Rows, manifest: Manifest, { extra = 0 }: DetectionSettings, size: Size): Head | undefined {
  const { count, width } = rows
  const labels = manifest.labels?.length
  const fits = labels === undefined || width === labels + 4 + extra || width === labels + 5 + extra
  if (width === CHOSEN + 1 && ofFirstPicture(rows)) {
    // The picture's place in the batch in front.
    const looks = [looksChosen(rows, labels, { box: 1, score: 6, class: 5 }), looksChosen(rows, labels, SCORE_FIRST)]
    const none = looks.every((look) => look === undefined)
    if (looks.includes(true) || (none && !fits)) return numberedHead(rows, manifest)
  }
  if (width < CHOSEN || count < width) return undefined
  const looks = looksChosen(rows, labels, { box: 0, score: 4, class: 5 })
  if (looks === undefined) return width === CHOSEN + extra && !fits ? chosenHead(rows, 'xyxy', 'none') : undefined
  if (!looks) return undefined
  if (width > CHOSEN + extra) {
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
  return chosenHead(rows, 'xyxy', 'none')
}

const SCORE_FIRST = { box: 1, score: 5, class: 6 }

/** Pixels between the places that heads of the YOLO family look at, and boxes for each place. */
const STRIDES = [
  [8, 16, 32],
  [8, 16, 32, 64],
  [16, 32],
]
const ANCHORS = [1, 3]

/** Whether there are as many rows as such a head has places in a picture of this size. */
function isGrid(count: number, size: Size): boolean {
  return STRIDES.some((strides) => ANCHORS.some((anchors) => count === anchors * placesOf(strides, size)))
}

function placesOf(strides: readonly number[], [height, width]: Size): number {
  return strides.reduce((sum, stride) => sum + Math.ceil(height / stride) * Math.ceil(width / stride), 0)
}

/**
 * Centres and sizes in pixels, of places within cells and logarithms of sizes in cells, as YOLOX's `decode_outputs` has it.
 * @throws manifest_invalid if there are not as many rows as cells
 */
function decodedCells(boxes: Rows, manifest: Manifest, size: Size): Rows {
  const strides = STRIDES.find((strides) => placesOf(strides, size) === boxes.count)
  if (strides === undefined) {
    const [height, width] = size
    throw wrongOutput(manifest, `${boxes.count} boxes, which are not the cells of an input of ${width} x ${height}`)
  }
  const decoded = new Float64Array(boxes.count * 4)
  let row = 0
  for (const stride of strides) {
    const [down, across] = size.map((side) => Math.ceil(side / stride)) as [number, number]
    for (let cell = 0; cell < down * across; cell++, row++) {
      decoded[row * 4] = (at(boxes, row, 0) + (cell % across)) * stride
      decoded[row * 4 + 1] = (at(boxes, row, 1) + Math.floor(cell / across)) * stride
      decoded[row * 4 + 2] = Math.exp(at(boxes, row, 2)) * stride
      decoded[row * 4 + 3] = Math.exp(at(boxes, row, 3)) * stride
    }
  }
  return madeRows(decoded, 4)
}
