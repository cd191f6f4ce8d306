import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../src/catalog/manifest.ts'
import { type Signature, tensor } from '../../src/core/tensors.ts'
import { greyPng } from '../../synthetic/png.ts'
import { fromBase64, toBase64 } from '../fixtures/base64.ts'
import { testApp, testModel } from '../fixtures/http.ts'
import { pngSamples } from '../fixtures/png-samples.ts'

function model(name: string, output: string, shape: number[], data: number[], depth?: Manifest['depth']) {
  const fields: Partial<Manifest> & Signature = {
    task: 'depth-estimation',
    inputs: [{ name: 'pixels', datatype: 'FP32', shape: [1, 1, 2, 2] }],
    outputs: [],
    image: { mode: 'L', size: [2, 2], fit: 'stretch', rescale: 1, layout: 'NCHW' },
    depth,
  }
  return testModel(name, 'public', fields, {
    compute: () =>
      new Map([
        ['hidden', tensor('FP32', [1, 2, 3, 3], new Float32Array(18))],
        [output, tensor('FP32', shape, Float32Array.from(data))],
      ]),
  })
}

const models = [
  model('near', 'predicted_depth', [1, 2, 2], [10, 20, 30, 50]),
  model('four', 'depth', [1, 1, 2, 2], [10, 20, 30, 50], { output: 'depth' }),
  model('flat', 'predicted_depth', [1, 2, 2], [3, 3, 3, 3]),
  model('infinite', 'predicted_depth', [1, 2, 2], [3, Number.POSITIVE_INFINITY, 3, 3]),
]
const { post } = testApp({ models })
const picture = await greyPng(2, 2, new Uint8Array(4))

interface Depth {
  readonly depth: string
  readonly predicted_depth?: number[][] | string
  readonly width: number
  readonly height: number
  readonly minimum: number
  readonly maximum: number
}

async function ask(name: string, parameters: object = {}, image = picture): Promise<Depth> {
  const response = await post(`/run/${name}`, { inputs: toBase64(image), parameters })
  const text = await response.text()
  expect(response.status, text).toBe(200)
  return JSON.parse(text)
}

describe('depth estimation', () => {
  it.each(['near', 'four'])('answers a grey PNG from the least to the greatest number: %s', async (name) => {
    const { depth, ...others } = await ask(name)
    expect(others).toEqual({ width: 2, height: 2, minimum: 10, maximum: 50 })
    const png = await pngSamples(fromBase64(depth))
    expect([png.depth, png.colour, ...png.data]).toEqual([8, 0, 0, 63, 127, 255])
  })

  it('answers 16 bits where they are wanted', async () => {
    const png = await pngSamples(fromBase64((await ask('near', { bits: 16 })).depth))
    const levels = [0, 2, 4, 6].map((at) => 256 * (png.data[at] ?? 0) + (png.data[at + 1] ?? 0))
    expect([png.depth, ...levels]).toEqual([16, 0, 16383, 32767, 65535])
  })

  it('answers the numbers themselves, as such or as floats', async () => {
    expect((await ask('near', { predicted_depth: 'numbers' })).predicted_depth).toEqual([
      [10, 20],
      [30, 50],
    ])
    const { predicted_depth: floats } = await ask('near', { predicted_depth: 'base64' })
    expect([...new Float32Array(fromBase64(String(floats)).buffer)]).toEqual([10, 20, 30, 50])
  })

  it('answers in the size of the picture, or in another', async () => {
    const wide = await ask('near', { predicted_depth: 'numbers' }, await greyPng(4, 2, new Uint8Array(8)))
    expect([wide.width, wide.height]).toEqual([4, 2])
    expect(wide.predicted_depth).toEqual([
      [10, 12.5, 17.5, 20],
      [30, 35, 45, 50],
    ])
    const other = await ask('near', { predicted_depth: 'numbers', target_size: { width: 1, height: 1 } })
    expect(other.predicted_depth).toEqual([[27.5]])
    expect([...(await pngSamples(fromBase64(other.depth))).data]).toEqual([0])
  })

  it('refuses more numbers than an answer may have, in each form, before the model runs', async () => {
    const limited = testApp({ models, limits: { jsonOutputElements: 3, pixelBytes: 15 } })
    const refusal = async (predicted_depth: string) => {
      const response = await limited.post('/run/near', { inputs: toBase64(picture), parameters: { predicted_depth } })
      return response.json()
    }
    const message = expect.stringMatching(/^"predicted_depth" would have 4 numbers; the limit is 3\b.*target_size/)
    expect(await refusal('numbers')).toMatchObject({ error: { code: 'input_too_large', message } })
    expect(await refusal('base64')).toMatchObject({ error: { code: 'input_too_large', message } })
  })

  it('answers black where all is as far away, and refuses what is no number', async () => {
    expect([...(await pngSamples(fromBase64((await ask('flat')).depth))).data]).toEqual([0, 0, 0, 0])
    const response = await post('/run/infinite', { inputs: toBase64(picture) })
    expect(await response.json()).toMatchObject({ error: { code: 'run_rejected' } })
  })
})
