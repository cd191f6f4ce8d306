import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../src/catalog/manifest.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import { refinedPeak } from '../../src/tasks/pictures/poses/heatmaps.ts'
import { greyPng } from '../../synthetic/png.ts'
import { toBase64 } from '../fixtures/base64.ts'
import { testApp, testModel } from '../fixtures/http.ts'

type Settings = NonNullable<Manifest['keypoints']>
interface Pose {
  readonly score: number
  readonly label?: string
  readonly box?: object
  readonly keypoints: readonly {
    readonly x: number
    readonly y: number
    readonly score?: number
    readonly name?: string
  }[]
}

const POINTS = ['nose', 'left', 'right']
const SIDE = 8
/** A picture of 40 x 20 in an input of 8 x 8: rows 2 to 6, and five of its pixels to one. */
const WIDE = await greyPng(40, 20, new Uint8Array(800).fill(90))

function poser(name: string, keypoints: Partial<Settings>, outputs: Tensors, extra: Partial<Manifest> = {}) {
  const settings: Settings = {
    ...{ head: 'yolo', names: POINTS, numbers: 3, refine: 'none', threshold: 0.25, iou: 0.7 },
    ...keypoints,
  }
  const inputs = [{ name: 'pixels', datatype: 'FP32' as const, shape: [1, 1, SIDE, SIDE] }]
  const image = { mode: 'L', size: [SIDE, SIDE], fit: 'letterbox', pad: 0, rescale: 1, layout: 'NCHW' } as const
  const manifest = { task: 'keypoint-detection', inputs, outputs: [], keypoints: settings, ...extra }
  const mutable = { ...image, size: [SIDE, SIDE] as [number, number] }
  return testModel(name, 'public', { image: mutable, ...manifest }, { compute: () => outputs })
}

const fp32 = (name: string, shape: readonly number[], data: readonly number[]): [string, ReturnType<typeof tensor>] => [
  name,
  tensor('FP32', shape, Float32Array.from(data)),
]

/** Box, score and points x, y, score: twice the same, once something less sure, once something that is no number. */
const ROWS = [
  [4, 4, 4, 4, 0.9, 2, 3, 0.9, 4, 4, 0.8, 6, 5, 0.1],
  [4, 4, 4, 4.2, 0.8, 2, 3, 0.9, 4, 4, 0.8, 6, 5, 0.1],
  [1, 3, 2, 2, 0.5, 1, 3, 0.5, 1, 3, 0.5, Number.NaN, 3, 0.5],
  [Number.NaN, 3, 2, 2, 0.99, 1, 3, 0.5, 1, 3, 0.5, 1, 3, 0.5],
  ...Array.from({ length: 20 }, () => Array<number>(14).fill(0)),
]
const columns = Array.from({ length: 14 }, (_, k) => ROWS.map((row) => row[k] ?? 0))
const CHOSEN = ROWS.slice(0, 2).map(([cx = 0, cy = 0, w = 0, h = 0, score = 0, ...points]) => [
  ...[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, score, 0],
  ...points,
])

/** Maps of 8 x 6 with a bump of a known middle, between their places. */
const MAP = { width: 8, height: 6 }
const bump = (x: number, y: number): number[] =>
  Array.from({ length: MAP.width * MAP.height }, (_, i) =>
    Math.exp(-(((i % MAP.width) - x) ** 2 + (Math.floor(i / MAP.width) - y) ** 2) / 4.5),
  )
const HEATMAPS = [...bump(3.3, 2.6), ...bump(4.75, 2.2), ...bump(2, 3)]

const [, movenet] = fp32('output_0', [1, 1, 3, 3], [0.5, 0.25, 0.9, 0.375, 0.5, 0.6, 0.625, 0.75, 0.3])
const simcc = (peaks: readonly number[], length: number): number[] =>
  peaks.flatMap((peak) => Array.from({ length }, (_, i) => (i === peak ? 0.75 : 0.1)))

