import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Tokenizer } from '@huggingface/tokenizers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { publish } from '../../src/cli/push/publish.ts'
import { tensor } from '../../src/core/tensors.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { loadNative } from '../fixtures/node/native.ts'
import { inferBinary, inferJson } from '../fixtures/node/oip-client.ts'
import { crop, type Picture, planes, readPicture, resize } from '../fixtures/node/pictures.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { haveRealModels, packRealModels, REAL_MODELS, REAL_SAMPLES, SKIP_REASON } from '../fixtures/node/real-models.ts'

if (!haveRealModels) console.warn(`SKIPPED: real models are not tested, because ${SKIP_REASON}`)

/** Third-party models, packed, served by the real Worker, against the results that INDEX.md beside them gives. */
describe.skipIf(!haveRealModels)(`real models (skipped only where ${SKIP_REASON})`, () => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    for (const packed of await packRealModels()) await publish(writer, packed)
  })
  afterAll(() => worker?.dispose())

  const floats = (answer: { data: unknown } | undefined): Float32Array => answer?.data as Float32Array
  const argmax = (values: ArrayLike<number>): number =>
    Array.from(values).reduce((best, value, index, all) => (value > (all[best] ?? 0) ? index : best), 0)

  it('mnist-8 gives its golden output', async () => {
    const set = join(REAL_MODELS, 'mnist-8/test_data_set_0')
    const raw = (file: string, bytes: number): Float32Array =>
      new Float32Array(new Uint8Array(readFileSync(join(set, file)).subarray(-bytes)).buffer)
    const outputs = await inferBinary(worker.url, 'mnist-8', [
      { name: 'Input3', datatype: 'FP32', shape: [1, 1, 28, 28], data: raw('input_0.pb', 784 * 4) },
    ])
    const golden = raw('output_0.pb', 40)
    const answer = floats(outputs.get('Plus214_Output_0'))
    expect(answer).toHaveLength(10)
    // The golden output runs into the hundreds; 1e-3 is some ten units in the last place there.
    for (const [index, value] of golden.entries()) expect(Math.abs((answer[index] ?? 0) - value)).toBeLessThan(1e-3)
  })

  it.each([
    ['chelsea.png', [[285, 18.74]]],
    ['coffee.png', [[967, 20.82]]],
    // An obelisk or a missile: 0.3 apart in the published result, which is less than the resizing makes.
    [
      'rocket.jpg',
      [
        [682, 11.05],
        [657, 10.73],
      ],
    ],
  ] as const)('mobilenetv2-12-int8 knows %s, as onnxruntime-node does', async (file, published) => {
    const picture = await readPicture(join(REAL_SAMPLES, 'images', file))
    const scale = 256 / Math.min(picture.width, picture.height)
    const resized = resize(picture, Math.round(picture.width * scale), Math.round(picture.height * scale))
    const [mean, std] = [
      [0.485, 0.456, 0.406],
      [0.229, 0.224, 0.225],
    ] as const
    const data = planes(
      crop(resized, 224, 224),
      (sample, channel) => (sample / 255 - (mean[channel] ?? 0)) / (std[channel] ?? 1),
    )
    const outputs = await inferBinary(worker.url, 'mobilenetv2-12-int8', [
      { name: 'input', datatype: 'FP32', shape: [1, 3, 224, 224], data },
    ])
    const answer = floats(outputs.get('output'))
    const native = await loadNative(readFileSync(join(REAL_MODELS, 'mobilenetv2-12-int8/model.onnx')))
    const reference = (
      await native.run(new Map([['input', tensor('FP32', [1, 3, 224, 224], data)]]), {
        signal: new AbortController().signal,
      })
    ).get('output')?.data as Float32Array
    expect(argmax(reference)).toBe(argmax(answer))
    expect(cosine(answer, reference)).toBeGreaterThan(0.999)
    // This test resizes more simply than the published figures' preprocessing, hence the width of the tolerance.
    expect(published.map(([label]) => label)).toContain(argmax(answer))
    for (const [label, logit] of published) expect(Math.abs((answer[label] ?? 0) - logit)).toBeLessThan(2.5)
  })

  it('magika recognises all sample files', async () => {
    const config = JSON.parse(readFileSync(join(REAL_MODELS, 'magika-standard-v3.3/config.min.json'), 'utf8')) as {
      target_labels_space: string[]
    }
    const root = join(REAL_SAMPLES, 'file-types')
    const files = readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) =>
        readdirSync(join(root, entry.name)).map((name) => [entry.name, join(root, entry.name, name)] as const),
      )
    expect(files).toHaveLength(69)
    const wrong: string[] = []
    for (const [label, path] of files) {
      const outputs = await inferBinary(worker.url, 'magika', [
        { name: 'bytes', datatype: 'INT32', shape: [1, 2048], data: magikaInput(readFileSync(path)) },
      ])
      const found = config.target_labels_space[argmax(floats(outputs.get('target_label')))]
      if (found !== label) wrong.push(`${path}: ${found}`)
    }
    expect(wrong).toEqual([])
  })

  it('silero-vad hears the speech in jfk.wav', async () => {
    const wav = readFileSync(join(REAL_SAMPLES, 'audio/jfk.wav'))
    const start = wav.indexOf('data') + 8
    const samples = Float32Array.from(
      { length: Math.floor((wav.length - start) / 2) },
      (_, index) => wav.readInt16LE(start + index * 2) / 32768,
    )
    let state = new Float32Array(2 * 128)
    let context = new Float32Array(64)
    const probabilities: number[] = []
    for (let at = 0; at + 512 <= samples.length; at += 512) {
      const input = new Float32Array(576)
      input.set(context)
      input.set(samples.subarray(at, at + 512), 64)
      const outputs = await inferBinary(worker.url, 'silero-vad', [
        { name: 'input', datatype: 'FP32', shape: [1, 576], data: input },
        { name: 'state', datatype: 'FP32', shape: [2, 1, 128], data: state },
        { name: 'sr', datatype: 'INT64', shape: [], data: new BigInt64Array([16000n]) },
      ])
      probabilities.push(floats(outputs.get('output'))[0] ?? Number.NaN)
      state = new Float32Array(floats(outputs.get('stateN')))
      context = input.slice(-64)
    }
    // INDEX.md counts 343 windows of 512 samples in 176,000.
    expect(probabilities.length).toBe(343)
    expect(probabilities.filter((probability) => probability > 0.5)).toHaveLength(233)
    expect(probabilities.reduce((sum, value) => sum + value, 0) / probabilities.length).toBeCloseTo(0.6885, 3)
    for (const [index, value] of [0.0017, 0.0846, 0.302, 0.1335, 0.0832].entries()) {
      expect(probabilities[index]).toBeCloseTo(value, 3)
    }
  })

  it('ultraface finds the astronaut’s face', async () => {
    const picture = resize(await readPicture(join(REAL_SAMPLES, 'images/astronaut.png')), 320, 240)
    const outputs = await inferBinary(worker.url, 'ultraface', [
      {
        name: 'input',
        datatype: 'FP32',
        shape: [1, 3, 240, 320],
        data: planes(picture, (sample) => (sample - 127) / 128),
      },
    ])
    const scores = floats(outputs.get('scores')).filter((_, index) => index % 2 === 1)
    const best = argmax(scores)
    expect(scores[best]).toBeGreaterThan(0.999)
    const box = [...floats(outputs.get('boxes')).subarray(best * 4, best * 4 + 4)]
    expect(overlap(box, [0.351, 0.121, 0.524, 0.339])).toBeGreaterThanOrEqual(0.95)
  })

  it('super-resolution keeps the brightness and triples the size', async () => {
    const picture = resize(await readPicture(join(REAL_SAMPLES, 'images/chelsea.png')), 224, 224)
    const luma = lumaOf(picture)
    const outputs = await inferBinary(worker.url, 'super-resolution', [
      { name: 'input', datatype: 'FP32', shape: [1, 1, 224, 224], data: luma },
    ])
    const output = outputs.get('output')
    expect(output?.shape).toEqual([1, 1, 672, 672])
    const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length
    expect(mean(luma)).toBeCloseTo(0.4681, 2)
    expect(mean(floats(output)) - mean(luma)).toBeCloseTo(0.4708 - 0.4681, 3)
  })

  it('the titanic pipeline takes strings and numbers', async () => {
    const outputs = await inferJson(worker.url, 'titanic', [
      { name: 'pclass', shape: [2, 1], datatype: 'INT64', data: BigInt64Array.of(1n, 3n) },
      { name: 'sex', shape: [2, 1], datatype: 'BYTES', data: ['female', 'male'] },
      { name: 'age', shape: [2, 1], datatype: 'FP32', data: Float32Array.of(29, 35) },
      { name: 'fare', shape: [2, 1], datatype: 'FP32', data: Float32Array.of(211.3, 8.05) },
      { name: 'embarked', shape: [2, 1], datatype: 'BYTES', data: ['S', 'S'] },
    ])
    expect(outputs.get('label')?.data).toEqual(BigInt64Array.of(1n, 0n))
    const [, survives, dies] = floats(outputs.get('probabilities'))
    expect(survives).toBeCloseTo(0.886, 3)
    expect(dies).toBeCloseTo(0.933, 3)
  })

  it('m2v gives the vector that upstream publishes', async () => {
    const folder = join(REAL_MODELS, 'm2v-bge64-converted')
    const tokenizer = new Tokenizer(JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8')), {})
    const unknown = tokenizer.token_to_id('[UNK]')
    const ids = tokenizer
      .encode(Array(1000).fill('hello').join(' '), { add_special_tokens: false })
      .ids.filter((id) => id !== unknown)
    const outputs = await inferJson(worker.url, 'm2v', [
      { name: 'input_ids', shape: [1, ids.length], datatype: 'INT64', data: BigInt64Array.from(ids, BigInt) },
      { name: 'attention_mask', shape: [1, ids.length], datatype: 'INT64', data: BigInt64Array.from(ids, () => 1n) },
    ])
    const expected =
      (JSON.parse(readFileSync(join(folder, 'expected_hello_x1000.json'), 'utf8')) as number[][])[0] ?? []
    const vector = floats(outputs.get('sentence_embedding'))
    expect(vector).toHaveLength(expected.length)
    for (const [index, value] of expected.entries()) expect(Math.abs((vector[index] ?? 0) - value)).toBeLessThan(1e-4)
  })
})

