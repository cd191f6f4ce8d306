import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../src/catalog/manifest.ts'
import type { LIMITS } from '../../src/core/limits.ts'
import { type Signature, type Tensors, tensor } from '../../src/core/tensors.ts'
import { greyPng } from '../../synthetic/png.ts'
import { fromBase64, toBase64 } from '../fixtures/base64.ts'
import { testApp, testModel } from '../fixtures/http.ts'
import { pngSamples } from '../fixtures/png-samples.ts'

const PNG = { 'content-type': 'image/png' }
const thresholds = { threshold: 0.5, maskThreshold: 0.5, overlapMaskAreaThreshold: 0.8 }

type Segmentation = NonNullable<Manifest['segmentation']>

function model(
  name: string,
  compute: () => Tensors,
  segmentation: Partial<Segmentation>,
  manifest: Partial<Manifest> = {},
) {
  const fields: Partial<Manifest> & Signature = {
    task: 'image-segmentation',
    inputs: [{ name: 'pixels', datatype: 'FP32', shape: [1, 1, 4, 4] }],
    outputs: [],
    labels: ['sky', 'road', 'tree'],
    image: { mode: 'L', size: [4, 4], fit: 'stretch', rescale: 1, layout: 'NCHW' },
    segmentation: { head: 'classes', ...thresholds, ...segmentation },
    ...manifest,
  }
  return testModel(name, 'public', fields, { compute })
}

const fp32 = (shape: readonly number[], data: readonly number[]) => tensor('FP32', shape, Float32Array.from(data))
const one = (name: string, shape: readonly number[], data: readonly number[]): Tensors =>
  new Map([[name, fp32(shape, data)]])

/** Sky above, road below on the left and tree on the right, in a map of 2 x 2. */
const SCENE = [9, 9, 0, 0, 0, 0, 9, 0, 0, 0, 0, 9]
const scene = model('scene', () => one('logits', [1, 3, 2, 2], SCENE), {})
const sceneLast = model('scene-last', () => one('out', [1, 2, 2, 3], [9, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9]), {})
const chosen = model(
  'chosen',
  () => new Map([['classes', tensor('INT64', [1, 2, 2], BigInt64Array.of(0n, 0n, 1n, 77n))]]),
  {},
)
const foreground = model('foreground', () => one('mask', [1, 1, 2, 2], [0, 1, 0, 1]), {}, { labels: ['person'] })
const unlabelled = model(
  'unlabelled',
  () => new Map([['classes', tensor('INT64', [1, 2, 2], BigInt64Array.of(0n, 0n, 3n, -1n))]]),
  {},
  { labels: undefined },
)
const boxed = model(
  'boxed',
  () => one('logits', [1, 3, 2, 2], SCENE),
  {},
  {
    image: { mode: 'L', size: [4, 4], fit: 'letterbox', rescale: 1, layout: 'NCHW' },
  },
)
const wide = model('wide', () => one('logits', [1, 5, 2, 2], new Array(20).fill(0)), {})
const infinite = model('infinite', () => one('logits', [1, 3, 2, 2], [...SCENE.slice(1), Number.NaN]), {})
const cropped = model(
  'cropped',
  () => one('logits', [1, 3, 2, 2], SCENE),
  {},
  {
    image: { mode: 'L', size: [4, 4], fit: 'crop', rescale: 1, layout: 'NCHW' },
  },
)
const unsettled = testModel(
  'unsettled',
  'public',
  { ...scene.manifest, segmentation: undefined },
  {
    compute: () => new Map(),
  },
)

