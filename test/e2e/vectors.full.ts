import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceClient } from '@huggingface/inference'
import { AutoTokenizer, type PreTrainedTokenizer, pipeline } from '@huggingface/transformers'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { tensor } from '../../src/core/tensors.ts'
import type { Session } from '../../src/engine/engine.ts'
import { maskedLanguageModel } from '../../synthetic/masked-language.ts'
import { colbertModel, multiVectorModel, statesModel } from '../../synthetic/retrieval-models.ts'
import { bertTokenizer } from '../fixtures/mask-tokenizers.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { loadNative } from '../fixtures/node/native.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { type TransformersFolder, transformersFolder } from '../fixtures/node/transformers-folder.ts'
import { runSession } from '../fixtures/node/verge-engine.ts'

/**
 * Both sides run the same weights in single precision, in other orders of addition. Vectors have length 1, weights are of
 * the size of logits: differences stay below this.
 */
const TOLERANCE = 2e-5
const POSITIONS = 64
const TEXTS = [
  'A quiet film that stays with you.',
  'The photography is splendid, the soundtrack rather less so!',
  'bad',
]

const BERT = bertTokenizer(readFileSync(join(ROOT, 'models/reviews/tokenizer.json'), 'utf8'))
const SHAPE = { vocabulary: BERT.size + 2, positions: POSITIONS }
const QUERY_TOKENS = 12
const SKIPPED = ['.', ',', '!']

interface Sparse {
  readonly indices: readonly number[]
  readonly values: readonly number[]
}
interface TokensAnswer {
  readonly ids: readonly number[]
  readonly vectors: readonly (readonly number[])[]
}
interface TextAnswer {
  readonly dense: readonly number[]
  readonly sparse: Sparse
  readonly tokens: TokensAnswer
}

const tokenizerFile = BERT.file as {
  added_tokens: { content: string; id: number }[]
  model: { vocab: Record<string, number> }
}
const idOf = (token: string): number | undefined =>
  tokenizerFile.added_tokens.find(({ content }) => content === token)?.id ?? tokenizerFile.model.vocab[token]
const marker = (content: string, id: number) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
})
const MARKED = {
  ...tokenizerFile,
  added_tokens: [...tokenizerFile.added_tokens, marker('[Q] ', BERT.size), marker('[D] ', BERT.size + 1)],
}
const tokenizerConfig = {
  tokenizer_class: 'BertTokenizer',
  model_max_length: POSITIONS,
  mask_token: '[MASK]',
  pad_token: '[PAD]',
  sep_token: '[SEP]',
  cls_token: '[CLS]',
  unk_token: '[UNK]',
}
const CONFIG = { model_type: 'bert', max_position_embeddings: POSITIONS }
const MODELS = {
  splade: maskedLanguageModel({ vocabulary: BERT.size, positions: POSITIONS, types: false }),
  colbert: colbertModel(SHAPE),
  m3: multiVectorModel(SHAPE),
  mean: statesModel(SHAPE),
}

