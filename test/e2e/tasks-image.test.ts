import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceClient } from '@huggingface/inference'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { decodeImage } from '../../src/media/image/decode.ts'
import { encodeJpeg, largePicture } from '../../synthetic/node/jpeg.ts'
import { onnxModel } from '../../synthetic/onnx.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel, writerFor } from '../fixtures/node/publish.ts'
import { haveRealModels, REAL_MODELS, REAL_SAMPLES, SKIP_REASON } from '../fixtures/node/real-models.ts'

const MiB = 1024 * 1024

if (!haveRealModels) console.warn(`SKIPPED: pictures and real models are not tested, because ${SKIP_REASON}`)

let worker: LiveWorker

beforeAll(async () => {
  worker = await startLiveWorker()
})
afterAll(() => worker.dispose())

async function run(model: string, bytes: Uint8Array<ArrayBuffer>, type = 'application/octet-stream') {
  return fetch(`${worker.url}/run/${model}`, { method: 'POST', headers: { 'content-type': type }, body: bytes })
}

describe('a picture of twelve megapixels', () => {
  // The mean of each channel: simple enough to say what is right, and next to nothing beside the picture.
  const shape = [1, 3, 224, 224]
  const model = onnxModel({
    inputs: [{ name: 'pixels', datatype: 'FP32', shape }],
    outputs: [{ name: 'means', datatype: 'FP32', shape: [1, 3] }],
    nodes: [
      { op: 'GlobalAveragePool', inputs: ['pixels'], outputs: ['pooled'] },
      { op: 'Flatten', inputs: ['pooled'], outputs: ['means'] },
    ],
  })
  const labels = ['red', 'green', 'blue']
  const settings = {
    mode: 'RGB',
    size: [224, 224],
    fit: 'crop',
    resize: 256,
    rescale: 1 / 255,
    layout: 'NCHW',
  } as const

  beforeAll(async () => {
    const signature = {
      inputs: [{ name: 'pixels', datatype: 'FP32' as const, shape }],
      outputs: [{ name: 'means', datatype: 'FP32' as const, shape: [1, 3] }],
    }
    await publishModel(await writerFor(worker), 'means', model, signature, {
      extra: { task: 'image-classification', labels, activation: 'none', image: { ...settings, size: [224, 224] } },
    })
  })

  it.each([
    ['sequential', false],
    ['progressive', true],
  ])('is classified with under 64 MB more in memory: %s', async (_, progressive) => {
    const large = await encodeJpeg(largePicture(4000, 3000), { quality: 85, progressive })
    const small = await encodeJpeg(largePicture(640, 480), { quality: 85, progressive })
    for (let i = 0; i < 3; i++) expect((await run('means', small)).status).toBe(200)
    const before = worker.residentBytes()
    let peak = before
    const watch = setInterval(() => {
      peak = Math.max(peak, worker.residentBytes())
    }, 3)
    for (let i = 0; i < 3; i++) {
      const response = await run('means', large)
      const answer = (await response.json()) as { label: string; score: number }[]
      expect(response.status, JSON.stringify(answer)).toBe(200)
      // Halves of 240 and 60 levels, and 7.5 of grain.
      const score = (label: string) => (answer.find((one) => one.label === label)?.score ?? 0) * 255
      expect(Math.abs(score('red') - 127.5)).toBeLessThan(2)
      expect(Math.abs(score('green') - 127.5)).toBeLessThan(2)
      expect(Math.abs(score('blue') - 37.5)).toBeLessThan(2)
    }
    clearInterval(watch)
    console.log(
      `${progressive ? 'progressive' : 'sequential'} JPEG of 12 megapixels and ${(large.length / 1e6).toFixed(1)} MB: ` +
        `workerd had ${Math.round(before / MiB)} MiB before, ${Math.round((peak - before) / MiB)} MiB more at most`,
    )
    expect(peak - before).toBeLessThan(64e6)
  })
})

