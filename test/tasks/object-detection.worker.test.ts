import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../src/catalog/manifest.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import { bytesFromBase64 } from '../../src/media/base64.ts'
import { decodeImage } from '../../src/media/image/decode.ts'
import { encodePng } from '../../src/media/image/png-encode.ts'
import type { Raster } from '../../src/media/image/raster.ts'
import { type DetectedBox, fromHead, overlap, suppressed } from '../../src/tasks/pictures/detection/candidates.ts'
import { headOf } from '../../src/tasks/pictures/detection/heads.ts'
import { greyPng } from '../../synthetic/png.ts'
import { toBase64 } from '../fixtures/base64.ts'
import { testApp, testModel } from '../fixtures/http.ts'
import images from '../fixtures/pil-images.json'

const PNG = { 'content-type': 'image/png' }
const OPTIONS = { maxPixels: LIMITS.imagePixels, maxScans: LIMITS.jpegScans }

const base = { rescale: 1, layout: 'NCHW' } as const
const size = (height: number, width: number): [number, number] => [height, width]

type Outputs = Readonly<Record<string, { readonly shape: readonly number[]; readonly data: readonly number[] }>>

function fp32(outputs: Outputs): Tensors {
  return new Map(
    Object.entries(outputs).map(([name, { shape, data }]) => [name, tensor('FP32', shape, Float32Array.from(data))]),
  )
}

function model(name: string, manifest: Partial<Manifest>, compute: (inputs: Tensors) => Tensors) {
  const inputs = [{ name: 'pixels', datatype: 'FP32' as const, shape: [1, 'c', 'h', 'w'] }]
  return testModel(name, 'public', { inputs, outputs: [], ...manifest }, { compute })
}

const detection = (fields: object) =>
  ({ boxes: 'xyxy', units: 'pixels', threshold: 0.5, iou: 0.45, ...fields }) as NonNullable<Manifest['detection']>

/** Three boxes in a picture of 10 x 20: a cat twice, nearly the same, and a dog in the same place. */
const CATS = [0, 0.9, 0.1, 0, 0.8, 0.1, 0.2, 0.1, 0.7]
const PLACES = [0.1, 0.2, 0.5, 0.6, 0.1, 0.2, 0.5, 0.62, 0.1, 0.2, 0.5, 0.6]
const ssd = model(
  'ssd',
  {
    task: 'object-detection',
    labels: ['nothing', 'cat', 'dog'],
    image: { ...base, mode: 'L', size: size(10, 20), fit: 'stretch' },
    detection: detection({ head: 'ssd', units: 'relative', background: 0 }),
  },
  () => fp32({ scores: { shape: [1, 3, 3], data: CATS }, boxes: { shape: [1, 3, 4], data: PLACES } }),
)
const yoloSettings: Partial<Manifest> = {
  task: 'object-detection',
  labels: ['cat', 'dog'],
  image: { ...base, mode: 'L', size: size(8, 8), fit: 'letterbox', pad: 114 },
}
// Rows of centre, size and scores: the middle of a picture of twice its height in width, and less sure things.
const ROWS = [
  [4, 4, 8, 4, 0.9, 0.2],
  [4, 4, 4, 2, 0.3, 0.6],
  [1, 3, 1, 1, 0.2, 0.1],
  [Number.NaN, 3, 1, 1, 0.9, 0.9],
  [4, 3, 1, 1, Number.NaN, Number.NaN],
  [4, 1, 2, 1, 0.99, 0.1],
  [2, 3, 1, 1, 0.2, 0.1],
  [3, 3, 1, 1, 0.1, 0.2],
]
const columns = Array.from({ length: 6 }, (_, k) => ROWS.map((row) => row[k] ?? 0))
const yoloColumns = model(
  'yolo-columns',
  { ...yoloSettings, detection: detection({ head: 'yolo', boxes: 'cxcywh' }) },
  () => fp32({ output0: { shape: [1, 6, ROWS.length], data: columns.flat() } }),
)
const yoloRows = model(
  'yolo-rows',
  { ...yoloSettings, activation: 'sigmoid', detection: detection({ head: 'yolo', boxes: 'cxcywh' }) },
  () => {
    const logit = (share: number) => Math.log(share / (1 - share))
    // A fifth number says whether there is anything: here surely, but for the first.
    const rows = ROWS.map(([x = 0, y = 0, w = 0, h = 0, ...scores], i) => [
      x,
      y,
      w,
      h,
      i === 0 ? logit(0.5) : 100,
      ...scores.map(logit),
    ])
    return fp32({ output0: { shape: [1, ROWS.length, 7], data: rows.flat() } })
  },
)
/** Says where the brightest pixel of its input is, as a box of one pixel. */
const finder = model(
  'finder',
  {
    task: 'object-detection',
    labels: ['light'],
    image: { ...base, mode: 'L', size: size(8, 8), fit: 'crop', resize: 8 },
    detection: detection({ head: 'ssd', boxes: 'yxyx' }),
  },
  (inputs) => {
    const data = inputs.get('pixels')?.data as Float32Array
    const at = data.indexOf(Math.max(...data))
    const [y, x] = [Math.floor(at / 8), at % 8]
    return fp32({ scores: { shape: [1, 1, 1], data: [1] }, boxes: { shape: [1, 1, 4], data: [y, x, y + 1, x + 1] } })
  },
)
const broken = model('broken', { ...yoloSettings, detection: detection({ head: 'yolo' }) }, () =>
  fp32({ output0: { shape: [1, 9, 9], data: Array(81).fill(0) } }),
)
const unsettled = model('unsettled', yoloSettings, () => fp32({}))