/** Four things: a sure tree on the left, a road everywhere, a second road that others cover, and nothing. */
const LEFT = [5, -5, 5, -5]
const ALL = [1, 1, 1, 1]
const QUERIES: Tensors = new Map([
  ['class_queries_logits', fp32([1, 4, 4], [0, 0, 6, 0, 0, 6, 0, 0, 0, 3, 0, 0, 0, 0, 0, 6])],
  ['masks_queries_logits', fp32([1, 4, 2, 2], [...LEFT, ...ALL, ...LEFT, ...ALL])],
])
const things = model('things', () => QUERIES, { head: 'queries', overlapMaskAreaThreshold: 0.4 })
const fused = model(
  'fused',
  () =>
    new Map([
      ['logits', fp32([1, 2, 4], [0, 6, 0, 0, 0, 7, 0, 0])],
      ['pred_masks', fp32([1, 2, 1, 2], [5, -5, -5, 5])],
    ]),
  { head: 'queries', fuse: [1] },
)
const maskless = model('maskless', () => one('class_queries_logits', [1, 4, 4], new Array(16).fill(0)), {
  head: 'queries',
})

const models = [
  scene,
  sceneLast,
  chosen,
  foreground,
  unlabelled,
  boxed,
  wide,
  infinite,
  cropped,
  unsettled,
  things,
  fused,
  maskless,
]
const { post } = testApp({ models })
const picture = await greyPng(8, 4, new Uint8Array(32).fill(90))

interface Mask {
  readonly label: string
  readonly score?: number
  readonly mask: string
}
interface IndexMap {
  readonly map: string
  readonly segments: readonly { id: number; label: string; score?: number; pixels: number; color: string }[]
}

async function ask<T = Mask[]>(name: string, parameters: object = {}, image = picture): Promise<T> {
  const response = await post(`/run/${name}`, { inputs: toBase64(image), parameters })
  const text = await response.text()
  expect(response.status, text).toBe(200)
  return JSON.parse(text)
}

/** Rows of a mask, with # for what is of it. */
async function drawn(mask: string): Promise<string[]> {
  const { width, height, depth, colour, data } = await pngSamples(fromBase64(mask))
  expect([depth, colour]).toEqual([8, 0])
  return Array.from({ length: height }, (_, y) =>
    [...data.subarray(y * width, (y + 1) * width)].map((level) => ({ 0: '.', 255: '#' })[level] ?? '?').join(''),
  )
}
const drawnAll = async (masks: readonly Mask[]) =>
  Object.fromEntries(await Promise.all(masks.map(async ({ label, mask }) => [label, await drawn(mask)] as const)))

