import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceClient } from '@huggingface/inference'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encoderModel } from '../../bench/models/encoder.ts'
import { modelFolders, ROOT } from '../../src/cli/files/project.ts'
import { type Description, descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack, packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { tensor } from '../../src/core/tensors.ts'
import { TextTokenizer } from '../../src/media/text/tokenizer.ts'
import { onnxModel, seededFloats } from '../../synthetic/onnx.ts'
import { never } from '../../synthetic/source.ts'
import { bertTokenizer } from '../fixtures/http-tokenizer.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { loadNative } from '../fixtures/node/native.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { haveRealModels, REAL_MODELS, SKIP_REASON } from '../fixtures/node/real-models.ts'

/** The clients below have another: they insist on one, and public models need none. */
const KEY = 'a-key-of-the-operator-0123456789'
const ANY_KEY = 'sk-whatever'
const VOCABULARY = 6_946
const TOKENIZER = new Uint8Array(readFileSync(join(ROOT, 'test/fixtures/models/encoder/tokenizer.json')))

/** A small encoder of BERT's kind: enough that padding which leaks, or a wrong mask, changes every number. */
const ENCODER = encoderModel(
  { layers: 2, hidden: 32, heads: 4, ffn: 64, vocabulary: VOCABULARY, positions: 64 },
  'fp32',
)

/** A cross-encoder without depth: the mean of its tokens' numbers, in which a type id of 1 counts three times. */
function crossEncoder(): Uint8Array {
  const rows = ['batch', 'length']
  const input = (name: string) => ({ name, datatype: 'INT64' as const, shape: rows })
  const cast = (name: string) => ({
    op: 'Cast',
    inputs: [name],
    outputs: [`${name}.f`],
    attributes: { to: { int: 1 } },
  })
  return onnxModel({
    inputs: ['input_ids', 'attention_mask', 'token_type_ids'].map(input),
    outputs: [{ name: 'logits', datatype: 'FP32', shape: ['batch', 1] }],
    nodes: [
      { op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['numbers'] },
      cast('attention_mask'),
      cast('token_type_ids'),
      { op: 'Mul', inputs: ['token_type_ids.f', 'two'], outputs: ['twice'] },
      { op: 'Add', inputs: ['twice', 'attention_mask.f'], outputs: ['weights'] },
      { op: 'Mul', inputs: ['weights', 'attention_mask.f'], outputs: ['masked'] },
      { op: 'Mul', inputs: ['numbers', 'masked'], outputs: ['weighed'] },
      { op: 'ReduceSum', inputs: ['weighed', 'axis'], outputs: ['logits'], attributes: { keepdims: { int: 1 } } },
    ],
    initializers: {
      table: tensor('FP32', [10], seededFloats(10, 7)),
      two: tensor('FP32', [], Float32Array.of(2)),
      axis: tensor('INT64', [1], BigInt64Array.of(1n)),
    },
  })
}

function described(name: string, fields: Partial<Description>): Description {
  return descriptionSchema.parse({
    name,
    version: '1',
    visibility: 'public',
    licence: 'Apache-2.0',
    tokenizer: 'tokenizer.json',
    artifacts: [{ file: 'model.onnx', dtype: 'fp32', places: ['edge'] }],
    ...fields,
  })
}

const files = (model: Uint8Array, tokenizer: Uint8Array) =>
  new Map([
    ['model.onnx', model],
    ['tokenizer.json', tokenizer],
  ])

let worker: LiveWorker
let openai: OpenAI
const huggingFace = new InferenceClient(ANY_KEY)

beforeAll(async () => {
  worker = await startLiveWorker({ VERGE_API_KEY: KEY })
  openai = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: ANY_KEY, maxRetries: 0 })
  const writer = await writerFor(worker)
  for (const folder of await modelFolders()) await publish(writer, await packFolder(folder))
  const preprocess = { text: { maxTokens: 64 } }
  const mini = described('mini', {
    task: 'feature-extraction',
    preprocess: {
      ...preprocess,
      embedding: { pooling: 'mean', normalize: true, prompts: { query: 'a question about ' } },
    },
  })
  await publish(writer, await pack(mini, '', files(ENCODER, TOKENIZER)))
  const tokens = described('tokens', {
    task: 'feature-extraction',
    preprocess: { ...preprocess, embedding: { pooling: 'none', normalize: false } },
  })
  await publish(writer, await pack(tokens, '', files(ENCODER, TOKENIZER)))
  const cross = described('cross', { task: 'text-ranking', preprocess })
  await publish(writer, await pack(cross, '', files(crossEncoder(), bertTokenizer())))
  if (haveRealModels) {
    const m2v = described('m2v', {
      task: 'feature-extraction',
      preprocess: { embedding: { pooling: 'mean', normalize: true, dropUnknown: true } },
    })
    await publish(writer, await pack(m2v, join(REAL_MODELS, 'm2v-bge64-converted')))
  }
})
afterAll(() => worker?.dispose())

