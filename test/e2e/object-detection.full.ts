import { InferenceClient } from '@huggingface/inference'
import { type ObjectDetectionPipeline, pipeline, RawImage } from '@huggingface/transformers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { publish } from '../../src/cli/push/publish.ts'
import { referenceSession } from '../../src/cli/verify/reference.ts'
import { tensor } from '../../src/core/tensors.ts'
import { encodePng } from '../../src/media/image/png-encode.ts'
import { queryDetector } from '../../synthetic/detectors.ts'
import { seededFloats } from '../../synthetic/onnx.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { type TransformersFolder, transformersFolder } from '../fixtures/node/transformers-folder.ts'

/**
 * Both sides run the same weights on the same pixels in single precision, in other orders of addition. transformers.js cuts
 * fractions of a pixel off, Verge rounds: a side may be one pixel further.
 */
const SCORE = 1e-4
const PIXEL = 1

const LABELS = ['cat', 'dog', 'remote']
const id2label = Object.fromEntries(LABELS.entries())
const label2id = Object.fromEntries(LABELS.map((label, id) => [label, id]))
const IMAGENET = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] }
const processor = (type: string, size: object) => ({
  ...IMAGENET,
  ...{ do_normalize: true, do_rescale: true, do_resize: true, do_pad: true, resample: 2, rescale_factor: 1 / 255 },
  image_processor_type: type,
  feature_extractor_type: type.replace('ImageProcessor', 'FeatureExtractor'),
  size,
})
/**
 * As large as the picture: transformers.js scales pictures up to the longest edge, where transformers takes it for a bound.
 */
const EDGES = { shortest_edge: 64, longest_edge: 96 }

interface Found {
  readonly label: string
  readonly score: number
  readonly box: { readonly xmin: number; readonly ymin: number; readonly xmax: number; readonly ymax: number }
}

/** A picture of random pixels, in the size that the processors make of it, so that nobody's resizing has a part in this. */
async function picture(width: number, height: number): Promise<Uint8Array<ArrayBuffer>> {
  const data = Uint8Array.from(seededFloats(width * height * 3, 77), (value) => Math.abs(value * 100_000) % 256)
  return new Uint8Array(await encodePng({ width, height, channels: 3, data }))
}

const byScore = (a: Found, b: Found): number => b.score - a.score

