import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Tensor, tensor } from '../../src/core/tensors.ts'
import { causalLayout } from '../../src/engine/causal.ts'
import type { Session } from '../../src/engine/engine.ts'
import { generateTokens } from '../../src/engine/generate.ts'
import { onnxModel, type ValueInfo } from '../../synthetic/onnx.ts'
import { never } from '../../synthetic/source.ts'
import { causalModel } from '../fixtures/causal-models.ts'
import { likeliest, read } from '../fixtures/node/decode.ts'
import { loadNative } from '../fixtures/node/native.ts'

const ABACUS = join(import.meta.dirname, '../../models/abacus/model.onnx')

async function greedily(
  tokens: (choose: (logits: Float32Array) => number) => AsyncIterable<number>,
): Promise<{ tokens: number[]; logits: Float32Array[] }> {
  const logits: Float32Array[] = []
  const chosen: number[] = []
  const choose = (row: Float32Array): number => {
    logits.push(row)
    return likeliest(row)
  }
  for await (const token of tokens(choose)) chosen.push(token)
  return { tokens: chosen, logits }
}

describe('a model as Hugging Face exports them', () => {
  it('continues a prompt alike with its cache, and without one reading all anew for each token', async () => {
    const session = await loadNative(readFileSync(ABACUS))
    const prompt = [3, 17, 8, 9, 21, 5]
    const options = { stopTokens: new Set<number>(), prefillTokens: 256, maxNewTokens: 8, signal: never() }
    const fast = await greedily((choose) => session.generate?.(prompt, { ...options, choose }) ?? fail())
    const plain = await greedily((choose) => generateTokens(session, prompt, { ...options, choose }))
    const anew = { tokens: [] as number[], logits: [] as Float32Array[] }
    for (let count = 0; count < 8; count++) {
      const row = (await read(session, [[...prompt, ...anew.tokens]])).logits[0]?.at(-1) ?? fail()
      anew.logits.push(row)
      anew.tokens.push(likeliest(row))
    }
    expect(plain).toEqual(fast)
    expect(fast.tokens).toEqual(anew.tokens)
    const farthest = fast.logits.map((row, step) =>
      row.reduce((most, value, word) => Math.max(most, Math.abs(value - (anew.logits[step]?.[word] ?? Number.NaN))), 0),
    )
    expect(farthest).toHaveLength(8)
    for (const distance of farthest) expect(distance).toBeLessThan(1e-4)
  })

  it('reads the prompt once, then one token at a time, and asks for nothing that it does not need', async () => {
    const session = await loadNative(causalModel())
    const calls: { ids: Tensor | undefined; outputs: readonly string[] | undefined }[] = []
    const watched: Pick<Session, 'signature' | 'run'> = {
      signature: session.signature,
      run(inputs, options) {
        calls.push({ ids: inputs.get('input_ids'), outputs: options.outputs })
        return session.run(inputs, options)
      },
    }
    const options = {
      choose: () => 4,
      stopTokens: new Set<number>(),
      prefillTokens: 256,
      maxNewTokens: 3,
      signal: never(),
    }
    for await (const token of generateTokens(watched, [1, 2, 3], options)) expect(token).toBe(4)
    const outputs = ['logits', 'present.0.key', 'present.0.value']
    const ids = (...tokens: bigint[]) => tensor('INT64', [1, tokens.length], BigInt64Array.from(tokens))
    expect(calls).toEqual([
      { ids: ids(1n, 2n, 3n), outputs },
      { ids: ids(4n), outputs },
      { ids: ids(4n), outputs },
    ])
  })

  it('stops when the caller ends the iteration', async () => {
    const session = await loadNative(causalModel())
    let runs = 0
    const watched: Pick<Session, 'signature' | 'run'> = {
      signature: session.signature,
      run(inputs, options) {
        runs++
        return session.run(inputs, options)
      },
    }
    const options = {
      choose: () => 4,
      stopTokens: new Set<number>(),
      prefillTokens: 256,
      maxNewTokens: 30,
      signal: never(),
    }
    for await (const token of generateTokens(watched, [1], options)) {
      expect(token).toBe(4)
      if (runs === 2) break
    }
    expect(runs).toBe(2)
  })

  it('refuses a cache that does not grow', async () => {
    const cache = (name: string, length: string | number): ValueInfo => ({
      name,
      datatype: 'FP32',
      shape: [1, 2, length, 3],
    })
    const session = await loadNative(
      onnxModel({
        inputs: [{ name: 'input_ids', datatype: 'INT64', shape: [1, 'n'] }, cache('past_key_values.0.key', 'past')],
        outputs: [{ name: 'logits', datatype: 'FP32', shape: [1, 'n'] }, cache('present.0.key', 'past')],
        nodes: [
          { op: 'Cast', inputs: ['input_ids'], outputs: ['logits'], attributes: { to: { int: 1 } } },
          { op: 'Identity', inputs: ['past_key_values.0.key'], outputs: ['present.0.key'] },
        ],
      }),
    )
    const options = {
      choose: () => 4,
      stopTokens: new Set<number>(),
      prefillTokens: 256,
      maxNewTokens: 3,
      signal: never(),
    }
    await expect(generateTokens(session, [1, 2], options).next()).rejects.toMatchObject({
      code: 'engine_unsupported',
      message: expect.stringContaining('0 positions after 2 tokens'),
    })
  })
})

