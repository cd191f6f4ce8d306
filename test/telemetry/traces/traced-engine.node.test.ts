import { describe, expect, it } from 'vitest'
import type { Engine, Session } from '../../../src/engine/engine.ts'
import { tracedEngine } from '../../../src/telemetry/traces/traced-engine.ts'
import { sourceOf } from '../../../synthetic/source.ts'
import { ask, finishAll, prove, setUp } from '../../fixtures/batching.ts'
import { doubled, rowsFrom } from '../../fixtures/fake-engine.ts'
import { pathsOf, tracing } from '../../fixtures/traces.ts'

const ARTIFACT = { sha256: 'a'.repeat(64), format: 'onnx' as const, bytes: 8 }
const signal = new AbortController().signal

describe('an engine whose work is recorded', () => {
  it('shows the load, the wait for a turn, and the batch that a run is part of', async () => {
    const { arrival, clock, exported, tracer } = tracing()
    const session: Session = {
      signature: { inputs: [], outputs: [] },
      bytes: 8,
      alive: true,
      dispose() {},
      async run(inputs, options) {
        await clock.advance(30)
        options.onTurn?.({ rows: 5, runs: 2 })
        await clock.advance(4)
        return inputs
      },
    }
    const engine: Engine = {
      name: 'test',
      supports: () => ({ ok: true }),
      load: async () => session,
      health: async () => ({ ok: true, engine: 'test', version: '1' }),
    }
    const turns: unknown[] = []
    await tracer.request(arrival, async () => {
      const loaded = await tracedEngine(engine, tracer).load(
        ARTIFACT,
        { bytes: 8, deliver: async () => {} },
        { signal },
      )
      expect([loaded.alive, loaded.bytes, loaded.generate]).toEqual([true, 8, undefined])
      await loaded.run(new Map(), { signal, onTurn: (shared) => turns.push(shared) })
    })
    expect(turns).toEqual([{ rows: 5, runs: 2 }])
    const spans = await exported()
    expect(pathsOf(spans)).toEqual(['POST > load', 'POST > run > queue', 'POST > run > batch', 'POST > run', 'POST'])
    const times = spans.map(({ endTimeUnixNano, startTimeUnixNano }) =>
      Number((BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1_000_000n),
    )
    expect(times).toEqual([0, 30, 4, 34, 34])
    expect(spans[2]?.attributes).toEqual({ 'verge.batch.rows': 5, 'verge.batch.runs': 2 })
  })

  it('shows in each of several requests the batch that an origin has made of them', async () => {
    const { arrival, exported, tracer } = tracing()
    const bench = setUp({ m: { compute: doubled } })
    const engine = tracedEngine(bench.engine, tracer)
    const artifact = { sha256: 'm', format: 'onnx' as const, bytes: 1 }
    const loaded = await engine.load(artifact, sourceOf(new Uint8Array(1)), { signal })
    await prove(bench, loaded)
    const asked = [1, 2, 3].map((value) => tracer.request(arrival, () => ask(loaded, rowsFrom(value))))
    await finishAll(bench.fake)
    await Promise.all(asked)
    const spans = await exported()
    const batches = spans.filter(({ name }) => name === 'batch')
    const shared = { 'verge.batch.rows': 3, 'verge.batch.runs': 3 }
    expect(batches.map(({ attributes }) => attributes)).toEqual([shared, shared, shared])
    expect(new Set(batches.map(({ traceId }) => traceId)).size).toBe(3)
    expect(pathsOf(spans).filter((path) => path === 'POST > run > batch')).toHaveLength(3)
  })
})