const app = testApp({
  models: [
    poser('columns', {}, new Map([fp32('output0', [1, 14, ROWS.length], columns.flat())]), { labels: ['person'] }),
    poser('rows', {}, new Map([fp32('output0', [1, ROWS.length, 14], ROWS.flat())]), { labels: ['person'] }),
    poser('chosen', {}, new Map([fp32('output0', [1, 2, 15], CHOSEN.flat())]), { labels: ['person'] }),
    poser('movenet', { head: 'movenet' }, movenet ? new Map([['output_0', movenet]]) : new Map()),
    poser(
      'multipose',
      { head: 'movenet-multipose' },
      new Map([
        fp32(
          'output_0',
          [1, 2, 14],
          [
            ...[0.5, 0.25, 0.9, 0.375, 0.5, 0.6, 0.625, 0.75, 0.3, 0.3, 0.2, 0.7, 0.8, 0.6],
            ...[0.5, 0.5, 0.9, 0.5, 0.5, 0.6, 0.5, 0.5, 0.3, 0.25, 0, 0.75, 1, 0.1],
          ],
        ),
      ]),
    ),
    poser(
      'heatmaps',
      { head: 'heatmaps', refine: 'dark', threshold: 0 },
      new Map([fp32('maps', [1, 3, 6, 8], HEATMAPS)]),
    ),
    poser(
      'simcc',
      { head: 'simcc', threshold: 0 },
      new Map([fp32('simcc_y', [1, 3, 16], simcc([6, 8, 10], 16)), fp32('simcc_x', [1, 3, 16], simcc([0, 8, 15], 16))]),
    ),
    poser(
      'empty',
      { head: 'movenet', threshold: 0 },
      new Map([fp32('output_0', [1, 1, 3, 3], Array(9).fill(Number.NaN))]),
    ),
    poser('broken', {}, new Map([fp32('output0', [1, 9, 9], Array(81).fill(0))])),
    poser('unsettled', {}, new Map(), { keypoints: undefined } as never),
    poser(
      'crowd',
      {},
      new Map([
        fp32(
          'output0',
          [1, 5000, 14],
          Array.from({ length: 5000 }, (_, i) => [...[i, 4, 0.5, 4, 0.9], ...Array(9).fill(1)]).flat(),
        ),
      ]),
    ),
  ],
})

async function ask(model: string, parameters: object = {}, picture = WIDE): Promise<Pose[]> {
  const response = await app.post(`/run/${model}`, { inputs: toBase64(picture), parameters })
  const answer = await response.json()
  expect(response.status, JSON.stringify(answer)).toBe(200)
  return answer as Pose[]
}
const places = (pose: Pose | undefined) => pose?.keypoints.map(({ x, y, name }) => [name, x, y])

