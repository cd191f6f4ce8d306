import { describe, expect, it } from 'vitest'
import { type Clock, silentLogger, systemClock } from '../../../src/core/runtime.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import type { ArtifactInfo } from '../../../src/engine/engine.ts'
import { workerBinary } from '../../../src/engine/ort/binary.ts'
import { OrtEngine } from '../../../src/engine/ort/engine.ts'
import { ORT_VERSION } from '../../../src/engine/ort/version.ts'
import { identityModel, lookupModel, lookupRow, loopModel, matmulModel } from '../../../synthetic/onnx-models.ts'
import { artifactOf, never, sourceOf } from '../../../synthetic/source.ts'
import { engineContract } from '../../contract/engine.ts'

const MiB = 1024 * 1024

function makeEngine(heapLimitBytes = 80 * MiB, clock: Clock = systemClock): OrtEngine {
  return new OrtEngine({
    binary: workerBinary,
    version: ORT_VERSION,
    heapLimitBytes,
    turnLeaseMs: 1000,
    costBetweenYields: 1,
    runs: { finished: 0 },
    loadStaleMs: 5000,
    clock,
    logger: silentLogger,
  })
}

const shared = makeEngine()
engineContract('ort in workerd', () => shared)

async function load(engine: OrtEngine, model: Uint8Array) {
  return engine.load(await artifactOf(model), sourceOf(model), { signal: never() })
}

const one: Tensor = tensor('FP32', [1], new Float32Array([1.5]))

