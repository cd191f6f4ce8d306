import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../../../src/catalog/manifest.ts'
import { detectionSettingsSchema } from '../../../../src/catalog/settings/detection.ts'
import { fromHead } from '../../../../src/tasks/pictures/detection/candidates.ts'
import { headOf } from '../../../../src/tasks/pictures/detection/heads.ts'

const YOLO = { head: 'yolo', boxes: 'cxcywh' }
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `thing ${i}`)

/** Rows of one output [1, count, width], those that are not given zeros. */
function output(name: string, count: number, width: number, given: readonly (readonly number[])[]) {
  const data = new Float32Array(count * width)
  for (const [row, values] of given.entries()) data.set(values, row * width)
  return { name, shape: [1, count, width], data }
}

function found(
  outputs: ReturnType<typeof output> | readonly ReturnType<typeof output>[],
  labels: number | undefined,
  settings: object = YOLO,
  size: [number, number] = [64, 64],
) {
  const manifest = { model: 'm', version: '1', ...(labels !== undefined && { labels: names(labels) }) } as Manifest
  const detection = detectionSettingsSchema.parse(settings)
  return fromHead(headOf([outputs].flat(), manifest, detection, size), manifest, detection, size, 0.5, 10).map(
    ({ row: _, label, score, ...box }) => [label, Number(score.toFixed(3)), ...Object.values(box)],
  )
}

/** Two corners, score and class: what Ultralytics writes with `nms=True`, at most 300 of them. */
const CHOSEN = [
  [8, 8, 40, 56, 0.9, 1],
  [2, 2, 20, 20, 0.8, 0],
  [1, 1, 2, 2, 0.1, 1],
]
const BOXES = [
  [1, 0.9, 8, 8, 40, 56],
  [0, 0.8, 2, 2, 20, 20],
]

describe('the head of a detector', () => {
  it.each([2, 3, 80, undefined])(
    'is recognised where the model has chosen its boxes itself, with %s labels',
    (labels) => {
      expect(found(output('output0', 300, 6, CHOSEN), labels)).toEqual(BOXES)
    },
  )

  it('is recognised so with one label, whose class is 0', () => {
    const rows = [
      [8, 8, 40, 56, 0.9, 0],
      [2, 2, 20, 20, 0.8, 0],
    ]
    expect(found(output('output0', 300, 6, rows), 1)).toEqual([
      [0, 0.9, 8, 8, 40, 56],
      [0, 0.8, 2, 2, 20, 20],
    ])
  })

  it('may say so, in the corners that its settings name', () => {
    const yx = CHOSEN.map(([a = 0, b = 0, c = 0, d = 0, ...rest]) => [b, a, d, c, ...rest])
    expect(found(output('output0', 300, 6, yx), 2, { head: 'end-to-end', boxes: 'yxyx' })).toEqual(BOXES)
    expect(() => found(output('output0', 300, 8, []), 2, { head: 'end-to-end' })).toThrow(/no output \[1, N, 6\]/)
    // A class that the labels do not have is no answer.
    expect(found(output('output0', 300, 6, [[8, 8, 40, 56, 0.9, 7]]), 2, { head: 'end-to-end' })).toEqual([])
  })

  it('holds scores where its last numbers are fractions', () => {
    // Centre, size and two scores; 84 rows are the places of strides 8, 16 and 32 in 64 x 64.
    const scores = [
      [24, 32, 32, 48, 0.9, 0.25],
      [11, 11, 18, 18, 0.125, 0.75],
    ]
    const expected = [
      [0, 0.9, 8, 8, 40, 56],
      [1, 0.75, 2, 2, 20, 20],
    ]
    expect(found(output('output0', 84, 6, scores), 2)).toEqual(expected)
    expect(found(output('output0', 300, 6, scores), 2)).toEqual(expected)
    // One label and an objectness, as YOLOv5 writes rows: 0.9 x 0.25 and 0.125 x 0.75 are too little.
    expect(found(output('output0', 252, 6, scores), 1)).toEqual([])
    expect(found(output('output0', 252, 6, [[24, 32, 32, 48, 0.9, 0.75]]), 1)).toEqual([[0, 0.675, 8, 8, 40, 56]])
  })

  it('is refused where its shape says one thing and its numbers another, unless the settings decide', () => {
    const rows = output('output0', 84, 6, CHOSEN)
    expect(() => found(rows, 2)).toThrow(/may be scores of labels, or score and class: set detection.head/)
    expect(found(rows, 2, { head: 'end-to-end' })).toEqual(BOXES)
    expect(found(rows, 2, { ...YOLO, objectness: false })).toEqual([
      [1, 1, 8 - 20, 8 - 28, 8 + 20, 8 + 28],
      [1, 1, 0, 0, 2, 2],
      [0, 0.8, 2 - 10, 2 - 10, 2 + 10, 2 + 10],
    ])
  })

  it('answers nothing where nothing is there, whatever it may be', () => {
    for (const labels of [1, 2, 80, undefined]) expect(found(output('output0', 300, 6, []), labels)).toEqual([])
  })

  it.each([
    // YOLO-OBB: columns of box, scores and angle; poses and masks of chosen boxes.
    ['an angle behind the scores', [1, 20, 84], 15, /one more per box than its labels need, perhaps an angle/],
    ['scores for other labels', [1, 300, 9], 80, /300 x 9 numbers, which does not match its labels/],
    [
      'fractions for a class',
      [1, 300, 6],
      80,
      /300 x 6 numbers, which does not match its labels/,
      [[1, 1, 2, 2, 0.9, 0.5]],
    ],
    ['a class that its labels lack', [1, 300, 6], 80, /does not match its labels/, [[1, 1, 2, 2, 0.9, 80]]],
    ['points behind chosen boxes', [1, 300, 57], 1, /rows of box, score, class and 51 more numbers/, [CHOSEN[1] ?? []]],
    ['an angle behind chosen boxes', [1, 300, 7], 2, /rows of box, score, class and 1 more numbers/, [CHOSEN[0] ?? []]],
    [
      'its picture in front, and a class that may be a score',
      [1, 30, 7],
      2,
      /of which either may be the class/,
      [[0, 8, 8, 40, 56, 1, 1]],
    ],
    ['as many rows as columns', [1, 6, 6], 2, /6 x 6 numbers, whose orientation is ambiguous/],
  ] as const)(
    'is refused with %s',
    (_, [, count, width], labels, message, rows: readonly (readonly number[])[] = []) => {
      expect(() => found(output('output0', count, width, rows), labels)).toThrow(message)
    },
  )

  it('takes the scores of an ssd that are as wide as its labels, not the landmarks before them', () => {
    const settings = { head: 'ssd', background: 0 }
    const boxes = output('boxes', 2, 4, [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ])
    const landmarks = output('landmarks', 2, 10, [new Array<number>(10).fill(0.9), new Array<number>(10).fill(0.9)])
    const scores = output('scores', 2, 2, [
      [0.1, 0.9],
      [0.8, 0.2],
    ])
    expect(found([landmarks, scores, boxes], 2, settings)).toEqual([[1, 0.9, 1, 2, 3, 4]])
    // Labels without one for nothing at all.
    expect(found([landmarks, scores, boxes], 1, settings)).toEqual([[1, 0.9, 1, 2, 3, 4]])
    expect(() => found([landmarks, scores, boxes], 5, settings)).toThrow(
      /2 outputs with numbers.*detection\.scoresOutput/,
    )
    expect(found([landmarks, scores, boxes], 5, { ...settings, scoresOutput: 'scores' })).toHaveLength(1)
  })
})