describe('keypoint detection', () => {
  /** In the input the picture begins at row 2, and is five times as large. */
  const FOUND = [
    ['nose', 10, 5],
    ['left', 20, 10],
    ['right', 30, 15],
  ]

  it.each(['columns', 'rows', 'chosen'])('reads YOLO-pose in %s, one pose in a place', async (name) => {
    const [pose, ...others] = await ask(name, { iou_threshold: 0.7 })
    expect(pose).toMatchObject({ label: 'person', box: { xmin: 10, ymin: 0, xmax: 30, ymax: 20 } })
    expect(pose?.score).toBeCloseTo(0.9, 6)
    expect(places(pose)).toEqual(FOUND)
    expect(pose?.keypoints.map(({ score }) => score)).toEqual([0.9, 0.8, 0.1].map((score) => expect.closeTo(score, 6)))
    // A point that is no number is left out; so is a pose whose box is none.
    expect(others.map(places)).toEqual(
      name === 'chosen'
        ? []
        : [
            [
              ['nose', 5, 5],
              ['left', 5, 5],
            ],
          ],
    )
  })

  it('keeps what the model has chosen itself, unless a request says otherwise', async () => {
    expect(await ask('chosen')).toHaveLength(2)
    expect(await ask('chosen', { iou_threshold: 0.5 })).toHaveLength(1)
  })

  it('takes threshold, keypoint_threshold and top_k', async () => {
    expect(await ask('rows', { threshold: 0.6 })).toHaveLength(1)
    expect(await ask('rows', { threshold: 1 })).toEqual([])
    expect(await ask('rows', { iou_threshold: 1, top_k: 2 })).toHaveLength(2)
    expect(places((await ask('rows', { keypoint_threshold: 0.5 }))[0])).toEqual(FOUND.slice(0, 2))
  })

  it('reads MoveNet of one person, whose score is the mean of its points', async () => {
    const [pose, ...others] = await ask('movenet')
    expect(others).toEqual([])
    expect(pose?.score).toBeCloseTo(0.6, 6)
    expect(pose).not.toHaveProperty('box')
    expect(pose).not.toHaveProperty('label')
    expect(places(pose)).toEqual([
      ['nose', 10, 10],
      ['left', 20, 5],
      ['right', 30, 15],
    ])
  })

  it('reads MoveNet of several persons', async () => {
    const found = await ask('multipose', { threshold: 0.05 })
    expect(found.map(({ score }) => score)).toEqual([expect.closeTo(0.6, 6), expect.closeTo(0.1, 6)])
    expect(found[1]?.box).toEqual({ xmin: 0, ymin: 0, xmax: 40, ymax: 20 })
    expect(await ask('multipose')).toHaveLength(1)
  })

  it('finds the middle of a bump between the places of a heatmap, as ViTPose does', async () => {
    // The first place of a map is at the left edge of the input, the last at its right one.
    const along = (u: number, places: number, scale: number): number => (u / (places - 1)) * SIDE * scale
    const [pose] = await ask('heatmaps')
    const middles = [
      [3.3, 2.6],
      [4.75, 2.2],
      [2, 3],
    ] as const
    for (const [i, [u, v]] of middles.entries()) {
      const x = along(u, MAP.width, 5)
      const y = along(v, MAP.height, 5) - 10
      // A blurred bump of a Gaussian is one, too: only the maps' ends are between it and its middle.
      expect(Math.abs((pose?.keypoints[i]?.x ?? -9) - x), `x of ${i}`).toBeLessThan(0.4)
      expect(Math.abs((pose?.keypoints[i]?.y ?? -9) - y), `y of ${i}`).toBeLessThan(0.4)
    }
  })

  it('reads places along both axes (SimCC)', async () => {
    const [pose] = await ask('simcc')
    expect(places(pose)).toEqual([
      ['nose', 0, 5],
      ['left', 20, 10],
      ['right', 37.5, 15],
    ])
    expect(pose?.score).toBeCloseTo(0.75, 6)
  })

  it('answers a picture of one pixel with points inside of it', async () => {
    const dot = await greyPng(1, 1, Uint8Array.of(200))
    for (const name of ['rows', 'movenet', 'heatmaps', 'simcc']) {
      for (const { keypoints } of await ask(name, {}, dot)) {
        for (const { x, y } of keypoints) {
          expect(x >= 0 && x <= 1, `${name}: ${x}`).toBe(true)
          expect(y >= 0 && y <= 1, `${name}: ${y}`).toBe(true)
        }
      }
    }
  })

  it('answers a bounded number of poses, however many there are', async () => {
    expect((await ask('crowd')).length).toBeLessThanOrEqual(300)
    expect(await ask('crowd', { top_k: 100_000 })).toHaveLength(300)
  })

  it('answers nobody where points have no numbers', async () => {
    expect(await ask('empty')).toEqual([])
  })

  it.each([
    ['broken', {}, 500, 'manifest_invalid', /9 x 9 numbers, which does not match its labels and points/],
    ['unsettled', {}, 500, 'manifest_invalid', /has no keypoint settings/],
    ['rows', { threshold: 2 }, 400, 'invalid_request', /parameters\.threshold/],
    ['rows', { names: ['a'] }, 400, 'invalid_request', /names/],
  ])('says what is wrong: %s with %j', async (name, parameters, status, code, message) => {
    const response = await app.post(`/run/${name}`, { inputs: toBase64(WIDE), parameters })
    expect(response.status).toBe(status)
    const { error } = await response.json<{ error: { code: string; message: string } }>()
    expect(error.code).toBe(code)
    expect(error.message).toMatch(message)
  })
})

