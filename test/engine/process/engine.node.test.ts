import { afterAll, afterEach, describe, expect, it } from 'vitest'
import type { Logger } from '../../../src/core/runtime.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import type { ByteSource, Session } from '../../../src/engine/engine.ts'
import type { ProcessEngine, ProcessEngineOptions } from '../../../src/engine/process/engine.ts'
import { arithmeticModel, divideModel, loopModel } from '../../../synthetic/onnx-models.ts'
import { artifactOf, never, sourceOf } from '../../../synthetic/source.ts'
import { engineContract } from '../../contract/engine.ts'
import { causalModel } from '../../fixtures/causal-models.ts'
import { ENDLESS, processEngine } from '../../fixtures/node/process-engine.ts'

const shared = processEngine()
afterAll(() => shared.close())

engineContract('native in a process of its own', () => shared, {
  opensNoForeignTypes: 'onnxruntime-node describes no such values',
})

const engines: ProcessEngine[] = []
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close()
})

function fresh(options: Partial<ProcessEngineOptions> = {}): ProcessEngine {
  const engine = processEngine(options)
  engines.push(engine)
  return engine
}

async function load(engine: ProcessEngine, model: Uint8Array): Promise<Session> {
  return engine.load(await artifactOf(model), sourceOf(model), { signal: never() })
}

function run(session: Session, inputs: Record<string, Tensor>, onTurn?: () => void, signal = never()) {
  return session.run(new Map(Object.entries(inputs)), { signal, ...(onTurn && { onTurn }) })
}

const floats = (...values: number[]): Tensor => tensor('FP32', [values.length], Float32Array.from(values))
const sum = { a: floats(2), b: floats(3) }
const endless = {
  times: tensor('INT64', [], BigInt64Array.of(ENDLESS)),
  x: tensor('FP32', [1, 256], new Float32Array(256)),
}
const poison = { a: tensor('INT32', [1], Int32Array.of(-(2 ** 31))), b: tensor('INT32', [1], Int32Array.of(-1)) }

async function expectToWork(engine: ProcessEngine): Promise<void> {
  const session = await load(engine, arithmeticModel())
  expect((await run(session, sum)).get('sum')).toEqual(floats(5))
}

/** Ends the engine's process as the system does when memory runs out. */
function kill(engine: ProcessEngine): void {
  process.kill(engine.pid ?? fail(), 'SIGKILL')
}

function fail(): never {
  throw new Error('there is no process')
}

