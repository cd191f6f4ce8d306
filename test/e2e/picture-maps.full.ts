import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceClient } from '@huggingface/inference'
import {
  type BackgroundRemovalPipeline,
  type DepthEstimationPipeline,
  type ImageSegmentationPipeline,
  pipeline,
  RawImage,
} from '@huggingface/transformers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { decodeImage } from '../../src/media/image/decode.ts'
import { encodePng } from '../../src/media/image/png-encode.ts'
import { resize } from '../../src/media/image/resize.ts'
import { segformerModel } from '../../synthetic/segformer.ts'
import { fromBase64, toBase64 } from '../fixtures/base64.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { type HubFiles, type TransformersFolder, transformersFolder } from '../fixtures/node/transformers-folder.ts'
import { planeModel, queriesModel, SIDE } from '../fixtures/picture-map-models.ts'
import { pngSamples } from '../fixtures/png-samples.ts'

/**
 * Both sides run the same weights in single precision, in other orders of addition, and interpolate in double and in single
 * precision: where two classes are nearly equal, a pixel may be of either.
 */
const OTHER_PIXELS = 0.001
const LEVELS = 1
const LABELS = ['wall', 'building', 'sky', 'floor', 'tree']
const id2label = Object.fromEntries(LABELS.entries())
const IMAGENET = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] }
const PROCESSOR = { ...IMAGENET, do_normalize: true, do_rescale: true, do_resize: true, resample: 2 }
const SQUARE = { size: { height: SIDE, width: SIDE } }

/** Of weights with which several classes win somewhere in the picture below. */
const SEED = 10_000

const files = (config: object, processor: object): HubFiles => ({
  'config.json': { ...config, id2label },
  'preprocessor_config.json': { ...PROCESSOR, ...SQUARE, ...processor },
})
const MODELS: Readonly<Record<string, readonly [Uint8Array, HubFiles]>> = {
  segformer: [
    segformerModel(
      {
        side: SIDE,
        classes: LABELS.length,
        channels: [8, 16, 16, 32],
        depths: [1, 1, 1, 1],
        heads: [1, 2, 2, 4],
        reductions: [4, 2, 2, 1],
        decoder: 16,
      },
      SEED,
    ),
    files(
      { architectures: ['SegformerForSemanticSegmentation'], model_type: 'segformer' },
      { image_processor_type: 'SegformerImageProcessor', do_reduce_labels: true },
    ),
  ],
  maskformer: [
    queriesModel(['class_queries_logits', 'masks_queries_logits'], 16, LABELS.length),
    files(
      { architectures: ['MaskFormerForInstanceSegmentation'], model_type: 'maskformer' },
      { image_processor_type: 'MaskFormerImageProcessor', size_divisor: 32 },
    ),
  ],
  'detr-panoptic': [
    queriesModel(['logits', 'pred_masks'], 16, LABELS.length),
    files(
      { architectures: ['DetrForSegmentation'], model_type: 'detr' },
      { image_processor_type: 'DetrImageProcessor' },
    ),
  ],
  modnet: [
    planeModel('output', 'shares'),
    files({ architectures: ['MODNet'], model_type: 'modnet' }, { feature_extractor_type: 'ImageFeatureExtractor' }),
  ],
  rawmatte: [
    planeModel('output', 'logits'),
    files({ architectures: ['BiRefNet'], model_type: 'birefnet' }, { feature_extractor_type: 'ImageFeatureExtractor' }),
  ],
  depth: [
    planeModel('predicted_depth', 'depth'),
    files(
      { architectures: ['DepthAnythingForDepthEstimation'], model_type: 'depth_anything' },
      { image_processor_type: 'DPTImageProcessor', keep_aspect_ratio: true, ensure_multiple_of: 16 },
    ),
  ],
}

interface Mask {
  readonly label: string
  readonly score?: number
  readonly mask: string
}