describe.skipIf(!haveRealModels)(`real models (skipped only where ${SKIP_REASON})`, () => {
  const sample = (name: string) => new Uint8Array(readFileSync(join(REAL_SAMPLES, 'images', name)))

  beforeAll(async () => {
    const writer = await writerFor(worker)
    const base = { version: '1', visibility: 'public' }
    const imagenet = { rescale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    const descriptions = {
      'mobilenetv2-12-int8': {
        ...{ name: 'mobilenet', licence: 'Apache-2.0', task: 'image-classification' },
        artifacts: [{ file: 'model.onnx', dtype: 'int8' }],
        labels: Array.from({ length: 1000 }, (_, i) => `class ${i}`),
        activation: 'none',
        preprocess: {
          image: { mode: 'RGB', size: [224, 224], fit: 'crop', resize: 256, resample: 'bicubic', ...imagenet },
        },
      },
      'ultraface-rfb-320': {
        ...{ name: 'faces', licence: 'MIT', task: 'object-detection' },
        artifacts: [{ file: 'model.onnx', dtype: 'fp32' }],
        labels: ['background', 'face'],
        preprocess: {
          image: { mode: 'RGB', size: [240, 320], fit: 'stretch', rescale: 1, mean: [127], std: [128] },
        },
        postprocess: { detection: { head: 'ssd', units: 'relative', background: 0, threshold: 0.7, iou: 0.5 } },
      },
      'super-resolution-10': {
        ...{ name: 'larger', licence: 'Apache-2.0', task: 'image-to-image' },
        artifacts: [{ file: 'model.onnx', dtype: 'fp32' }],
        preprocess: {
          image: { mode: 'L', size: [224, 224], fit: 'stretch', resample: 'bicubic', rescale: 1 / 255 },
        },
        postprocess: { imageOutput: { colour: 'luma' } },
      },
    }
    for (const [folder, description] of Object.entries(descriptions)) {
      await publish(writer, await pack(descriptionSchema.parse({ ...base, ...description }), join(REAL_MODELS, folder)))
    }
  })

  it.each([
    ['chelsea.png', 'class 285', 18.74],
    ['coffee.png', 'class 967', 20.82],
    ['rocket.jpg', 'class 682', 11.05],
  ])('mobilenetv2-12-int8 knows %s, and is as sure as published', async (file, label, logit) => {
    const answer = (await (await run('mobilenet', sample(file))).json()) as { label: string; score: number }[]
    const place = answer.findIndex((each) => each.label === label)
    const score = answer[place]?.score ?? 0
    console.log(`${file}: ${label} ${score.toFixed(2)} in place ${place + 1}, published ${logit}`)
    // The published figures do not say how the pictures were resized and cut. For rocket.jpg onnxruntime-node answers
    // 10.4 to 14.1 for this label when the cut moves by a pixel or two, with another label first in most of them.
    const steady = file !== 'rocket.jpg'
    expect(place).toBeGreaterThanOrEqual(0)
    expect(place).toBeLessThan(steady ? 1 : 3)
    expect(Math.abs(score - logit)).toBeLessThan(steady ? 1.5 : 4)
  })

  it('ultraface finds the astronaut’s face where it is published', async () => {
    const found = (await (await run('faces', sample('astronaut.png'), 'image/png')).json()) as Detection[]
    expect(found).toHaveLength(1)
    const [face] = found
    expect(face?.label).toBe('face')
    expect(face?.score).toBeGreaterThan(0.999)
    const [xmin = 0, ymin = 0, xmax = 0, ymax = 0] = [0.351, 0.121, 0.524, 0.339].map((share) => share * 512)
    const overlap = intersectionOverUnion(face?.box ?? EMPTY, { xmin, ymin, xmax, ymax })
    console.log(`astronaut.png: overlap with the published box ${overlap.toFixed(3)}`)
    expect(overlap).toBeGreaterThanOrEqual(0.95)
  })

  it('ultraface takes the cat for a face, which is a known error of the model', async () => {
    const found = (await (await run('faces', sample('chelsea.png'))).json()) as Detection[]
    expect(found).toHaveLength(1)
    expect(found[0]?.score).toBeGreaterThan(0.9)
  })

  it('super-resolution answers a PNG, three times as large and as bright as published', async () => {
    const response = await run('larger', sample('chelsea.png'))
    expect(response.headers.get('content-type')).toBe('image/png')
    const answer = decodeImage(new Uint8Array(await response.arrayBuffer()), { maxPixels: MiB, maxScans: 1 })
    expect([answer.width, answer.height, answer.channels]).toEqual([672, 672, 3])
    let sum = 0
    for (let i = 0; i < answer.data.length; i += 3) {
      const [red = 0, green = 0, blue = 0] = answer.data.subarray(i, i + 3)
      sum += 0.299 * red + 0.587 * green + 0.114 * blue
    }
    const mean = sum / 255 / (672 * 672)
    console.log(`chelsea.png, three times as large: mean ${mean.toFixed(4)}, published 0.4708`)
    expect(Math.abs(mean - 0.4708)).toBeLessThan(0.002)
  })

  it('answers the calls of Hugging Face’s client', async () => {
    const client = new InferenceClient('', { endpointUrl: `${worker.url}/run/faces` })
    const inputs = new Blob([sample('astronaut.png')], { type: 'image/png' })
    const found = await client.objectDetection({ inputs })
    expect(found[0]?.box.xmin).toBeGreaterThan(150)
    const classes = await new InferenceClient('', { endpointUrl: `${worker.url}/run/mobilenet` }).imageClassification({
      inputs,
    })
    expect(classes).toHaveLength(5)
    const larger = new InferenceClient('', { endpointUrl: `${worker.url}/run/larger` })
    const picture = await larger.imageToImage({ inputs, parameters: { target_size: { width: 300, height: 200 } } })
    const decoded = decodeImage(new Uint8Array(await picture.arrayBuffer()), { maxPixels: MiB, maxScans: 1 })
    expect([decoded.width, decoded.height]).toEqual([300, 200])
  })
})

interface Box {
  readonly xmin: number
  readonly ymin: number
  readonly xmax: number
  readonly ymax: number
}
interface Detection {
  readonly label: string
  readonly score: number
  readonly box: Box
}
const EMPTY: Box = { xmin: 0, ymin: 0, xmax: 0, ymax: 0 }

function intersectionOverUnion(a: Box, b: Box): number {
  const width = Math.max(0, Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin))
  const height = Math.max(0, Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin))
  const area = ({ xmin, ymin, xmax, ymax }: Box): number => (xmax - xmin) * (ymax - ymin)
  return (width * height) / (area(a) + area(b) - width * height)
}
