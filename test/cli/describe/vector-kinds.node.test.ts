import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Signature } from '../../../src/core/tensors.ts'
import { bertTokenizer } from '../../fixtures/http-tokenizer.ts'
import { type Sources, startSources, TOKENIZER } from '../../fixtures/node/describe.ts'

const inputs = ['input_ids', 'attention_mask'].map((name) => ({
  name,
  datatype: 'INT64' as const,
  shape: ['batch', 'sequence'],
}))
const signature = (outputs: Readonly<Record<string, readonly (number | string)[]>>): Signature => ({
  inputs,
  outputs: Object.entries(outputs).map(([name, shape]) => ({ name, datatype: 'FP32', shape: [...shape] })),
})
const CONFIG = { architectures: ['XLMRobertaModel'], model_type: 'xlm-roberta', max_position_embeddings: 8194 }
const module = (type: string, idx: number) => ({ idx, name: String(idx), type: `sentence_transformers.${type}` })
const modules = (...types: string[]) => JSON.stringify(types.map(module))

let sources: Sources

beforeEach(async () => {
  sources = await startSources()
  await mkdir(join(sources.folder, '1_SpladePooling'))
})
afterEach(() => sources.remove())

describe("exports of bge-m3's kind", () => {
  it.each([
    ['dense_vecs', 'sparse_vecs', 'colbert_vecs'],
    ['dense_embeddings', 'sparse_weights', 'colbert_vectors'],
    ['dense', 'sparse', 'colbert'],
  ])('are recognised by the names of their outputs: %s, %s, %s', async (dense, sparse, colbert) => {
    const like = signature({
      [dense]: ['batch', 1024],
      [sparse]: ['batch', 'sequence', 1],
      [colbert]: ['batch', 'sequence', 1024],
    })
    const files = { 'config.json': CONFIG, 'tokenizer.json': TOKENIZER }
    const { description, notes } = await sources.describe(files, like)
    expect(description).toMatchObject({ task: 'feature-extraction', tokenizer: 'tokenizer.json' })
    expect(description.preprocess?.embedding).toEqual({
      pooling: 'cls',
      normalize: true,
      output: dense,
      sparse: { output: sparse, form: 'weights' },
      tokens: { output: colbert, normalize: true, skipFirst: true },
    })
    expect(notes).toEqual(
      expect.arrayContaining([
        `task feature-extraction, by its outputs ${dense}, ${sparse}, ${colbert}, as bge-m3 has them`,
        expect.stringContaining('one run makes dense vectors'),
      ]),
    )
  })

  it('are none where an output has one of the names alone', async () => {
    const files = { 'config.json': CONFIG, 'tokenizer.json': TOKENIZER }
    const { description } = await sources.describe(files, signature({ dense: ['batch', 1024] }))
    expect(description.task).toBeUndefined()
  })
})

describe('sparse encoders', () => {
  const splade = (pooling: object | undefined) => ({
    'config.json': { architectures: ['DistilBertForMaskedLM'], model_type: 'distilbert' },
    'modules.json': modules('sparse_encoder.models.MLMTransformer', 'sparse_encoder.models.SpladePooling'),
    'tokenizer.json': TOKENIZER,
    ...(pooling && { '1_SpladePooling/config.json': pooling }),
  })
  const LOGITS = signature({ logits: ['batch', 'sequence', 30_522] })

  it.each([
    [{ pooling_strategy: 'max', activation_function: 'relu', word_embedding_dimension: 30_522 }, {}],
    [undefined, {}],
    [
      { pooling_strategy: 'sum', activation_function: 'log1p_relu' },
      { pooling: 'sum', activation: 'log1p_relu' },
    ],
  ])('pool their logits as SpladePooling says: %j', async (pooling, expected) => {
    const { description, notes } = await sources.describe(splade(pooling), LOGITS)
    expect(description.task).toBe('feature-extraction')
    expect(description.preprocess?.embedding).toEqual({
      pooling: 'none',
      normalize: false,
      sparse: { output: 'logits', form: 'logits', ...expected },
    })
    expect(notes[0]).toBe('task feature-extraction, as a sparse encoder of the kind of SPLADE')
  })

  it('answer what the graph has pooled', async () => {
    const like = signature({ sparse_embedding: ['batch', 30_522] })
    const { description } = await sources.describe(splade(undefined), like)
    expect(description.preprocess?.embedding?.sparse).toEqual({ output: 'sparse_embedding', form: 'vector' })
  })

  it('are known by their card where they have no modules', async () => {
    const { 'modules.json': _, ...files } = splade(undefined)
    const card = (tag: string) => `---\ntags:\n- ${tag}\n---\n`
    const { description } = await sources.describe({ ...files, 'README.md': card('splade') }, LOGITS)
    expect(description.preprocess?.embedding?.sparse?.form).toBe('logits')
    const other = await sources.describe({ ...files, 'README.md': card('fill-mask') }, LOGITS)
    expect(other.description.preprocess?.embedding).toBeUndefined()
  })

  it('are tensors where their pooling is another', async () => {
    const { description, notes } = await sources.describe(splade({ pooling_strategy: 'median' }), LOGITS)
    expect(description.task).toBeUndefined()
    expect(notes.join('\n')).toContain('SpladePooling')
  })
})

