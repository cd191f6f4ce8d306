import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../src/catalog/manifest.ts'
import { type Signature, type Tensors, tensor } from '../../src/core/tensors.ts'
import { encodePng } from '../../src/media/image/png-encode.ts'
import { greyPng } from '../../synthetic/png.ts'
import { toBase64 } from '../fixtures/base64.ts'
import { testApp, testModel } from '../fixtures/http.ts'
import { pngSamples } from '../fixtures/png-samples.ts'

const PNG = { 'content-type': 'image/png' }

type Matte = NonNullable<Manifest['matte']>

function model(name: string, outputs: Readonly<Record<string, readonly [number[], number[]]>>, matte?: Partial<Matte>) {
  const fields: Partial<Manifest> & Signature = {
    task: 'background-removal',
    inputs: [{ name: 'pixels', datatype: 'FP32', shape: [1, 3, 2, 2] }],
    outputs: [],
    image: { mode: 'RGB', size: [2, 2], fit: 'stretch', rescale: 1, layout: 'NCHW' },
    ...(matte && { matte: { activation: 'auto', normalize: false, ...matte } }),
  }
  const compute = (): Tensors =>
    new Map(
      Object.entries(outputs).map(([output, [shape, data]]) => [
        output,
        tensor('FP32', shape, Float32Array.from(data)),
      ]),
    )
  return testModel(name, 'public', fields, { compute })
}

const SQUARE = [1, 1, 2, 2]
const models = [
  model('shares', { alphas: [SQUARE, [0, 0.5, 1, 0.2]] }),
  model('logits', { output: [SQUARE, [0, -3, 3, 0]] }),
  model('stretched', { d0: [SQUARE, [2, 4, 6, 4]], d1: [SQUARE, [0, 0, 0, 0]] }, { normalize: true }),
  model('last', {
    output: [
      [1, 2, 2, 1],
      [0, 1, 1, 0],
    ],
  }),
  model(
    'named',
    {
      first: [SQUARE, [0, 0, 0, 0]],
      second: [
        [1, 2, 2],
        [1, 1, 1, 1],
      ],
    },
    { output: 'second' },
  ),
  model('flat', { output: [SQUARE, [7, 7, 7, 7]] }, { normalize: true }),
  model('classes', {
    output: [
      [1, 4],
      [0, 0, 0, 1],
    ],
  }),
]
const { post } = testApp({ models })
const COLOURS = Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7)
const picture = await encodePng({ width: 2, height: 2, channels: 3, data: COLOURS })

async function cutOut(name: string, body: Uint8Array<ArrayBuffer> | object = picture) {
  const response = body instanceof Uint8Array ? await post(`/run/${name}`, body, PNG) : await post(`/run/${name}`, body)
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('image/png')
  const png = await pngSamples(new Uint8Array(await response.arrayBuffer()))
  expect([png.depth, png.colour]).toEqual([8, 6])
  const pixels = Array.from({ length: png.width * png.height }, (_, i) => [...png.data.subarray(4 * i, 4 * i + 4)])
  return { ...png, alpha: pixels.map(([, , , alpha]) => alpha), colours: pixels.flatMap((pixel) => pixel.slice(0, 3)) }
}

describe('background removal', () => {
  it('answers the picture’s own pixels with a transparency', async () => {
    const { alpha, colours, width, height } = await cutOut('shares')
    expect([width, height]).toEqual([2, 2])
    expect(colours).toEqual([...COLOURS])
    expect(alpha).toEqual([0, 128, 255, 51])
  })

  it.each([
    // One number below 0 says that the sigmoid is still to be done.
    ['logits', [0, -3, 3, 0].map((value) => Math.round(255 / (1 + Math.exp(-value))))],
    ['stretched', [0, 128, 255, 128]],
    ['last', [0, 255, 255, 0]],
    ['named', [255, 255, 255, 255]],
    ['flat', [0, 0, 0, 0]],
  ])('takes what models answer: %s', async (name, expected) => {
    expect((await cutOut(name)).alpha).toEqual(expected)
  })

  it('answers in the size of the picture, or in another', async () => {
    const grey = await greyPng(6, 3, new Uint8Array(18).fill(40))
    const own = await cutOut('last', grey)
    expect([own.width, own.height]).toEqual([6, 3])
    expect(own.colours.every((level) => level === 40)).toBe(true)
    expect(own.alpha.slice(0, 6)).toEqual([0, 0, 85, 170, 255, 255])
    const other = await cutOut('last', { inputs: toBase64(grey), parameters: { target_size: { width: 3, height: 1 } } })
    expect([other.width, other.height, other.alpha]).toEqual([3, 1, [128, 128, 128]])
  })

  it('blames the manifest where no output is a number a pixel', async () => {
    const response = await post('/run/classes', picture, PNG)
    expect(response.status).toBe(500)
    expect(await response.json()).toMatchObject({
      error: { code: 'manifest_invalid', message: expect.stringMatching(/no output of one number a pixel/) },
    })
  })
})
