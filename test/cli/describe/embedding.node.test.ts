import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { describeModel } from '../../../src/cli/describe/describe.ts'
import { descriptionSchema } from '../../../src/cli/pack/description.ts'
import { openLocalSource } from '../../../src/cli/source/local.ts'
import type { Signature } from '../../../src/core/tensors.ts'
import { identityModel } from '../../../synthetic/onnx-models.ts'
import { type Sources, startSources, TOKENIZER } from '../../fixtures/node/describe.ts'
import { haveRealModels, REAL_MODELS, SKIP_REASON } from '../../fixtures/node/real-models.ts'

const tokens = ['input_ids', 'attention_mask'].map((name) => ({
  name,
  datatype: 'INT64' as const,
  shape: ['batch', 'sequence'],
}))
const floats = (name: string, shape: (number | string)[]) => ({ name, datatype: 'FP32' as const, shape })
const ENCODER: Signature = { inputs: tokens, outputs: [floats('last_hidden_state', ['batch', 'sequence', 384])] }
const WHOLE: Signature = { inputs: tokens, outputs: [...ENCODER.outputs, floats('sentence_embedding', ['batch', 384])] }
const SCORE: Signature = { inputs: tokens, outputs: [floats('logits', ['batch', 1])] }

const module = (name: string, idx: number) => ({ idx, name: String(idx), type: `sentence_transformers.models.${name}` })
const modules = (...names: string[]) => JSON.stringify(names.map(module))

/** As sentence-transformers/all-MiniLM-L6-v2 has them. */
const MINILM = {
  'config.json': { architectures: ['BertModel'], model_type: 'bert', max_position_embeddings: 512 },
  'modules.json': modules('Transformer', 'Pooling', 'Normalize'),
  'sentence_bert_config.json': { max_seq_length: 256, do_lower_case: false },
  'tokenizer.json': TOKENIZER,
  'tokenizer_config.json': { model_max_length: 512 },
}

let sources: Sources

beforeEach(async () => {
  sources = await startSources()
  await mkdir(join(sources.folder, '1_Pooling'))
})
afterEach(() => sources.remove())

describe("an encoder of CLIP's texts, in a file of its own", () => {
  it('answers its projected vectors, and not those of its tokens', async () => {
    const signature = { inputs: tokens, outputs: [...ENCODER.outputs, floats('text_embeds', ['batch', 512])] }
    const files = {
      'config.json': { architectures: ['CLIPModel'], model_type: 'clip' },
      'tokenizer.json': TOKENIZER,
      'tokenizer_config.json': { model_max_length: 77 },
    }
    const { description } = await sources.describe(files, signature, { task: 'feature-extraction' })
    expect(description.preprocess).toMatchObject({ embedding: { output: 'text_embeds' }, text: { maxTokens: 77 } })
    expect(await sources.notes(files, signature)).toMatch(
      /raw tensors: it does not compare both sides.*--task feature-extraction/,
    )
  })
})

describe('a model of sentence-transformers', () => {
  const pooling = (settings: object) => ({ ...MINILM, '1_Pooling/config.json': settings })

  it('is described whole', async () => {
    const files = pooling({
      word_embedding_dimension: 384,
      pooling_mode_cls_token: false,
      pooling_mode_mean_tokens: true,
    })
    const { description, notes } = await sources.describe(files, ENCODER)
    expect(description).toMatchObject({
      task: 'feature-extraction',
      tokenizer: 'tokenizer.json',
      preprocess: { text: { maxTokens: 256 }, embedding: { pooling: 'mean', normalize: true } },
    })
    expect(description.labels).toBeUndefined()
    expect(notes).toEqual(
      expect.arrayContaining([
        "task feature-extraction, by sentence-transformers' modules.json",
        'texts are truncated to 256 tokens, as in training',
        'vectors are pooled by mean and normalized to length 1',
      ]),
    )
  })

  it.each([
    [{ pooling_mode_cls_token: true, pooling_mode_mean_tokens: false }, 'cls'],
    [{ pooling_mode_lasttoken: true }, 'last'],
    [{ pooling_mode_max_tokens: true }, 'max'],
    [{ pooling_mode: 'lasttoken' }, 'last'],
    [{ pooling_mode: ['mean'] }, 'mean'],
  ])('pools as its settings say: %j', async (settings, expected) => {
    const { description } = await sources.describe(pooling(settings), ENCODER)
    expect(description.preprocess?.embedding?.pooling).toBe(expected)
  })

  it.each([
    [pooling({ pooling_mode_weightedmean_tokens: true }), 'weightedmean'],
    [pooling({ pooling_mode_mean_tokens: true, pooling_mode_max_tokens: true }), 'pooling_mode_max_tokens'],
    [{ ...MINILM, 'modules.json': modules('Transformer', 'Pooling', 'Dense') }, 'Dense'],
  ])('is served as raw tensors where it pools otherwise', async (files, word) => {
    const notes = await sources.notes(files, ENCODER)
    expect(notes).toMatch(/raw tensors/)
    expect(notes).toContain(word)
    // An export of all modules has it in the graph.
    expect(await sources.notes(files, WHOLE)).toContain('pooled in the graph')
  })

  it('has its prompts, and its length as its modules say', async () => {
    const files = {
      ...pooling({ pooling_mode_mean_tokens: true }),
      'modules.json': modules('Transformer', 'Pooling'),
      'config_sentence_transformers.json': {
        prompts: { query: 'query: ', passage: 'passage: ', odd: 5 },
        default_prompt_name: 'passage',
      },
    }
    const { description } = await sources.describe(files, ENCODER)
    expect(description.preprocess?.embedding).toEqual({
      pooling: 'mean',
      normalize: false,
      prompts: { query: 'query: ', passage: 'passage: ' },
      defaultPrompt: 'passage',
    })
  })

  it('is found with its pooling in a folder', async () => {
    const folder = join(sources.folder, 'hub')
    await mkdir(join(folder, '1_Pooling'), { recursive: true })
    await mkdir(join(folder, 'onnx'))
    for (const name of ['modules.json', '1_Pooling/config.json', '1_Pooling/other.json', 'onnx/model.onnx']) {
      await writeFile(join(folder, name), name.endsWith('.onnx') ? identityModel('FP32', ['n']) : '{}')
    }
    const { files } = await openLocalSource(folder, { file: undefined, cacheDir: tmpdir() })
    expect([...files.keys()].sort()).toEqual(['1_Pooling/config.json', 'modules.json'])
  })
})