describe('what a causal model must have', () => {
  const ids = { name: 'input_ids', datatype: 'INT64', shape: ['batch', 'n'] } as const
  const logits = { name: 'logits', datatype: 'FP32', shape: ['batch', 'n', 16] } as const
  const past = (shape: (string | number)[], datatype: 'FP32' | 'INT8' = 'FP32') =>
    ({ name: 'past_key_values.0.key', datatype, shape }) as const
  const present = { name: 'present.0.key', datatype: 'FP32', shape: ['batch', 2, 'total', 3] } as const
  const open = past(['batch', 2, 'past', 3])

  it.each([
    ['token ids', [], [logits], 'no input "input_ids"'],
    ['logits', [ids], [present], 'no output "logits"'],
    ['nothing unknown', [ids, { ...ids, name: 'encoder_hidden_states' }], [logits], 'an input "encoder_hidden_states"'],
    ['ids of whole numbers', [{ ...ids, datatype: 'FP32' }], [logits], 'neither INT64 nor INT32'],
    ['a sequence of any length', [{ ...ids, shape: ['batch', 128] }], [logits], 'the second of any size'],
    ['room for one sequence', [{ ...ids, shape: [4, 'n'] }], [logits], 'needs 4 sequences'],
    ['an output for each cache', [ids, open], [logits], 'no FP32 output "present.0.key"'],
    ['caches of floats', [ids, past(['batch', 2, 'past', 3], 'INT8')], [logits, present], 'neither FP32 nor FP16'],
    ['fixed heads', [ids, past(['batch', 'heads', 'past', 3])], [logits, present], 'must be fixed'],
    ['an open past', [ids, past(['batch', 2, 64, 3])], [logits, present], 'must be fixed'],
    ['caches of one sequence', [ids, past([2, 2, 'past', 3])], [logits, present], 'must be fixed'],
    ['logits of floats', [ids], [{ ...logits, datatype: 'INT64' }], 'neither FP32 nor FP16'],
  ] as const)('%s', (_, inputs, outputs, reason) => {
    expect(() => causalLayout({ inputs: [...inputs], outputs: [...outputs] })).toThrowError(
      expect.objectContaining({ code: 'engine_unsupported', message: expect.stringContaining(reason) }),
    )
  })

  it('is had by a model whose cache has its positions elsewhere', () => {
    const layout = causalLayout({ inputs: [ids, past(['batch', 'past', 2, 3])], outputs: [logits, present] })
    expect(layout.cache[0]).toMatchObject({ axis: 1, shape: [1, 0, 2, 3] })
  })
})

function fail(): never {
  throw new Error('the model did not answer')
}
