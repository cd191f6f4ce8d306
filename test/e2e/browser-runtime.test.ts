import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encoderModel } from '../../bench/models/encoder.ts'
import type { ModelPlan, Runtime, RuntimeAnswer } from '../../src/browser/runtime/runtime.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { type PackedModel, pack, packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import type { TaskBody } from '../../src/tasks/task.ts'
import { planOf, runtimeOver, weightsOf } from '../fixtures/node/browser-runtime.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const VOCABULARY = 6_946
const TOKENIZER = new Uint8Array(readFileSync(join(ROOT, 'test/fixtures/models/encoder/tokenizer.json')))
const DRAWING = new Uint8Array(readFileSync(join(ROOT, 'models/digits/samples/seven.png')))

/** A small encoder for vectors, in 32-bit floats: ONNX Runtime runs the one, Verge's own engine the other. */
async function encoder(name: string, engines: readonly ('verge' | 'onnxruntime')[]): Promise<PackedModel> {
  const shape = { layers: 2, hidden: 32, heads: 4, ffn: 64, vocabulary: VOCABULARY, positions: 64 }
  const description = descriptionSchema.parse({
    name,
    version: '1',
    visibility: 'public',
    licence: 'Apache-2.0',
    task: 'feature-extraction',
    tokenizer: 'tokenizer.json',
    artifacts: [{ file: 'model.onnx', dtype: 'fp32', places: ['edge', 'browser'] }],
    preprocess: { text: { maxTokens: 64 }, embedding: { pooling: 'mean', normalize: true } },
    engines,
  })
  const files = new Map([
    ['model.onnx', encoderModel(shape, 'fp32')],
    ['tokenizer.json', TOKENIZER],
  ])
  return pack(description, '', files)
}

describe('the runtime of browsers, beside the Worker', () => {
  let worker: LiveWorker
  let runtime: Runtime
  const plans = new Map<string, ModelPlan>()

  beforeAll(async () => {
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    const models = [
      await packFolder(join(ROOT, 'models/digits')),
      await packFolder(join(ROOT, 'models/reviews')),
      await encoder('own', ['verge']),
      await encoder('ort', ['onnxruntime']),
    ]
    for (const model of models) {
      await publish(writer, model)
      plans.set(model.manifest.model, await planOf(model))
    }
    runtime = runtimeOver(weightsOf(...models))
  })
  afterAll(() => worker?.dispose())

  const planFor = (name: string): ModelPlan => {
    const plan = plans.get(name)
    if (plan === undefined) throw new Error(`There is no model ${name}.`)
    return plan
  }
  const asked = async (path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>) => {
    const response = await fetch(`${worker.url}${path}`, { method: 'POST', body, headers })
    return { response, bytes: new Uint8Array(await response.arrayBuffer()) }
  }
  const bytesOf = ({ body }: RuntimeAnswer) => (typeof body === 'string' ? new TextEncoder().encode(body) : body)

  it.each<[string, string, TaskBody, string | Uint8Array<ArrayBuffer>, string]>([
    ['a drawing', 'digits', { kind: 'bytes', mediaType: 'image/png', bytes: DRAWING }, DRAWING, 'image/png'],
    ...['Wonderfully acted, and not a minute too long.', ['Dull.', 'I would see it again tomorrow!']].map(
      (inputs): [string, string, TaskBody, string, string] => [
        `a text: ${String(inputs)}`,
        'reviews',
        { kind: 'json', value: { inputs } },
        JSON.stringify({ inputs }),
        'application/json',
      ],
    ),
    [
      'parameters',
      'reviews',
      { kind: 'json', value: { inputs: 'Dull.', parameters: { top_k: 1 } } },
      JSON.stringify({ inputs: 'Dull.', parameters: { top_k: 1 } }),
      'application/json',
    ],
  ])('answers a task with the same bytes: %s', async (_title, model, body, sent, type) => {
    const answer = await runtime.run(planFor(model), body)
    const { bytes, response } = await asked(`/run/${model}`, sent, { 'content-type': type })
    expect(response.status).toBe(200)
    expect(bytesOf(answer)).toEqual(bytes)
    expect(answer.headers).toEqual({ 'content-type': response.headers.get('content-type') })
    expect(answer.info).toMatchObject({ place: 'browser', engine: 'verge' })
  })

  it.each([
    ['own', 'verge'],
    ['ort', 'onnxruntime'],
  ])('makes the same vectors as the Worker: %s', async (model, engine) => {
    for (const more of [{}, { encoding_format: 'base64' }, { dimensions: 8 }]) {
      const request = { model, input: ['A quiet film that stays with you.', 'No.'], ...more }
      const answer = await runtime.embed(planFor(model), request)
      const { bytes, response } = await asked('/v1/embeddings', JSON.stringify(request), JSON_TYPE)
      expect(response.status).toBe(200)
      expect(new TextDecoder().decode(bytesOf(answer))).toBe(new TextDecoder().decode(bytes))
      expect(answer.info).toMatchObject({ engine })
    }
  })

  it.each(['own', 'ort'])('answers tensors as the Worker does, in JSON and in binary: %s', async (model) => {
    const ids = { name: 'input_ids', shape: [1, 3], datatype: 'INT64' }
    const mask = { name: 'attention_mask', shape: [1, 3], datatype: 'INT64', data: [1, 1, 1] }
    const json = JSON.stringify({ id: 'mine', inputs: [{ ...ids, data: [101, 7, 102] }, mask] })
    const path = `/v2/models/${model}/infer`
    const answer = await runtime.infer(planFor(model), new TextEncoder().encode(json))
    const plain = await asked(path, json, JSON_TYPE)
    expect(plain.response.status).toBe(200)
    expect(bytesOf(answer)).toEqual(plain.bytes)

    const header = new TextEncoder().encode(
      JSON.stringify({
        parameters: { binary_data_output: true },
        inputs: [{ ...ids, parameters: { binary_data_size: 24 } }, mask],
      }).padEnd(256),
    )
    const body = new Uint8Array(header.length + 24)
    body.set(header)
    body.set(new Uint8Array(BigInt64Array.of(101n, 7n, 102n).buffer), header.length)
    const binary = await runtime.infer(planFor(model), body, { jsonLength: header.length })
    const other = await asked(path, body, { 'inference-header-content-length': String(header.length) })
    expect(other.response.status).toBe(200)
    expect(bytesOf(binary)).toEqual(other.bytes)
    expect(binary.headers['inference-header-content-length']).toBe(
      other.response.headers.get('inference-header-content-length'),
    )
  })

  it.each<[string, string, unknown]>([
    ['an unknown field', 'reviews', { inputs: 'Dull.', more: 1 }],
    ['an empty text', 'reviews', { inputs: '' }],
    ['a number for a text', 'reviews', { inputs: 4 }],
    ['a picture that is none', 'digits', { inputs: 'bm8gcGljdHVyZQ==' }],
  ])('refuses what the Worker refuses, in its words: %s', async (_title, model, value) => {
    const { bytes, response } = await asked(`/run/${model}`, JSON.stringify(value), {
      'content-type': 'application/json',
    })
    expect(response.status).toBeGreaterThanOrEqual(400)
    const { error } = JSON.parse(new TextDecoder().decode(bytes)) as { error: { code: string; message: string } }
    await expect(runtime.run(planFor(model), { kind: 'json', value })).rejects.toMatchObject({
      code: error.code,
      message: error.message,
    })
  })
})