/** Models pushed from folders as the hub has them, in a running Worker, beside transformers.js on the same files. */
describe('picture maps in a running Worker', () => {
  let worker: LiveWorker
  let folder: TransformersFolder
  let picture: Uint8Array<ArrayBuffer>
  let image: RawImage

  beforeAll(async () => {
    folder = await transformersFolder()
    for (const [name, [model, hub]] of Object.entries(MODELS)) await folder.add(name, model, hub)
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    for (const name of Object.keys(MODELS)) await publish(writer, await folder.packed(name))
    const photo = readFileSync(join(ROOT, 'models/digits/samples/photo.png'))
    const small = resize(decodeImage(photo, { maxPixels: 1e7, maxScans: 1 }), SIDE, SIDE)
    // Colours that a photograph of paper does not have. Of the models' own size: transformers.js resizes otherwise than Pillow.
    const data = new Uint8Array(3 * SIDE * SIDE)
    for (let i = 0; i < SIDE * SIDE; i++) {
      const [x, y] = [i % SIDE, Math.floor(i / SIDE)]
      const grey = small.data[i * small.channels] ?? 0
      data.set([grey, (grey + 4 * x) % 256, Math.abs(255 - 4 * y - Math.floor(grey / 3))], 3 * i)
    }
    picture = await encodePng({ width: SIDE, height: SIDE, channels: 3, data })
    image = await RawImage.fromBlob(new Blob([picture], { type: 'image/png' }))
    expect([...image.data]).toEqual([...data])
  })
  afterAll(async () => {
    await worker?.dispose()
    await folder?.remove()
  })

  async function post(model: string, parameters: object = {}): Promise<Response> {
    const response = await fetch(`${worker.url}/run/${model}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ inputs: toBase64(picture), parameters }),
    })
    if (response.status !== 200) throw new Error(await response.text())
    return response
  }
  const segment = async (model: string, parameters: object = {}): Promise<Mask[]> =>
    (await post(model, parameters)).json() as Promise<Mask[]>

  async function expectSame(
    own: readonly Mask[],
    reference: Awaited<ReturnType<ImageSegmentationPipeline>>,
  ): Promise<void> {
    expect(own.map(({ label }) => label)).toEqual(reference.map(({ label }) => label))
    for (const [i, { mask, score }] of own.entries()) {
      const other = reference[i]
      const { data, width, height } = await pngSamples(fromBase64(mask))
      expect([width, height]).toEqual([other?.mask.width, other?.mask.height])
      const different = data.filter((level, at) => level !== other?.mask.data[at]).length
      expect(different / data.length, `${other?.label}`).toBeLessThanOrEqual(OTHER_PIXELS)
      if (other?.score === null) expect(score).toBeUndefined()
      else expect(score).toBeCloseTo(other?.score ?? Number.NaN, 4)
    }
  }

  it.each(['segformer', 'maskformer', 'detr-panoptic'])('segments as transformers.js does: %s', async (name) => {
    const reference: ImageSegmentationPipeline = await pipeline('image-segmentation', name, { dtype: 'fp32' })
    const own = await segment(name)
    expect(own.length).toBeGreaterThan(1)
    await expectSame(own, await reference(image))
    const [width, height] = [150, 90]
    const sized = await segment(name, { target_size: { width, height } })
    await expectSame(sized, await reference(image, { target_sizes: [[height, width]] } as object))
    if (name === 'segformer') return
    const sure = await segment(name, { threshold: 0.9 })
    await expectSame(sure, await reference(image, { threshold: 0.9 }))
    expect(sure.length).toBeLessThan(own.length)
  })

  it.each(['modnet', 'rawmatte'])('removes backgrounds as transformers.js does: %s', async (name) => {
    const reference: BackgroundRemovalPipeline = await pipeline('background-removal', name, { dtype: 'fp32' })
    const expected = (await reference(image)) as RawImage
    const { data, width, height } = await pngSamples(new Uint8Array(await (await post(name)).arrayBuffer()))
    expect([width, height, data.length]).toEqual([expected.width, expected.height, expected.data.length])
    const levels = new Set<number>()
    for (const [i, level] of data.entries()) {
      const wanted = expected.data[i] ?? Number.NaN
      if (i % 4 < 3) expect(level).toBe(wanted)
      else {
        // transformers.js cuts fractions off.
        expect(Math.abs(level - wanted)).toBeLessThanOrEqual(LEVELS)
        levels.add(level)
      }
    }
    expect(levels.size).toBeGreaterThan(20)
  })

  it('estimates depth as transformers.js does', async () => {
    const reference: DepthEstimationPipeline = await pipeline('depth-estimation', 'depth', { dtype: 'fp32' })
    const expected = await reference(image)
    const { depth, predicted_depth: numbers } = Array.isArray(expected) ? (expected[0] ?? expected) : expected
    const answer = (await (await post('depth', { predicted_depth: 'base64' })).json()) as Record<string, string>
    const own = new Float32Array(fromBase64(answer.predicted_depth ?? '').buffer)
    expect(own.length).toBe(SIDE * SIDE)
    for (const [i, value] of own.entries()) expect(Math.abs(value - Number(numbers.data[i]))).toBeLessThan(1e-5)
    const png = await pngSamples(fromBase64(answer.depth ?? ''))
    for (const [i, level] of png.data.entries()) {
      expect(Math.abs(level - (depth.data[i] ?? Number.NaN))).toBeLessThanOrEqual(LEVELS)
    }
  })

  it("answers the client of Hugging Face's inference API", async () => {
    const client = new InferenceClient('a-token')
    const answer = await client.imageSegmentation({
      endpointUrl: `${worker.url}/models/maskformer`,
      inputs: new Blob([picture], { type: 'image/png' }),
      parameters: { threshold: 0.6, subtask: 'panoptic' },
    })
    expect(answer).toEqual(await segment('maskformer', { threshold: 0.6 }))
    const semantic = await client.imageSegmentation({
      endpointUrl: `${worker.url}/models/segformer`,
      inputs: new Blob([picture], { type: 'image/png' }),
    })
    expect(semantic).toEqual(await segment('segformer'))
    const refused = client.imageSegmentation({
      endpointUrl: `${worker.url}/models/segformer`,
      inputs: new Blob([picture], { type: 'image/png' }),
      parameters: { subtask: 'panoptic' },
    })
    await expect(refused).rejects.toThrow(/tells classes apart/)
  })
})