const TEXTS = [
  'A quiet film that stays with you.',
  'No.',
  'It is far too long, and nothing happens in it until the very last minute, when it ends.',
  'The cast is wonderful!',
]

/** What the encoder answers for a text by ONNX Runtime for Node, pooled here. */
async function reference(text: string): Promise<number[]> {
  const session = await loadNative(ENCODER)
  const { ids } = TextTokenizer.parse(TOKENIZER).encode(text, 64)
  const row = (values: readonly number[]) =>
    tensor(
      'INT64',
      [1, ids.length],
      BigInt64Array.from(values, (value) => BigInt(value)),
    )
  const outputs = await session.run(
    new Map([
      ['input_ids', row(ids)],
      ['attention_mask', row(ids.map(() => 1))],
    ]),
    { signal: never() },
  )
  session.dispose()
  const hidden = outputs.get('last_hidden_state')
  if (hidden?.datatype !== 'FP32') throw new Error('no hidden state')
  const mean = new Array<number>(32).fill(0)
  for (const [i, value] of hidden.data.entries()) mean[i % 32] = (mean[i % 32] ?? 0) + value
  const length = Math.hypot(...mean)
  return mean.map((value) => value / length)
}

function greatestDifference(a: readonly number[], b: readonly number[]): number {
  expect(a.length).toBe(b.length)
  return Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? Number.NaN))))
}

describe('openai', () => {
  it('gets the vectors that ONNX Runtime for Node computes, alone and in a batch', async () => {
    const together = await openai.embeddings.create({ model: 'mini', input: TEXTS })
    expect(together.data.map(({ index }) => index)).toEqual([0, 1, 2, 3])
    for (const [i, text] of TEXTS.entries()) {
      const alone = await openai.embeddings.create({ model: 'mini', input: text, encoding_format: 'float' })
      const vector = together.data[i]?.embedding ?? []
      expect(greatestDifference(vector, await reference(text))).toBeLessThan(1e-4)
      expect(greatestDifference(vector, alone.data[0]?.embedding ?? [])).toBeLessThan(1e-5)
    }
  })

  it('sends token ids, and is told how many there were', async () => {
    const { ids } = TextTokenizer.parse(TOKENIZER).encode(TEXTS[0] ?? '', 64)
    const byIds = await openai.embeddings.create({ model: 'mini', input: [...ids] })
    const byText = await openai.embeddings.create({ model: 'mini', input: TEXTS[0] ?? '' })
    expect(byIds.data).toEqual(byText.data)
    expect(byIds.usage).toEqual({ prompt_tokens: ids.length, total_tokens: ids.length })
  })

  it('cuts vectors, which keep length 1', async () => {
    const input = TEXTS[0] ?? ''
    const whole = (await openai.embeddings.create({ model: 'mini', input })).data[0]?.embedding ?? []
    const cut = (await openai.embeddings.create({ model: 'mini', input, dimensions: 8 })).data[0]?.embedding ?? []
    const length = Math.hypot(...whole.slice(0, 8))
    expect(
      greatestDifference(
        cut,
        whole.slice(0, 8).map((value) => value / length),
      ),
    ).toBeLessThan(1e-6)
  })

  it('reads our refusals as its own errors', async () => {
    const create = (body: object) => openai.embeddings.create(body as { model: string; input: string })
    // With a key that is not known nobody learns whether there is such a model.
    await expect(create({ model: 'absent', input: 'x' })).rejects.toBeInstanceOf(OpenAI.AuthenticationError)
    await expect(create({ model: 'digits', input: 'x' })).rejects.toMatchObject({ status: 400, code: 'task_mismatch' })
    await expect(create({ model: 'mini', input: 'x', dimensions: 99 })).rejects.toMatchObject({
      status: 400,
      param: 'dimensions',
    })
    await expect(create({ model: 'mini', input: [VOCABULARY] })).rejects.toBeInstanceOf(OpenAI.BadRequestError)
    expect((await create({ model: 'mini', input: 'still well' })).data).toHaveLength(1)
  })

  it.skipIf(!haveRealModels)(`embeds by a real model (skipped only where ${SKIP_REASON})`, async () => {
    const expected = JSON.parse(
      readFileSync(join(REAL_MODELS, 'm2v-bge64-converted/expected_hello_x1000.json'), 'utf8'),
    ) as number[][]
    const input = new Array(1000).fill('hello').join(' ')
    const { data } = await openai.embeddings.create({ model: 'm2v', input })
    expect(greatestDifference(data[0]?.embedding ?? [], expected[0] ?? [])).toBeLessThan(1e-4)
    const pair = await openai.embeddings.create({
      model: 'm2v',
      input: ['The cat sleeps on the sofa.', 'A kitten naps on the couch.', 'hello \u{13080}\u{13080}', 'hello'],
    })
    const [cat, kitten, withUnknown, hello] = pair.data.map(({ embedding }) => embedding)
    const cos = (cat ?? []).reduce((sum, value, i) => sum + value * (kitten?.[i] ?? 0), 0)
    expect(cos).toBeGreaterThan(0.3)
    expect(greatestDifference(withUnknown ?? [], hello ?? [])).toBeLessThan(1e-6)
  })
})

