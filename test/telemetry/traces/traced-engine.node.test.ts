import { describe, expect, it } from 'vitest'
import type { Engine, Session } from '../../../src/engine/engine.ts'
import { tracedEngine } from '../../../src/telemetry/traces/traced-engine.ts'
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
})
