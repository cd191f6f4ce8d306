import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceClient } from '@huggingface/inference'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { type Description, descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { maskedLanguageModel } from '../../synthetic/masked-language.ts'
import { bertTokenizer } from '../fixtures/mask-tokenizers.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { judgeModel, readerModel, taggerModel, wordPieceTokenizer } from '../fixtures/text-models.ts'

const KEY = 'a-key-for-text-tasks-0123456789'

const TAGGER = taggerModel(5, {
  ada: [0, 4, 0, 0, 0],
  love: [0, 0, 4, 0, 0],
  '##lace': [0, 0, 4, 0, 0],
  charles: [0, 5, 0, 0, 0],
  london: [0, 0, 0, 5, 0],
})
const READER = readerModel({ ada: [4, 1], '##lace': [0, 4], charles: [3, 3], '1843': [2, 5] })
const JUDGE = judgeModel(3, { travel: [0, 0, 4], money: [0, 1, 6], music: [3, 0, 0], the: [0.3, 0.2, 0.1] })

function described(name: string, fields: Partial<Description>): Description {
  return descriptionSchema.parse({
    name,
    version: '1',
    visibility: 'public',
    licence: 'Apache-2.0',
    tokenizer: 'tokenizer.json',
    preprocess: { text: { maxTokens: 32 } },
    artifacts: [{ file: 'model.onnx', dtype: 'fp32', places: ['edge'] }],
    ...fields,
  })
}

/** Text tasks end to end: packed, stored, loaded in workerd and asked by the official client. */
describe('text tasks in a running Worker', () => {
  let worker: LiveWorker
  const client = new InferenceClient(KEY)
  const at = (model: string) => ({ endpointUrl: `${worker.url}/run/${model}` })

  beforeAll(async () => {
    worker = await startLiveWorker({ VERGE_API_KEY: KEY })
    const writer = await writerFor(worker)
    for (const [description, model] of [
      [described('names', { task: 'token-classification', labels: ['O', 'B-PER', 'I-PER', 'B-LOC', 'I-LOC'] }), TAGGER],
      [described('reader', { task: 'question-answering' }), READER],
      [
        described('judge', { task: 'zero-shot-classification', labels: ['contradiction', 'neutral', 'entailment'] }),
        JUDGE,
      ],
      [described('reviews', { task: 'text-classification', labels: ['travel', 'money', 'music'] }), JUDGE],
    ] as const) {
      const given = new Map<string, Uint8Array>([
        ['model.onnx', model],
        ['tokenizer.json', wordPieceTokenizer()],
      ])
      await publish(writer, await pack(description, '.', given))
    }
    const { file, size } = bertTokenizer(readFileSync(join(ROOT, 'models/reviews/tokenizer.json'), 'utf8'))
    const filler = new Map<string, Uint8Array>([
      ['model.onnx', maskedLanguageModel({ vocabulary: size, positions: 64, types: true })],
      ['tokenizer.json', new TextEncoder().encode(JSON.stringify(file))],
    ])
    const preprocess = { text: { maxTokens: 64, maskToken: '[MASK]' } }
    await publish(writer, await pack(described('filler', { task: 'fill-mask', preprocess }), '.', filler))
  })
  afterAll(() => worker?.dispose())

  const run = async (model: string, body: unknown): Promise<unknown> => {
    const response = await fetch(`${worker.url}/run/${model}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    expect(response.status, await response.clone().text()).toBe(200)
    return response.json()
  }

  it('@huggingface/inference finds names', async () => {
    const inputs = 'Ada Lovelace wrote to Charles in London.'
    const entities = await client.tokenClassification({ ...at('names'), inputs })
    expect(entities.map(({ entity_group, start, end }) => [entity_group, inputs.slice(start, end)])).toEqual([
      ['PER', 'Ada Lovelace'],
      ['PER', 'Charles'],
      ['LOC', 'London'],
    ])
  })

  it('@huggingface/inference answers questions', async () => {
    const context = 'Ada Lovelace wrote the first program in 1843.'
    const answer = await client.questionAnswering({ ...at('reader'), inputs: { question: 'Who wrote?', context } })
    expect(answer).toEqual({ answer: context.slice(0, 44), start: 0, end: 44, score: expect.any(Number) })
    const short = await client.questionAnswering({
      ...at('reader'),
      inputs: { question: 'Who wrote?', context },
      parameters: { max_answer_len: 3 },
    })
    expect(short.answer).toBe('Ada Lovelace')
  })

  it('@huggingface/inference classifies by labels of its own', async () => {
    const parameters = { candidate_labels: ['travel', 'music', 'money'] }
    const found = await client.zeroShotClassification({ ...at('judge'), inputs: 'the price', parameters })
    expect(found.map(({ label }) => label)).toEqual(['money', 'travel', 'music'])
    expect(found.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 6)
  })

  it('answers a batch of texts of all lengths as its singles', async () => {
    const texts = Array.from({ length: 12 }, (_, i) => `${'the travel money music for '.repeat(1 + ((i * 5) % 7))}ada`)
    for (const [model, more] of [
      ['reviews', {}],
      ['names', {}],
      ['judge', { parameters: { candidate_labels: ['travel', 'music'], multi_label: true } }],
    ] as const) {
      const batch = (await run(model, { inputs: texts, ...more })) as unknown[]
      expect(batch).toHaveLength(texts.length)
      for (const [i, inputs] of texts.entries()) {
        expect(rounded(batch[i])).toEqual(rounded(await run(model, { inputs, ...more })))
      }
    }
  })

  it('answers the documented requests in the documented shapes', async () => {
    const page = readFileSync(join(ROOT, 'docs/tasks/text.md'), 'utf8')
    const examples = [...page.matchAll(/curl \$VERGE\/run\/(\w+) .* -d '(.*)'\n```\n\n```json\n([\s\S]*?)\n```/g)]
    expect(examples).toHaveLength(5)
    for (const [, model = '', body = '', documented = ''] of examples) {
      expect(shapeOf(await run(model, JSON.parse(body)))).toEqual(shapeOf(JSON.parse(documented)))
    }
    const [settings = ''] = page.match(/\{\n {2}"name"[\s\S]*?\n\}/) ?? []
    expect(descriptionSchema.parse(JSON.parse(settings))).toMatchObject({ name: 'names', task: 'token-classification' })
  })

  it('reads a context of several windows', async () => {
    const context = `${'the first program is about money and music for the price . '.repeat(12)} Charles wrote`
    const answer = await run('reader', { inputs: { question: 'Who?', context }, parameters: { doc_stride: 8 } })
    expect(answer).toMatchObject({ answer: 'Charles', start: context.indexOf('Charles') })
  })
})

/** Names and types of an answer's fields; of a list, those of its first item. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return [shapeOf(value[0])]
  if (typeof value !== 'object' || value === null) return typeof value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, shapeOf(part)]))
}

/** Sums in another order differ in the last digits. */
function rounded(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, part) =>
    typeof part === 'number' ? Math.round(part * 1e5) / 1e5 : part,
  )
}