const features = (name: string, outputs: Outputs, settings: object = {}) =>
  model(
    name,
    {
      task: 'image-feature-extraction',
      image: { ...base, mode: 'RGB', size: size(4, 4), fit: 'stretch' },
      imageFeatures: { pooling: 'mean', normalize: false, ...settings },
    },
    () => fp32(outputs),
  )
const TOKENS = { shape: [1, 3, 2], data: [3, 4, 0, 0, 0, 2] }
const pooledVector = features('pooled', { hidden: TOKENS, pooler_output: { shape: [1, 2], data: [6, 8] } })
const hidden = features('hidden', { hidden: TOKENS })
const maps = features('maps', { maps: { shape: [1, 2, 1, 2], data: [1, 3, 10, 30] } })
const named = features('named', { a: { shape: [1, 2], data: [1, 2] }, b: TOKENS }, { output: 'b', pooling: 'cls' })
const vectorless = features('vectorless', {})

const brighter = model(
  'brighter',
  {
    task: 'image-to-image',
    image: { ...base, mode: 'L', size: size(2, 2), fit: 'stretch', rescale: 1 / 255 },
    imageOutput: { colour: 'luma', layout: 'NCHW', rescale: 255, offset: 0 },
  },
  (inputs) => {
    const data = inputs.get('pixels')?.data as Float32Array
    const twice = Array.from({ length: 16 }, (_, i) => (data[2 * (i >> 3) + ((i & 3) >> 1)] ?? 0) + 20 / 255)
    return fp32({ output: { shape: [1, 1, 4, 4], data: twice } })
  },
)
const negative = model(
  'negative',
  {
    task: 'image-to-image',
    image: { ...base, mode: 'RGB', size: size(3, 5), fit: 'stretch', layout: 'NHWC' },
    imageOutput: { colour: 'RGB', layout: 'NHWC', rescale: -1, offset: 255 },
  },
  (inputs) => new Map([['output', inputs.get('pixels') ?? tensor('FP32', [0], new Float32Array(0))]]),
)
const flat = model(
  'flat',
  {
    task: 'image-to-image',
    image: { ...base, mode: 'RGB', size: size(3, 5), fit: 'stretch' },
    imageOutput: { colour: 'RGB', layout: 'NCHW', rescale: 1, offset: 0 },
  },
  () => fp32({ output: { shape: [1, 3], data: [1, 2, 3] } }),
)

