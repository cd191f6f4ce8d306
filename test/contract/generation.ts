import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/core/limits.ts'
import { type Tensor, tensor } from '../../src/core/tensors.ts'
import type { Engine, GenerateOptions, Session } from '../../src/engine/engine.ts'
import { arithmeticModel } from '../../synthetic/onnx-models.ts'
import { never } from '../../synthetic/source.ts'
import { type CausalModelOptions, causalModel, expectedLogits } from '../fixtures/causal-models.ts'
import { rejection } from './rejection.ts'

/** Forms that causal language models are exported in. */
const CAUSAL_FORMS: readonly (readonly [string, CausalModelOptions])[] = [
  ['a cache and position ids', {}],
  ['a cache and no position ids', { positions: false }],
  ['a cache in half floats', { datatype: 'FP16' }],
  ['a merged decoder', { form: 'decoder.', branch: true }],
  ['logits of the last position alone', { keep: true }],
  ['32-bit token ids', { ids: 'INT32' }],
  ['no cache', { cached: false }],
]

/** Takes tokens in a fixed order, and keeps the logits that it was shown. */
function recorder(order: readonly number[]): { seen: number[][]; options: GenerateOptions } {
  const seen: number[][] = []
  const choose = (logits: Float32Array): number => {
    seen.push([...logits])
    logits.fill(Number.NaN)
    return order[(seen.length - 1) % order.length] as number
  }
  return { seen, options: { choose, stopTokens: new Set([15]), prefillTokens: 256, maxNewTokens: 5, signal: never() } }
}

async function collect(tokens: AsyncIterable<number>): Promise<number[]> {
  const all: number[] = []
  for await (const token of tokens) all.push(token)
  return all
}

/** `causalModel`'s inputs for the beginning of a sequence. */
function causalInputs(tokens: readonly number[]): Record<string, Tensor> {
  const row = (values: readonly number[]) => tensor('INT64', [1, values.length], BigInt64Array.from(values, BigInt))
  const empty = tensor('FP32', [1, 2, 0, 3], new Float32Array(0))
  return {
    input_ids: row(tokens),
    attention_mask: row(tokens.map(() => 1)),
    position_ids: row(tokens.map((_, index) => index)),
    'past_key_values.0.key': empty,
    'past_key_values.0.value': empty,
  }
}

function run(session: Session, inputs: Record<string, Tensor>, outputs?: readonly string[]) {
  return session.run(new Map(Object.entries(inputs)), { signal: never(), ...(outputs && { outputs }) })
}

/** What an engine owes those who continue a text with it. `load` sees to it that sessions are disposed of. */
export function generationContract(
  load: (model: Uint8Array, engine?: Engine) => Promise<Session>,
  makeEngine: () => Engine | Promise<Engine>,
): void {
  describe('text generation', () => {
    const generate = (session: Session, prompt: readonly number[], options: GenerateOptions) => {
      if (session.generate === undefined) throw new Error('the session cannot generate')
      return session.generate(prompt, options)
    }

    it.each(CAUSAL_FORMS)('shows the logits of the whole sequence at every step: %s', async (_, form) => {
      const session = await load(causalModel(form))
      const { seen, options } = recorder([4, 9, 0, 13])
      expect(await collect(generate(session, [3, 1, 2], options))).toEqual([4, 9, 0, 13, 4])
      const sequence = [3, 1, 2, 4, 9, 0, 13]
      expect(seen).toEqual(
        [3, 4, 5, 6, 7].map((length) => expectedLogits(sequence.slice(0, length), form, length === 3 ? length : 1)),
      )
    })

    it.each([
      ['in parts, where it keeps a cache', {}, 300 - LIMITS.prefillTokens],
      ['whole, if it is a merged decoder', { form: 'decoder.', branch: true }, 300],
      ['whole, without a cache', { cached: false }, 300],
    ] as const)('reads a long prompt %s', async (_, form, last) => {
      const session = await load(causalModel(form))
      const { seen, options } = recorder([15])
      const prompt = Array.from({ length: 300 }, (_, i) => (i * 7) % 14)
      expect(await collect(generate(session, prompt, options))).toEqual([])
      expect(seen).toEqual([expectedLogits(prompt, form, last)])
    })

    it('ends at a stop token without yielding it, and begins anew with the next prompt', async () => {
      const session = await load(causalModel())
      const first = recorder([7, 15, 8])
      expect(await collect(generate(session, [1], first.options))).toEqual([7])
      const second = recorder([15])
      expect(await collect(generate(session, [1], second.options))).toEqual([])
      expect(second.seen).toEqual([expectedLogits([1])])
    })

    it('runs nothing for no tokens, and says when it begins for some', async () => {
      const session = await load(causalModel())
      let begun = 0
      const options = { ...recorder([1]).options, onTurn: () => begun++ }
      expect(await collect(generate(session, [1], { ...options, prefillTokens: 256, maxNewTokens: 0 }))).toEqual([])
      expect(begun).toBe(0)
      expect(await collect(generate(session, [1], options))).toHaveLength(5)
      expect(begun).toBe(1)
    })

    it('keeps several texts apart, and lets other runs in between', async () => {
      const engine = await makeEngine()
      const session = await load(causalModel(), engine)
      const other = await load(arithmeticModel(), engine)
      const texts = [recorder([1, 2]), recorder([3]), recorder([4, 5, 6])]
      const work = texts.map(({ options }, index) => collect(generate(session, [index, 8], options)))
      const a = tensor('FP32', [1], new Float32Array([2]))
      const sums = await Promise.all([1, 2, 3].map(() => run(other, { a, b: a }, ['sum'])))
      expect(sums.map((outputs) => outputs.get('sum')?.data)).toEqual(sums.map(() => new Float32Array([4])))
      expect(await Promise.all(work)).toEqual([
        [1, 2, 1, 2, 1],
        [3, 3, 3, 3, 3],
        [4, 5, 6, 4, 5],
      ])
      expect(texts[2]?.seen.at(-1)).toEqual(expectedLogits([2, 8, 4, 5, 6, 4], {}, 1))
    })

    it('honours the signal between two tokens', async () => {
      const session = await load(causalModel())
      const leaver = new AbortController()
      const got: number[] = []
      const text = (async () => {
        for await (const token of generate(session, [1], { ...recorder([2]).options, signal: leaver.signal })) {
          got.push(token)
          leaver.abort()
        }
      })()
      expect((await rejection(text)).code).toBe('cancelled')
      expect(got).toEqual([2])
      expect((await run(session, causalInputs([1]))).get('logits')?.shape).toEqual([1, 1, 16])
    })

    it('refuses a model of another kind, an empty prompt, a token that there is not, and a lost session', async () => {
      const engine = await makeEngine()
      const other = await load(arithmeticModel(), engine)
      const { options } = recorder([1])
      expect((await rejection(collect(generate(other, [1], options)))).code).toBe('engine_unsupported')
      const session = await load(causalModel(), engine)
      expect((await rejection(collect(generate(session, [], options)))).code).toBe('empty_input')
      expect((await rejection(collect(generate(session, [99], options)))).code).toBe('run_rejected')
      expect(await collect(generate(session, [1], options))).toHaveLength(5)
      session.dispose()
      expect((await rejection(collect(generate(session, [1], options)))).code).toBe('session_lost')
    })
  })
}
