import { describe, expect, it, vi } from 'vitest'
import type { Manifest } from '../../../src/catalog/manifest.ts'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import { bestSpans } from '../../../src/tasks/text/answer-spans.ts'
import { type Aggregation, entitiesOf, type ScoredToken, withoutOverlaps } from '../../../src/tasks/text/entities.ts'
import { windowsOf } from '../../../src/tasks/text/windows.ts'
import { testApp, testModel } from '../../fixtures/http.ts'
import { idOf, type Word, wordPieceTokenizer } from '../../fixtures/text-models.ts'

const TEXT_INPUTS = ['input_ids', 'attention_mask', 'token_type_ids']
const LABELS = ['O', 'B-PER', 'I-PER', 'B-LOC', 'I-LOC']

type Scores = Partial<Record<Word, readonly number[]>>

/** Each token's own scores, by its word: [batch, length, width]. */
function perToken(width: number, scores: Scores, inputs: Tensors): { data: Float32Array; shape: number[] } {
  const ids = inputs.get('input_ids')
  if (ids?.datatype !== 'INT64') throw new Error('no ids')
  const data = new Float32Array(ids.data.length * width)
  for (const [word, values] of Object.entries(scores)) {
    ids.data.forEach((id, i) => {
      if (id === BigInt(idOf(word as Word))) data.set(values, i * width)
    })
  }
  return { data, shape: [...ids.shape] }
}

const tagged: Scores = {
  ada: [0, 4, 0, 0, 0],
  love: [0, 0, 4, 0, 0],
  '##lace': [0, 0, 0, 3, 0],
  charles: [0, 5, 0, 0, 0],
  london: [0, 0, 0, 0, 5],
  paris: [0, 0, 0, 0, 6],
}

function textual(name: string, task: string, compute: (inputs: Tensors) => Tensors, more: Partial<Manifest> = {}) {
  const spec = (input: string) => ({ name: input, datatype: 'INT64' as const, shape: ['batch', 'length'] })
  return testModel(
    name,
    'public',
    { task, text: { maxTokens: 64 }, inputs: TEXT_INPUTS.map(spec), outputs: [], ...more },
    { compute, files: { 'tokenizer.json': wordPieceTokenizer() } },
  )
}

const tag = (inputs: Tensors): Tensors => {
  const { data, shape } = perToken(5, tagged, inputs)
  return new Map([
    ['hidden', tensor('FP32', [...shape, 2], new Float32Array((data.length / 5) * 2))],
    ['logits', tensor('FP32', [...shape, 5], data)],
  ])
}

/** Answers begin at "charles" or "ada" and end at "in", "##lace" or there; [CLS] says how far there is none. */
const readScores: Scores = {
  '[CLS]': [1, 1],
  ada: [3, 2],
  '##lace': [0, 3],
  charles: [5, 3],
  london: [2, 4],
  '1843': [9, 9],
}
const read = (inputs: Tensors): Tensors => {
  const { data, shape } = perToken(2, readScores, inputs)
  return new Map([
    [
      'start_logits',
      tensor(
        'FP32',
        shape,
        data.filter((_, i) => i % 2 === 0),
      ),
    ],
    [
      'end_logits',
      tensor(
        'FP32',
        shape,
        data.filter((_, i) => i % 2 === 1),
      ),
    ],
  ])
}

/** Entailment grows with words of the label in both texts; contradiction where they are in the second alone. */
const judge = (inputs: Tensors): Tensors => {
  const [ids, types, mask] = ['input_ids', 'token_type_ids', 'attention_mask'].map((name) => inputs.get(name))
  if (ids?.datatype !== 'INT64' || types?.datatype !== 'INT64' || mask?.datatype !== 'INT64') throw new Error('no ids')
  const [rows = 0, length = 0] = ids.shape
  const logits = new Float32Array(rows * 3)
  for (let row = 0; row < rows; row++) {
    const span = (type: bigint) =>
      [...ids.data.subarray(row * length, (row + 1) * length)].filter(
        (_, i) => types.data[row * length + i] === type && mask.data[row * length + i] === 1n,
      )
    const [first, second] = [new Set(span(0n)), span(1n)]
    for (const word of ['travel', 'money', 'music'] as const) {
      if (!second.includes(BigInt(idOf(word)))) continue
      const both = first.has(BigInt(idOf(word)))
      logits[row * 3 + (both ? 2 : 0)] = both ? 3 : 2
    }
  }
  return new Map([['logits', tensor('FP32', [rows, 3], logits)]])
}