describe("models of ColBERT's kind", () => {
  const base = JSON.parse(new TextDecoder().decode(bertTokenizer())) as { model: { vocab: Record<string, number> } }
  const added = (content: string, id: number) => ({
    content,
    id,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  })
  const tokenizer = (...tokens: ReturnType<typeof added>[]) => JSON.stringify({ ...base, added_tokens: tokens })
  const TOKENS = signature({ last_hidden_state: ['batch', 'sequence', 96] })
  const pylate = {
    'config.json': { architectures: ['BertModel'], model_type: 'bert', max_position_embeddings: 512 },
    'modules.json': modules('models.Transformer', 'models.Dense'),
    'tokenizer.json': tokenizer(added('[Q] ', 10), added('[D] ', 11), added('[MASK]', 12)),
    'config_sentence_transformers.json': {
      prompts: {},
      similarity_fn_name: 'MaxSim',
      query_prefix: '[Q] ',
      document_prefix: '[D] ',
      query_length: 16,
      document_length: 180,
      attend_to_expansion_tokens: false,
      skiplist_words: ['.', ','],
    },
  }

  it('are described by what PyLate writes', async () => {
    const { description, notes } = await sources.describe(pylate, TOKENS)
    expect(description.preprocess).toMatchObject({
      text: { maxTokens: 180 },
      embedding: {
        pooling: 'none',
        prompts: { query: '[Q] ', document: '[D] ' },
        defaultPrompt: 'document',
        tokens: {
          output: 'last_hidden_state',
          normalize: true,
          skip: [base.model.vocab['.']],
          query: { prompt: 'query', tokens: 16, fill: 12 },
        },
      },
    })
    expect(notes.join('\n')).not.toMatch(/cosine|query_prefix/)
  })

  it("have ColBERT's own markers and punctuation where no file says others", async () => {
    const { 'config_sentence_transformers.json': _, 'modules.json': __, ...files } = pylate
    const config = { ...pylate['config.json'], architectures: ['HF_ColBERT'] }
    const marked = tokenizer(added('[unused0]', 10), added('[unused1]', 11))
    const { description } = await sources.describe(
      { ...files, 'config.json': config, 'tokenizer.json': marked },
      TOKENS,
    )
    expect(description.preprocess?.embedding).toMatchObject({
      prompts: { query: '[unused0]', document: '[unused1]' },
      tokens: { normalize: true, skip: [base.model.vocab['.']] },
    })
    expect(description.preprocess?.embedding?.tokens?.query).toBeUndefined()
  })

  it('are tensors where the tokenizer would take a marker apart', async () => {
    const files = { ...pylate, 'tokenizer.json': tokenizer(added('[MASK]', 12)) }
    const { description, notes } = await sources.describe(files, TOKENS)
    expect(description.task).toBeUndefined()
    expect(notes.join('\n')).toContain('does not read its marker "[Q] " as one token')
  })
})
