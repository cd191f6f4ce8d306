import {
  AutoTokenizer,
  type FeatureExtractionPipeline,
  type PreTrainedTokenizer,
  pipeline,
} from '@huggingface/transformers'
import { CohereClient, CohereClientV2, CohereError } from 'cohere-ai'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { tensor } from '../../src/core/tensors.ts'
import { never } from '../../synthetic/source.ts'
import { models } from '../compatibility/models/texts.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { loadNative } from '../fixtures/node/native.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { type TransformersFolder, transformersFolder } from '../fixtures/node/transformers-folder.ts'
import { idOf, type Word } from '../fixtures/text-models.ts'

/**
 * Both sides run the same weights in single precision, in other orders of addition: of vectors of length 1 and of scores
 * up to 6, differences stay below this.
 */
const TOLERANCE = 1e-4
const ANY_KEY = 'whatever'

let worker: LiveWorker
let folder: TransformersFolder
let reference: FeatureExtractionPipeline
let tokenizer: PreTrainedTokenizer
let sparseModel: Uint8Array

beforeAll(async () => {
  worker = await startLiveWorker({
    MODEL_NAMES: 'embed-v4.0=retriever, rerank-v3.5=ranker',
    DEFAULT_MODEL: 'retriever',
  })
  const writer = await writerFor(worker)
  folder = await transformersFolder()
  for (const [name, make] of Object.entries(models)) {
    const { files, settings } = await make()
    const description = descriptionSchema.parse({
      version: '1',
      visibility: 'public',
      licence: 'Apache-2.0',
      artifacts: [{ file: 'model.onnx', dtype: 'fp32', places: ['edge'] }],
      ...settings,
      name,
    })
    if (typeof files === 'string') throw new Error(`${name} lies in a folder`)
    await publish(writer, await pack(description, '', files))
    const model = files.get('model.onnx')
    const file = files.get('tokenizer.json')
    if (model === undefined || file === undefined) throw new Error(`${name} lacks a file`)
    if (name === 'lexical') sparseModel = model
    if (name !== 'retriever') continue
    await folder.add(name, model, {
      'config.json': { architectures: ['BertModel'], model_type: 'bert', vocab_size: 6_946 },
      'tokenizer.json': file,
      'tokenizer_config.json': { tokenizer_class: 'BertTokenizer', model_max_length: 64 },
    })
  }
  reference = await pipeline('feature-extraction', 'retriever', { dtype: 'fp32' })
  tokenizer = await AutoTokenizer.from_pretrained('retriever')
}, 300_000)
afterAll(async () => {
  await reference?.dispose()
  await folder?.remove()
  await worker?.dispose()
})

const TEXTS = ['A quiet film that stays with you.', 'No.', 'It is far too long, and nothing happens in it.']

/** What transformers.js makes of texts with the same files. */
async function expected(texts: readonly string[], normalize = true): Promise<number[][]> {
  const vectors: number[][] = []
  for (const text of texts) {
    const output = await reference(text, { pooling: 'mean', normalize })
    vectors.push(...(output.tolist() as number[][]))
  }
  return vectors
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)

function expectNear(actual: unknown, wanted: readonly (readonly number[])[]): void {
  const lists = actual as number[][]
  expect(lists.map((list) => list.length)).toEqual(wanted.map((list) => list.length))
  const differences = lists.flatMap((list, i) =>
    list.map((value, j) => Math.abs(value - (wanted[i]?.[j] ?? Number.NaN))),
  )
  expect(Math.max(...differences)).toBeLessThan(TOLERANCE)
}

