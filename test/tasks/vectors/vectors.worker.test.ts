import { describe, expect, it } from 'vitest'
import type { EmbeddingSettings } from '../../../src/catalog/settings/embedding.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import type { VectorKind } from '../../../src/protocols/text-vectors.ts'
import type { TaskModel } from '../../../src/tasks/task.ts'
import type { EmbeddingOptions } from '../../../src/tasks/vectors/embedding.ts'
import { embedVectors } from '../../../src/tasks/vectors/vectors.ts'
import { testModel } from '../../fixtures/http.ts'
import { bertTokenizer, VOCABULARY } from '../../fixtures/http-tokenizer.ts'
import { compute, M3, M3_OUTPUTS, type Output, SPLADE, vectorModel, WORDS } from '../../fixtures/vector-models.ts'

const { a, good, bad, film } = VOCABULARY
const CLS = VOCABULARY['[CLS]']
const SEP = VOCABULARY['[SEP]']
const FIELD = { field: (place: number) => `input[${place}]` }

interface Call {
  readonly inputs: Tensors
  readonly outputs: readonly string[] | undefined
}

function modelOf(names: readonly Output[], embedding: Partial<EmbeddingSettings>) {
  const { manifest } = vectorModel('m', names, embedding)
  const calls: Call[] = []
  const model: TaskModel = { manifest, file: async (file) => file.parse(bertTokenizer()) }
  const run = async (inputs: Tensors, wanted?: readonly string[]): Promise<Tensors> => {
    calls.push({ inputs, outputs: wanted })
    return compute(
      inputs,
      names.filter((name) => wanted?.includes(name) ?? true),
    )
  }
  const vectors = (
    texts: readonly string[],
    kinds: readonly VectorKind[],
    options: Omit<EmbeddingOptions, 'field'> = {},
    limits = LIMITS,
  ) => embedVectors(texts, kinds, { ...options, ...FIELD }, { model, limits, run })
  return { calls, vectors }
}

const m3 = () => modelOf(M3_OUTPUTS, M3)
const splade = (sparse = {}) =>
  modelOf(['logits'], { ...SPLADE, sparse: { output: 'logits', form: 'logits', ...sparse } })

const plain = (vector: { indices: Uint32Array; values: Float32Array } | undefined) =>
  vector && { indices: [...vector.indices], values: [...vector.values] }
const near = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 6))

describe('dense, sparse and token vectors', () => {
  it('come from one run', async () => {
    const { calls, vectors } = m3()
    const made = await vectors(['good bad good', 'film'], ['dense', 'sparse', 'tokens'])
    expect(calls.map(({ outputs: wanted }) => wanted)).toEqual([undefined])
    expect(made.dense?.map((vector) => [...vector])).toEqual([
      [CLS, good, 0],
      [CLS, film, 0],
    ])
    // [CLS] and [SEP] are not special to this tokenizer: no added token says so.
    expect(plain(made.sparse?.[0])).toEqual({ indices: [good, bad], values: near([0.2, 0.3]) })
    expect(plain(made.sparse?.[1])).toEqual({ indices: [film], values: near([0.4]) })
    const [first, second] = made.tokens ?? []
    expect(first?.ids).toEqual([good, bad, good, SEP])
    expect(second?.ids).toEqual([film, SEP])
    const unit = (id: number) => [id / Math.hypot(id, 3), 3 / Math.hypot(id, 3)]
    expect([...(second?.values ?? [])]).toEqual(near([...unit(film), ...unit(SEP)]))
    expect([...(first?.values ?? [])]).toEqual(near([good, bad, good, SEP].flatMap(unit)))
    expect([made.tokenCounts, made.total]).toEqual([[5, 3], 8])
  })

  it('leave nobody the outputs that were not asked for', async () => {
    const { calls, vectors } = m3()
    const made = await vectors(['good'], ['sparse'])
    expect(calls.map(({ outputs: wanted }) => wanted)).toEqual([['sparse_vecs']])
    expect([made.dense, made.tokens]).toEqual([undefined, undefined])
  })

  it('are the same alone and beside other texts', async () => {
    const { vectors } = m3()
    const texts = ['a good film', 'bad', 'film film']
    const kinds = ['dense', 'sparse', 'tokens'] as const
    const together = await vectors(texts, kinds)
    const alone = await Promise.all(texts.map((text) => vectors([text], kinds)))
    expect(together.dense).toEqual(alone.map(({ dense }) => dense?.[0]))
    expect(together.sparse).toEqual(alone.map(({ sparse }) => sparse?.[0]))
    expect(together.tokens).toEqual(alone.map(({ tokens }) => tokens?.[0]))
  })

  it.each<[string, VectorKind, ReturnType<typeof modelOf>]>([
    ['no sparse vectors', 'sparse', modelOf(['hidden'], {})],
    ['no vectors per token', 'tokens', modelOf(['dense_vecs'], {})],
    ['no vector per text', 'dense', modelOf(['logits'], SPLADE)],
  ])('are refused where a model makes %s', async (message, kind, { vectors }) => {
    await expect(vectors(['good'], [kind])).rejects.toMatchObject({
      code: 'task_mismatch',
      message: expect.stringContaining(`makes ${message}`),
    })
  })
})