describe('a process that ends', () => {
  it('by a poisonous input: the run fails, those that waited may ask again, and the next is served', async () => {
    const engine = fresh()
    const harmless = await load(engine, arithmeticModel())
    const poisonous = await load(engine, divideModel())
    const outcomes = await Promise.allSettled([run(poisonous, poison), run(harmless, sum), run(poisonous, poison)])
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual([
      'engine_aborted',
      'session_lost',
      'session_lost',
    ])
    expect([harmless.alive, poisonous.alive]).toEqual([false, false])
    await expect(run(harmless, sum)).rejects.toMatchObject({ code: 'session_lost', retryAfter: 1 })
    await expectToWork(engine)
    expect(await engine.health()).toMatchObject({ ok: true, recoveries: 1 })
  })

  it('in the middle of a run', async () => {
    const engine = fresh()
    const session = await load(engine, loopModel())
    const running = run(session, endless, () => kill(engine))
    await expect(running).rejects.toMatchObject({ code: 'engine_aborted' })
    await expectToWork(engine)
  })

  it('between two tokens, and in the middle of one', async () => {
    for (const when of ['between', 'during'] as const) {
      const engine = fresh()
      const session = await load(engine, causalModel())
      const options = {
        stopTokens: new Set<number>(),
        prefillTokens: 256,
        maxNewTokens: 9,
        signal: never(),
        choose: () => {
          if (when === 'during') kill(engine)
          return 4
        },
      }
      const got: number[] = []
      const text = (async () => {
        for await (const token of session.generate?.([1, 2], options) ?? []) {
          got.push(token)
          if (when === 'between') {
            kill(engine)
            await expect.poll(() => session.alive, { timeout: 30_000 }).toBe(false)
          }
        }
      })()
      await expect(text).rejects.toMatchObject({ code: when === 'between' ? 'session_lost' : 'engine_aborted' })
      expect(got).toEqual([4])
      await expectToWork(engine)
    }
  })

  it('while weights are on their way', async () => {
    const engine = fresh()
    const model = loopModel()
    const source: ByteSource = {
      bytes: model.length,
      async deliver(write) {
        write(0, model.subarray(0, 1000))
        kill(engine)
        for (;;) {
          write(1000, model.subarray(1000))
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
      },
    }
    const loading = engine.load(await artifactOf(model), source, { signal: never() })
    await expect(loading).rejects.toMatchObject({ code: 'session_lost' })
    await expectToWork(engine)
  })

  it('while a load waits for its turn', async () => {
    const engine = fresh()
    const session = await load(engine, loopModel())
    const outcomes = await Promise.allSettled([
      run(session, endless, () => setTimeout(() => kill(engine), 200)),
      load(engine, arithmeticModel()),
    ])
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual([
      'engine_aborted',
      'session_lost',
    ])
    await expectToWork(engine)
  })

  it('by its limit, when a run has no end', async () => {
    const engine = fresh({ workLimitMs: 2_000 })
    const session = await load(engine, loopModel())
    await expect(run(session, endless)).rejects.toMatchObject({
      code: 'engine_aborted',
      cause: '"run" took over 2000 ms',
    })
    await expectToWork(engine)
  })

  it('when it holds too much memory and has nothing to do', async () => {
    const reasons: unknown[] = []
    const logger: Logger = {
      info() {},
      warn() {},
      error: (event, fields) => reasons.push([event, fields?.reason]),
    }
    const engine = fresh({ maxResidentBytes: 1, logger })
    const session = await load(engine, arithmeticModel())
    expect(session.alive).toBe(false)
    await expect
      .poll(() => reasons, { timeout: 30_000 })
      .toEqual([['engine_process_ended', expect.stringMatching(/^it used \d+ bytes of memory, more than 1$/)]])
  })

  it('is not started again once closed', async () => {
    const engine = fresh()
    const session = await load(engine, arithmeticModel())
    await engine.close()
    await expect(run(session, sum)).rejects.toMatchObject({ code: 'session_lost' })
    await expect(load(engine, arithmeticModel())).rejects.toMatchObject({ code: 'session_lost' })
    expect((await engine.health()).ok).toBe(false)
  })
})

describe('a process that does not start', () => {
  it('holds up nobody who closes the engine', async () => {
    const engine = fresh()
    const health = engine.health()
    await expect.poll(() => engine.pid, { timeout: 10_000 }).toBeDefined()
    process.kill(engine.pid ?? fail(), 'SIGSTOP')
    await engine.close()
    expect(await health).toMatchObject({ ok: false })
  })
})

describe('a process that stays', () => {
  it('through the signals that a terminal and a supervisor send to all', async () => {
    const engine = fresh()
    const session = await load(engine, loopModel())
    const short = { ...endless, times: tensor('INT64', [], BigInt64Array.of(20_000n)) }
    const { pid } = engine
    const outputs = await run(session, short, () => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid ?? fail(), signal)
    })
    expect(outputs.get('y')?.shape).toEqual([1, 256])
    expect((await run(session, { ...short, times: tensor('INT64', [], BigInt64Array.of(1n)) })).size).toBe(1)
    expect(engine.pid).toBe(pid)
  })
})