const tagger = textual('tagger', 'token-classification', tag, { labels: LABELS })
const short = textual('short', 'token-classification', tag, { labels: LABELS, text: { maxTokens: 6 } })
const reader = textual('reader', 'question-answering', read)
const judgeModel = textual('judge', 'zero-shot-classification', judge, {
  labels: ['contradiction', 'neutral', 'ENTAILMENT'],
})
const mute = textual('mute', 'zero-shot-classification', judge, { labels: ['yes', 'no', 'maybe'] })
const wrong = textual('wrong', 'token-classification', read, { labels: LABELS })
const { post, serving } = testApp({ models: [tagger, short, reader, judgeModel, mute, wrong] })

async function answer<T>(path: string, body: unknown): Promise<T> {
  const response = await post(path, body)
  expect(response.status, await response.clone().text()).toBe(200)
  return response.json()
}

describe('token classification', () => {
  const text = 'Ada Lovelace wrote to Charles in London, Paris.'

  it('answers entities in the shape of the Hugging Face API', async () => {
    const entities = await answer<Record<string, unknown>[]>('/run/tagger', {
      inputs: text,
      parameters: { aggregation_strategy: 'first' },
    })
    expect(entities).toEqual([
      {
        entity_group: 'PER',
        score: expect.closeTo(Math.E ** 4 / (Math.E ** 4 + 4), 6),
        word: 'ada lovelace',
        start: 0,
        end: 12,
      },
      {
        entity_group: 'PER',
        score: expect.closeTo(Math.E ** 5 / (Math.E ** 5 + 4), 6),
        word: 'charles',
        start: 22,
        end: 29,
      },
      { entity_group: 'LOC', score: expect.any(Number), word: 'london', start: 33, end: 39 },
      { entity_group: 'LOC', score: expect.any(Number), word: 'paris', start: 41, end: 46 },
    ])
  })

  it('joins neighbours by default, and tears words where their tokens differ', async () => {
    const entities = await answer<{ entity_group: string; word: string }[]>('/run/tagger', { inputs: 'Ada Lovelace' })
    expect(entities.map(({ entity_group, word }) => [entity_group, word])).toEqual([
      ['PER', 'ada love'],
      ['LOC', '##lace'],
    ])
  })

  it('answers single tokens, and what else was ignored', async () => {
    const parameters = { aggregation_strategy: 'none', ignore_labels: ['B-PER'] }
    const entities = await answer<unknown[]>('/run/tagger', { inputs: 'Ada wrote', parameters })
    expect(entities).toEqual([
      { entity: 'O', index: 2, score: expect.closeTo(0.2, 6), word: 'wrote', start: 4, end: 9 },
    ])
  })

  it('counts places in characters, or in units of JavaScript', async () => {
    const inputs = '👍🏽 Ada'
    expect(await answer('/run/tagger', { inputs })).toMatchObject([{ start: 3, end: 6 }])
    const [entity] = await answer<{ start: number; end: number }[]>('/run/tagger', {
      inputs,
      parameters: { offsets: 'utf16' },
    })
    expect(inputs.slice(entity?.start, entity?.end)).toBe('Ada')
  })

  it('answers a batch as its singles', async () => {
    const inputs = [text, 'Ada', 'nothing of note', 'in London and Paris and London']
    const batch = await answer<unknown[]>('/run/tagger', { inputs })
    const singles = await Promise.all(inputs.map((one) => answer('/run/tagger', { inputs: one })))
    expect(batch).toEqual(singles)
    expect(batch[2]).toEqual([])
  })

  it('cuts a long text, or reads it in windows that overlap', async () => {
    const inputs = 'wrote to in the Ada Lovelace wrote to Charles in the first London'
    expect(await answer('/run/short', { inputs })).toEqual([])
    const parameters = { stride: 2, aggregation_strategy: 'first' }
    const entities = await answer<{ word: string; start: number; end: number }[]>('/run/short', { inputs, parameters })
    expect(entities.map(({ start, end }) => inputs.slice(start, end))).toEqual(['Ada Lovelace', 'Charles', 'London'])
  })

  it.each([
    ['a stride as long as a window', '/run/short', { inputs: text, parameters: { stride: 4 } }, 400, 'stride'],
    [
      'a stride for single tokens',
      '/run/short',
      { inputs: text, parameters: { stride: 1, aggregation_strategy: 'none' } },
      400,
      'stride',
    ],
    [
      'an unknown strategy',
      '/run/tagger',
      { inputs: text, parameters: { aggregation_strategy: 'all' } },
      400,
      'aggregation_strategy',
    ],
    ['an unknown parameter', '/run/tagger', { inputs: text, parameters: { colour: 1 } }, 400, 'colour'],
    ['an empty text', '/run/tagger', { inputs: ['a', ' '] }, 400, 'inputs[1]'],
    ['control characters alone', '/run/tagger', { inputs: '\u0001\u0002\u0003' }, 400, 'inputs'],
    ['ten thousand texts', '/run/tagger', { inputs: new Array(10_000).fill('Ada') }, 413, 'texts'],
    ['a model of another kind', '/run/wrong', { inputs: text }, 500, 'token and label'],
  ])('refuses %s', async (_, path, body, status, what) => {
    const response = await post(path, body)
    const said = await response.text()
    expect([response.status, said]).toEqual([status, expect.stringContaining(what)])
  })
})

