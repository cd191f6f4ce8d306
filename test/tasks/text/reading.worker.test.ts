import { describe, expect, it, vi } from 'vitest'
import type { Manifest } from '../../../src/catalog/manifest.ts'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import { testApp, testModel } from '../../fixtures/http.ts'
import { bertTokenizer, VOCABULARY } from '../../fixtures/http-tokenizer.ts'
import golden from '../../fixtures/tokenizations.json'

const { a, good, bad, film } = VOCABULARY
const CLS = VOCABULARY['[CLS]']
const SEP = VOCABULARY['[SEP]']

/** What models were given: a row of ids and of type ids for each text, without padding. */
let seen: { ids: number[]; types: number[] }[] = []

function remember(inputs: Tensors): number {
  const [ids, types, mask] = ['input_ids', 'token_type_ids', 'attention_mask'].map((name) => inputs.get(name))
  if (ids?.datatype !== 'INT64' || types?.datatype !== 'INT64' || mask?.datatype !== 'INT64') throw new Error('no ids')
  const [rows = 0, length = 0] = ids.shape
  for (let row = 0; row < rows; row++) {
    const own = Array.from({ length }, (_, i) => row * length + i).filter((i) => mask.data[i] === 1n)
    seen.push({ ids: own.map((i) => Number(ids.data[i])), types: own.map((i) => Number(types.data[i])) })
  }
  return rows
}

function model(name: string, task: string, more: Partial<Manifest>, width: number, file = bertTokenizer()) {
  const spec = (input: string) => ({ name: input, datatype: 'INT64' as const, shape: ['batch', 'length'] })
  return testModel(
    name,
    'public',
    {
      task,
      labels: ['no', 'yes'],
      activation: 'softmax',
      inputs: ['input_ids', 'token_type_ids', 'attention_mask'].map(spec),
      outputs: [{ name: 'out', datatype: 'FP32', shape: ['batch', width] }],
      ...more,
    },
    {
      compute: (inputs) => {
        const rows = remember(inputs)
        return new Map([['out', tensor('FP32', [rows, width], new Float32Array(rows * width))]])
      },
      files: { 'tokenizer.json': file },
    },
  )
}

const withoutPairs = (): Uint8Array => {
  const file = JSON.parse(new TextDecoder().decode(bertTokenizer()))
  return new TextEncoder().encode(JSON.stringify({ ...file, post_processor: { ...file.post_processor, pair: [] } }))
}

const text = (maxTokens: number, more: object = {}) => ({ text: { maxTokens, ...more } })
const { post } = testApp({
  models: [
    model('nli', 'text-classification', text(16), 2),
    model('single', 'text-classification', text(16), 2, withoutPairs()),
    model('ending', 'text-classification', text(5, { truncationSide: 'left' }), 2),
    model('odd', 'text-classification', text(8), 2),
    model('rank', 'text-ranking', text(8), 1),
    model('rankleft', 'text-ranking', text(8, { truncationSide: 'left' }), 1),
  ],
  limits: { textLengthTogether: 5_000 },
})

async function rowsFor(path: string, body: unknown): Promise<typeof seen> {
  seen = []
  const response = await post(path, body)
  expect(response.status, await response.clone().text()).toBe(200)
  return seen
}

describe('pairs for text classification', () => {
  it("stand in the tokenizer's form for pairs", async () => {
    const pair = { text: 'good film', text_pair: 'a bad film' }
    const [row] = await rowsFor('/run/nli', { inputs: pair })
    expect(row).toEqual({ ids: [CLS, good, film, SEP, a, bad, film, SEP], types: [0, 0, 0, 0, 1, 1, 1, 1] })
  })

  it('are answered as one text is, also in a list', async () => {
    const pair = { text: 'good', text_pair: 'film' }
    const one = await (await post('/run/nli', { inputs: pair })).json()
    expect(one).toEqual([
      { label: 'no', score: 0.5 },
      { label: 'yes', score: 0.5 },
    ])
    expect(await (await post('/run/nli', { inputs: [pair, 'good'] })).json()).toEqual([one, one])
    expect(await (await post('/models/nli', { inputs: pair })).json()).toEqual([one])
  })

  it.each([
    ['/run/single', { text: 'good', text_pair: 'film' }, 'does not take pairs'],
    ['/run/nli', { text: 'good', text_pair: ' ' }, 'inputs.text_pair'],
    ['/run/nli', { text: 'good' }, 'inputs'],
  ])('are refused by %s: %j', async (path, inputs, said) => {
    const response = await post(path, { inputs })
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining(said)])
  })

  it.each([
    // Five tokens for two texts: the longer one keeps three, and of equals the second.
    [20, 10, [a, a, a], [bad, bad]],
    [10, 20, [a, a], [bad, bad, bad]],
    [10, 10, [a, a], [bad, bad, bad]],
    [20, 3, [a, a, a], [bad, bad]],
    [2, 20, [a, a], [bad, bad, bad]],
    [1, 20, [a], [bad, bad, bad, bad]],
  ])('cut the longer text first, by its whole length: %i and %i tokens', async (first, second, one, other) => {
    const pair = { text: 'a '.repeat(first), text_pair: 'bad '.repeat(second) }
    const [row] = await rowsFor('/run/odd', { inputs: pair })
    expect(row?.ids).toEqual([CLS, ...one, SEP, ...other, SEP])
    const ranked = await rowsFor('/run/rank', { inputs: { query: pair.text, texts: [pair.text_pair, 'film'] } })
    expect(ranked.map(({ ids }) => ids)).toContainEqual([CLS, ...one, SEP, ...other, SEP])
  })
})