describe('semantic segmentation', () => {
  const TREE = ['........', '........', '....####', '....####']
  const SCENES = {
    sky: ['########', '########', '........', '........'],
    road: TREE.map((row) => [...row].reverse().join('')),
    tree: TREE,
  }

  it.each(['scene', 'scene-last'])(
    'answers a mask for each class that is there, in the picture’s size: %s',
    async (name) => {
      const masks = await ask(name)
      expect(masks.map(({ label, score }) => [label, score])).toEqual([
        ['sky', undefined],
        ['road', undefined],
        ['tree', undefined],
      ])
      expect(await drawnAll(masks)).toEqual(SCENES)
    },
  )

  it('takes raw bytes, with parameters in the query', async () => {
    const response = await post('/run/scene?target_size={"width":4,"height":2}', picture, PNG)
    expect((await drawnAll(await response.json())).tree).toEqual(['....', '..##'])
  })

  it('takes classes that the model has chosen, and leaves out what is none', async () => {
    expect(await drawnAll(await ask('chosen'))).toEqual({ sky: SCENES.sky, road: SCENES.road })
  })

  it('takes the margins of the model’s input off', async () => {
    // In 4 x 4, a picture of 8 x 4 is rows 1 and 2: the border lies in its middle.
    expect(await drawnAll(await ask('boxed'))).toEqual(SCENES)
  })

  it('answers one map of the numbers of classes, with a palette', async () => {
    const { map, segments } = await ask<IndexMap>('scene', { format: 'map' })
    const { width, height, colour, data, palette } = await pngSamples(fromBase64(map))
    expect([width, height, colour]).toEqual([8, 4, 3])
    expect([...data]).toEqual([...new Array(16).fill(0), 1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 1, 2, 2, 2, 2])
    expect(segments.map(({ id, label, pixels }) => [id, label, pixels])).toEqual([
      [0, 'sky', 16],
      [1, 'road', 8],
      [2, 'tree', 8],
    ])
    const colours = segments.map(({ id }) => `#${toHex(palette?.subarray(3 * id, 3 * id + 3) ?? new Uint8Array())}`)
    expect(segments.map(({ color }) => color)).toEqual(colours)
    expect(new Set(colours).size).toBe(3)
    const some = await ask<IndexMap>('chosen', { format: 'map' })
    // Where there are pixels of no class, 0 is theirs.
    expect(some.segments.map(({ id, label }) => [id, label])).toEqual([
      [1, 'sky'],
      [2, 'road'],
    ])
  })

  it('answers grey levels for a model of one class', async () => {
    const [only, ...others] = await ask('foreground', {}, await greyPng(2, 2, new Uint8Array(4)))
    expect([only?.label, others]).toEqual(['person', []])
    expect([...(await pngSamples(fromBase64(only?.mask ?? ''))).data]).toEqual([0, 255, 0, 255])
  })

  it('answers a map for a model of one class, of what is more likely than not', async () => {
    const { map, segments } = await ask<IndexMap>(
      'foreground',
      { format: 'map' },
      await greyPng(2, 2, new Uint8Array(4)),
    )
    expect([...(await pngSamples(fromBase64(map))).data]).toEqual([0, 1, 0, 1])
    expect(segments).toEqual([{ id: 1, label: 'person', pixels: 2, color: '#800000' }])
  })

  it('names classes by their numbers where the model that has chosen them has no labels', async () => {
    const masks = await ask('unlabelled')
    expect(masks.map(({ label }) => label)).toEqual(['LABEL_0', 'LABEL_3'])
  })

  it.each([
    ['one pixel', 1, 1],
    ['very wide', 3000, 1],
    ['very high', 1, 3000],
  ])('answers masks of a picture of %s', async (_, width, height) => {
    const masks = await ask('scene', {}, await greyPng(width, height, new Uint8Array(width * height)))
    const all = await Promise.all(masks.map(({ mask }) => pngSamples(fromBase64(mask))))
    const sums = new Uint32Array(width * height)
    for (const mask of all) {
      expect([mask.width, mask.height]).toEqual([width, height])
      for (const [i, level] of mask.data.entries()) sums[i] = (sums[i] ?? 0) + level
    }
    expect(sums.every((sum) => sum === 255)).toBe(true)
  })
})

describe('segmentation of things', () => {
  it('answers things that do not overlap, surest where they do, with their scores', async () => {
    const masks = await ask('things')
    const sure = Math.exp(6) / (Math.exp(6) + 3)
    expect(masks.map(({ label }) => label)).toEqual(['tree', 'road'])
    for (const { score } of masks) expect(score).toBeCloseTo(sure, 6)
    // Where the tree's mask falls below the road's, the road begins.
    expect(await drawnAll(masks)).toEqual({ tree: new Array(4).fill('###.....'), road: new Array(4).fill('...#####') })
  })

  it('leaves out what others cover, and what is not sure', async () => {
    expect((await ask('things', { overlap_mask_area_threshold: 0.7 })).map(({ label }) => label)).toEqual(['tree'])
    expect(await ask('things', { threshold: 0.999 })).toEqual([])
    const { segments } = await ask<IndexMap>('things', { threshold: 0.999, format: 'map' })
    expect(segments).toEqual([])
  })

  it('counts segments from 1 in a map', async () => {
    const { map, segments } = await ask<IndexMap>('things', { format: 'map' })
    expect([...(await pngSamples(fromBase64(map))).data.subarray(0, 8)]).toEqual([1, 1, 1, 2, 2, 2, 2, 2])
    expect(segments.map(({ id, label, pixels }) => [id, label, pixels])).toEqual([
      [1, 'tree', 12],
      [2, 'road', 20],
    ])
  })

  it('makes one segment of all things of a class that is to be fused', async () => {
    const masks = await ask('fused')
    expect(masks.map(({ label }) => label)).toEqual(['road'])
    expect(masks[0]?.score).toBeCloseTo(Math.exp(7) / (Math.exp(7) + 3), 6)
    expect(await drawn(masks[0]?.mask ?? '')).toEqual(new Array(4).fill('########'))
  })

  it('scores instances by class and mask, and shows the surer one', async () => {
    const masks = await ask('things', { subtask: 'instance', threshold: 0.6 })
    const [class6, class3] = [6, 3].map((logit) => Math.exp(logit) / (Math.exp(logit) + 3)) as [number, number]
    const sigmoid = (value: number) => 1 / (1 + Math.exp(-value))
    expect(masks.map(({ label }) => label)).toEqual(['tree', 'road'])
    expect(masks[0]?.score).toBeCloseTo(class6 * sigmoid(5), 6)
    expect(masks[1]?.score).toBeCloseTo(class6 * sigmoid(1), 6)
    // The second road, which the first one and the tree hide, is sure enough, and has no pixel.
    expect(class3 * sigmoid(5)).toBeGreaterThan(0.6)
    expect(await drawnAll(masks)).toEqual({ tree: new Array(4).fill('####....'), road: new Array(4).fill('....####') })
  })

  it('sums masks by their classes for semantic segmentation', async () => {
    const masks = await ask('things', { subtask: 'semantic' })
    expect(masks.map(({ label, score }) => [label, score])).toEqual([['road', undefined]])
  })
})

