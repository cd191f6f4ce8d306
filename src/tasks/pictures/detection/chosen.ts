import type { Manifest } from '../../../catalog/manifest.ts'
import type { DetectionSettings } from '../../../catalog/settings/detection.ts'
import { type Floats, wrongOutput } from '../../shared/outputs.ts'
import { CHOSEN, chosenHead, type Head } from './head.ts'
import { asRows, at, madeRows, type Rows } from './rows.ts'

/**
 * Boxes that the model has chosen itself: one output [1, N, 6] of two corners, score and class; one of rows with the
 * picture's number in front, [N, 7], as YOLOv7 and YOLO-NAS write them; or an output each for boxes, scores and classes.
 * @throws manifest_invalid
 */
export function endToEndHead(outputs: readonly Floats[], manifest: Manifest, settings: DetectionSettings): Head {
  const activation = manifest.activation ?? 'none'
  const wanted = settings.scoresOutput
  const single = outputs.find(({ name, shape }) => (wanted === undefined ? shape.at(-1) === CHOSEN : name === wanted))
  const rows = single && asRows(single)
  if (rows?.width === CHOSEN) return chosenHead(rows, settings.boxes, activation)
  const numbered = outputs.find(({ shape }) => shape.at(-1) === CHOSEN + 1)
  const inFront = outputs.length === 1 && numbered ? asRows(numbered) : undefined
  if (inFront !== undefined) return numberedHead(inFront, manifest)
  const separate = separateRows(outputs, settings)
  if (separate !== undefined) return chosenHead(separate, settings.boxes, activation)
  throw wrongOutput(manifest, 'no output [1, N, 6] of boxes, scores and classes, and no output of each')
}

/** What the names of such outputs hold, as TensorRT's EfficientNMS, TensorFlow and RT-DETR call them. */
const NAMES = { boxes: /box/i, scores: /score|conf/i, classes: /class|label/i, count: /num/i }

/** Rows of box, score and class, of an output for each of them; undefined if these are not there. */
function separateRows(outputs: readonly Floats[], { boxesOutput, scoresOutput }: DetectionSettings): Rows | undefined {
  const count = outputs.find(({ name, data }) => data.length === 1 && NAMES.count.test(name))
  const others = outputs.filter((output) => output !== count)
  const boxes = others.find(({ name, shape }) =>
    boxesOutput === undefined ? shape.at(-1) === 4 && NAMES.boxes.test(name) : name === boxesOutput,
  )
  const places = boxes === undefined ? 0 : boxes.data.length / 4
  const one = (pattern: RegExp, wanted?: string): Floats | undefined =>
    others.find(
      (output) =>
        output !== boxes &&
        output.data.length === places &&
        (wanted === undefined ? pattern.test(output.name) : output.name === wanted),
    )
  const scores = one(NAMES.scores, scoresOutput)
  const classes = others.find((output) => output !== scores && output === one(NAMES.classes))
  if (boxes === undefined || scores === undefined || classes === undefined || boxes.shape.at(-1) !== 4) return undefined
  const kept = Math.min(places, count === undefined ? places : Math.max(0, Math.trunc(count.data[0] ?? 0)))
  const rows = new Float64Array(kept * CHOSEN)
  for (let row = 0; row < kept; row++) {
    for (let k = 0; k < 4; k++) rows[row * CHOSEN + k] = boxes.data[row * 4 + k] ?? Number.NaN
    rows[row * CHOSEN + 4] = scores.data[row] ?? Number.NaN
    rows[row * CHOSEN + 5] = classes.data[row] ?? Number.NaN
  }
  return madeRows(rows, CHOSEN)
}

/**
 * Rows of picture, two corners, class and score (YOLOv7) or score and class (YOLO-NAS): whichever has a whole number below
 * the count of labels for the class, and a share of one for the score, in every row.
 * @throws manifest_invalid where both may be it, or neither
 */
export function numberedHead(rows: Rows, manifest: Manifest): Head {
  const labels = manifest.labels?.length
  const orders = [
    { class: 5, score: 6 },
    { class: 6, score: 5 },
  ].filter((order) => ofFirstPicture(rows) && looksChosen(rows, labels, { box: 1, ...order }) !== false)
  const [order, other] = orders
  if (order === undefined) throw wrongOutput(manifest, 'rows of seven numbers that are not image, box, class and score')
  if (other !== undefined && looksChosen(rows, labels, { box: 1, ...order }) === true) {
    throw wrongOutput(manifest, 'rows of image, box and two whole numbers, of which either may be the class')
  }
  const made = new Float64Array(rows.count * CHOSEN)
  for (let row = 0; row < rows.count; row++) {
    for (let k = 0; k < 4; k++) made[row * CHOSEN + k] = at(rows, row, 1 + k)
    made[row * CHOSEN + 4] = at(rows, row, order.score)
    made[row * CHOSEN + 5] = at(rows, row, order.class)
  }
  return chosenHead(madeRows(made, CHOSEN), 'xyxy', 'none')
}

/**
 * Whether rows hold a box with its class and score: true and false by every row; undefined where no row has a score, so
 * that nothing can be told.
 */
export function looksChosen(
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

/** Whether the first number of every row says that it is of the first picture. */
export function ofFirstPicture(rows: Rows): boolean {
  for (let row = 0; row < rows.count; row++) if (at(rows, row, 0) !== 0) return false
  return true
}

/**
 * The boxes that ONNX's NonMaxSuppression has selected, by its answer [K, 3] of picture, class and box, the boxes
 * [1, N, 4] and the scores [1, C, N].
 * @throws manifest_invalid
 */
export function selectedHead(outputs: readonly Floats[], manifest: Manifest, settings: DetectionSettings): Head {
  const { boxesOutput, scoresOutput } = settings
  const boxes = outputs.find(({ name, shape }) =>
    boxesOutput === undefined ? shape.at(-1) === 4 && !/ind/i.test(name) : name === boxesOutput,
  )
  const count = boxes === undefined ? 0 : boxes.data.length / 4
  const scores = outputs.find(
    (output) =>
      output !== boxes && (scoresOutput === undefined ? output.shape.at(-1) === count : output.name === scoresOutput),
  )
  const indices = outputs.find((output) => output !== boxes && output !== scores && output.shape.at(-1) === 3)
  if (boxes === undefined || scores === undefined || indices === undefined || count === 0) {
    throw wrongOutput(manifest, 'no outputs of boxes [1, N, 4], scores [1, C, N] and selected places [K, 3]')
  }
  const places = indices.data.length / 3
  const rows = new Float64Array(places * CHOSEN)
  for (let row = 0; row < places; row++) {
    const [label, box] = [indices.data[row * 3 + 1] ?? -1, indices.data[row * 3 + 2] ?? -1]
    for (let k = 0; k < 4; k++) rows[row * CHOSEN + k] = boxes.data[box * 4 + k] ?? Number.NaN
    rows[row * CHOSEN + 4] = scores.data[label * count + box] ?? Number.NaN
    rows[row * CHOSEN + 5] = label
  }
  return chosenHead(madeRows(rows, CHOSEN), settings.boxes, manifest.activation ?? 'none')
}