/** Magika's features: 1,024 bytes from the start and from the end, white space stripped, padded with 256. */
function magikaInput(file: Buffer): Int32Array {
  const white = (byte: number | undefined): boolean => byte !== undefined && (byte === 32 || (byte >= 9 && byte <= 13))
  let beginning = [...file.subarray(0, 4096)]
  let end = [...file.subarray(-4096)]
  while (white(beginning[0])) beginning = beginning.slice(1)
  while (white(end.at(-1))) end = end.slice(0, -1)
  const input = new Int32Array(2048).fill(256)
  input.set(beginning.slice(0, 1024), 0)
  const tail = end.slice(-1024)
  input.set(tail, 2048 - tail.length)
  return input
}

/** ITU-R 601 luma, 0 to 1. */
function lumaOf(picture: Picture): Float32Array {
  return Float32Array.from({ length: picture.width * picture.height }, (_, pixel) => {
    const [red, green, blue] = picture.data.subarray(pixel * 4, pixel * 4 + 3)
    return (0.299 * (red ?? 0) + 0.587 * (green ?? 0) + 0.114 * (blue ?? 0)) / 255
  })
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number =>
    x.reduce((sum, value, index) => sum + value * (y[index] ?? 0), 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

/** Intersection over union of two [x1, y1, x2, y2] boxes. */
function overlap(a: readonly number[], b: readonly number[]): number {
  const [ax1 = 0, ay1 = 0, ax2 = 0, ay2 = 0] = a
  const [bx1 = 0, by1 = 0, bx2 = 0, by2 = 0] = b
  const inner =
    Math.max(0, Math.min(ax2, bx2) - Math.max(ax1, bx1)) * Math.max(0, Math.min(ay2, by2) - Math.max(ay1, by1))
  return inner / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - inner)
}
