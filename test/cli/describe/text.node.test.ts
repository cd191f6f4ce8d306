import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { describeModel } from '../../../src/cli/describe/describe.ts'
import { descriptionSchema } from '../../../src/cli/pack/description.ts'
import type { Signature } from '../../../src/core/tensors.ts'
import { tokenizerOfLongWords } from '../../../synthetic/vocabularies.ts'
import { type Sources, startSources, TOKENIZER } from '../../fixtures/node/describe.ts'

const inputs = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => ({
  name,
  datatype: 'INT64' as const,
  shape: ['batch', 'length'],
}))
const outputs = (...shapes: readonly [string, readonly (number | string)[]][]): Signature => ({
  inputs,
  outputs: shapes.map(([name, shape]) => ({ name, datatype: 'FP32', shape })),
})

let sources: Sources

beforeEach(async () => {
  sources = await startSources()
})
afterEach(() => sources.remove())

const filesOf = (config: object) => ({
  'config.json': { model_type: 'bert', max_position_embeddings: 128, ...config },
  'tokenizer.json': TOKENIZER,
  'README.md': '---\nlicense: mit\n---\n',
})

describe('models of texts, by their heads', () => {
  it('are for token classification', async () => {
    const config = { architectures: ['BertForTokenClassification'], id2label: { 0: 'O', 1: 'B-PER', 2: 'I-PER' } }
    const like = outputs(['logits', ['batch', 'length', 3]])
    const { description } = await sources.describe(filesOf(config), like)
    expect(description).toMatchObject({
      task: 'token-classification',
      labels: ['O', 'B-PER', 'I-PER'],
      preprocess: { text: { maxTokens: 128 } },
      tokenizer: 'tokenizer.json',
    })
  })

  it('are for question answering, without labels', async () => {
    const config = { architectures: ['BertForQuestionAnswering'], id2label: { 0: 'LABEL_0', 1: 'LABEL_1' } }
    const like = outputs(['start_logits', ['batch', 'length']], ['end_logits', ['batch', 'length']])
    const { description } = await sources.describe(filesOf(config), like)
    expect(description).toMatchObject({ task: 'question-answering', preprocess: { text: { maxTokens: 128 } } })
    expect(description).not.toHaveProperty('labels')
    expect(description).not.toHaveProperty('activation')
  })
})

describe('a tokenizer that is too large for the edge', () => {
  const large = (architecture: string) => ({
    ...filesOf({ architectures: [architecture], id2label: { 0: 'no', 1: 'yes' } }),
    'tokenizer.json': tokenizerOfLongWords(12_000, 1_500),
    'tokenizer_config.json': { model_max_length: 128 },
  })
  const like = outputs(['logits', ['batch', 2]])

  it('is refused, with trimming as the next step', async () => {
    const files = large('BertForSequenceClassification')
    await expect(sources.describe(files, like, { task: 'text-classification' })).rejects.toThrow(
      /tokenizer\.json takes 1\d{7} bytes when it is compiled, but the limit is 16777216; trim its vocabulary with --languages, --keep-corpus or --vocabulary\.$/,
    )
    expect(await sources.notes(files, like)).toMatch(/raw tensors: .* trim its vocabulary with --languages/)
  })

  it('is taken where its vocabulary is trimmed', async () => {
    const source = await sources.make(large('BertForSequenceClassification'))
    const { description } = await describeModel({ source, signature: like, trims: true })
    expect(description).toMatchObject({ task: 'text-classification', tokenizer: 'tokenizer.json' })
  })
})

describe('a tokenizer.json of more than 8 MiB', () => {
  it('is read beside a tokenizer_config.json', async () => {
    const files = {
      ...filesOf({ architectures: ['BertForSequenceClassification'] }),
      'tokenizer.json': tokenizerOfLongWords(6_000, 1_500),
      'tokenizer_config.json': { model_max_length: 64 },
    }
    const { description } = await sources.describe(files, outputs(['logits', ['batch', 2]]))
    expect(description).toMatchObject({ task: 'text-classification', preprocess: { text: { maxTokens: 64 } } })
  })
})

describe('what tasks of texts need in verge.json', () => {
  const described = (fields: object) =>
    descriptionSchema.safeParse({
      name: 'a-model',
      version: '1',
      licence: 'MIT',
      tokenizer: 'tokenizer.json',
      preprocess: { text: { maxTokens: 128 } },
      artifacts: [{ file: 'net.onnx', dtype: 'fp32' }],
      ...fields,
    })
  const missing = (fields: object): string[] =>
    described(fields).error?.issues.map(({ path }) => path.join('.')) ?? ['nothing']

  it('is asked for', () => {
    expect(missing({ task: 'question-answering' })).toEqual(['nothing'])
    expect(missing({ task: 'question-answering', preprocess: {}, tokenizer: undefined })).toEqual([
      'preprocess.text',
      'tokenizer',
    ])
    expect(missing({ task: 'token-classification' })).toEqual(['labels'])
    expect(missing({ task: 'zero-shot-classification', labels: ['yes', 'no'] })).toEqual(['labels'])
    expect(missing({ task: 'zero-shot-classification', labels: ['contradiction', 'Entailment'] })).toEqual(['nothing'])
  })
})