describe('entities, by the examples of transformers (tests/pipelines/test_pipelines_token_classification.py)', () => {
  const names = ['O', 'B-MISC', 'I-MISC', 'B-PER', 'I-PER', 'B-ORG', 'I-ORG', 'B-LOC', 'I-LOC']
  const token = (word: string, scores: number[], start: number, end: number, insideWord: boolean): ScoredToken => ({
    word,
    scores: Float64Array.from(scores),
    start,
    end,
    insideWord,
    index: 1,
  })
  const join = (words: readonly string[]) => words.join(' ').replaceAll(' ##', '')
  const run = (tokens: readonly ScoredToken[], strategy: Aggregation) =>
    entitiesOf(tokens, strategy, (label) => names[label] ?? '', join).map(({ label, score, word, start, end }) => [
      label,
      Math.round(score * 1000) / 1000,
      word,
      start,
      end,
    ])

  const enzo = [
    token('En', [0, 0, 0, 0, 0.9968166351318359, 0, 0, 0], 0, 2, false),
    token('##zo', [0, 0, 0, 0, 0.9957635998725891, 0, 0, 0], 2, 4, true),
    token('UN', [0, 0, 0, 0, 0, 0.9986497163772583, 0, 0], 11, 13, false),
  ]
  const rama = [
    token('Ra', [0, 0.55, 0, 0.45, 0, 0, 0, 0, 0, 0], 0, 2, false),
    token('##ma', [0, 0, 0, 0.2, 0, 0, 0, 0.8, 0, 0], 2, 4, true),
    token('##zotti', [0, 0, 0, 0.4, 0, 0, 0.6, 0, 0, 0], 11, 13, true),
  ]

  it.each([
    [
      'none',
      [
        ['I-PER', 0.997, 'En', 0, 2],
        ['I-PER', 0.996, '##zo', 2, 4],
        ['B-ORG', 0.999, 'UN', 11, 13],
      ],
    ],
    [
      'simple',
      [
        ['PER', 0.996, 'Enzo', 0, 4],
        ['ORG', 0.999, 'UN', 11, 13],
      ],
    ],
    [
      'first',
      [
        ['PER', 0.997, 'Enzo', 0, 4],
        ['ORG', 0.999, 'UN', 11, 13],
      ],
    ],
    [
      'max',
      [
        ['PER', 0.997, 'Enzo', 0, 4],
        ['ORG', 0.999, 'UN', 11, 13],
      ],
    ],
    [
      'average',
      [
        ['PER', 0.996, 'Enzo', 0, 4],
        ['ORG', 0.999, 'UN', 11, 13],
      ],
    ],
  ] as const)('are %s', (strategy, expected) => {
    expect(run(enzo, strategy)).toEqual(expected)
  })

  it.each([
    [
      'none',
      [
        ['B-MISC', 0.55, 'Ra', 0, 2],
        ['B-LOC', 0.8, '##ma', 2, 4],
        ['I-ORG', 0.6, '##zotti', 11, 13],
      ],
    ],
    ['first', [['MISC', 0.55, 'Ramazotti', 0, 13]]],
    ['max', [['LOC', 0.8, 'Ramazotti', 0, 13]]],
    ['average', [['PER', 0.35, 'Ramazotti', 0, 13]]],
  ] as const)('have words of one label, %s', (strategy, expected) => {
    expect(run(rama, strategy)).toEqual(expected)
  })

  it('begin anew at B-, and go on at I- of the same kind only', () => {
    const of = (label: number, at: number) =>
      token(
        `w${at}`,
        names.map((_, i) => (i === label ? 1 : 0)),
        at,
        at + 1,
        false,
      )
    const tokens = [of(3, 0), of(4, 1), of(3, 2), of(8, 3), of(4, 4), of(0, 5), of(0, 6)]
    expect(run(tokens, 'simple').map(([label, , word]) => [label, word])).toEqual([
      ['PER', 'w0 w1'],
      ['PER', 'w2'],
      ['LOC', 'w3'],
      ['PER', 'w4'],
      ['O', 'w5 w6'],
    ])
  })

  it('of overlapping windows are the longer or the surer', () => {
    const entity = (start: number, end: number, score: number) => ({ label: 'X', word: '', start, end, score })
    expect(
      withoutOverlaps([entity(4, 6, 0.9), entity(0, 3, 0.5), entity(0, 3, 0.7), entity(5, 9, 0.1), entity(9, 10, 0.2)]),
    ).toEqual([entity(0, 3, 0.7), entity(5, 9, 0.1), entity(9, 10, 0.2)])
  })
})

