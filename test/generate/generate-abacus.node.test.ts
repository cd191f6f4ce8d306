import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { toOrtFormat } from '../../src/cli/pack/convert.ts'
import { edgeEngine } from '../../src/cli/pack/edge-engine.ts'
import type { Session } from '../../src/engine/engine.ts'
import { artifactOf, never, sourceOf } from '../../synthetic/source.ts'
import { goldenCases, heldOutPairs, idsOf, modelBytes, promptOf, STOPS, textOf } from '../fixtures/node/abacus.ts'
import { greedy, leftPadded, likeliest, read } from '../fixtures/node/decode.ts'
import { plainEngine } from '../fixtures/node/run-onnx.ts'

const QUESTIONS = ['What is 27 plus 58?', 'Subtract 9 from 71.', '6+88=?', 'How much is 90 - 34?']
const ANSWERS = ['27 plus 58 is 85.', '71 minus 9 is 62.', '6 plus 88 is 94.', '90 minus 34 is 56.']

async function native(file: 'model.onnx' | 'model.q8.onnx'): Promise<Session> {
  const bytes = modelBytes(file)
  return plainEngine('all').load(await artifactOf(bytes), sourceOf(bytes, 1 << 22), { signal: never() })
}

async function wasm(file: 'model.onnx' | 'model.q8.onnx'): Promise<Session> {
  const { bytes } = await toOrtFormat(modelBytes(file))
  return (await edgeEngine()).load(await artifactOf(bytes, 'ort'), sourceOf(bytes), { signal: never() })
}

function farthest(a: Iterable<number>, b: readonly number[]): number {
  const left = Array.from(a)
  expect(left).toHaveLength(b.length)
  return left.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? Number.NaN))), 0)
}

async function written(session: Session, prompts: readonly string[]): Promise<string[]> {
  return (await greedy(session, prompts.map(idsOf), STOPS)).map(textOf)
}

describe('the tokenizer of abacus', () => {
  it.each(goldenCases)('gives the ids that the model was trained on: $prompt', ({ prompt, ids }) => {
    expect(idsOf(prompt)).toEqual(ids)
  })

  it('has one token for a digit, and gives back any text', () => {
    expect(idsOf('27+58=85')).toHaveLength(8)
    for (const text of ['27 plus 58 is 85.', ' 1  2\n\t3', 'Zürich, 東京 \u{1f9ee}'])
      expect(textOf(idsOf(text))).toBe(text)
  })

  it('has the chat template that the model was trained on', () => {
    expect(promptOf('What is 27 plus 58?')).toBe(goldenCases[0]?.prompt)
    expect([...STOPS]).toEqual(idsOf('<|im_end|><|endoftext|>'))
  })
})

describe('abacus', () => {
  let session: Session
  beforeAll(async () => {
    session = await native('model.onnx')
  })
  afterAll(() => session?.dispose())

  it.each(goldenCases)("gives PyTorch's logits, in one run and token by token: $prompt", async ({ ids, logits }) => {
    const whole = await read(session, [ids])
    let step = await read(session, [ids.slice(0, 1)])
    const single = [step.logits[0]?.[0]]
    for (const id of ids.slice(1)) {
      step = await read(session, [[id]], step.past)
      single.push(step.logits[0]?.[0])
    }
    for (const [i, expected] of logits.entries()) {
      const at = ids.length - logits.length + i
      expect(farthest(whole.logits[0]?.[at] ?? [], expected)).toBeLessThan(1e-4)
      expect(farthest(single[at] ?? [], expected)).toBeLessThan(1e-4)
    }
    for (const [at, row] of (whole.logits[0] ?? []).entries()) {
      expect(farthest(single[at] ?? [], [...row])).toBeLessThan(1e-4)
    }
    for (const [name, { data }] of whole.past.cache) {
      expect(farthest(step.past.cache.get(name)?.data as Float32Array, [...(data as Float32Array)])).toBeLessThan(1e-4)
    }
  })

  it('gives a batch, padded on the left, what its rows get alone', async () => {
    const prompts = QUESTIONS.map((question) => idsOf(promptOf(question)))
    const { rows, given } = leftPadded(prompts)
    expect(given.some((row) => row[0] === 0)).toBe(true)
    let batch = await read(session, rows, undefined, given)
    let alone = await Promise.all(prompts.map((ids) => read(session, [ids])))
    for (let count = 0; count < 5; count++) {
      const next = alone.map(({ logits }, row) => {
        const last = logits[0]?.at(-1) ?? new Float32Array(0)
        expect(farthest(batch.logits[row]?.at(-1) ?? [], [...last])).toBeLessThan(1e-4)
        return [likeliest(last)]
      })
      batch = await read(session, next, batch.past)
      alone = await Promise.all(next.map((ids, row) => read(session, [ids], alone[row]?.past)))
    }
  })

  it('answers chats and continues texts', async () => {
    expect(await written(session, QUESTIONS.map(promptOf))).toEqual(ANSWERS)
    expect(await written(session, ['27 plus 58 is', '90 - 34 ='])).toEqual([' 85.', ' 56'])
  })
})

describe.each([
  { form: 'model.onnx in the native engine', open: () => native('model.onnx'), stated: 0.999 },
  { form: 'model.q8.onnx in the native engine', open: () => native('model.q8.onnx'), stated: 0.9995 },
  { form: "model.q8.onnx in the Worker's engine", open: () => wasm('model.q8.onnx'), stated: 0.9995 },
])('abacus, $form', ({ open, stated }) => {
  it('does the sums that it never saw', async () => {
    const session = await open()
    try {
      // Evenly spread, 100 of each operation.
      const pairs = heldOutPairs()
      // As the training script counts them.
      expect(pairs).toHaveLength(982)
      const some = pairs.filter(
        (_, i) => Math.floor((i * 100) / pairs.length) > Math.floor(((i - 1) * 100) / pairs.length),
      )
      const asked = some.flatMap(([a, b]) => [
        { prompt: promptOf(`What is ${a} plus ${b}?`), right: `${a} plus ${b} is ${a + b}.` },
        { prompt: promptOf(`What is ${a} minus ${b}?`), right: `${a} minus ${b} is ${a - b}.` },
      ])
      expect(asked.length).toBeGreaterThan(190)
      const answers = await written(
        session,
        asked.map(({ prompt }) => prompt),
      )
      const right = asked.filter((one, i) => answers[i] === one.right).length
      // The stated share is of all held-out sums; of 200 it may differ by two in a hundred.
      expect(right / asked.length).toBeGreaterThanOrEqual(stated - 0.02)
    } finally {
      session.dispose()
    }
  })
})