const app = testApp({
  models: [
    ...[ssd, yoloColumns, yoloRows, finder, broken, unsettled],
    ...[pooledVector, hidden, maps, named, vectorless, brighter, negative, flat],
  ],
})
const { post } = app
const grey = await greyPng(40, 20, new Uint8Array(800).fill(90))

interface Detection {
  label: string
  score: number
  box: { xmin: number; ymin: number; xmax: number; ymax: number }
}
const detect = async (name: string, body: Uint8Array<ArrayBuffer> | object = grey): Promise<Detection[]> => {
  const response = await (body instanceof Uint8Array ? post(`/run/${name}`, body, PNG) : post(`/run/${name}`, body))
  expect(response.status).toBe(200)
  return response.json()
}
const box = (xmin: number, ymin: number, xmax: number, ymax: number) => ({ xmin, ymin, xmax, ymax })

describe('object detection', () => {
  it('answers boxes in pixels of the picture, one of each label in a place', async () => {
    const found = await detect('ssd')
    expect(found.map(({ label, box }) => [label, box])).toEqual([
      ['cat', box(4, 4, 20, 12)],
      ['dog', box(4, 4, 20, 12)],
    ])
    expect(found[0]?.score).toBeCloseTo(0.9, 6)
  })

  it('takes threshold, iou_threshold and top_k', async () => {
    const ask = (parameters: object) => detect('ssd', { inputs: toBase64(grey), parameters })
    expect((await ask({ threshold: 0.85 })).map(({ label }) => label)).toEqual(['cat'])
    expect((await ask({ iou_threshold: 1 })).map(({ label }) => label)).toEqual(['cat', 'cat', 'dog'])
    expect(await ask({ iou_threshold: 1, top_k: 2 })).toHaveLength(2)
    expect(await ask({ threshold: 1 })).toEqual([])
    // Nothing is not answered, whatever its score.
    expect((await ask({ threshold: 0, iou_threshold: 1 })).every(({ label }) => label !== 'nothing')).toBe(true)
  })

  it.each([
    ['yolo-columns', 0.9],
    // Its objectness of one half halves the score.
    ['yolo-rows', 0.45],
  ])('reads the heads of the YOLO family, and takes the margins off: %s', async (name, first) => {
    const found = await detect(name, { inputs: toBase64(grey), parameters: { threshold: 0.4 } })
    // In 8 x 8, the picture of 40 x 20 is rows 2 to 6. What lies in the margin above is none of it.
    expect(found.map(({ label, box }) => [label, box]).sort()).toEqual([
      ['cat', box(0, 0, 40, 20)],
      ['dog', box(10, 5, 30, 15)],
    ])
    expect(found.find(({ label }) => label === 'cat')?.score).toBeCloseTo(first, 5)
  })

  it('finds what it sees where it is in the whole picture, though it sees only the middle', async () => {
    const pixels = new Uint8Array(48 * 16)
    // The middle of 48 x 16, scaled to 24 x 8, begins at column 16 of the picture.
    for (const [x, y] of [
      [20, 6],
      [21, 6],
      [20, 7],
      [21, 7],
    ] as const) {
      pixels[y * 48 + x] = 255
    }
    expect((await detect('finder', await greyPng(48, 16, pixels)))[0]?.box).toEqual(box(20, 6, 22, 8))
  })

  it('answers in pixels of the file’s own size where the picture is decoded smaller', async () => {
    const pixels = new Uint8Array(64 * 64)
    for (let y = 40; y < 48; y++) pixels.fill(255, y * 64 + 16, y * 64 + 24)
    const png = await greyPng(64, 64, pixels)
    const small = testApp({ models: [finder], limits: { imagePixels: 1024 } })
    const answer = await (await small.post('/run/finder', png, PNG)).json<Detection[]>()
    expect(answer[0]?.box).toEqual(box(16, 40, 24, 48))
  })

  it('counts pixels as the picture is seen, whichever way the camera was held', async () => {
    const lying = bytesFromBase64(images.find(({ name }) => name === 'jpeg orientation 6')?.file ?? '')
    const found = await detect('yolo-columns', lying as Uint8Array<ArrayBuffer>)
    // Twelve by seven in the file.
    for (const { box } of found) {
      expect(box.xmax).toBeLessThanOrEqual(7)
      expect(box.ymax).toBeLessThanOrEqual(12)
    }
    expect(Math.max(...found.map(({ box }) => box.ymax))).toBeGreaterThan(7)
  })

  it.each([
    ['broken', {}, 500, 'manifest_invalid', /9 x 9 numbers/],
    ['unsettled', {}, 500, 'manifest_invalid', /has no detection settings/],
    ['ssd', { threshold: 2 }, 400, 'invalid_request', /parameters\.threshold/],
    ['ssd', { labels: ['cat'] }, 400, 'invalid_request', /labels/],
  ])('says what is wrong: %s with %j', async (name, parameters, status, code, message) => {
    const response = await post(`/run/${name}`, { inputs: toBase64(grey), parameters })
    expect(response.status).toBe(status)
    const { error } = await response.json<{ error: { code: string; message: string } }>()
    expect(error.code).toBe(code)
    expect(error.message).toMatch(message)
  })

  it('keeps the best of very many, of equals those that come first', () => {
    const [rows, classes, most] = [500, 20, 30]
    // A hundred different scores, each of them many times over.
    const data = Float32Array.from({ length: rows * classes }, (_, i) => ((i * 37) % 100) / 100)
    const boxes = Float32Array.from({ length: 4 * rows }, (_, i) => Math.floor(i / 4) + (i % 4))
    const outputs = [
      { name: 'scores', shape: [1, rows, classes], data },
      { name: 'boxes', shape: [1, rows, 4], data: boxes },
    ]
    const settings = { head: 'ssd', boxes: 'xyxy', units: 'pixels', threshold: 0.5, iou: 0.45 } as const
    const size = [600, 600] as const
    const found = fromHead(headOf(outputs, ssd.manifest, settings, size), ssd.manifest, settings, size, 0, most)
    const expected = Array.from(data, (score, i) => ({ score, label: i % classes, xmin: Math.floor(i / classes) }))
      .sort((a, b) => b.score - a.score)
      .slice(0, most)
    expect(found.map(({ score, label, xmin }) => ({ score, label, xmin }))).toEqual(expected)
  })

  it('suppresses by label, best first, and not more often than asked', () => {
    const one = (label: number, score: number, xmin: number): Omit<DetectedBox, 'row'> => ({
      label,
      score,
      ...box(xmin, 0, xmin + 10, 10),
    })
    const sorted = [one(1, 0.9, 0), one(1, 0.8, 3), one(2, 0.7, 3), one(1, 0.6, 6)]
    expect(overlap(one(1, 1, 0), one(1, 1, 5))).toBeCloseTo(1 / 3, 10)
    expect(overlap(one(1, 1, 0), one(1, 1, 10))).toBe(0)
    // The second is too near to the first; the last only to the second, which is no longer there.
    expect(suppressed(sorted, 0.45, 9).map(({ score }) => score)).toEqual([0.9, 0.7, 0.6])
    expect(suppressed(sorted, 0.6, 9)).toHaveLength(4)
    expect(suppressed(sorted, 0.45, 2)).toHaveLength(2)
  })
})