/** Models pushed from folders as the hub has them, beside onnxruntime-node and transformers.js on the same files. */
describe('dense, sparse and token vectors in a running Worker', () => {
  let worker: LiveWorker
  let folder: TransformersFolder
  let tokenizer: PreTrainedTokenizer
  const native = new Map<string, Session>()
  const notes = new Map<string, readonly string[]>()

  beforeAll(async () => {
    folder = await transformersFolder()
    const types = (...names: string[]) => names.map((type, idx) => ({ idx, name: String(idx), type }))
    const common = { 'tokenizer.json': BERT.file, 'tokenizer_config.json': tokenizerConfig }
    await folder.add('splade', MODELS.splade, {
      ...common,
      'config.json': { ...CONFIG, architectures: ['BertForMaskedLM'] },
      'modules.json': types(
        'sentence_transformers.sparse_encoder.models.MLMTransformer',
        'sentence_transformers.sparse_encoder.models.SpladePooling',
      ),
      '1_SpladePooling/config.json': { pooling_strategy: 'max', activation_function: 'relu' },
    })
    await folder.add('m3', MODELS.m3, { ...common, 'config.json': { ...CONFIG, architectures: ['BertModel'] } })
    await folder.add('mean', MODELS.mean, {
      ...common,
      'config.json': { ...CONFIG, architectures: ['BertModel'] },
      'modules.json': types('sentence_transformers.models.Transformer', 'sentence_transformers.models.Pooling'),
      '1_Pooling/config.json': { pooling_mode_mean_tokens: true },
    })
    await folder.add('colbert', MODELS.colbert, {
      ...common,
      'tokenizer.json': MARKED,
      'config.json': { ...CONFIG, architectures: ['BertModel'] },
      'modules.json': types('sentence_transformers.models.Transformer', 'pylate.models.Dense.Dense'),
      'config_sentence_transformers.json': {
        query_prefix: '[Q] ',
        document_prefix: '[D] ',
        query_length: QUERY_TOKENS,
        document_length: 48,
        attend_to_expansion_tokens: false,
        do_query_expansion: true,
        skiplist_words: SKIPPED,
        similarity_fn_name: 'MaxSim',
      },
    })
    worker = await startLiveWorker()
    const writer = await writerFor(worker)
    for (const [name, model] of Object.entries(MODELS)) {
      const packed = await folder.packed(name)
      notes.set(name, packed.notes)
      await publish(writer, packed)
      native.set(name, await loadNative(model))
    }
    tokenizer = await AutoTokenizer.from_pretrained('m3')
  })
  afterAll(async () => {
    await worker?.dispose()
    await folder?.remove()
  })

  async function ask<T>(path: string, body: unknown): Promise<T> {
    const response = await fetch(`${worker.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const answer = await response.json()
    if (response.status !== 200) throw new Error(JSON.stringify(answer))
    return answer as T
  }

  const idsOf = (text: string): number[] => Array.from(tokenizer(text).input_ids.data as BigInt64Array, Number)

  /** One text by onnxruntime-node. @param attended how many of its tokens the others look at */
  async function run(model: string, ids: readonly number[], attended = ids.length) {
    const session = native.get(model)
    if (session === undefined) throw new Error(`no session of ${model}`)
    const shape = [1, ids.length]
    const mask = ids.map((_, i) => (i < attended ? 1n : 0n))
    const outputs = await runSession(session, {
      input_ids: tensor('INT64', shape, BigInt64Array.from(ids, BigInt)),
      attention_mask: tensor('INT64', shape, BigInt64Array.from(mask)),
    })
    return (name: string): Float32Array => outputs.get(name)?.data as Float32Array
  }

  function expectNear(own: readonly number[], reference: ArrayLike<number>): void {
    expect(own).toHaveLength(reference.length)
    for (const [i, value] of own.entries()) {
      expect(Math.abs(value - (reference[i] ?? Number.NaN)), `number ${i}`).toBeLessThan(TOLERANCE)
    }
  }

  const unit = (vector: ArrayLike<number>): number[] => {
    const values = Array.from(vector)
    const length = Math.hypot(...values)
    return values.map((value) => value / length)
  }

  /** max over tokens of log(1 + relu(logit)), for each word of the vocabulary (SPLADE v2, equation 6). */
  function spladeOf(logits: Float32Array, tokens: number): Map<number, number> {
    const weights = new Map<number, number>()
    for (let i = 0; i < tokens * BERT.size; i++) {
      const weight = Math.log(1 + Math.max(0, logits[i] ?? 0))
      const word = i % BERT.size
      if (weight > (weights.get(word) ?? 0)) weights.set(word, weight)
    }
    return weights
  }

  /** FlagEmbedding's lexical weights: the greatest of each token id, without [CLS], [SEP], padding and unknown ones. */
  function lexicalOf(weights: Float32Array, ids: readonly number[]): Map<number, number> {
    const unused = new Set(['[CLS]', '[SEP]', '[PAD]', '[UNK]'].map(idOf))
    const found = new Map<number, number>()
    for (const [i, id] of ids.entries()) {
      const weight = weights[i] ?? 0
      if (!unused.has(id) && weight > (found.get(id) ?? 0)) found.set(id, weight)
    }
    return found
  }

  function expectWeights({ indices, values }: Sparse, reference: ReadonlyMap<number, number>): void {
    expect(indices).toEqual([...indices].sort((a, b) => a - b))
    const own = new Map(indices.map((id, i) => [id, values[i] ?? 0]))
    for (const id of new Set([...own.keys(), ...reference.keys()])) {
      // A weight just above zero on one side may be none on the other.
      expect(Math.abs((own.get(id) ?? 0) - (reference.get(id) ?? 0)), `token ${id}`).toBeLessThan(TOLERANCE)
    }
    expect(values.length).toBeGreaterThan(0)
  }

  it('push says what the models make', () => {
    expect(notes.get('m3')).toContainEqual(expect.stringContaining('as bge-m3 has them'))
    expect(notes.get('splade')).toContainEqual(expect.stringContaining('SPLADE'))
    expect(notes.get('colbert')).toContainEqual(expect.stringContaining('ColBERT'))
  })

  it("SPLADE's weights are those of its formula on onnxruntime-node's logits", async () => {
    const own = await ask<Sparse[]>('/run/splade', { inputs: TEXTS })
    for (const [i, text] of TEXTS.entries()) {
      const ids = idsOf(text)
      const logits = (await run('splade', ids))('logits')
      expectWeights(own[i] as Sparse, spladeOf(logits, ids.length))
    }
  })

  it("SPLADE's weights are those of its formula on transformers.js's logits", async () => {
    const fill = await pipeline('fill-mask', 'splade', { dtype: 'fp32' })
    const [text = ''] = TEXTS
    const inputs = fill.tokenizer(text)
    const { logits } = (await fill.model({ input_ids: inputs.input_ids, attention_mask: inputs.attention_mask })) as {
      logits: { data: Float32Array }
    }
    const own = await ask<Sparse>('/run/splade', { inputs: text })
    expectWeights(own, spladeOf(logits.data, inputs.input_ids.dims[1] ?? 0))
  })

  it("bge-m3's three kinds come in one answer, as FlagEmbedding makes them", async () => {
    const kinds = ['dense', 'sparse', 'tokens']
    const own = await ask<TextAnswer[]>('/run/m3', { inputs: TEXTS, parameters: { kinds } })
    for (const [i, text] of TEXTS.entries()) {
      const ids = idsOf(text)
      const output = await run('m3', ids)
      const { dense, sparse, tokens } = own[i] as TextAnswer
      expectNear(dense, output('dense_vecs'))
      expectWeights(sparse, lexicalOf(output('sparse_vecs'), ids))
      expect(tokens.ids).toEqual(ids.slice(1))
      expectNear(tokens.vectors.flat(), output('colbert_vecs'))
    }
  })

  it('openai and @huggingface/inference ask for kinds and encodings', async () => {
    const openai = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: 'any-key' })
    const body = { model: 'm3', input: TEXTS, kinds: ['dense', 'sparse'], encoding_format: 'float' } as const
    const { data } = await openai.embeddings.create(body)
    const [first] = await ask<TextAnswer[]>('/run/m3', { inputs: TEXTS, kinds: ['dense', 'sparse'] })
    expect(data[0]).toEqual({ object: 'embedding', index: 0, embedding: first?.dense, sparse: first?.sparse })
    const client = new InferenceClient('any-key')
    const endpointUrl = `${worker.url}/models/m3`
    expect(await client.featureExtraction({ endpointUrl, inputs: TEXTS[0] ?? '' })).toEqual(first?.dense)
    const bits = await client.featureExtraction({
      endpointUrl,
      inputs: TEXTS[0] ?? '',
      parameters: { encoding_format: 'ubinary' },
    } as Parameters<typeof client.featureExtraction>[0])
    const packed = Array.from({ length: 4 }, (_, byte) =>
      Array.from({ length: 8 }, (_, bit) => ((first?.dense[8 * byte + bit] ?? 0) > 0 ? 0x80 >> bit : 0)).reduce(
        (a, b) => a + b,
      ),
    )
    expect(bits).toEqual(packed)
  })

  it("ColBERT's documents lose punctuation, and its queries are filled with [MASK]", async () => {
    const mask = idOf('[MASK]') ?? 0
    const skipped = new Set(SKIPPED.map(idOf))
    const [CLS = 0, ...rest] = idsOf(TEXTS[1] ?? '')
    const document = [CLS, BERT.size + 1, ...rest]
    const query = [CLS, BERT.size, ...rest.slice(0, QUERY_TOKENS - 3), rest.at(-1) ?? 0]
    const short = [CLS, BERT.size, ...idsOf('bad').slice(1)]
    const filled = [...short, ...new Array<number>(QUERY_TOKENS - short.length).fill(mask)]
    const width = 16
    const reference = async (ids: readonly number[], attended: number, keeps: (id: number) => boolean) => {
      const vectors = (await run('colbert', ids, attended))('last_hidden_state')
      return ids.flatMap((id, i) => (keeps(id) ? unit(vectors.subarray(i * width, (i + 1) * width)) : []))
    }
    const own = async (inputs: string, prompt?: string) =>
      (await ask<number[][]>('/run/colbert', { inputs, ...(prompt && { prompt_name: prompt }) })).flat()
    expectNear(await own(TEXTS[1] ?? ''), await reference(document, document.length, (id) => !skipped.has(id)))
    expectNear(await own(TEXTS[1] ?? '', 'query'), await reference(query, query.length, () => true))
    expectNear(await own('bad', 'query'), await reference(filled, short.length, () => true))
  })

  it("late chunking pools each text over its own tokens of one run, and transformers.js's mean is that of one text", async () => {
    const [CLS = 0, ...first] = idsOf(TEXTS[0] ?? '')
    const SEP = first.pop() ?? 0
    const second = idsOf(TEXTS[1] ?? '').slice(1, -1)
    const states = (await run('mean', [CLS, ...first, ...second, SEP]))('last_hidden_state')
    const width = 32
    const mean = (from: number, count: number) =>
      Array.from({ length: width }, (_, channel) => {
        const own = Array.from({ length: count }, (_, i) => states[(from + i) * width + channel] ?? 0)
        return own.reduce((sum, value) => sum + value, 0) / count
      })
    const input = TEXTS.slice(0, 2)
    const body = { model: 'mean', input, late_chunking: true }
    const { data } = await ask<{ data: { embedding: number[] }[] }>('/v1/embeddings', body)
    expectNear(data[0]?.embedding ?? [], mean(1, first.length))
    expectNear(data[1]?.embedding ?? [], mean(1 + first.length, second.length))
    const extract = await pipeline('feature-extraction', 'mean', { dtype: 'fp32' })
    const alone = await extract(TEXTS[0] ?? '', { pooling: 'mean' })
    const [own] = await ask<number[][]>('/run/mean', { inputs: [TEXTS[0]] })
    expectNear(own ?? [], alone.data as Float32Array)
    expect(own?.[0]).not.toBeCloseTo(data[0]?.embedding[0] ?? 0, 3)
  })

  it('texts are ranked by MaxSim and by the product of sparse weights', async () => {
    const documents = TEXTS
    const query = 'a quiet film'
    const rank = async (model: string) =>
      (await ask<{ results: { index: number; relevance_score: number }[] }>('/rerank', { model, query, documents }))
        .results

    const asked = await ask<number[][]>('/run/colbert', { inputs: query, prompt_name: 'query' })
    const made = await ask<number[][][]>('/run/colbert', { inputs: documents })
    const dot = (a: readonly number[], b: readonly number[]) =>
      a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)
    const maxSims = made.map((vectors) =>
      asked.reduce((sum, one) => sum + Math.max(...vectors.map((other) => dot(one, other))), 0),
    )
    for (const { index, relevance_score: score } of await rank('colbert')) {
      expect(Math.abs(score - (maxSims[index] ?? 0))).toBeLessThan(QUERY_TOKENS * TOLERANCE)
    }

    const weights = async (text: string) => spladeOf((await run('splade', idsOf(text)))('logits'), idsOf(text).length)
    const wanted = await weights(query)
    const scores = await Promise.all(
      documents.map(async (text) =>
        [...(await weights(text))].reduce((sum, [id, w]) => sum + w * (wanted.get(id) ?? 0), 0),
      ),
    )
    const ranked = await rank('splade')
    for (const { index, relevance_score: score } of ranked) {
      expect(Math.abs(score / (scores[index] ?? 0) - 1)).toBeLessThan(1e-4)
    }
    const order = scores.map((score, index) => ({ score, index })).sort((a, b) => b.score - a.score)
    expect(ranked.map(({ index }) => index)).toEqual(order.map(({ index }) => index))
  })
})
