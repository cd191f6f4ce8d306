import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { sha256Factory } from '../../src/core/sha256.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import type { Engine, Session } from '../../src/engine/engine.ts'
import type { CallContext } from '../../src/inference/call.ts'
import { Backlog } from '../../src/serving/backlog.ts'
import { openLedger } from '../../src/serving/ledger.ts'
import { LocalServing } from '../../src/serving/local.ts'
import { RunCache } from '../../src/serving/results/run-cache.ts'
import type { ResolvedModel } from '../../src/serving/serving.ts'
import { SessionCache } from '../../src/sessions/cache.ts'
import { ManualClock, settle, testContext } from '../fixtures/clock.ts'
import { codeOf, testModel } from '../fixtures/http.ts'

/** A serving whose engine runs nothing until it is told to. */
function setup() {
  const clock = new ManualClock()
  const runs: (() => void)[] = []
  const session: Session = {
    signature: { inputs: [], outputs: [] },
    bytes: 1,
    alive: true,
    run: (inputs) => new Promise((resolve) => runs.push(() => resolve(inputs))),
    dispose() {},
  }
  const engine: Engine = {
    name: 'held',
    supports: () => ({ ok: true }),
    load: async () => session,
    health: async () => ({ ok: true, engine: 'held', version: '1' }),
  }
  const kept = new Map<string, Uint8Array<ArrayBuffer>>()
  const backlog = new Backlog({ cost: 100, bytes: 1e6, idleMs: 5000, renewMs: 1000, clock })
  const serving = new LocalServing({
    place: 'edge',
    catalog: {} as never,
    lists: {} as never,
    files: {} as never,
    blobs: { source: () => ({ bytes: 0, deliver: async () => {} }) },
    engine,
    sessions: new SessionCache({
      budgetBytes: 1e9,
      clock,
      logger: silentLogger,
      loadStaleMs: 5000,
      loadPollMs: 5,
      loadDeadlineMs: 5000,
      holdLeaseMs: 60_000,
      roomWaitMs: 1000,
    }),
    results: new RunCache({
      clock,
      logger: silentLogger,
      limits: { ...LIMITS, resultMinCost: 0 },
      sha256: sha256Factory(),
      engine: 'held 1',
      store: {
        get: async (key) => kept.get(key),
        put: async (key, bytes) => void kept.set(key, bytes),
      },
    }),
    backlog,
    costLimit: 1000,
    prefillTokens: LIMITS.prefillTokens,
    pinned: new Set(),
    clock,
    random: () => 0,
  })
  const shape = { name: 'x', datatype: 'FP32' as const, shape: [-1] }
  const described = testModel('m', 'public', { inputs: [shape], outputs: [shape] })
  const modelOf = (cost: number): ResolvedModel => {
    const artifacts = described.manifest.artifacts.map((artifact) => ({
      ...artifact,
      memoryBytes: 1,
      cost: { base: cost, perElement: 0 },
    }))
    return { alias: described.alias, manifest: { ...described.manifest, artifacts }, digest: 'd' }
  }
  let asked = 0
  const ask = (cost: number, value: number, size = 1) => {
    asked++
    const context = { ...testContext(), ledger: newLedger(), cache: { mode: 'use' as const, scope: '' } }
    const inputs: Tensors = new Map([['x', tensor('FP32', [size], new Float32Array(size).fill(value))]])
    return serving
      .run(modelOf(cost), inputs, undefined, context satisfies CallContext)
      .then(
        ({ start }) => start as string,
        (error: { code?: string }) => error.code ?? 'unknown',
      )
      .finally(() => {
        asked--
      })
  }
  /** Lets everything go on until nothing waits. */
  const finish = (): Promise<void> =>
    expect
      .poll(async () => {
        await clock.advance(20)
        for (const run of runs.splice(0)) run()
        await settle()
        return asked
      })
      .toBe(0)
  return { ask, backlog, clock, finish, modelOf, runs, serving }
}

const newLedger = openLedger

describe('what an isolate takes on', () => {
  it('answers a hundred small runs that come at once', async () => {
    const { ask, finish, backlog } = setup()
    const answers = Array.from({ length: 100 }, (_, index) => ask(0.5, index))
    await finish()
    const all = await Promise.all(answers)
    expect(all.filter((answer) => answer === 'cold' || answer === 'warm')).toHaveLength(100)
    expect(backlog.cost).toBe(0)
  })

  it('refuses what would wait for more than callers do, and takes it on afterwards', async () => {
    const { ask, backlog, finish, serving } = setup()
    const first = ask(60, 1)
    await expect.poll(() => backlog.cost).toBe(60)
    expect(await ask(60, 2)).toBe('overloaded')
    const second = ask(39, 3)
    await expect.poll(() => backlog.cost).toBe(99)
    expect(serving.busy).toBe(false)
    await finish()
    expect(['cold', 'warm']).toContain(await first)
    expect(['cold', 'warm']).toContain(await second)
    const again = ask(60, 2)
    await finish()
    expect(await again).toBe('warm')
  })

  it('answers from the result cache while the engine is full', async () => {
    const { ask, finish, serving } = setup()
    const first = ask(10, 1)
    await finish()
    expect(await first).toBe('cold')
    const heavy = ask(100, 2)
    await expect.poll(() => serving.busy).toBe(true)
    const hits = Array.from({ length: 30 }, () => ask(10, 1))
    expect(await Promise.all(hits)).toEqual(new Array(30).fill('cached'))
    expect(await ask(10, 3)).toBe('overloaded')
    await finish()
    expect(await heavy).toBe('warm')
  })

  it('bounds the inputs that wait by their bytes', async () => {
    const { ask, backlog, finish } = setup()
    const first = ask(1, 1, 150_000)
    await expect.poll(() => backlog.cost).toBe(1)
    expect(await ask(1, 2, 150_000)).toBe('overloaded')
    const third = ask(1, 3, 50_000)
    await finish()
    expect(['cold', 'warm']).toContain(await first)
    expect(['cold', 'warm']).toContain(await third)
  })

  it('counts all runs of a request from the moment that it plans them', async () => {
    const { modelOf, serving, backlog } = setup()
    const runs = new Array(9).fill(new Map([['x', { shape: [1] }]]))
    const [first, second] = [testContext(), testContext()].map((context) => ({ ...context, ledger: newLedger() }))
    serving.checkCost(modelOf(10), runs, first as CallContext)
    expect(backlog.cost).toBe(90)
    expect(codeOf(() => serving.checkCost(modelOf(10), runs, second as CallContext))).toBe('overloaded')
  })
})

describe('a model that is pinned', () => {
  it('is let go with the versions that were live before', async () => {
    const { modelOf, serving } = setup()
    const version = (name: string, digit: string): ResolvedModel => {
      const { alias, digest, manifest } = modelOf(1)
      const artifacts = manifest.artifacts.map((artifact) => ({ ...artifact, sha256: digit.repeat(64) }))
      return { alias, digest, manifest: { ...manifest, version: name, artifacts } }
    }
    const loaded = (...models: ResolvedModel[]) =>
      models.map(({ manifest }) => manifest.artifacts.some((artifact) => serving.loaded(artifact)))
    const [first, second, third] = [version('1', 'a'), version('2', 'b'), version('3', 'c')]
    await serving.pin(first, testContext())
    // Released later, and pinned because its model is.
    await serving.load(second, testContext())
    await serving.load(third, testContext())
    expect(loaded(first, second, third)).toEqual([true, true, true])
    serving.evict(third)
    expect(loaded(first, second, third)).toEqual([false, false, false])
  })
})