describe('question answering', () => {
  const context = 'Ada Lovelace wrote to Charles in London.'

  it('answers the likeliest span, as one object', async () => {
    const best = await answer<{ score: number }>('/run/reader', { inputs: { question: 'Who?', context } })
    expect(best).toEqual({ answer: 'Charles in London', start: 22, end: 39, score: expect.any(Number) })
    // [CLS], then ada, love, ##lace, wrote, to, charles, in, london and the full stop; the question is out.
    const sum = (values: number[]) => values.reduce((total, value) => total + Math.exp(value), 0)
    const start = Math.exp(5) / sum([1, 3, 0, 0, 0, 0, 5, 0, 2, 0])
    const end = Math.exp(4) / sum([1, 2, 0, 3, 0, 0, 3, 0, 4, 0])
    expect(best.score).toBeCloseTo(start * end, 6)
  })

  it('never answers from the question', async () => {
    const best = await answer('/run/reader', { inputs: { question: '1843 1843?', context } })
    expect(best).toMatchObject({ answer: 'Charles in London' })
  })

  it('keeps to the length that is asked for, and to whole words', async () => {
    const inputs = { question: 'Who?', context }
    expect(await answer('/run/reader', { inputs, parameters: { max_answer_len: 2 } })).toMatchObject({
      answer: 'Charles',
    })
    const lovelace = { question: 'Who?', context: 'to Lovelace' }
    expect(await answer('/run/reader', { inputs: lovelace, parameters: { max_answer_len: 1 } })).toMatchObject({
      answer: 'Lovelace',
    })
    const parameters = { max_answer_len: 1, align_to_words: false }
    expect(await answer('/run/reader', { inputs: lovelace, parameters })).toMatchObject({ answer: 'lace', start: 7 })
  })

  it('answers several, best first and each once', async () => {
    const parameters = { top_k: 4 }
    const answers = await answer<{ answer: string; score: number }[]>('/run/reader', {
      inputs: { question: 'Who?', context },
      parameters,
    })
    expect(answers).toHaveLength(4)
    expect(answers.map(({ score }) => score)).toEqual(answers.map(({ score }) => score).sort((a, b) => b - a))
    expect(new Set(answers.map(({ answer: text }) => text)).size).toBe(4)
    expect(answers[0]?.answer).toBe('Charles in London')
  })

  it('says that there is none, where that is likelier', async () => {
    const inputs = { question: 'Who?', context: 'wrote to the' }
    const parameters = { handle_impossible_answer: true }
    // Of [CLS] and three words: e / (e + 3) to begin and to end nowhere.
    expect(await answer('/run/reader', { inputs, parameters })).toEqual({
      answer: '',
      start: 0,
      end: 0,
      score: expect.closeTo((Math.E / (Math.E + 3)) ** 2, 6),
    })
    expect(await answer('/run/reader', { inputs: { question: 'Who?', context }, parameters })).toMatchObject({
      answer: 'Charles in London',
    })
  })

  it('reads a long context in windows, and finds what lies across their edges', async () => {
    const filler = 'the first program is about music and '
    for (const before of [0, 1, 2, 3, 5, 8, 20]) {
      const long = `${filler.repeat(before)}${context} ${filler.repeat(9)}`
      const parameters = { max_seq_len: 24, doc_stride: 10 }
      const found = await answer<{ answer: string; start: number; end: number }>('/run/reader', {
        inputs: { question: 'Who?', context: long },
        parameters,
      })
      expect(found.answer).toBe('Charles in London')
      expect(long.slice(found.start, found.end)).toBe(found.answer)
    }
    for (const { inputs } of serving.runs.slice(-3))
      expect(inputs.get('input_ids')?.shape.at(-1)).toBeLessThanOrEqual(24)
  })

  it('answers a list of questions as each by itself', async () => {
    const list = [
      { question: 'Who?', context },
      { question: 'Who wrote?', context: 'Ada wrote the first program in 1843.' },
    ]
    const batch = await answer<unknown[]>('/run/reader', { inputs: list })
    expect(batch).toEqual(await Promise.all(list.map((inputs) => answer('/run/reader', { inputs }))))
    expect(batch[1]).toMatchObject({ answer: '1843' })
  })

  it.each([
    ['no question', { inputs: { context } }, 400, 'inputs'],
    ['an empty context', { inputs: { question: 'Who?', context: '' } }, 400, 'inputs.context'],
    ['a question of control characters', { inputs: { question: '\u0001', context } }, 400, 'inputs.question'],
    [
      'a question in a list that fills the window',
      {
        inputs: [
          { question: 'Who?', context },
          { question: 'who '.repeat(80), context },
        ],
      },
      400,
      'inputs[1].question',
    ],
    ['a context of control characters', { inputs: { question: 'Who?', context: '\u0001' } }, 400, 'inputs.context'],
    ['a question that fills the window', { inputs: { question: 'who '.repeat(80), context } }, 400, 'inputs.question'],
    ['too long a context', { inputs: { question: 'Who?', context: 'the '.repeat(40_000) } }, 413, 'tokens'],
    ['too many answers', { inputs: { question: 'Who?', context }, parameters: { top_k: 101 } }, 400, 'top_k'],
    ['an unknown parameter', { inputs: { question: 'Who?', context }, parameters: { topk: 1 } }, 400, 'topk'],
  ])('refuses %s', async (_, body, status, what) => {
    const response = await post('/run/reader', body)
    expect([response.status, await response.text()]).toEqual([status, expect.stringContaining(what)])
  })

  it('finds the best spans of all, by trying every one', () => {
    const floats = (seed: number) => Float32Array.from({ length: 12 }, (_, i) => Math.sin(seed + i * i) * 3)
    for (let seed = 0; seed < 20; seed++) {
      const [starts, ends] = [floats(seed), floats(seed + 100)]
      const allowed = Array.from({ length: 12 }, (_, i) => i > 3 && i !== 11)
      const { spans, none } = bestSpans(starts, ends, { allowed, maxLength: 3, count: 5 })
      const share = (values: Float32Array, at: number) =>
        Math.exp(values[at] ?? 0) /
        allowed.reduce((sum, may, i) => sum + (may || i === 0 ? Math.exp(values[i] ?? 0) : 0), 0)
      const all = []
      for (let first = 4; first < 11; first++) {
        for (let last = first; last < Math.min(11, first + 3); last++)
          all.push(share(starts, first) * share(ends, last))
      }
      const best = all.sort((a, b) => b - a).slice(0, 5)
      expect(spans).toHaveLength(5)
      for (const [i, span] of spans.entries()) expect(span.score).toBeCloseTo(best[i] ?? 0, 12)
      expect(none).toBeCloseTo(share(starts, 0) * share(ends, 0), 12)
    }
  })

  it('has windows that cover a text, each with the overlap', () => {
    const tokens = Array.from({ length: 23 }, (_, id) => ({ id, start: id, end: id + 1, word: id }))
    for (const [room, overlap] of [
      [10, 3],
      [10, 0],
      [23, 5],
      [40, 5],
      [2, 1],
    ] as const) {
      const windows = [...windowsOf(tokens, room, overlap)]
      expect(new Set(windows.flat().map(({ id }) => id)).size).toBe(23)
      expect(windows.at(-1)?.at(-1)?.id).toBe(22)
      for (const [i, window] of windows.entries()) {
        expect(window.length).toBeLessThanOrEqual(room)
        if (i > 0) expect(window[0]?.id).toBe((windows[i - 1]?.[0]?.id ?? 0) + room - overlap)
      }
    }
    expect([...windowsOf([], 5, 2)]).toEqual([[]])
  })

  it('makes no window before it is asked for', () => {
    const tokens = Array.from({ length: 20_000 }, (_, id) => ({ id, start: id, end: id + 1, word: id }))
    const slice = vi.spyOn(tokens, 'slice')
    for (const _ of windowsOf(tokens, 10_000, 9_999)) break
    expect(slice).toHaveBeenCalledTimes(1)
  })
})