describe('sparse vectors', () => {
  /** By the formula: log(1 + max(0, w - id)), the greatest of the text's tokens, special ones included. */
  const weight = (ids: readonly number[], w: number) => Math.max(...ids.map((id) => Math.log1p(Math.max(0, w - id))))

  it("are SPLADE's weights of the whole vocabulary, padding left out", async () => {
    const { vectors } = splade()
    const { sparse } = await vectors(['film', 'a good film'], ['sparse'])
    for (const [i, ids] of [
      [CLS, film, SEP],
      [CLS, a, good, film, SEP],
    ].entries()) {
      const expected = Array.from({ length: WORDS }, (_, w) => weight(ids, w))
      const above = expected.flatMap((value, w) => (value > 0 ? [w] : []))
      expect(plain(sparse?.[i])).toEqual({ indices: above, values: near(above.map((w) => expected[w] ?? 0)) })
    }
  })

  it('are summed, and their logarithm taken twice, where the settings say so', async () => {
    const summed = await splade({ pooling: 'sum' }).vectors(['film'], ['sparse'])
    const ids = [CLS, film, SEP]
    const sum = ids.reduce((all, id) => all + Math.log1p(Math.max(0, 9 - id)), 0)
    expect(summed.sparse?.[0]?.values.at(-1)).toBeCloseTo(sum, 5)
    const twice = await splade({ activation: 'log1p_relu' }).vectors(['film'], ['sparse'])
    expect(twice.sparse?.[0]?.values.at(-1)).toBeCloseTo(Math.log1p(weight(ids, 9)), 5)
  })

  it('bound the scores of a run, and refuse a text that has more alone', async () => {
    const limits = { ...LIMITS, vocabularyScores: 6 * WORDS }
    const { calls, vectors } = splade()
    const made = await vectors(['good', 'bad', 'film', 'a good film'], ['sparse'], {}, limits)
    expect(made.sparse).toHaveLength(4)
    expect(calls.map(({ inputs }) => inputs.get('input_ids')?.shape)).toEqual([
      [2, 3],
      [1, 3],
      [1, 5],
    ])
    const before = calls.length
    await expect(vectors(['good', 'a good bad film a'], ['sparse'], {}, limits)).rejects.toMatchObject({
      code: 'input_too_large',
      details: { limit_tokens: 6 },
    })
    expect(calls.length).toBe(before)
  })
})

describe('token vectors', () => {
  it('leave out what the settings say, and nothing of a query', async () => {
    const { vectors } = modelOf(['hidden'], {
      pooling: 'none',
      prompts: { query: 'a ', document: 'bad ' },
      defaultPrompt: 'document',
      tokens: { normalize: false, skip: [good, SEP], query: { prompt: 'query', tokens: 6, fill: 9 } },
    })
    const document = await vectors(['good film'], ['tokens'])
    expect(document.tokens?.[0]).toMatchObject({ ids: [CLS, bad, film], width: 2 })
    const query = await vectors(['good film'], ['tokens'], { prompt_name: 'query' })
    expect(query.tokens?.[0]?.ids).toEqual([CLS, a, good, film, SEP, 9])
  })

  it('hide the filling of a query from its other tokens, unless they are to see it', async () => {
    for (const [attended, mask] of [
      [undefined, [1n, 1n, 1n, 1n, 0n, 0n]],
      [true, [1n, 1n, 1n, 1n, 1n, 1n]],
    ] as const) {
      const { calls, vectors } = modelOf(['hidden'], {
        pooling: 'none',
        prompts: { query: 'a ' },
        tokens: { normalize: true, query: { prompt: 'query', tokens: 6, fill: 9, ...(attended && { attended }) } },
      })
      await vectors(['good'], ['tokens'], { prompt_name: 'query' })
      expect([...(calls[0]?.inputs.get('attention_mask')?.data ?? [])]).toEqual(mask)
    }
  })
})