describe('turns', () => {
  it('a caller who leaves while it waits is not run, and the session is not disposed of under a run', async () => {
    const engine = fresh()
    const session = await load(engine, loopModel())
    const short = { ...endless, times: tensor('INT64', [], BigInt64Array.of(20_000n)) }
    const leaver = new AbortController()
    const begun: string[] = []
    const first = run(session, short, () => begun.push('first'))
    const second = run(session, short, () => begun.push('second'), leaver.signal)
    const third = run(session, short, () => begun.push('third'))
    leaver.abort()
    session.dispose()
    const outcomes = await Promise.allSettled([first, second, third])
    expect(outcomes[0]).toMatchObject({ status: 'fulfilled' })
    expect(outcomes.slice(1)).toMatchObject([{ reason: { code: 'cancelled' } }, { reason: { code: 'session_lost' } }])
    expect(begun).toEqual(['first'])
  })

  it('a session that is disposed of under the last of several runs is not lost to it', async () => {
    const engine = fresh()
    const session = await load(engine, loopModel())
    const short = { ...endless, times: tensor('INT64', [], BigInt64Array.of(1_000n)) }
    const first = run(session, short)
    const second = run(session, short, () => setImmediate(() => session.dispose()))
    const outcomes = await Promise.allSettled([first, second])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
  })

  it('sessions take turns, however many wait for one of them', async () => {
    const engine = fresh()
    const [crowded, quiet] = [await load(engine, arithmeticModel()), await load(engine, loopModel())]
    const order: string[] = []
    const once = { ...endless, times: tensor('INT64', [], BigInt64Array.of(1n)) }
    await Promise.all([
      ...Array.from({ length: 6 }, (_, index) => run(crowded, sum, () => order.push(`crowded ${index}`))),
      run(quiet, once, () => order.push('quiet')),
    ])
    expect(order.slice(0, 3)).toEqual(['crowded 0', 'crowded 1', 'quiet'])
    expect(order).toHaveLength(7)
  })
})

describe('memory', () => {
  it('refuses what does not fit beside what is loaded, and takes it when that has gone', async () => {
    const model = arithmeticModel()
    const artifact = { ...(await artifactOf(model)), memoryBytes: 600 }
    const engine = fresh({ memoryLimitBytes: 1000 })
    const first = await engine.load(artifact, sourceOf(model), { signal: never() })
    await expect(engine.load(artifact, sourceOf(model), { signal: never() })).rejects.toMatchObject({
      code: 'model_too_large',
      details: { bytes_needed: 600, bytes_available: 400 },
    })
    first.dispose()
    const second = await engine.load(artifact, sourceOf(model), { signal: never() })
    expect((await run(second, sum)).get('sum')).toEqual(floats(5))
    expect(engine.supports({ ...artifact, memoryBytes: 1001 })).toMatchObject({ ok: false, code: 'model_too_large' })
  })

  it('has the room of a session that was disposed of under a run as soon as that run is over', async () => {
    const [old, next] = [loopModel(), arithmeticModel()]
    const engine = fresh({ memoryLimitBytes: 1000 })
    const artifact = { ...(await artifactOf(old)), memoryBytes: 600 }
    const session = await engine.load(artifact, sourceOf(old), { signal: never() })
    const short = { ...endless, times: tensor('INT64', [], BigInt64Array.of(1_000n)) }
    const { promise, resolve } = Promise.withResolvers<void>()
    const running = run(session, short, resolve)
    await promise
    session.dispose()
    const loading = engine.load({ ...(await artifactOf(next)), memoryBytes: 600 }, sourceOf(next), { signal: never() })
    expect((await running).get('y')?.shape).toEqual([1, 256])
    expect((await run(await loading, sum)).get('sum')).toEqual(floats(5))
  })

  it('is told of where the process holds more than it should', async () => {
    const health = await fresh({ warnResidentBytes: 1 }).health()
    expect(health).toMatchObject({ ok: true, detail: expect.stringContaining('more than 1') })
    expect(health.heapBytes).toBeGreaterThan(1024 * 1024)
  })
})