async function asked(path: string, body?: object): Promise<unknown> {
  const response = await fetch(`${worker.url}${path}`, {
    ...(body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text}`)
  return JSON.parse(text)
}

/** What the ranker says of a pair, by hand: the mean of its tokens' scores, in which those of the second text count twice. */
function rankOf(
  query: readonly Word[],
  text: readonly Word[],
  scores: Readonly<Partial<Record<Word, number>>>,
): number {
  const score = (word: Word): number => scores[word] ?? 0
  const sum =
    query.reduce((total, word) => total + score(word), 0) + 2 * text.reduce((total, word) => total + score(word), 0)
  // [CLS] and the first [SEP] once, the second [SEP] twice, of which none has a score.
  return sum / (query.length + 2 + 2 * (text.length + 1))
}
const RANKS = { program: 6, first: 3, music: -4 } as const
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

describe('cohere-ai', () => {
  let cohere: CohereClientV2
  let older: CohereClient
  beforeAll(() => {
    cohere = new CohereClientV2({ environment: `${worker.url}/cohere`, token: ANY_KEY })
    older = new CohereClient({ environment: `${worker.url}/cohere`, token: ANY_KEY })
  })

  it('embeds, in several types at once', async () => {
    const prompted = await expected(TEXTS.map((text) => `a question about ${text}`))
    const answer = await cohere.embed({
      model: 'retriever',
      inputType: 'search_query',
      embeddingTypes: ['float', 'int8', 'uint8', 'binary', 'ubinary', 'base64'],
      texts: TEXTS,
    })
    expectNear(answer.embeddings.float, prompted)
    expect(answer.texts).toEqual(TEXTS)
    const { base64 = [], binary = [], int8 = [], ubinary = [], uint8 = [] } = answer.embeddings
    for (const [i, vector] of (answer.embeddings.float ?? []).entries()) {
      const bytes = Buffer.from(base64[i] ?? '', 'base64')
      expect(Array.from({ length: 32 }, (_, at) => bytes.readFloatLE(4 * at))).toEqual(vector)
      const bits = vector.map((value) => Number(value > 0)).join('')
      const packed = Array.from({ length: 4 }, (_, at) => Number.parseInt(bits.slice(8 * at, 8 * at + 8), 2))
      expect(ubinary[i]).toEqual(packed)
      expect(binary[i]).toEqual(packed.map((byte) => byte - 128))
      expect(uint8[i]).toEqual(int8[i]?.map((value) => value + 128))
      const length = Math.hypot(...(int8[i] ?? []))
      expect(dot(vector, int8[i] ?? []) / length).toBeGreaterThan(0.999)
    }
    const tokens = TEXTS.reduce((sum, text) => sum + tokenizer.encode(`a question about ${text}`).length, 0)
    expect(answer.meta).toEqual({ apiVersion: { version: '2' }, billedUnits: { inputTokens: tokens } })
  })

  it('embeds documents, by a name of Cohere, and cuts vectors', async () => {
    const whole = await expected(TEXTS.map((text) => `the text ${text}`))
    const { embeddings } = await cohere.embed({
      model: 'embed-v4.0',
      inputType: 'search_document',
      embeddingTypes: ['float'],
      texts: TEXTS,
      outputDimension: 8,
    })
    expectNear(
      embeddings.float,
      whole.map((vector) => {
        const length = Math.hypot(...vector.slice(0, 8))
        return vector.slice(0, 8).map((value) => value / length)
      }),
    )
  })

  it('embeds as its first version did', async () => {
    const floats = await older.embed({ model: 'retriever', texts: TEXTS, inputType: 'clustering' })
    expect(floats.responseType).toBe('embeddings_floats')
    expectNear(floats.embeddings, await expected(TEXTS))
    const byType = await older.embed({ model: 'retriever', texts: TEXTS, embeddingTypes: ['ubinary'] })
    expect(byType).toMatchObject({ responseType: 'embeddings_by_type', embeddings: { ubinary: expect.any(Array) } })
  })

  it('ranks documents', async () => {
    const request = { model: 'rerank-v3.5', query: 'who wrote the first program?', topN: 2 }
    const documents = ['music', 'ada wrote the first program', 'london']
    const query: Word[] = ['who', 'wrote', 'the', 'first', 'program', '?']
    const scores = [
      rankOf(query, ['music'], RANKS),
      rankOf(query, ['ada', 'wrote', 'the', 'first', 'program'], RANKS),
      rankOf(query, ['london'], RANKS),
    ].map(sigmoid)
    const best = [1, 2].map((index) => ({ index, relevanceScore: expect.closeTo(scores[index] ?? 0, 5) }))
    const answer = await cohere.rerank({ ...request, documents })
    expect(answer.results).toEqual(best)
    expect(answer.meta).toMatchObject({ billedUnits: { searchUnits: 1 } })
    const first = await older.rerank({
      ...request,
      documents: documents.map((text) => ({ title: text, text: 'music' })),
      rankFields: ['title'],
      returnDocuments: true,
    })
    expect(first.results.map(({ index }) => index)).toEqual([1, 2])
    expect(first.results[0]?.document).toEqual({ title: documents[1], text: 'music' })
  })

  it('tokenizes and detokenizes', async () => {
    const [text = ''] = TEXTS
    const { tokenStrings, tokens } = await older.tokenize({ model: 'retriever', text })
    expect(tokens).toEqual(tokenizer.encode(text, { add_special_tokens: false }))
    expect(tokenStrings.join('')).toBe(text)
    const { text: again } = await older.detokenize({ model: 'retriever', tokens })
    expect(again).toBe(tokenizer.decode(tokens))
  })

  it('lists models with what they can do', async () => {
    const { models: listed } = await older.models.list()
    expect(listed.find(({ name }) => name === 'retriever')).toMatchObject({
      endpoints: ['embed', 'rerank'],
      contextLength: 64,
    })
    expect(await older.models.get('ranker')).toMatchObject({ name: 'ranker', endpoints: ['rerank'] })
  })

  it('reads refusals as its own errors', async () => {
    const once = { maxRetries: 0 }
    const texts = ['x']
    const refused = async (work: Promise<unknown>): Promise<CohereError> => {
      const error = await work.then(
        () => undefined,
        (reason: unknown) => reason,
      )
      if (!(error instanceof CohereError)) throw new Error(`not refused: ${String(error)}`)
      return error
    }
    const inputType = 'search_query' as const
    const embed = (request: Partial<Parameters<CohereClientV2['embed']>[0]>) =>
      refused(cohere.embed({ model: 'retriever', inputType, texts, ...request }, once))
    // With a key that is not known nobody learns whether there is such a model.
    expect(await embed({ model: 'absent' })).toMatchObject({ name: 'UnauthorizedError', statusCode: 401 })
    expect(await embed({ texts: [] })).toMatchObject({ name: 'BadRequestError', statusCode: 400 })
    expect(await embed({ model: 'topics' })).toMatchObject({
      name: 'BadRequestError',
      body: { message: expect.stringMatching(/does not make embeddings/) },
    })
    const long = [new Array(100).fill('film').join(' ')]
    expect(await embed({ texts: long, truncate: 'NONE' })).toMatchObject({ statusCode: 413 })
    expect((await cohere.embed({ model: 'retriever', inputType, texts: long })).embeddings.float).toHaveLength(1)
    const picture = { inputType: 'image' as const, images: ['data:image/png;base64,AA=='] }
    expect(await embed(picture)).toMatchObject({ name: 'NotImplementedError', statusCode: 501 })
  })
})

describe('requests of text-embeddings-inference', () => {
  it('embed texts, each alone and in a batch', async () => {
    expectNear(await asked('/tei/retriever/embed', { inputs: TEXTS }), await expected(TEXTS))
    expectNear(await asked('/embed', { inputs: TEXTS[0], normalize: false }), await expected(TEXTS.slice(0, 1), false))
    expectNear(
      await asked('/tei/retriever/embed', { inputs: TEXTS, prompt_name: 'query', truncate: true }),
      await expected(TEXTS.map((text) => `a question about ${text}`)),
    )
  })

  it('embed each token', async () => {
    const [text = ''] = TEXTS
    const output = await reference(text, { pooling: 'none' })
    const [vectors = []] = output.tolist() as number[][][]
    const [answer = []] = (await asked('/tei/retriever/embed_all', { inputs: text })) as number[][][]
    expectNear(answer, vectors)
  })

  it('weigh the words of the vocabulary', async () => {
    const [text = ''] = TEXTS
    const ids = tokenizer.encode(text)
    const session = await loadNative(sparseModel)
    const row = (values: readonly number[]) =>
      tensor(
        'INT64',
        [1, ids.length],
        BigInt64Array.from(values, (value) => BigInt(value)),
      )
    const inputs = new Map([
      ['input_ids', row(ids)],
      ['attention_mask', row(ids.map(() => 1))],
      ['token_type_ids', row(ids.map(() => 0))],
    ])
    const logits = (await session.run(inputs, { signal: never() })).get('logits')
    session.dispose()
    if (logits?.datatype !== 'FP32') throw new Error('no logits')
    const weights = new Array<number>(6_946).fill(0)
    for (const [i, logit] of logits.data.entries()) {
      const at = i % weights.length
      weights[at] = Math.max(weights[at] ?? 0, Math.log1p(Math.max(0, logit)))
    }
    const [answer = []] = (await asked('/tei/lexical/embed_sparse', { inputs: text })) as {
      index: number
      value: number
    }[][]
    expect(answer.length).toBe(weights.filter((weight) => weight > 0).length)
    for (const { index, value } of answer) expect(Math.abs(value - (weights[index] ?? 0))).toBeLessThan(TOLERANCE)
  })

  it('compare sentences', async () => {
    const [source = [], ...others] = await expected(TEXTS)
    const cosines = await asked('/tei/retriever/similarity', {
      inputs: { source_sentence: TEXTS[0], sentences: TEXTS.slice(1) },
    })
    expectNear([cosines], [others.map((vector) => dot(source, vector))])
  })

  it('predict labels of texts, pairs and batches', async () => {
    const [money, music] = [6 / 3, -2 / 3].map(Math.exp) as [number, number]
    const labels = [
      { score: expect.closeTo(money / (money + music), 5), label: 'money' },
      { score: expect.closeTo(music / (money + music), 5), label: 'music' },
    ]
    expect(await asked('/tei/topics/predict', { inputs: 'money' })).toEqual(labels)
    expect(await asked('/tei/topics/predict', { inputs: [['money'], ['money']] })).toEqual([labels, labels])
    const pair = (await asked('/tei/topics/predict', { inputs: ['music', 'money'], raw_scores: true })) as object[]
    // Five tokens, of which the last two count twice.
    const raw = [(6 * 2 - 2) / 7, (6 - 2 * 2) / 7]
    expect(pair).toEqual([
      { score: expect.closeTo(raw[0] ?? 0, 5), label: 'money' },
      { score: expect.closeTo(raw[1] ?? 0, 5), label: 'music' },
    ])
  })

  it('rank texts', async () => {
    const body = { query: 'who?', texts: ['music', 'the first program'], raw_scores: true, return_text: true }
    expect(await asked('/tei/ranker/rerank', body)).toEqual([
      {
        index: 1,
        text: 'the first program',
        score: expect.closeTo(rankOf(['who', '?'], ['the', 'first', 'program'], RANKS), 5),
      },
      { index: 0, text: 'music', score: expect.closeTo(rankOf(['who', '?'], ['music'], RANKS), 5) },
    ])
  })

  it('tokenize and decode', async () => {
    const lists = (await asked('/tei/retriever/tokenize', { inputs: TEXTS })) as { id: number; special: boolean }[][]
    expect(lists.map((tokens) => tokens.map(({ id }) => id))).toEqual(TEXTS.map((text) => tokenizer.encode(text)))
    expect(lists.map((tokens) => tokens.map(({ special }) => special))).toEqual(
      // Its post-processor puts one token before a text, and none behind it.
      TEXTS.map((text) => tokenizer.encode(text).map((_, i) => i === 0)),
    )
    const ids = TEXTS.map((text) => tokenizer.encode(text))
    expect(await asked('/tei/retriever/decode', { ids })).toEqual(
      ids.map((each) => tokenizer.decode(each, { skip_special_tokens: true })),
    )
  })

  it('read what the model is', async () => {
    expect(await asked('/tei/retriever/info')).toMatchObject({
      model_id: 'retriever',
      model_type: { embedding: { pooling: 'mean' } },
      max_input_length: 64,
    })
    expect(await asked('/info')).toMatchObject({ model_id: 'retriever' })
    expect((await fetch(`${worker.url}/tei/retriever/health`)).status).toBe(200)
  })

  it('embed through the client of OpenAI', async () => {
    const openai = new OpenAI({ baseURL: `${worker.url}/tei/retriever/v1`, apiKey: ANY_KEY, maxRetries: 0 })
    const { data, model } = await openai.embeddings.create({ model: 'text-embeddings-inference', input: TEXTS })
    expectNear(
      data.map(({ embedding }) => embedding),
      await expected(TEXTS),
    )
    expect(model).toBe('retriever')
    await expect(
      openai.embeddings.create({ model: 'x', input: new Array(100).fill('film').join(' ') }),
    ).rejects.toMatchObject({ status: 413 })
  })
})

describe('requests of Jina', () => {
  it('embed for a task, in several encodings', async () => {
    const answer = (await asked('/jina/v1/embeddings', {
      model: 'retriever',
      task: 'retrieval.query',
      embedding_type: ['float', 'ubinary'],
      input: TEXTS,
    })) as { data: { embedding: { float: number[]; ubinary: number[] } }[]; usage: { total_tokens: number } }
    expectNear(
      answer.data.map(({ embedding }) => embedding.float),
      await expected(TEXTS.map((text) => `a question about ${text}`)),
    )
    expect(answer.data[0]?.embedding.ubinary).toHaveLength(4)
    expect(answer.usage.total_tokens).toBe(
      TEXTS.reduce((sum, text) => sum + tokenizer.encode(`a question about ${text}`).length, 0),
    )
  })

  it('embed chunks that know of each other', async () => {
    const chunks = ['A quiet film.', 'It stays with you.']
    const output = await reference(chunks.join(' '), { pooling: 'none' })
    const [vectors = []] = output.tolist() as number[][][]
    const lengths = chunks.map((chunk) => tokenizer.encode(chunk, { add_special_tokens: false }).length)
    const [first = 0, second = 0] = lengths
    const means = [vectors.slice(1, 1 + first), vectors.slice(1 + first, 1 + first + second)].map((own) => {
      const mean = Array.from(
        { length: 32 },
        (_, i) => own.reduce((sum, vector) => sum + (vector[i] ?? 0), 0) / own.length,
      )
      const length = Math.hypot(...mean)
      return mean.map((value) => value / length)
    })
    const answer = (await asked('/jina/v1/embeddings', { model: 'retriever', input: chunks, late_chunking: true })) as {
      data: { embedding: number[] }[]
    }
    expectNear(
      answer.data.map(({ embedding }) => embedding),
      means,
    )
  })

  it('embed each token', async () => {
    const output = await reference(`the text ${TEXTS[1]}`, { pooling: 'none' })
    const answer = (await asked('/jina/v1/multi-vector', {
      model: 'retriever',
      input: [TEXTS[1]],
      input_type: 'document',
    })) as {
      data: { embeddings: number[][] }[]
    }
    expectNear(answer.data[0]?.embeddings, (output.tolist() as number[][][])[0] ?? [])
  })

  it('rank documents', async () => {
    const body = { model: 'ranker', query: 'who?', documents: ['music', 'program'], top_n: 1 }
    expect(await asked('/jina/v1/rerank', body)).toMatchObject({
      model: 'ranker',
      results: [
        {
          index: 1,
          relevance_score: expect.closeTo(sigmoid(rankOf(['who', '?'], ['program'], RANKS)), 5),
          document: { text: 'program' },
        },
      ],
    })
  })

  it('classify by the nearest label', async () => {
    const labels = ['long', 'quiet']
    const vectors = await expected([TEXTS[0] ?? '', ...labels])
    const [source = [], ...others] = vectors
    const cosines = others.map((vector) => dot(source, vector))
    const sum = cosines.reduce((total, cosine) => total + Math.exp(cosine), 0)
    const answer = await asked('/jina/v1/classify', { model: 'retriever', input: [TEXTS[0]], labels })
    expect(answer).toMatchObject({
      data: [
        {
          predictions: labels.map((label, i) => ({ label, score: expect.closeTo(Math.exp(cosines[i] ?? 0) / sum, 4) })),
        },
      ],
    })
  })
})

describe('requests of vLLM', () => {
  it('embed through the client of OpenAI, with its own fields', async () => {
    const openai = new OpenAI({ baseURL: `${worker.url}/vllm/v1`, apiKey: ANY_KEY, maxRetries: 0 })
    const long = new Array(100).fill('film').join(' ')
    const request = { model: 'retriever', input: [...TEXTS, long], truncate_prompt_tokens: -1 }
    const { data } = await openai.embeddings.create(request)
    expectNear(
      data.slice(0, 3).map(({ embedding }) => embedding),
      await expected(TEXTS),
    )
    await expect(openai.embeddings.create({ model: 'retriever', input: long })).rejects.toMatchObject({ status: 400 })
  })

  it('pool by the task named', async () => {
    const pooled = async (body: object) =>
      ((await asked('/pooling', body)) as { data: { data: unknown }[] }).data.map(({ data }) => data)
    expectNear(await pooled({ model: 'retriever', input: TEXTS }), await expected(TEXTS))
    const output = await reference(TEXTS[1] ?? '', { pooling: 'none' })
    const [tokens] = await pooled({ model: 'retriever', input: TEXTS[1], task: 'token_embed' })
    expectNear(tokens, (output.tolist() as number[][][])[0] ?? [])
    const [labels] = await pooled({ model: 'places', input: 'london', task: 'token_classify', use_activation: false })
    expect(labels).toEqual([
      [0, 0],
      [-3, 3],
      [0, 0],
    ])
  })

  it('score pairs', async () => {
    const answer = (await asked('/score', {
      model: 'ranker',
      text_1: ['who?', 'music'],
      text_2: ['program', 'music'],
      use_activation: false,
    })) as { data: { score: number }[] }
    expectNear(
      [answer.data.map(({ score }) => score)],
      [[rankOf(['who', '?'], ['program'], RANKS), rankOf(['music'], ['music'], RANKS)]],
    )
  })

  it('rank documents with their texts', async () => {
    const body = { model: 'ranker', query: 'who?', documents: ['music', 'program'] }
    expect(await asked('/vllm/v1/rerank', body)).toMatchObject({
      results: [{ document: { text: 'program' } }, { document: { text: 'music' } }],
    })
  })

  it('classify texts', async () => {
    const [music, money] = [-2 / 3, 6 / 3].map(Math.exp) as [number, number]
    expect(await asked('/vllm/classify', { model: 'topics', input: ['money'] })).toMatchObject({
      data: [{ label: 'money', probs: [music, money].map((value) => expect.closeTo(value / (music + money), 5)) }],
    })
  })

  it('tokenize and detokenize', async () => {
    const [prompt = ''] = TEXTS
    const tokens = tokenizer.encode(prompt)
    expect(await asked('/vllm/tokenize', { model: 'retriever', prompt })).toEqual({
      count: tokens.length,
      max_model_len: 64,
      tokens,
      token_strs: null,
    })
    expect(await asked('/detokenize', { model: 'retriever', tokens: [idOf('ada')] })).toEqual({
      prompt: tokenizer.decode([idOf('ada')]),
    })
  })

  it('list models and versions', async () => {
    const { data } = (await asked('/vllm/v1/models')) as { data: { id: string; max_model_len: number }[] }
    expect(data.find(({ id }) => id === 'retriever')).toMatchObject({ owned_by: 'vllm', max_model_len: 64 })
    expect(await asked('/vllm/version')).toEqual({ version: expect.any(String) })
  })
})
