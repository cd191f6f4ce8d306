import { describe, expect, it } from 'vitest'
import { LIMITS, type Limits } from '../../../src/core/limits.ts'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import { createTasks } from '../../../src/tasks/index.ts'
import { EXAMPLE_PNG } from '../../../src/tasks/pictures/input.ts'
import type { TaskModel } from '../../../src/tasks/task.ts'
import { TASK_CASES } from '../../contract/task-cases.ts'
import { idOf } from '../../fixtures/text-models.ts'

const { files = {}, manifest } = TASK_CASES['image-text-similarity']

/** A text's score is its first word's number, and a picture counts from 100 on. */
function compute(inputs: Tensors): Tensors {
  const ids = inputs.get('input_ids')
  const pictures = inputs.get('pixel_values')?.shape[0] ?? 0
  if (ids?.datatype !== 'INT64') throw new Error('no ids')
  const [texts = 0, length = 0] = ids.shape
  const scores = Array.from({ length: pictures }, (_, i) =>
    Array.from({ length: texts }, (__, j) => 100 * (i + 1) + Number(ids.data[j * length + 1])),
  )
  return new Map([['logits_per_image', tensor('FP32', [pictures, texts], Float32Array.from(scores.flat()))]])
}

function ask(value: unknown, { text, limits = {}, outputs = compute, ...model }: Options = {}) {
  const runs: Tensors[] = []
  const task = createTasks({ ...LIMITS, ...limits })['image-text-similarity']
  const made: TaskModel = {
    manifest: { ...manifest, ...(text && { text }) },
    file: async ({ name, parse }) => parse(files[name] ?? new Uint8Array()),
    ...model,
  }
  const answer = task.execute({ kind: 'json', value }, made, async (inputs) => {
    runs.push(inputs)
    return outputs(inputs)
  })
  return { answer, runs }
}

interface Options extends Partial<TaskModel> {
  readonly text?: typeof manifest.text
  readonly limits?: Partial<Limits>
  readonly outputs?: (inputs: Tensors) => Tensors
}

const WORDS = ['who', 'travel', 'the'] as const
const body = (images = 2, texts: readonly string[] = WORDS) => ({
  inputs: { images: Array.from({ length: images }, () => EXAMPLE_PNG), texts },
  parameters: { score: 'logits' },
})

describe('models of two encoders', () => {
  it('give each picture a row of scores in the order of the texts, whatever order they ran in', async () => {
    // A long text first, which runs last.
    const texts = ['who wrote the first program in london', 'travel', 'the']
    const { answer, runs } = ask(body(2, texts), { limits: { tokensPerRun: 6 } })
    const row = (picture: number) => WORDS.map((word) => 100 * picture + idOf(word))
    expect(await answer).toEqual([row(1), row(2)])
    expect(runs.length).toBe(2)
    for (const run of runs) expect(run.get('pixel_values')?.shape).toEqual([2, 1, 4, 4])
  })

  it('take scores that are given by text', async () => {
    const turned = (inputs: Tensors): Tensors => {
      const scores = compute(inputs).get('logits_per_image')
      if (scores?.datatype !== 'FP32') throw new Error('no scores')
      const [pictures = 0, texts = 0] = scores.shape
      const data = scores.data.map((_, i) => scores.data[(i % pictures) * texts + Math.floor(i / pictures)] ?? 0)
      return new Map([['logits_per_text', tensor('FP32', [texts, pictures], data)]])
    }
    expect(await ask(body(), { outputs: turned }).answer).toEqual(await ask(body()).answer)
  })

  it('pad texts with the token and to the length of the model, outside of the mask', async () => {
    const text = { maxTokens: 16, padding: { length: 8, token: 'music' } }
    const { answer, runs } = ask(body(1, ['who wrote']), { text })
    await answer
    const music = BigInt(idOf('music'))
    const ids = [idOf('[CLS]'), idOf('who'), idOf('wrote'), idOf('[SEP]')].map(BigInt)
    expect(runs[0]?.get('input_ids')?.data).toEqual(BigInt64Array.from([...ids, music, music, music, music]))
    expect(runs[0]?.get('attention_mask')?.data).toEqual(BigInt64Array.from([1n, 1n, 1n, 1n, 0n, 0n, 0n, 0n]))
    const unknown = { maxTokens: 16, padding: { length: 8, token: 'nothing of it' } }
    await expect(ask(body(), { text: unknown }).answer).rejects.toMatchObject({ code: 'manifest_invalid' })
  })

  it('make texts lower case where the tokenizer does not', async () => {
    const { answer, runs } = ask(body(1, ['WHO']), { text: { maxTokens: 16, lowercase: true } })
    await answer
    expect(runs[0]?.get('input_ids')?.data[1]).toBe(BigInt(idOf('who')))
  })

  it('price each text with a picture of its own, before a picture is decoded', async () => {
    const shapes: unknown[] = []
    const broken = { inputs: { images: ['AAAA'], texts: WORDS }, parameters: { score: 'logits' } }
    const refusal = new Error('too much')
    const { answer, runs } = ask(broken, {
      checkCost(all) {
        shapes.push(...all.map((inputs) => Object.fromEntries(inputs)))
        throw refusal
      },
    })
    await expect(answer).rejects.toBe(refusal)
    expect(shapes).toEqual([
      {
        input_ids: { shape: [3, 3] },
        attention_mask: { shape: [3, 3] },
        pixel_values: { shape: [3, 1, 4, 4] },
      },
    ])
    expect(runs).toEqual([])
  })
})
