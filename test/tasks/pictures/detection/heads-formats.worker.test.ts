/** Published decoding of detectors, written down again here in 64-bit floats, beside what Verge makes of the same outputs. */
import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../../../src/catalog/manifest.ts'
import { detectionSettingsSchema } from '../../../../src/catalog/settings/detection.ts'
import { fromHead, suppressed } from '../../../../src/tasks/pictures/detection/candidates.ts'
import { headOf } from '../../../../src/tasks/pictures/detection/heads.ts'
import { seededFloats } from '../../../../synthetic/onnx.ts'

interface Output {
  readonly name: string
  readonly shape: readonly number[]
  readonly data: Float32Array | Float64Array
}
type Found = readonly [label: number, score: number, ...box: number[]]

const LABELS = 3

function found(
  outputs: readonly Output[],
  settings: object,
  { size = [64, 64] as [number, number], activation = 'none' as Manifest['activation'], threshold = 0.4 } = {},
): Found[] {
  const labels = Array.from({ length: LABELS }, (_, i) => `thing ${i}`)
  const manifest = { model: 'm', version: '1', labels, activation } as unknown as Manifest
  const detection = detectionSettingsSchema.parse(settings)
  const head = headOf(outputs, manifest, detection, size)
  const sure = fromHead(head, manifest, detection, size, threshold, 2000)
  return suppressed(sure, head.keepsOverlaps ? 1 : detection.iou, 300).map(
    ({ label, score, xmin, ymin, xmax, ymax }) => [label, score, xmin, ymin, xmax, ymax] as const,
  )
}

/** Numbers from 0 to 1 that differ, the same every time. */
function shares(count: number, seed: number): number[] {
  return Array.from(seededFloats(count, seed), (value) => Math.abs(value * 1000) % 1)
}

const floats = (name: string, shape: readonly number[], values: readonly number[]): Output => ({
  name,
  shape,
  data: Float32Array.from(values),
})
const whole = (name: string, shape: readonly number[], values: readonly number[]): Output => ({
  name,
  shape,
  data: Float64Array.from(values),
})