describe('image feature extraction', () => {
  const ask = async (name: string, parameters?: object) =>
    (await post(`/run/${name}`, { inputs: toBase64(grey), ...(parameters && { parameters }) })).json()

  it('answers the vector that the model has pooled itself', async () => {
    expect(await (await post('/run/pooled', grey, PNG)).json()).toEqual([6, 8])
    expect(await ask('pooled', { normalize: true })).toEqual([0.6, 0.8])
  })

  it('pools several, or answers them all', async () => {
    expect(await ask('hidden')).toEqual([1, 2])
    expect(await ask('hidden', { pooling: 'cls', normalize: true })).toEqual([0.6, 0.8])
    expect(await ask('hidden', { pooling: 'none' })).toEqual([
      [3, 4],
      [0, 0],
      [0, 2],
    ])
    // A vector of nothing has no direction, and stays.
    expect(await ask('hidden', { pooling: 'none', normalize: true })).toEqual([
      [0.6, 0.8],
      [0, 0],
      [0, 1],
    ])
    expect(await ask('maps')).toEqual([2, 20])
    expect(await ask('named')).toEqual([3, 4])
  })

  it('says where there is no vector, and what it does not know', async () => {
    expect(await ask('vectorless')).toMatchObject({ error: { code: 'manifest_invalid' } })
    expect(await ask('pooled', { pool: true })).toMatchObject({ error: { code: 'invalid_request' } })
  })
})