describe('other models of texts', () => {
  it('are pooled by mean where a person says what they are for and nothing says how', async () => {
    const { 'modules.json': _, 'sentence_bert_config.json': __, ...files } = MINILM
    const { description, notes } = await sources.describe(files, ENCODER, { task: 'sentence-similarity' })
    expect(description).toMatchObject({
      task: 'sentence-similarity',
      preprocess: { text: { maxTokens: 512 }, embedding: { pooling: 'mean', normalize: true } },
    })
    expect(notes.join('\n')).toContain('because no file sets the pooling')
  })

  it('are static where model2vec made them', async () => {
    const files = { 'config.json': { model_type: 'model2vec', normalize: true }, 'tokenizer.json': TOKENIZER }
    const { description } = await sources.describe(files, {
      inputs: tokens,
      outputs: [floats('embeddings', ['batch', 64])],
    })
    expect(description).toMatchObject({
      task: 'feature-extraction',
      preprocess: { embedding: { normalize: true, dropUnknown: true } },
    })
  })

  it('count unknown tokens where sentence-transformers made them', async () => {
    const modules = [{ type: 'sentence_transformers.models.StaticEmbedding' }]
    const files = { 'modules.json': modules, 'tokenizer.json': TOKENIZER }
    const { description } = await sources.describe(files, {
      inputs: tokens,
      outputs: [floats('sentence_embedding', ['batch', 64])],
    })
    expect(description).toMatchObject({
      task: 'feature-extraction',
      preprocess: { embedding: { pooling: 'mean', normalize: false } },
    })
    expect(description.preprocess?.embedding).not.toHaveProperty('dropUnknown')
  })

  it('put texts in order where they are cross-encoders', async () => {
    const config = {
      architectures: ['BertForSequenceClassification'],
      id2label: { 0: 'LABEL_0' },
      max_position_embeddings: 512,
    }
    const like = (more: object, readme = '') =>
      sources.describe(
        { 'config.json': { ...config, ...more }, 'tokenizer.json': TOKENIZER, 'README.md': readme },
        SCORE,
      )
    const known = await like({ sentence_transformers: { activation_fn: 'torch.nn.modules.linear.Identity' } })
    expect(known.description).toMatchObject({ task: 'text-ranking', preprocess: { text: { maxTokens: 512 } } })
    expect((await like({}, '---\npipeline_tag: text-ranking\n---\n')).description.task).toBe('text-ranking')
    expect((await like({})).description.task).toBe('text-classification')
  })
})

describe('a description', () => {
  const fields = { name: 'x', version: '1', licence: 'MIT', artifacts: [{ file: 'x.onnx', dtype: 'fp32' }] }

  it.each(['feature-extraction', 'sentence-similarity', 'text-ranking'])(
    'needs no labels, but a tokenizer: %s',
    (task) => {
      const without = descriptionSchema.safeParse({ ...fields, task })
      expect(without.error?.issues.map(({ path }) => path.join('.'))).toEqual(['tokenizer'])
      expect(descriptionSchema.safeParse({ ...fields, task, tokenizer: 'tokenizer.json' }).success).toBe(true)
    },
  )

  it('refuses a pooling that there is not', () => {
    const preprocess = { embedding: { pooling: 'median' } }
    const result = descriptionSchema.safeParse({ ...fields, task: 'feature-extraction', tokenizer: 't', preprocess })
    expect(result.error?.issues[0]?.path.join('.')).toBe('preprocess.embedding.pooling')
  })
})

describe.skipIf(!haveRealModels)(`a real model (skipped only where ${SKIP_REASON})`, () => {
  it('is described by the files beside it', async () => {
    const source = await openLocalSource(join(REAL_MODELS, 'm2v-bge64-converted'), {
      file: undefined,
      cacheDir: tmpdir(),
    })
    const signature = { inputs: tokens, outputs: [floats('sentence_embedding', ['batch', 64])] }
    const { description } = await describeModel({ source, signature })
    expect(description).toMatchObject({
      task: 'feature-extraction',
      licence: 'MIT',
      tokenizer: 'tokenizer.json',
      preprocess: { text: { maxTokens: 512 }, embedding: { pooling: 'mean', normalize: true, dropUnknown: true } },
    })
  })
})