/** Best first, as the published tools sort; every number within the rounding of a 32-bit float. */
function expectSame(actual: readonly Found[], expected: readonly Found[]): void {
  const sorted = expected.toSorted((a, b) => b[1] - a[1])
  expect(actual.length).toBeGreaterThan(0)
  expect(actual.map(([label]) => label)).toEqual(sorted.map(([label]) => label))
  for (const [i, row] of actual.entries()) {
    for (const [k, value] of row.entries()) expect(value).toBeCloseTo(sorted[i]?.[k] ?? Number.NaN, 3)
  }
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

describe('DETR', () => {
  const QUERIES = 20
  const boxes = shares(QUERIES * 4, 5)
  const corners = (q: number, [height, width]: readonly [number, number]): number[] => {
    const [cx = 0, cy = 0, w = 0, h = 0] = boxes.slice(q * 4, q * 4 + 4).map(Math.fround)
    return [(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height]
  }
  const size: [number, number] = [48, 80]
  const settings = { head: 'detr', boxes: 'cxcywh', units: 'relative', iou: 1 }

  it('by softmax is what it is most, without the last class (post_process_object_detection of DETR)', () => {
    const logits = shares(QUERIES * (LABELS + 1), 6).map((share) => share * 6 - 3)
    const expected: Found[] = []
    for (let q = 0; q < QUERIES; q++) {
      const row = logits.slice(q * (LABELS + 1), (q + 1) * (LABELS + 1)).map(Math.fround)
      const sum = row.reduce((total, value) => total + Math.exp(value), 0)
      const probabilities = row.slice(0, -1).map((value) => Math.exp(value) / sum)
      const score = Math.max(...probabilities)
      if (score > 0.4) expected.push([probabilities.indexOf(score), score, ...corners(q, size)])
    }
    const outputs = [
      floats('logits', [1, QUERIES, LABELS + 1], logits),
      floats('pred_boxes', [1, QUERIES, 4], boxes),
      // What a training export has beside them.
      floats('last_hidden_state', [1, QUERIES, 8], shares(QUERIES * 8, 7)),
    ]
    expectSame(found(outputs, settings, { size, activation: 'softmax' }), expected)
  })

  it('by sigmoid is each class that is sure enough (post_process_object_detection of RT-DETR)', () => {
    const logits = shares(QUERIES * LABELS, 8).map((share) => share * 6 - 3)
    const expected: Found[] = logits.flatMap((logit, i) => {
      const score = sigmoid(Math.fround(logit))
      return score > 0.4 ? [[i % LABELS, score, ...corners(Math.floor(i / LABELS), size)] as const] : []
    })
    const outputs = [floats('logits', [1, QUERIES, LABELS], logits), floats('pred_boxes', [1, QUERIES, 4], boxes)]
    expectSame(found(outputs, settings, { size, activation: 'sigmoid' }), expected)
  })
})

describe('generations of YOLO', () => {
  const size: [number, number] = [64, 96]
  const cells = [8, 16, 32].flatMap((stride) => {
    const [down, across] = [size[0] / stride, size[1] / stride]
    return Array.from({ length: down * across }, (_, i) => ({ stride, x: i % across, y: Math.floor(i / across) }))
  })
  const count = cells.length
  const scores = shares(count * LABELS, 11)
  const sure = shares(count, 12)
  const raw = shares(count * 4, 13)
  /** Far apart, so that nothing overlaps: what is left out is compared elsewhere. */
  const place = (i: number): [number, number, number, number] => [i * 10, 5, 6, 4]
  const best = (i: number, factor = 1): [number, number] => {
    const row = scores.slice(i * LABELS, (i + 1) * LABELS).map((score) => Math.fround(score) * Math.fround(factor))
    return [row.indexOf(Math.max(...row)), Math.max(...row)]
  }
  const expected = (box: (i: number) => readonly number[], factor: (i: number) => number = () => 1): Found[] =>
    cells.flatMap((_, i) => {
      const [label, score] = best(i, factor(i))
      const [cx = 0, cy = 0, w = 0, h = 0] = box(i)
      return score >= 0.4 ? [[label, score, cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2] as const] : []
    })
  const rows = (row: (i: number) => readonly number[]): number[] => cells.flatMap((_, i) => [...row(i)])
  const classScores = (i: number): number[] => scores.slice(i * LABELS, (i + 1) * LABELS)
  const columns = (width: number, row: (i: number) => readonly number[]): number[] =>
    Array.from({ length: width }, (_, k) => cells.map((_, i) => row(i)[k] ?? 0)).flat()
  const YOLO = { head: 'yolo', boxes: 'cxcywh' }

  it('v3, v5 and v7: rows of box, objectness and scores, which are multiplied', () => {
    const output = floats(
      'output',
      [1, count, 5 + LABELS],
      rows((i) => [...place(i), sure[i] ?? 0, ...classScores(i)]),
    )
    expectSame(
      found([output], YOLO, { size }),
      expected(place, (i) => sure[i] ?? 0),
    )
  })

  it('v6: the same rows with an objectness of one', () => {
    const output = floats(
      'outputs',
      [1, count, 5 + LABELS],
      rows((i) => [...place(i), 1, ...classScores(i)]),
    )
    expectSame(found([output], YOLO, { size }), expected(place))
  })

  it('v8, v9, 11 and 12: columns of box and scores', () => {
    const output = floats(
      'output0',
      [1, 4 + LABELS, count],
      columns(4 + LABELS, (i) => [...place(i), ...classScores(i)]),
    )
    expectSame(found([output], YOLO, { size }), expected(place))
  })

  it('with the numbers of a mask behind the scores, which are not looked at', () => {
    const width = 4 + LABELS + 8
    const mask = (i: number): number[] => shares(8, 100 + i).map((share) => share * 9)
    const boxes = floats(
      'output0',
      [1, width, count],
      columns(width, (i) => [...place(i), ...classScores(i), ...mask(i)]),
    )
    const prototypes = floats('output1', [1, 8, 4, 4], shares(128, 3))
    const settings = { ...YOLO, extra: 8, scoresOutput: 'output0' }
    expectSame(found([boxes, prototypes], settings, { size }), expected(place))
  })

  it('X: places within cells and logarithms of sizes (decode_outputs)', () => {
    const coded = (i: number): number[] => raw.slice(i * 4, i * 4 + 4).map((share) => share * 2 - 1)
    const output = floats(
      'output',
      [1, count, 5 + LABELS],
      rows((i) => [...coded(i), sure[i] ?? 0, ...classScores(i)]),
    )
    const decoded = (i: number): number[] => {
      const [x = 0, y = 0, w = 0, h = 0] = coded(i).map(Math.fround)
      const { stride, x: column, y: line } = cells[i] ?? { stride: 0, x: 0, y: 0 }
      return [(x + column) * stride, (y + line) * stride, Math.exp(w) * stride, Math.exp(h) * stride]
    }
    const settings = { ...YOLO, objectness: true, decode: 'yolox', iou: 1 }
    expectSame(
      found([output], settings, { size }),
      expected(decoded, (i) => sure[i] ?? 0),
    )
    expect(() => found([output], settings, { size: [64, 64] })).toThrow(
      /which are not the cells of an input of 64 x 64/,
    )
  })

  it('NAS: boxes of two corners and scores, an output each', () => {
    const corners = (i: number): number[] => {
      const [cx, cy, w, h] = place(i)
      return [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
    }
    const outputs = [
      floats('graph_boxes', [1, count, 4], rows(corners)),
      floats('graph_scores', [1, count, LABELS], rows(classScores)),
    ]
    const all: Found[] = cells.flatMap((_, i) =>
      classScores(i).flatMap((score, label) =>
        score >= 0.4 ? [[label, Math.fround(score), ...corners(i)] as const] : [],
      ),
    )
    const best = all.toSorted((a, b) => b[1] - a[1]).slice(0, 300)
    expectSame(found(outputs, { head: 'ssd' }, { size }), best)
  })
})

describe('models that leave overlapping boxes out themselves', () => {
  const CHOSEN: readonly Found[] = [
    [2, 0.9375, 8, 8, 40, 56],
    [0, 0.75, 9, 8, 40, 56],
    [1, 0.5, 2, 2, 20, 20],
  ]
  const boxes = CHOSEN.flatMap(([, , ...box]) => box)
  const none = [0, 0, 0, 0]

  it('as TensorRT writes it: a count, boxes, scores and classes', () => {
    const outputs = [
      whole('num_dets', [1, 1], [3]),
      floats('det_boxes', [1, 5, 4], [...boxes, ...none, 1, 1, 9, 9]),
      floats('det_scores', [1, 5], [...CHOSEN.map(([, score]) => score), 0.99, 0.98]),
      whole('det_classes', [1, 5], [...CHOSEN.map(([label]) => label), 0, 0]),
    ]
    expect(found(outputs, { head: 'end-to-end' })).toEqual(CHOSEN)
    expect(found([whole('num_dets', [1, 1], [0]), ...outputs.slice(1)], { head: 'end-to-end' })).toEqual([])
    // More than there are, and fewer than none.
    expect(found([whole('num_dets', [1, 1], [1e9]), ...outputs.slice(1)], { head: 'end-to-end' })).toHaveLength(5)
    expect(found([whole('num_dets', [1, 1], [-7]), ...outputs.slice(1)], { head: 'end-to-end' })).toEqual([])
  })

  it('as RT-DETR and D-FINE write it: classes, boxes and scores', () => {
    const outputs = [
      whole(
        'labels',
        [1, 3],
        CHOSEN.map(([label]) => label),
      ),
      floats('boxes', [1, 3, 4], boxes),
      floats(
        'scores',
        [1, 3],
        CHOSEN.map(([, score]) => score),
      ),
    ]
    expect(found(outputs, { head: 'end-to-end' })).toEqual(CHOSEN)
  })

  it('as YOLOv7 and YOLO-NAS write it: rows with the number of the picture in front', () => {
    const v7 = CHOSEN.flatMap(([label, score, ...box]) => [0, ...box, label, score])
    const nas = CHOSEN.flatMap(([label, score, ...box]) => [0, ...box, score, label])
    for (const [rows, shape] of [
      [v7, [3, 7]],
      [nas, [3, 7]],
    ] as const) {
      expect(found([floats('output', shape, rows)], { head: 'end-to-end' })).toEqual(CHOSEN)
    }
    // By its shape alone, among many rows, a YOLO head is the same.
    const many = [...v7, ...Array<number>(7 * 20).fill(0)]
    expect(found([floats('output', [23, 7], many)], { head: 'yolo', boxes: 'cxcywh' })).toEqual(CHOSEN)
    expect(() => found([floats('output', [1, 7], [3, 1, 1, 2, 2, 0, 0.9])], { head: 'end-to-end' })).toThrow(
      /that are not image, box, class and score/,
    )
  })

  it("by ONNX's NonMaxSuppression: places among boxes and scores", () => {
    const yx = CHOSEN.map(([, , x1 = 0, y1 = 0, x2 = 0, y2 = 0]) => [y1, x1, y2, x2])
    const scores = Array<number>(LABELS * 4).fill(0.01)
    for (const [i, [label, score]] of CHOSEN.entries()) scores[label * 4 + i] = score
    const outputs = [
      whole('selected_indices', [4, 3], [0, 2, 0, 0, 0, 1, 0, 1, 2, 0, 0, 999_999]),
      floats('boxes', [1, 4, 4], [...yx.flat(), ...none]),
      floats('scores', [1, LABELS, 4], scores),
    ]
    // The last place is beyond the boxes, and answers nothing.
    expect(found(outputs, { head: 'selected', boxes: 'yxyx' })).toEqual(CHOSEN)
    const empty = [whole('selected_indices', [0, 3], []), ...outputs.slice(1)]
    expect(found(empty, { head: 'selected', boxes: 'yxyx' })).toEqual([])
    expect(() => found(outputs.slice(1), { head: 'selected' })).toThrow(/no outputs of boxes .* selected places/)
  })
})
