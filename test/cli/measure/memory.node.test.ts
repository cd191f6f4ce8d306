import { describe, expect, it } from 'vitest'
import { measureMemory } from '../../../src/cli/measure/memory.ts'
import { toOrtFormat } from '../../../src/cli/pack/convert.ts'
import { edgeEngine } from '../../../src/cli/pack/edge-engine.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../../src/core/runtime.ts'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import { runFootprint, sessionFootprint } from '../../../src/engine/costs.ts'
import type { ArtifactInfo } from '../../../src/engine/engine.ts'
import { Generating } from '../../../src/serving/generating.ts'
import { SessionCache } from '../../../src/sessions/cache.ts'
import type { SessionRequest } from '../../../src/sessions/use.ts'
import { MATMUL_INNER, matmulModel } from '../../../synthetic/onnx-models.ts'
import { artifactOf, never, sourceOf } from '../../../synthetic/source.ts'
import { causalModel, expectedLogits } from '../../fixtures/causal-models.ts'
import { testContext } from '../../fixtures/clock.ts'

const MiB = 1024 * 1024

/** An isolate's engine and sessions, with what was logged. */
async function isolate() {
  const engine = await edgeEngine()
  const events: string[] = []
  const logger = { ...silentLogger, warn: (event: string) => void events.push(event) }
  const sessions = new SessionCache({
    budgetBytes: LIMITS.sessionBudgetBytes,
    clock: systemClock,
    logger,
    loadStaleMs: 5000,
    loadPollMs: 1,
    loadDeadlineMs: 60_000,
    holdLeaseMs: 60_000,
    roomWaitMs: 1000,
  })
  const requestOf = (artifact: ArtifactInfo, bytes: Uint8Array): SessionRequest => ({
    key: artifact.sha256,
    bytes: sessionFootprint(artifact),
    roomBytes: LIMITS.workingBytes,
    pinned: false,
    load: ({ signal }) => engine.load(artifact, sourceOf(bytes), { signal }),
  })
  return { engine, sessions, requestOf, events }
}

interface Ordinary {
  readonly artifact: ArtifactInfo
  readonly bytes: Uint8Array
}

/** As the packer makes it for the edge, except that nothing is known of its activations: so are older manifests. */
async function packed(onnx: Uint8Array): Promise<Ordinary> {
  const { bytes } = await toOrtFormat(onnx)
  const artifact = await artifactOf(bytes, 'ort')
  const { memoryBytes } = await measureMemory(artifact, bytes, onnx)
  return { artifact: { ...artifact, memoryBytes }, bytes }
}

/** A matrix of `size` bytes, of which ONNX Runtime packs a second one: its session takes twice as much. */
function matrix(size: number, seed: number): Promise<Ordinary> {
  return packed(matmulModel(size, seed))
}

function rows(count: number): Tensors {
  return new Map([['x', tensor('FP32', [count, MATMUL_INNER], new Float32Array(count * MATMUL_INNER).fill(0.5))]])
}