describe('late chunking', () => {
  it('reads all texts as one, and pools each over its own tokens', async () => {
    const { calls, vectors } = modelOf(['hidden'], {})
    const made = await vectors(['good film', 'bad', 'a film'], ['dense', 'tokens'], { late_chunking: true })
    expect([...(calls[0]?.inputs.get('input_ids')?.data ?? [])].map(Number)).toEqual([
      CLS,
      good,
      film,
      bad,
      a,
      film,
      SEP,
    ])
    expect(calls).toHaveLength(1)
    expect(made.dense?.map(([first]) => first)).toEqual([(good + film) / 2, bad, (a + film) / 2])
    expect(made.tokens?.map(({ ids }) => ids)).toEqual([[good, film], [bad], [a, film]])
    expect([made.tokenCounts, made.total]).toEqual([[2, 1, 2], 7])
  })

  it('puts a prompt once before the first text', async () => {
    const { calls, vectors } = modelOf(['hidden'], {})
    const made = await vectors(['good', 'film'], ['dense'], { late_chunking: true, prompt: 'bad ' })
    expect([...(calls[0]?.inputs.get('input_ids')?.data ?? [])].map(Number)).toEqual([CLS, bad, good, film, SEP])
    expect(made.dense?.map(([first]) => first)).toEqual([good, film])
  })

  it.each<[string, readonly Output[], Partial<EmbeddingSettings>, readonly string[], readonly VectorKind[]]>([
    ['input_too_large', ['hidden'], {}, ['a good bad', 'a good bad film'], ['dense']],
    ['empty_input', ['hidden'], {}, ['a', '\u0001'], ['dense']],
    ['invalid_request', ['hidden'], { pooling: 'cls' }, ['a', 'bad'], ['dense']],
    ['invalid_request', ['dense_vecs'], {}, ['a', 'bad'], ['dense']],
    ['invalid_request', ['logits'], SPLADE, ['a', 'bad'], ['sparse']],
  ])('is refused by %s where it cannot be: %s %o', async (code, names, settings, texts, kinds) => {
    const { calls, vectors } = modelOf(names, settings)
    await expect(vectors(texts, kinds, { late_chunking: true })).rejects.toMatchObject({ code })
    expect(calls).toEqual([])
  })
})

it('refuses two prompts at once', async () => {
  const { vectors } = modelOf(['hidden'], { prompts: { query: 'a ' } })
  await expect(vectors(['bad'], ['dense'], { prompt: 'b ', prompt_name: 'query' })).rejects.toMatchObject({
    code: 'invalid_request',
    details: { field: 'prompt' },
  })
})

it.each<VectorKind>(['dense', 'sparse', 'tokens'])('refuses %s vectors that are no numbers', async (kind) => {
  const { manifest } = testModel('m', 'public', {
    embedding: { pooling: 'mean', normalize: true, sparse: { output: 'logits', form: 'logits' } },
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['batch', 'length'] }],
    outputs: [
      { name: 'hidden', datatype: 'FP32', shape: ['batch', 'length', 2] },
      { name: 'logits', datatype: 'FP32', shape: ['batch', 'length', 2] },
    ],
  })
  const model: TaskModel = { manifest, file: async (file) => file.parse(bertTokenizer()) }
  const run = async () => {
    const wrong = tensor('FP32', [1, 3, 2], Float32Array.of(1, 2, 3, Number.NaN, 4, 5))
    return new Map([
      ['hidden', wrong],
      ['logits', wrong],
    ])
  }
  await expect(embedVectors(['good'], [kind], FIELD, { model, limits: LIMITS, run })).rejects.toMatchObject({
    code: 'run_rejected',
  })
})
