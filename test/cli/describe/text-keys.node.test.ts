import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { slowTokenizer } from '../../../src/cli/describe/slow-tokenizer.ts'
import type { Signature } from '../../../src/core/tensors.ts'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import { type Sources, startSources } from '../../fixtures/node/describe.ts'
import golden from '../../fixtures/tokenizers-rust.json'

const inputs = ['input_ids', 'attention_mask'].map((name) => ({
  name,
  datatype: 'INT64' as const,
  shape: ['batch', 'length'],
}))
const outputs = (name: string, shape: (number | string)[]): Signature => ({
  inputs,
  outputs: [{ name, datatype: 'FP32', shape }],
})
const VECTORS = outputs('last_hidden_state', ['batch', 'length', 8])
const LABELS = outputs('logits', ['batch', 2])

let sources: Sources

beforeEach(async () => {
  sources = await startSources()
  await mkdir(join(sources.folder, '1_Pooling'))
})
afterEach(() => sources.remove())

const bert = golden.cases.BERT.file
const classifier = (tokenizerConfig: object, tokenizer: object = bert) => ({
  'config.json': {
    model_type: 'bert',
    max_position_embeddings: 64,
    architectures: ['BertForSequenceClassification'],
    id2label: { 0: 'a', 1: 'b' },
  },
  'tokenizer.json': tokenizer,
  'tokenizer_config.json': tokenizerConfig,
})
const encoder = (more: object) => ({
  'config.json': { model_type: 'bert', max_position_embeddings: 64 },
  'modules.json': JSON.stringify(
    ['Transformer', 'Pooling'].map((name, idx) => ({ idx, type: `sentence_transformers.models.${name}` })),
  ),
  'tokenizer.json': bert,
  ...more,
})

describe('settings of a tokenizer', () => {
  it('are obeyed: the side that is cut', async () => {
    const { description, notes } = await sources.describe(classifier({ truncation_side: 'left' }), LABELS)
    expect(description.preprocess?.text).toEqual({ maxTokens: 64, truncationSide: 'left' })
    expect(notes.join()).toContain('lose their beginning')
  })

  it.each([
    { truncation_side: 'right' },
    { do_lower_case: true, strip_accents: null, tokenize_chinese_chars: true },
    {},
  ])('say nothing new: %j', async (settings) => {
    const { description, notes } = await sources.describe(
      classifier({ ...settings, model_max_length: 64, cls_token: '[CLS]', padding_side: 'left' }),
      LABELS,
    )
    expect(description.preprocess?.text).toEqual({ maxTokens: 64 })
    expect(notes.join()).not.toContain('tokenizer_config.json')
  })

  it.each([
    [{ do_lower_case: false }, bert],
    [{ tokenize_chinese_chars: false }, { ...bert, normalizer: { type: 'Sequence', normalizers: [bert.normalizer] } }],
    [{ add_prefix_space: true }, { ...bert, pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false } }],
  ])('that contradict tokenizer.json are a reason to refuse: %j', async (settings, tokenizer) => {
    const [key = ''] = Object.keys(settings)
    const { description, notes } = await sources.describe(classifier(settings, tokenizer), LABELS)
    expect(description.task).toBeUndefined()
    expect(notes.join()).toContain(`"${key}"`)
  })

  it.each([
    [{ src_lang: 'deu', mystery: 1 }, '"src_lang", "mystery"'],
    [{ split_special_tokens: true }, 'special token'],
  ])('that have no effect are noted: %j', async (settings, said) => {
    const { description, notes } = await sources.describe(classifier(settings), LABELS)
    expect(description.task).toBe('text-classification')
    expect(notes.join('\n')).toContain(said)
  })
})

describe("sentence-transformers' settings", () => {
  it('are obeyed: lower case, and prompts that do not count', async () => {
    const { description, notes } = await sources.describe(
      encoder({
        '1_Pooling/config.json': { pooling_mode_mean_tokens: true, include_prompt: false },
        'sentence_bert_config.json': { max_seq_length: 32, do_lower_case: true },
        'config_sentence_transformers.json': { prompts: { query: 'Q: ' }, similarity_fn_name: 'dot', new_key: 1 },
      }),
      VECTORS,
    )
    expect(description.preprocess).toMatchObject({
      text: { maxTokens: 32 },
      embedding: { pooling: 'mean', includePrompt: false, lowercase: true },
    })
    for (const said of ['lower case', 'trained for "dot"', '"new_key"', 'excluded from the pooling']) {
      expect(notes.join('\n')).toContain(said)
    }
  })

  it('that a graph cannot obey are a reason to refuse', async () => {
    const files = encoder({
      '1_Pooling/config.json': { pooling_mode_mean_tokens: true, include_prompt: false },
      'config_sentence_transformers.json': { prompts: { query: 'Q: ' } },
    })
    const { description, notes } = await sources.describe(files, outputs('sentence_embedding', ['batch', 8]))
    expect(description.task).toBeUndefined()
    expect(notes.join()).toContain('excludes prompt tokens')
  })
})

it("notes what a language model's generation_config.json holds", async () => {
  const files = {
    'config.json': { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], n_positions: 64 },
    'tokenizer.json': bert,
    'generation_config.json': { eos_token_id: 3, temperature: 0.6, suppress_tokens: [1], max_length: 20 },
  }
  const signature: Signature = {
    inputs: inputs.slice(0, 1),
    outputs: outputs('logits', ['batch', 'length', 90]).outputs,
  }
  const { notes } = await sources.describe(files, signature)
  expect(notes.join('\n')).toContain('generation_config.json: Verge ignores "suppress_tokens"')
  expect(notes.join('\n')).toContain('each request sets its own sampling parameters')
})

it('refuses a decoder that cannot write the words of entities', async () => {
  const files = classifier({}, { ...bert, decoder: { type: 'CTC', pad_token: '[UNK]' } })
  const signature = outputs('logits', ['batch', 'length', 2])
  const config = { ...files['config.json'], architectures: ['BertForTokenClassification'] }
  const { description, notes } = await sources.describe({ ...files, 'config.json': config }, signature)
  expect(description.task).toBeUndefined()
  expect(notes.join()).toContain('Unknown Decoder type: CTC')
})

describe('patterns that backtrack', () => {
  const withPattern = (Regex: string) => {
    const file = JSON.stringify({ ...bert, pre_tokenizer: { type: 'Split', pattern: { Regex }, behavior: 'Isolated' } })
    return slowTokenizer(file, TextTokenizer.parse(new TextEncoder().encode(file)))
  }

  it.each(['(?:a+)+b', '\\s+$', '[a-z]*[a-z0-9]*!'])('are refused when a model is pushed: %s', (pattern) => {
    expect(withPattern(pattern)).toMatch(/pattern in its tokenizer.json takes \d+ ms/)
  })

  it.each(['\\s+(?!\\S)|\\s+', '\\p{L}+|\\p{N}{1,3}', ' ?[^\\s\\p{L}\\p{N}]+'])(
    'are not those of usual tokenizers: %s',
    (pattern) => {
      expect(withPattern(pattern)).toBeUndefined()
    },
  )
})