describe('memory at run time', () => {
  it('makes room for a run among sessions that fill the budget, again and again', async () => {
    const { sessions, requestOf, events } = await isolate()
    const small = await Promise.all(Array.from({ length: 13 }, (_, index) => matrix(3 * MiB, index + 1)))
    const heavy = await matrix(18 * MiB, 99)
    const ask = async ({ artifact, bytes }: Ordinary, count: number): Promise<number> => {
      // What old manifests lead to: nothing is known of the activations.
      const outputs = await sessions.use(requestOf(artifact, bytes), testContext(), (session) =>
        session.run(rows(count), { signal: never() }),
      )
      return outputs.get('mean')?.data.length ?? 0
    }
    for (let round = 0; round < 2; round++) {
      for (const model of small) expect(await ask(model, 250)).toBe(250)
      // 80 rows are 22.5 MiB of activations, beside a session of 37 MiB.
      expect(await ask(heavy, 80)).toBe(80)
    }
    expect(events).toContain('session_squeeze')
  })

  it('makes room for a decoder whose prompt needs more than eight idle models leave', async () => {
    const { sessions, requestOf } = await isolate()
    for (let seed = 1; seed <= 8; seed++) {
      const { artifact, bytes } = await matrix(3 * MiB, seed)
      await sessions.use(requestOf(artifact, bytes), testContext(), (session) =>
        session.run(rows(1), { signal: never() }),
      )
    }
    expect(sessions.size).toBeGreaterThanOrEqual(7)
    // Logits of 200 tokens, 32 MB, several times over.
    const vocabulary = 36_000
    const { artifact, bytes } = await packed(causalModel({ vocabulary }))
    const prompt = Array.from({ length: 200 }, (_, index) => (index * 7919) % vocabulary)
    const seen: Float32Array[] = []
    const choose = (logits: Float32Array): number => {
      seen.push(logits.slice())
      return 5 + seen.length
    }
    const options = { stopTokens: new Set<number>(), prefillTokens: 256, maxNewTokens: 3, choose, signal: never() }
    let spent = 0
    const generating = new Generating({
      prompt,
      options,
      model: 'decoder',
      artifact,
      cost: 12,
      onSpent: (cost) => {
        spent += cost
      },
    })
    sessions
      .use(requestOf(artifact, bytes), testContext(), (session, use) => generating.with(session, use))
      .catch((error: unknown) => generating.fail(error))
    await generating.begun
    const tokens: number[] = []
    for await (const token of generating) tokens.push(token)
    expect(tokens).toEqual([6, 7, 8])
    expect(spent).toBe(12)
    expect([...(seen[0] ?? [])]).toEqual(expectedLogits(prompt, { vocabulary }))
    expect([...(seen[2] ?? [])]).toEqual(expectedLogits([...prompt, 6, 7], { vocabulary }))
  })

  it('refuses a batch that no empty heap could run, with a size that then runs', async () => {
    const { sessions, requestOf } = await isolate()
    const { artifact, bytes } = await matrix(10 * MiB, 1)
    const ask = (count: number) =>
      sessions.use(requestOf(artifact, bytes), testContext(), (session) =>
        session.run(rows(count), { signal: never() }),
      )
    await ask(1)
    let count = 2000
    for (let tries = 0; tries < 8; tries++) {
      const outcome = await ask(count).catch((error: unknown) => error)
      if (outcome instanceof Map) break
      expect(outcome).toMatchObject({ code: 'run_too_large', details: { elements: count * MATMUL_INNER } })
      count = Math.floor((outcome as { details: { limit_elements: number } }).details.limit_elements / MATMUL_INNER)
    }
    expect(count).toBeGreaterThan(100)
    expect(count).toBeLessThan(2000)
    expect((await ask(count)).get('mean')?.data).toHaveLength(count)
  })

  it('names the size that fits by what was measured', async () => {
    const { engine } = await isolate()
    const { artifact, bytes } = await matrix(10 * MiB, 1)
    const activations = { base: 0, perElement: (10 * MiB) / MATMUL_INNER / MATMUL_INNER }
    const measured = { ...artifact, activations }
    const session = await engine.load(measured, sourceOf(bytes), { signal: never() })
    const refusal: unknown = await session.run(rows(2000), { signal: never() }).catch((error: unknown) => error)
    const limit = (refusal as { details: { limit_elements: number } }).details.limit_elements
    expect(sessionFootprint(measured) + runFootprint(measured, limit)).toBeLessThanOrEqual(LIMITS.workingBytes)
    expect((await session.run(rows(Math.floor(limit / MATMUL_INNER)), { signal: never() })).size).toBe(1)
  })

  it('tells a trap for want of memory from any other', async () => {
    const { engine } = await isolate()
    await engine.instance.ready()
    const trap = (bytes: number) => () =>
      engine.instance.use(engine.instance.generation, (module) => {
        module._malloc(bytes)
        throw new WebAssembly.RuntimeError('unreachable')
      })
    expect(trap(200 * MiB)).toThrowError(expect.objectContaining({ code: 'engine_full' }))
    await engine.instance.ready()
    expect(trap(1000)).toThrowError(expect.objectContaining({ code: 'engine_aborted' }))
  })

  it('loads a model into a heap of holes although there is nobody left to evict', async () => {
    const { engine, sessions, requestOf } = await isolate()
    // Sessions end; small ones among them stay and leave holes of 6 MiB.
    const many = await Promise.all(Array.from({ length: 6 }, (_, index) => matrix(3 * MiB, index + 1)))
    const held = []
    for (const { artifact, bytes } of many) held.push(await engine.load(artifact, sourceOf(bytes), { signal: never() }))
    const blocks = engine.instance.use(engine.instance.generation, (module) => {
      const blocks: number[] = []
      for (let pointer = module._malloc(2 * MiB); pointer !== 0; pointer = module._malloc(2 * MiB)) blocks.push(pointer)
      for (const [index, pointer] of blocks.entries()) if (index % 2 === 1) module._free(pointer)
      return blocks
    })
    expect(blocks.length).toBeGreaterThan(4)
    for (const session of held) session.dispose()
    const { artifact, bytes } = await matrix(25 * MiB, 7)
    expect(sessions.size).toBe(0)
    const outputs = await sessions.use(requestOf(artifact, bytes), testContext(), (session) =>
      session.run(rows(1), { signal: never() }),
    )
    expect(outputs.size).toBe(1)
  })
})