describe('a refined peak', () => {
  /** `post_dark_unbiased_data_processing` of transformers, written down again: blur the whole map, take logarithms, pad. */
  function reference(map: readonly number[], width: number, height: number): [number, number] {
    const radius = 5
    const kernel = Array.from({ length: 11 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * 0.8 ** 2)))
    const sum = kernel.reduce((total, value) => total + value, 0)
    const reflect = (i: number, n: number): number =>
      i < 0 ? reflect(-i - 1, n) : i >= n ? reflect(2 * n - 1 - i, n) : i
    const pass = (values: readonly number[], across: boolean): number[] =>
      values.map((_, at) => {
        const [x, y] = [at % width, Math.floor(at / width)]
        return kernel.reduce((total, weight, k) => {
          const [i, j] = across ? [reflect(x + k - radius, width), y] : [x, reflect(y + k - radius, height)]
          return total + (weight / sum) * (values[j * width + i] ?? 0)
        }, 0)
      })
    const log = pass(pass(map, false), true).map((value) => Math.log(Math.min(50, Math.max(0.001, value))))
    const best = map.indexOf(Math.max(...map))
    const [x, y] = [best % width, Math.floor(best / width)]
    const at = (i: number, j: number): number =>
      log[Math.min(height - 1, Math.max(0, j)) * width + Math.min(width - 1, Math.max(0, i))] ?? 0
    const d = [(at(x + 1, y) - at(x - 1, y)) / 2, (at(x, y + 1) - at(x, y - 1)) / 2] as const
    const eps = 2 ** -23
    const xx = at(x + 1, y) - 2 * at(x, y) + at(x - 1, y) + eps
    const yy = at(x, y + 1) - 2 * at(x, y) + at(x, y - 1) + eps
    const xy =
      0.5 *
      (at(x + 1, y + 1) - at(x + 1, y) - at(x, y + 1) + 2 * at(x, y) - at(x - 1, y) - at(x, y - 1) + at(x - 1, y - 1))
    const determinant = xx * yy - xy * xy
    return [x - (yy * d[0] - xy * d[1]) / determinant, y - (xx * d[1] - xy * d[0]) / determinant]
  }

  it.each([
    [3.3, 2.6],
    [0.2, 0.1],
    [6.9, 4.8],
    [4.5, 2.5],
    [0, 5],
  ])('is where the published algorithm puts it: %f, %f', (x, y) => {
    const map = bump(x, y).map(Math.fround)
    const peak = refinedPeak(Float32Array.from(map), MAP.width, MAP.height, 'dark')
    const [ownX, ownY] = reference(map, MAP.width, MAP.height)
    expect(peak.x).toBeCloseTo(ownX, 9)
    expect(peak.y).toBeCloseTo(ownY, 9)
    expect(peak.score).toBe(Math.max(...map))
  })

  it('stays where it is in an empty map, and without a refinement', () => {
    expect(refinedPeak(new Float32Array(48), 8, 6, 'dark')).toEqual({ x: 0, y: 0, score: 0 })
    expect(refinedPeak(Float32Array.from(bump(3.3, 2.6)), 8, 6, 'none')).toMatchObject({ x: 3, y: 3 })
  })
})