describe('the side that is cut', () => {
  it('may be the beginning', async () => {
    const [row] = await rowsFor('/run/ending', { inputs: `${'good '.repeat(1_000)}a bad film` })
    expect(row?.ids).toEqual([CLS, a, bad, film, SEP])
  })

  it('of pairs, too', async () => {
    const texts = ['good good good good bad']
    const [row] = await rowsFor('/run/rankleft', { inputs: { query: 'good good good good a', texts } })
    expect(row?.ids).toEqual([CLS, good, a, SEP, good, good, bad, SEP])
  })

  it('gives the same for the end of a long text as for all of it', () => {
    const tokenizer = TextTokenizer.parse(bertTokenizer())
    const words = ['a', 'good', 'bad', 'films.', 'unknown', '...', '  ', 'good'.repeat(30)]
    let seed = 5
    const long = Array.from({ length: 20_000 }, () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return words[(seed >>> 16) % words.length]
    }).join(' ')
    const whole = tokenizer.tokens(long)
    for (const most of [1, 10, 255, 4_000]) {
      const work = tokenizer.read(long, { most, side: 'left' })
      let step = work.next()
      while (step.done !== true) step = work.next()
      expect(step.value.map(({ id, start }) => [id, start])).toEqual(
        whole.slice(-most).map(({ id, start }) => [id, start]),
      )
    }
  })
})

describe('the characters of a request', () => {
  it('are priced before any of them is tokenized', async () => {
    const read = vi.spyOn(TextTokenizer.prototype, 'read')
    const response = await post('/run/nli', { inputs: new Array(20).fill('a '.repeat(2_000)) })
    expect([response.status, await response.json()]).toEqual([
      413,
      { error: expect.objectContaining({ code: 'input_too_large', limit_characters: 5_000 }) },
    ])
    expect(read).not.toHaveBeenCalled()
    read.mockRestore()
  })

  it.each([
    ['is dropped', '\u0001'.repeat(20_000)],
    ['is one unknown word', 'x'.repeat(20_000)],
    ['is marks', `a${'\u0300\u0316'.repeat(10_000)}`],
  ])('are read no further than the limit where what is read %s', async (_, inputs) => {
    const response = await post('/run/nli', { inputs })
    expect([response.status, await response.json()]).toEqual([
      413,
      { error: expect.objectContaining({ code: 'input_too_large', field: 'inputs' }) },
    ])
  })

  it('cost nothing where a model has no use for them', async () => {
    const [row] = await rowsFor('/run/nli', { inputs: 'a bad film '.repeat(10_000) })
    expect(row?.ids).toHaveLength(16)
  })
})

describe('words of entities', () => {
  const { file } = golden.cases.bytes
  const names = (inputs: Tensors): Tensors => {
    const ids = inputs.get('input_ids')
    const [rows = 0, length = 0] = ids?.shape ?? []
    // Everything is a person.
    const scores = Float32Array.from({ length: rows * length * 2 }, (_, i) => i % 2)
    return new Map([['logits', tensor('FP32', [rows, length, 2], scores)]])
  }
  const spec = { name: 'input_ids', datatype: 'INT64' as const, shape: ['batch', 'length'] }
  const bytes = testModel(
    'bytes',
    'public',
    { task: 'token-classification', labels: ['O', 'PER'], ...text(64), inputs: [spec], outputs: [] },
    { compute: names, files: { 'tokenizer.json': new TextEncoder().encode(JSON.stringify(file)) } },
  )
  const app = testApp({ models: [bytes] })

  it.each(['simple', 'first', 'average', 'max'])('are text with a byte-level tokenizer, by %s', async (strategy) => {
    for (const inputs of ['Gr\u00fc\u00dfe aus K\u00f6ln', '\u65e5\u672c \u{1f44d} ok', 'caf\u00e9']) {
      const response = await app.post('/run/bytes', { inputs, parameters: { aggregation_strategy: strategy } })
      const entities = await response.json<{ word: string }[]>()
      expect(entities.map(({ word }) => word)).toEqual([inputs])
    }
  })
})