describe('@huggingface/inference', () => {
  const at = (model: string) => `${worker.url}/models/${model}`

  it('classifies texts and pictures', async () => {
    const [best] = await huggingFace.textClassification({
      endpointUrl: at('reviews'),
      inputs: 'Wonderfully acted, funny and moving.',
    })
    expect(best).toMatchObject({ label: 'positive', score: expect.any(Number) })
    const data = new Blob([readFileSync(join(ROOT, 'models/digits/samples/seven.png'))], { type: 'image/png' })
    const digits = await huggingFace.imageClassification({ endpointUrl: at('digits'), data })
    expect(digits[0]).toMatchObject({ label: '7' })
  })

  it('extracts features of a text and of several, with a prompt', async () => {
    const one = (await huggingFace.featureExtraction({ endpointUrl: at('mini'), inputs: TEXTS[0] ?? '' })) as number[]
    expect(greatestDifference(one, await reference(TEXTS[0] ?? ''))).toBeLessThan(1e-4)
    const prompted = (await huggingFace.featureExtraction({
      endpointUrl: `${worker.url}/hf-inference/models/mini/pipeline/feature-extraction`,
      inputs: TEXTS.slice(0, 2),
      prompt_name: 'query',
    })) as number[][]
    expect(greatestDifference(prompted[1] ?? [], await reference(`a question about ${TEXTS[1]}`))).toBeLessThan(1e-4)
    const tokens = (await huggingFace.featureExtraction({ endpointUrl: at('tokens'), inputs: 'No.' })) as number[][][]
    expect(tokens).toHaveLength(1)
    expect(tokens[0]?.every((vector) => vector.length === 32)).toBe(true)
  })

  it('compares sentences', async () => {
    const [source = '', ...sentences] = TEXTS
    const cosines = await huggingFace.sentenceSimilarity({
      endpointUrl: at('mini'),
      inputs: { source_sentence: source, sentences: [...sentences, source] },
    })
    const vectors = await Promise.all(TEXTS.map(reference))
    const expected = [1, 2, 3, 0].map((i) =>
      (vectors[i] ?? []).reduce((sum, value, j) => sum + value * (vectors[0]?.[j] ?? 0), 0),
    )
    expect(greatestDifference(cosines, expected)).toBeLessThan(1e-4)
  })

  it('reads our refusals', async () => {
    await expect(huggingFace.featureExtraction({ endpointUrl: at('absent'), inputs: 'x' })).rejects.toThrow(/absent/)
    await expect(huggingFace.textClassification({ endpointUrl: at('mini'), inputs: '' })).rejects.toThrow(/inputs/)
  })
})

describe('POST /rerank', () => {
  it('orders by a cross-encoder, a batch as each pair alone', async () => {
    const query = 'good film'
    const documents = ['bad bad bad', 'a film.', 'good', 'a good good good film', 'films']
    const rerank = async (body: object): Promise<{ index: number; relevance_score: number }[]> => {
      const response = await fetch(`${worker.url}/rerank`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      expect(response.status).toBe(200)
      return ((await response.json()) as { results: { index: number; relevance_score: number }[] }).results
    }
    const together = await rerank({ model: 'cross', query, documents })
    expect(together.map(({ index }) => index).sort()).toEqual([0, 1, 2, 3, 4])
    for (const { index, relevance_score: score } of together) {
      const [alone] = await rerank({ model: 'cross', query, documents: [documents[index]] })
      expect(Math.abs(score - (alone?.relevance_score ?? Number.NaN))).toBeLessThan(1e-6)
    }
    // By hand: [CLS] good film [SEP] once each, good [SEP] thrice each.
    const numbers = seededFloats(10, 7)
    const [cls, good, film, sep] = [2, 5, 7, 3].map((id) => numbers[id] ?? Number.NaN) as [
      number,
      number,
      number,
      number,
    ]
    const logit = cls + good + film + sep + 3 * (good + sep)
    const score = together.find(({ index }) => index === 2)?.relevance_score ?? Number.NaN
    expect(score).toBeCloseTo(1 / (1 + Math.exp(-logit)), 5)
    const scores = together.map(({ relevance_score }) => relevance_score)
    expect(scores).toEqual([...scores].sort((x, y) => y - x))
  })
})