describe('image to image', () => {
  const colours: Raster = {
    ...{ width: 2, height: 2, channels: 3 },
    data: Uint8Array.of(100, 50, 50, 50, 100, 50, 50, 50, 100, 90, 90, 90),
  }
  const picture = async (response: Response) => {
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('image/png')
    return decodeImage(new Uint8Array(await response.arrayBuffer()), OPTIONS)
  }

  it('gives a new brightness the colours of the picture', async () => {
    const answer = await picture(await post('/run/brighter', await encodePng(colours), PNG))
    expect([answer.width, answer.height, answer.channels]).toEqual([4, 4, 3])
    // Red leads by as much as before, and everything is as much brighter as the model made it.
    const [red = 0, green = 0, blue = 0] = answer.data
    expect(red - green).toBeGreaterThan(40)
    expect(Math.abs(green - blue)).toBeLessThan(3)
    expect(Math.abs(0.299 * red + 0.587 * green + 0.114 * blue - (0.299 * 100 + 0.701 * 50 + 20))).toBeLessThan(1.5)
  })

  it('answers in colour, in either layout, and in the size asked for', async () => {
    const answer = await picture(await post('/run/negative', await greyPng(5, 3, new Uint8Array(15).fill(55)), PNG))
    expect(answer).toMatchObject({ width: 5, height: 3, channels: 3, data: new Uint8Array(45).fill(200) })
    const parameters = { target_size: { width: 7, height: 9 } }
    const resized = await picture(await post('/run/negative', { inputs: toBase64(grey), parameters }))
    expect(resized).toMatchObject({ width: 7, height: 9, data: new Uint8Array(189).fill(165) })
    const query = new URLSearchParams({ target_size: JSON.stringify(parameters.target_size) })
    expect(await picture(await post(`/run/negative?${query}`, grey, PNG))).toEqual(resized)
    expect((await post('/run/negative?target_size={width:7}', grey, PNG)).status).toBe(400)
  })

  it('writes PNGs that read as they were', async () => {
    for (const [width, height, channels] of [
      [1, 1, 1],
      [3, 700, 1],
      [129, 65, 3],
    ] as const) {
      const data = Uint8Array.from({ length: width * height * channels }, (_, i) => (i * i * 31) >> 3)
      const read = decodeImage(await encodePng({ width, height, channels, data }), OPTIONS)
      expect(read).toMatchObject({ width, height, channels, data })
    }
  })

  it.each([
    ['flat', undefined, 500, 'manifest_invalid'],
    ['negative', { target_size: { width: 16384, height: 16384 } }, 413, 'input_too_large'],
    ['negative', { target_size: { width: 0, height: 5 } }, 400, 'invalid_request'],
    ['negative', { prompt: 'a cat' }, 400, 'invalid_request'],
  ])('refuses: %s with %j', async (name, parameters, status, code) => {
    const response = await post(`/run/${name}`, { inputs: toBase64(grey), ...(parameters && { parameters }) })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ error: { code } })
  })
})