describe('segmentation that cannot be', () => {
  it.each([
    ['wide', {}, 500, 'manifest_invalid', /no output of scores \[1, C, h, w\] for its 3 labels, but \[1, 5, 2, 2\]/],
    ['infinite', {}, 400, 'run_rejected', /not a finite number/],
    ['cropped', {}, 500, 'manifest_invalid', /crops images/],
    ['unsettled', {}, 500, 'manifest_invalid', /postprocess\.segmentation/],
    ['maskless', {}, 500, 'manifest_invalid', /no output of masks/],
    ['scene', { subtask: 'panoptic' }, 400, 'invalid_request', /tells classes apart/],
    ['scene', { subtask: 'all' }, 400, 'invalid_request', /subtask/],
    ['scene', { threshold: 2 }, 400, 'invalid_request', /threshold/],
    ['scene', { format: 'svg' }, 400, 'invalid_request', /format/],
    ['scene', { target_size: { width: 60_000, height: 60_000 } }, 413, 'input_too_large', /target_size/],
  ])('says what is wrong: %s with %j', async (name, parameters, status, code, message) => {
    const response = await post(`/run/${name}`, { inputs: toBase64(picture), parameters })
    const { error } = await response.json<{ error: { code: string; message: string } }>()
    expect([response.status, error.code], error.message).toEqual([status, code])
    expect(error.message).toMatch(message)
  })

  it('refuses more masks than an answer may have, and a larger picture, before anything runs', async () => {
    let runs = 0
    const counted = model(
      'counted',
      () => {
        runs++
        return one('logits', [1, 3, 2, 2], SCENE)
      },
      {},
    )
    const refusal = async (limits: Partial<typeof LIMITS>, parameters: object = {}) => {
      const response = await testApp({ models: [counted], limits }).post('/run/counted', {
        inputs: toBase64(picture),
        parameters,
      })
      return { status: response.status, text: await response.text() }
    }
    const masks = await refusal({ pixelBytes: 300 })
    expect(masks).toMatchObject({ status: 413, text: expect.stringMatching(/up to 3 segments.*format/) })
    const pixels = await refusal({ imagePixels: 20, fullImagePixels: 64 })
    expect(pixels).toMatchObject({ status: 413, text: expect.stringMatching(/8 x 4 pixels.*target_size/) })
    expect(runs).toBe(0)
    expect((await refusal({ pixelBytes: 300 }, { format: 'map' })).status).toBe(200)
    // A picture that is decoded smaller has no masks of its own size, but of another.
    const target = { target_size: { width: 4, height: 4 } }
    expect((await refusal({ imagePixels: 20, fullImagePixels: 64 }, target)).status).toBe(200)
    expect(runs).toBe(2)
  })
})

function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