describe('ort engine', () => {
  it('goes on after a run whose request was killed in the middle', async () => {
    const session = await load(shared, identityModel('FP32', [1]))
    const { recoveries } = shared.instance
    // What a request killed for its CPU leaves behind: it entered the module and never left.
    shared.instance.enter()
    expect(session.alive).toBe(false)
    expect(shared.instance.recoveries).toBe(recoveries + 1)
    await expect(session.run(new Map([['input', one]]), { signal: never() })).rejects.toMatchObject({
      code: 'session_lost',
    })
    const again = await load(shared, identityModel('FP32', [1]))
    expect((await again.run(new Map([['input', one]]), { signal: never() })).get('output')).toEqual(one)
    again.dispose()
  })

  it('goes on after an abort, in the same memory', async () => {
    const session = await load(shared, identityModel('FP32', [1]))
    const before = shared.instance.heapBytes
    const { generation } = shared.instance
    // A real trap: ONNX Runtime is handed an address that is no session.
    expect(() => shared.instance.use(generation, (module) => module._OrtReleaseSession(0x7fff_fff0))).toThrowError(
      expect.objectContaining({ code: 'engine_aborted' }),
    )
    expect(session.alive).toBe(false)
    const again = await load(shared, identityModel('FP32', [1]))
    expect((await again.run(new Map([['input', one]]), { signal: never() })).get('output')).toEqual(one)
    expect(shared.instance.heapBytes).toBe(before)
    again.dispose()
  })

  it('makes one instance for all who ask at once', async () => {
    const engine = makeEngine()
    const models = [1, 2, 3].map((seed) => lookupModel(50_000, seed))
    const sessions = await Promise.all(models.map((model) => load(engine, model)))
    expect(engine.instance.generation).toBe(1)
    const row = new Map([['row', tensor('INT64', [1], new BigInt64Array([5n]))]])
    for (const [index, session] of sessions.entries()) {
      const outputs = await session.run(row, { signal: never() })
      expect(outputs.get('values')?.data).toEqual(lookupRow(5, index + 1))
    }
  })

  it('never grows past its hard maximum, says so, and still serves what fits', async () => {
    const engine = makeEngine(32 * MiB)
    await expect(load(engine, lookupModel(24 * MiB))).rejects.toMatchObject({ code: 'model_too_large' })
    expect(engine.instance.heapBytes).toBeLessThanOrEqual(32 * MiB)
    const session = await load(engine, identityModel('FP32', [1]))
    expect((await session.run(new Map([['input', one]]), { signal: never() })).get('output')).toEqual(one)
    session.dispose()
  })

  it('refuses a run whose activations do not fit beside its model alone, and goes on', async () => {
    const engine = makeEngine(32 * MiB)
    const session = await load(engine, matmulModel(1 * MiB))
    const rows = 20_000
    const huge = tensor('FP32', [rows, 64], new Float32Array(rows * 64))
    await expect(session.run(new Map([['x', huge]]), { signal: never() })).rejects.toMatchObject({
      code: 'run_too_large',
      details: { elements: rows * 64, limit_elements: rows * 32 },
    })
    const small = tensor('FP32', [1, 64], new Float32Array(64))
    const again = session.alive ? session : await load(engine, matmulModel(1 * MiB))
    expect((await again.run(new Map([['x', small]]), { signal: never() })).size).toBe(1)
  })

  it('says that there is no room at present where other sessions have it', async () => {
    const engine = makeEngine(32 * MiB)
    const other = await load(engine, lookupModel(2 * MiB))
    const session = await load(engine, matmulModel(1 * MiB))
    const rows = new Map([['x', tensor('FP32', [20_000, 64], new Float32Array(20_000 * 64))]])
    await expect(session.run(rows, { signal: never() })).rejects.toMatchObject({ code: 'engine_full', retryAfter: 1 })
    await expect(load(engine, lookupModel(12 * MiB))).rejects.toMatchObject({ code: 'engine_full', retryAfter: 1 })
    // Alone, and in a heap that it shares with nobody's holes, the same is a matter of its size.
    session.dispose()
    other.dispose()
    await expect(load(engine, lookupModel(12 * MiB))).rejects.toMatchObject({ code: 'model_too_large' })
  })

  it('discards a load that was never finished when the same artifact is loaded again', async () => {
    // The model's bytes alone fit with ease; five abandoned copies of them would not.
    const engine = makeEngine(64 * MiB)
    const model = lookupModel(10 * MiB)
    const artifact = await artifactOf(model)
    const resumes: (() => void)[] = []
    const stalled = Array.from({ length: 5 }, async () => {
      const load = engine.load(
        artifact,
        {
          bytes: model.length,
          async deliver(write) {
            write(0, model.subarray(0, 100))
            await new Promise<void>((resolve) => resumes.push(resolve))
            write(100, model.subarray(100))
          },
        },
        { signal: never() },
      )
      return load.catch((error: unknown) => error)
    })
    await expect.poll(() => resumes.length).toBe(5)
    const session = await engine.load(artifact, sourceOf(model), { signal: never() })
    for (const resume of resumes) resume()
    for (const outcome of await Promise.all(stalled)) expect(outcome).toMatchObject({ code: 'session_lost' })
    expect(session.alive).toBe(true)
  })

  it('lets the event loop run between two runs', async () => {
    const session = await load(shared, loopModel())
    const inputs = new Map<string, Tensor>([
      ['times', tensor('INT64', [], new BigInt64Array([200n]))],
      ['x', tensor('FP32', [1, 256], new Float32Array(256).fill(0.1))],
    ])
    const order: string[] = []
    let ticking = true
    const ticks = (async () => {
      while (ticking) {
        order.push('tick')
        await systemClock.sleep(0)
      }
    })()
    await Promise.all(
      Array.from({ length: 6 }, async () => {
        await session.run(inputs, { signal: never(), onTurn: () => order.push('run') })
      }),
    )
    ticking = false
    await ticks
    const runs = order.flatMap((entry, index) => (entry === 'run' ? [index] : []))
    expect(runs).toHaveLength(6)
    for (let index = 1; index < runs.length; index++) {
      expect((runs[index] ?? 0) - (runs[index - 1] ?? 0)).toBeGreaterThan(1)
    }
    session.dispose()
  })

  it('asks the manifest what a run costs, where that was measured', async () => {
    let yields = 0
    const clock = {
      ...systemClock,
      sleep: (ms: number, signal?: AbortSignal) => {
        yields++
        return systemClock.sleep(ms, signal)
      },
    }
    const engine = makeEngine(80 * MiB, clock)
    const model = matmulModel(1 * MiB)
    const x = new Map([['x', tensor('FP32', [1, 64], new Float32Array(64))]])
    const yieldsAt = async (cost: ArtifactInfo['cost']): Promise<number> => {
      const artifact = { ...(await artifactOf(model)), cost }
      const session = await engine.load(artifact, sourceOf(model), { signal: never() })
      // Comes in after all runs before it, and so starts with nothing spent.
      await session.run(x, { signal: never(), runsBefore: Number.MAX_SAFE_INTEGER })
      const before = yields
      for (let run = 0; run < 4; run++) await session.run(x, { signal: never() })
      session.dispose()
      return yields - before
    }
    // By the estimate each of these runs costs more than may go through without a yield.
    expect(await yieldsAt(undefined)).toBe(4)
    expect(await yieldsAt({ base: 0.01, perElement: 0.001 })).toBe(0)
    expect(await yieldsAt({ base: 0.7, perElement: 0 })).toBe(4)
    expect(await yieldsAt({ base: 0, perElement: 0.3 / 64 })).toBe(1)
  })
})
