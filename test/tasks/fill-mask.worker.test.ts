import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../src/catalog/manifest.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import { testApp, testModel } from '../fixtures/http.ts'
import { idOf, WORDS, type Word, wordPieceTokenizer } from '../fixtures/text-models.ts'

const MASK = WORDS.length

/** The tokenizer of other tests with a mask token, whose special tokens are declared as BERT's are. */
function maskTokenizer(): Uint8Array {
  const file = JSON.parse(new TextDecoder().decode(wordPieceTokenizer())) as Record<string, unknown>
  const added = (content: string, id: number) => ({
    ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  })
  const special = (['[PAD]', '[CLS]', '[SEP]'] as const).map((word) => added(word, idOf(word)))
  return new TextEncoder().encode(JSON.stringify({ ...file, added_tokens: [...special, added('[MASK]', MASK)] }))
}

/** What a mask gets: after "in" a place, else a name. */
const SCORES = { in: { london: 4, paris: 3, music: 1 }, other: { ada: 5, charles: 2, '##s': 1 } } as const

const compute = (inputs: Tensors, width: number): Tensors => {
  const ids = inputs.get('input_ids')
  if (ids?.datatype !== 'INT64') throw new Error('no ids')
  const logits = new Float32Array(ids.data.length * width)
  ids.data.forEach((_, i) => {
    const scores = ids.data[i - 1] === BigInt(idOf('in')) ? SCORES.in : SCORES.other
    for (const [word, score] of Object.entries(scores)) logits[i * width + idOf(word as Word)] = score
  })
  // An output that comes first, and has scores of something else.
  const hidden = tensor('FP32', [...ids.shape, 2], new Float32Array(ids.data.length * 2))
  return new Map([
    ['hidden', hidden],
    ['logits', tensor('FP32', [...ids.shape, width], logits)],
  ])
}

function filler(name: string, more: Partial<Manifest> = {}, width = WORDS.length + 1) {
  const spec = (input: string) => ({ name: input, datatype: 'INT64' as const, shape: ['batch', 'length'] })
  const output = (each: string, width: number) => ({
    name: each,
    datatype: 'FP32' as const,
    shape: ['batch', 'length', width],
  })
  const manifest = {
    task: 'fill-mask',
    text: { maxTokens: 16, maskToken: '[MASK]' },
    inputs: ['input_ids', 'attention_mask', 'token_type_ids'].map(spec),
    outputs: [output('hidden', 2), output('logits', width)],
    ...more,
  }
  return testModel(name, 'public', manifest, {
    compute: (inputs) => compute(inputs, width),
    files: { 'tokenizer.json': maskTokenizer() },
  })
}

const unnamed = filler('unnamed', { text: { maxTokens: 16 } })
const { post } = testApp({ models: [filler('filler'), unnamed, filler('scoreless', {}, WORDS.length)] })

interface Proposal {
  readonly score: number
  readonly token: number
  readonly token_str: string
  readonly sequence: string
}

async function fill<T>(inputs: unknown, parameters: object = {}, model = 'filler'): Promise<T> {
  const response = await post(`/run/${model}`, { inputs, parameters })
  expect(response.status, await response.clone().text()).toBe(200)
  return response.json()
}

async function refusal(inputs: unknown, parameters: object = {}, model = 'filler') {
  const response = await post(`/run/${model}`, { inputs, parameters })
  const { error } = await response.json<{ error: { code: string; message: string } }>()
  return { status: response.status, ...error }
}

describe('fill-mask', () => {
  it('proposes words with the text that they make, as the Hugging Face API does', async () => {
    const found = await fill<Proposal[]>('Charles wrote in [MASK].', { top_k: 2 })
    const sum = Math.exp(4) + Math.exp(3) + Math.exp(1) + WORDS.length + 1 - 3
    expect(found).toEqual([
      {
        score: expect.closeTo(Math.exp(4) / sum, 6),
        token: idOf('london'),
        token_str: 'london',
        sequence: 'charles wrote in london.',
      },
      {
        score: expect.closeTo(Math.exp(3) / sum, 6),
        token: idOf('paris'),
        token_str: 'paris',
        sequence: 'charles wrote in paris.',
      },
    ])
  })

  it('proposes five words where nothing says how many', async () => {
    expect(await fill('[MASK] wrote')).toHaveLength(5)
  })

  it('answers a list for each of several masks, and keeps the others in the text', async () => {
    const found = await fill<Proposal[][]>('[MASK] wrote in [MASK]', { top_k: 1 })
    expect(found.map((list) => list.map(({ sequence }) => sequence))).toEqual([
      ['[CLS] ada wrote in [MASK] [SEP]'],
      ['[CLS] [MASK] wrote in london [SEP]'],
    ])
  })

  it('answers a list of texts with a list, each with its own masks', async () => {
    const found = await fill<(Proposal | Proposal[])[][]>(['in [MASK]', '[MASK] and [MASK] wrote to Ada'], { top_k: 1 })
    expect(found.map((each) => each.map((item) => Array.isArray(item)))).toEqual([[false], [true, true]])
    expect(await fill<Proposal[][]>(['in [MASK]'], { top_k: 1 })).toMatchObject([[{ token_str: 'london' }]])
  })

  it('chooses among targets: tokens as the vocabulary writes them, else the first token of a word', async () => {
    const found = await fill<Proposal[]>('in [MASK]', { targets: ['music', 'lovelace', '##s', 'paris', 'Paris'] })
    expect(found.map(({ token_str }) => token_str)).toEqual(['paris', 'music', 'love', '##s'])
    expect(await fill<Proposal[]>('in [MASK]', { targets: 'music' })).toHaveLength(1)
    // [MASK] is the tokenizer's last token, and this model has no score for it.
    expect(await fill<Proposal[]>('in [MASK]', { targets: ['music', '[MASK]'] }, 'scoreless')).toMatchObject([
      { token_str: 'music' },
    ])
  })

  it('takes a plain text with parameters in the query', async () => {
    const response = await post('/run/filler?top_k=1', 'in [MASK]', { 'content-type': 'text/plain' })
    expect(await response.json()).toMatchObject([{ token_str: 'london' }])
  })

  it('says what is wrong with a text that has no mask, or none that is read', async () => {
    expect(await refusal('Ada wrote')).toMatchObject({
      status: 400,
      code: 'invalid_request',
      message:
        '"inputs" has no [MASK] among the first 16 tokens, which the model reads. Put [MASK] in place of a word.',
    })
    const long = `${'ada '.repeat(20)}[MASK]`
    expect((await refusal(['in [MASK]', long])).message).toEqual(expect.stringMatching(/^"inputs\[1\]" has no/))
    expect(await refusal('[MASK]', { targets: ['\u0000'] })).toMatchObject({ status: 400 })
    expect(await refusal('in [MASK]', {}, 'unnamed')).toMatchObject({ code: 'manifest_invalid' })
  })
})
