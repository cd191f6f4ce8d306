import { beforeAll, describe, expect, it } from 'vitest'
import { encoderModel } from '../../../bench/models/encoder.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../../src/core/runtime.ts'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import { BatchingEngine } from '../../../src/engine/batching/engine.ts'
import type { BatchReport } from '../../../src/engine/batching/types.ts'
import type { Session } from '../../../src/engine/engine.ts'
import { LOOKUP_COLUMNS, lookupModel, lookupRow } from '../../../synthetic/onnx-models.ts'
import { artifactOf, never, sourceOf } from '../../../synthetic/source.ts'
import { engineContract } from '../../contract/engine.ts'
import { loadNative, nativeEngine } from '../../fixtures/node/native.ts'

const reports: BatchReport[] = []

function batchingEngine(): BatchingEngine {
  return new BatchingEngine(nativeEngine(), {
    maxBatch: LIMITS.batchRows,
    maxWaitMs: LIMITS.batchWaitMs,
    maxQueue: LIMITS.batchQueue,
    maxElements: LIMITS.inputElements,
    clock: systemClock,
    logger: silentLogger,
    onBatch: (report) => reports.push(report),
  })
}

engineContract('batching over native', batchingEngine, {
  opensNoForeignTypes: 'onnxruntime-node describes no such values',
})

const VOCABULARY = 200
/** An encoder of MiniLM's build, made small. */
const SMALL = { layers: 2, hidden: 48, heads: 4, ffn: 96, vocabulary: VOCABULARY, positions: 64 }

/** `rows` texts of `tokens` tokens; the last ones of every second text are padding. */
function texts(seed: number, rows: number, tokens: number): Tensors {
  const count = rows * tokens
  const ids = BigInt64Array.from({ length: count }, (_, index) => BigInt((seed * 131 + index * 17) % VOCABULARY))
  const mask = BigInt64Array.from({ length: count }, (_, index) =>
    Math.floor(index / tokens) % 2 === 1 && index % tokens > tokens / 2 ? 0n : 1n,
  )
  return new Map([
    ['input_ids', tensor('INT64', [rows, tokens], ids)],
    ['attention_mask', tensor('INT64', [rows, tokens], mask)],
  ])
}

describe('batches by the native engine', () => {
  let model: Uint8Array
  let single: Session
  let batching: Session
  beforeAll(async () => {
    model = encoderModel(SMALL, 'fp32')
    single = await loadNative(model)
    batching = await batchingEngine().load(await artifactOf(model), sourceOf(model), { signal: never() })
  })

  it('answer what the runs answer alone, within 1e-4, whatever their rows and lengths', async () => {
    reports.splice(0)
    const asked = Array.from({ length: 60 }, (_, seed) => texts(seed, 1 + (seed % 3), 8 + 8 * (seed % 2)))
    const answers = await Promise.all(asked.map((inputs) => batching.run(inputs, { signal: never() })))
    let largest = 0
    for (const [index, inputs] of asked.entries()) {
      const found = answers[index]?.get('last_hidden_state')
      const expected = (await single.run(inputs, { signal: never() })).get('last_hidden_state')
      expect(found?.shape).toEqual(expected?.shape)
      expected?.data.forEach((value, at) => {
        largest = Math.max(largest, Math.abs(Number(value) - Number(found?.data[at])))
      })
    }
    expect(largest).toBeLessThanOrEqual(1e-4)
    expect(Math.max(...reports.map(({ runs }) => runs))).toBeGreaterThan(8)
    expect(Math.max(...reports.map(({ rows }) => rows))).toBeLessThanOrEqual(LIMITS.batchRows)
  })

  it('fail for the one alone whose input the model cannot take', async () => {
    const bytes = lookupModel(4096, 3)
    const session = await batchingEngine().load(await artifactOf(bytes), sourceOf(bytes), { signal: never() })
    const row = (index: number) =>
      session.run(new Map([['row', tensor('INT64', [1], BigInt64Array.of(BigInt(index)))]]), { signal: never() })
    await Promise.all([row(0), row(1)])
    reports.splice(0)
    const answers = await Promise.allSettled([row(2), row(1_000_000), row(3)])
    expect(reports.map(({ runs }) => runs)).toEqual([3, 1, 1, 1])
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(answers[1]).toMatchObject({ reason: { code: 'run_rejected' } })
    expect(answers[2]).toMatchObject({
      value: new Map([['values', tensor('FP32', [1, LOOKUP_COLUMNS], lookupRow(3, 3))]]),
    })
  })
})