describe('zero-shot classification', () => {
  it('takes no more of a text of labels apart than shows that there are too many', async () => {
    const trim = vi.spyOn(String.prototype, 'trim')
    const parameters = { candidate_labels: 'a,'.repeat(100_000) }
    const response = await post('/run/judge', { inputs: 'the price', parameters })
    const trimmed = trim.mock.calls.length
    trim.mockRestore()
    expect(response.status).toBe(413)
    expect(await response.json()).toMatchObject({ error: { code: 'input_too_large', limit_pairs: 2_048 } })
    expect(trimmed).toBeLessThan(5_000)
  })

  it('takes no more of a template apart than shows that it has too many places', async () => {
    const split = vi.spyOn(String.prototype, 'split')
    const parameters = { candidate_labels: ['a'], hypothesis_template: '{}'.repeat(100_000) }
    const response = await post('/run/judge', { inputs: 'the price', parameters })
    const most = Math.max(...split.mock.results.map(({ value }) => (value as string[]).length))
    split.mockRestore()
    expect(await response.json()).toMatchObject({ error: { code: 'invalid_request' } })
    expect(most).toBeLessThan(100)
  })

  const inputs = 'Ada wrote about money.'
  const candidate_labels = ['travel', 'money', 'music']

  it('answers labels and scores, best first', async () => {
    const found = await answer<{ labels: string[]; scores: number[] }>('/run/judge', {
      inputs,
      parameters: { candidate_labels },
    })
    // Entailment is 3 for "money" and 0 for the two others.
    const best = Math.exp(3) / (Math.exp(3) + 2)
    expect(found).toEqual({
      sequence: inputs,
      labels: ['money', 'travel', 'music'],
      scores: [best, (1 - best) / 2, (1 - best) / 2].map((score) => expect.closeTo(score, 6)),
    })
  })

  it('scores each by itself where several may hold, and a single one always', async () => {
    const parameters = { candidate_labels, multi_label: true }
    const found = await answer<{ labels: string[]; scores: number[] }>('/run/judge', { inputs, parameters })
    const [yes, no] = [Math.exp(3) / (Math.exp(3) + 1), 1 / (1 + Math.exp(2))]
    expect(found.scores).toEqual([yes, no, no].map((score) => expect.closeTo(score, 6)))
    const single = await answer<{ scores: number[] }>('/run/judge', {
      inputs,
      parameters: { candidate_labels: ['money'] },
    })
    expect(single.scores).toEqual([expect.closeTo(yes, 6)])
  })

  it('puts labels into the template that was sent, from a list or a text with commas', async () => {
    const parameters = { candidate_labels: 'travel, money', hypothesis_template: 'the {} is' }
    expect(await answer('/run/judge', { inputs, parameters })).toMatchObject({ labels: ['money', 'travel'] })
    const ids = serving.runs.at(-1)?.inputs.get('input_ids')
    const words = ['[CLS]', 'ada', 'wrote', 'about', 'money', '.', '[SEP]', 'the', 'travel', 'is', '[SEP]'] as const
    expect(ids?.shape).toEqual([2, 11])
    expect(ids?.data.slice(0, 11)).toEqual(BigInt64Array.from(words.map((word) => BigInt(idOf(word)))))
  })

  it('cuts the text, never the hypothesis', async () => {
    const long = `${'the '.repeat(500)}`
    await answer('/run/judge', { inputs: long, parameters: { candidate_labels } })
    const run = serving.runs.at(-1)?.inputs.get('input_ids')
    expect(run?.shape).toEqual([3, 64])
    const words = ['is', 'travel', '.', '[SEP]'] as const
    expect(run?.data.slice(60, 64)).toEqual(BigInt64Array.from(words.map((word) => BigInt(idOf(word)))))
  })

  it('answers a list of texts as each by itself', async () => {
    const texts = [inputs, 'Paris is for travel and music', 'the first program']
    const batch = await answer<unknown[]>('/run/judge', { inputs: texts, parameters: { candidate_labels } })
    const singles = texts.map((text) => answer('/run/judge', { inputs: text, parameters: { candidate_labels } }))
    expect(batch).toEqual(await Promise.all(singles))
  })

  it.each([
    ['no labels', 'judge', { inputs, parameters: {} }, 400, 'candidate_labels'],
    ['no parameters', 'judge', { inputs }, 400, 'parameters'],
    ['an empty list', 'judge', { inputs, parameters: { candidate_labels: [] } }, 400, 'candidate_labels'],
    ['an empty label', 'judge', { inputs, parameters: { candidate_labels: 'a,,b' } }, 400, 'number 2'],
    [
      'a template without a place',
      'judge',
      { inputs, parameters: { candidate_labels, hypothesis_template: 'x' } },
      400,
      'hypothesis_template',
    ],
    [
      'an enormous list',
      'judge',
      { inputs, parameters: { candidate_labels: new Array(10_000).fill('money') } },
      413,
      'at most',
    ],
    [
      'too many pairs',
      'judge',
      { inputs: new Array(1_000).fill('money'), parameters: { candidate_labels } },
      413,
      'pairs',
    ],
    [
      'a text of control characters',
      'judge',
      { inputs: [inputs, '\u0001'], parameters: { candidate_labels } },
      400,
      'inputs[1]',
    ],
    [
      'a label that leaves no room for the text',
      'judge',
      { inputs, parameters: { candidate_labels: ['money', 'the '.repeat(80)] } },
      413,
      'parameters.candidate_labels[1]',
    ],
    ['a model without "entailment"', 'mute', { inputs, parameters: { candidate_labels } }, 500, 'entailment'],
  ])('refuses %s', async (_, name, body, status, what) => {
    const response = await post(`/run/${name}`, body)
    expect([response.status, await response.text()]).toEqual([status, expect.stringContaining(what)])
  })
})