describe('object detection beside transformers.js', () => {
  let worker: LiveWorker
  let folder: TransformersFolder
  let png: Uint8Array<ArrayBuffer>
  const sigmoid = queryDetector({ queries: 20, scores: LABELS.length, seed: 3 })

  beforeAll(async () => {
    folder = await transformersFolder()
    png = await picture(96, 64)
    const config = (architecture: string, type: string) => ({
      'config.json': { architectures: [architecture], model_type: type, id2label, label2id },
    })
    await folder.add('detr', queryDetector({ queries: 30, scores: LABELS.length + 1, masked: true, seed: 1 }), {
      ...config('DetrForObjectDetection', 'detr'),
      'preprocessor_config.json': processor('DetrImageProcessor', EDGES),
    })
    await folder.add('yolos', queryDetector({ queries: 30, scores: LABELS.length + 1, seed: 2 }), {
      ...config('YolosForObjectDetection', 'yolos'),
      'preprocessor_config.json': processor('YolosImageProcessor', EDGES),
    })
    await folder.add('rt-detr', sigmoid, {
      ...config('RTDetrForObjectDetection', 'rt_detr'),
      'preprocessor_config.json': {
        ...{ image_processor_type: 'RTDetrImageProcessor', do_normalize: false, do_rescale: true, do_resize: true },
        ...{ resample: 2, rescale_factor: 1 / 255, size: { height: 64, width: 96 } },
      },
    })
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    for (const name of ['detr', 'yolos', 'rt-detr']) await publish(writer, await folder.packed(name))
  }, 300_000)
  afterAll(async () => {
    await worker?.dispose()
    await folder?.remove()
  })

  async function ask(model: string, body = png, query = ''): Promise<Found[]> {
    const headers = { 'content-type': 'image/png' }
    const response = await fetch(`${worker.url}/run/${model}${query}`, { method: 'POST', headers, body })
    const answer = await response.json()
    expect(response.status, JSON.stringify(answer)).toBe(200)
    return answer as Found[]
  }

  /** Each of the one is one of the other: by score alone, equals could come in either order. */
  function expectSame(own: readonly Found[], reference: readonly Found[]): void {
    expect(reference.length).toBeGreaterThan(2)
    const left = [...own]
    for (const expected of reference) {
      const at = left.findIndex((found) => isSame(found, expected))
      expect(at, `${JSON.stringify(expected)} among ${JSON.stringify(left)}`).toBeGreaterThanOrEqual(0)
      left.splice(at, 1)
    }
    expect(left).toEqual([])
    const scores = own.map(({ score }) => score)
    expect(scores).toEqual(scores.toSorted((a, b) => b - a))
  }

  function isSame(own: Found, reference: Found): boolean {
    if (own.label !== reference.label || Math.abs(own.score - reference.score) >= SCORE) return false
    return (['xmin', 'ymin', 'xmax', 'ymax'] as const).every((side) => {
      // Boxes are cut at the picture's edges here, and not there.
      const within = Math.min(side.startsWith('x') ? 96 : 64, Math.max(0, reference.box[side]))
      return Math.abs(own.box[side] - within) <= PIXEL
    })
  }

  it.each(['detr', 'yolos'])('answers what its pipeline answers: %s', async (name) => {
    const reference: ObjectDetectionPipeline = await pipeline('object-detection', name, { dtype: 'fp32' })
    const image = await RawImage.fromBlob(new Blob([png]))
    const expected = (await reference(image, { threshold: 0.5 })) as Found[]
    await reference.dispose()
    expectSame(await ask(name), expected)
    expect((await ask(name)).some(({ label }) => label !== 'cat')).toBe(true)
  })

  it('answers what RT-DETR is defined to answer, by onnxruntime-node: its pipeline takes a softmax where there is none', async () => {
    const reference = await referenceSession(sigmoid, new AbortController().signal)
    const image = (await RawImage.fromBlob(new Blob([png]))).rgb()
    const values = Float32Array.from({ length: 3 * 64 * 96 }, (_, i) => {
      const [channel, pixel] = [Math.floor(i / (64 * 96)), i % (64 * 96)]
      return (image.data[pixel * 3 + channel] ?? 0) / 255
    })
    const outputs = await reference.run(new Map([['pixel_values', tensor('FP32', [1, 3, 64, 96], values)]]), {
      signal: new AbortController().signal,
    })
    reference.dispose()
    const logits = outputs.get('logits')?.data as Float32Array
    const boxes = outputs.get('pred_boxes')?.data as Float32Array
    const expected = Array.from(logits, (logit, i): Found => {
      const [cx = 0, cy = 0, w = 0, h = 0] = boxes.slice(Math.floor(i / 3) * 4, Math.floor(i / 3) * 4 + 4)
      return {
        label: LABELS[i % 3] ?? '',
        score: 1 / (1 + Math.exp(-logit)),
        box: { xmin: (cx - w / 2) * 96, ymin: (cy - h / 2) * 64, xmax: (cx + w / 2) * 96, ymax: (cy + h / 2) * 64 },
      }
    })
    const best = expected.toSorted(byScore).slice(0, 20)
    expectSame(
      await ask('rt-detr'),
      best.filter(({ score }) => score >= 0.5),
    )
  })

  it("is called by Hugging Face's client", async () => {
    const client = new InferenceClient('hf_anything', { endpointUrl: `${worker.url}/models/detr` })
    const found = (await client.objectDetection({ data: new Blob([png], { type: 'image/png' }) })) as Found[]
    expect(found).toEqual(await ask('detr'))
    expect(found.length).toBeGreaterThan(2)
  })

  it.each([
    [1, 1],
    [1, 300],
    [300, 1],
    [301, 17],
  ])('takes a picture of %i x %i pixels', async (width, height) => {
    for (const name of ['detr', 'yolos', 'rt-detr']) {
      for (const { box } of await ask(name, await picture(width, height), '?threshold=0')) {
        expect(box.xmin).toBeGreaterThanOrEqual(0)
        expect(box.xmax).toBeLessThanOrEqual(width)
        expect(box.ymax).toBeLessThanOrEqual(height)
      }
    }
  })

  it('answers no more boxes than it has queries, however many are sure enough', async () => {
    expect((await ask('rt-detr', png, '?threshold=0')).length).toBeLessThanOrEqual(20)
    expect((await ask('detr', png, '?threshold=0')).length).toBeLessThanOrEqual(30)
  })

  it('is described by the files of the hub alone', async () => {
    const { notes, manifest } = await folder.packed('detr')
    expect(notes).toContain('task object-detection, by its architecture DetrForObjectDetection')
    expect(notes).toContain('scores by softmax; the last class means "no object"')
    expect(manifest.image).toMatchObject({ fit: 'shortest', resize: 64, size: [96, 96] })
  })
})
