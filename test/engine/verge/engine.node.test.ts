import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { compileKernels, KERNEL_BUILDS, type KernelBuild, kernelFile } from '../../../scripts/kernels/compile.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { systemClock } from '../../../src/core/runtime.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { HeapBudget, isHeldByOthers } from '../../../src/engine/heap-budget.ts'
import { KERNEL_BYTES } from '../../../src/engine/verge/kernels.ts'
import { artifactOf, never, sourceOf } from '../../../synthetic/source.ts'
import { encoderPlan, SMALL_ENCODER, tokenIds } from '../../../synthetic/verge-encoder.ts'
import { PlanWriter } from '../../../synthetic/verge-plans.ts'
import { engineContract } from '../../contract/engine.ts'
import { rejection } from '../../contract/rejection.ts'
import { kernelModule, loadVerge, runSession, vergeEngine } from '../../fixtures/node/verge-engine.ts'
import { identity, VERGE_SUBJECTS } from '../../fixtures/verge-subjects.ts'

const MiB = 1024 * 1024
const shared = vergeEngine()
engineContract('verge in Node', () => shared, { subjects: VERGE_SUBJECTS })

const encoder = encoderPlan(SMALL_ENCODER).artifact()
const encoderInputs = (length = 20): Record<string, Tensor> => ({
  input_ids: tensor('INT64', [1, length], BigInt64Array.from(tokenIds(length, SMALL_ENCODER.words, 5))),
  attention_mask: tensor('INT64', [1, length], new BigInt64Array(length).fill(1n)),
})

/** x, then `steps` times its double, as a plan that has no constants. */
function doubling(steps: number): Uint8Array {
  const writer = new PlanWriter()
  const n = writer.symbol('n', 2 ** 22)
  let x = writer.input('x', 'FP32', [n])
  for (let step = 0; step < steps; step++) x = writer.step('binary', [x, x], 'f32', [n], { kind: 'add' })
  writer.output('y', 'FP32', [n], x)
  return writer.artifact()
}

describe('kernels', () => {
  it.each(KERNEL_BUILDS)(
    'the %s build in the repository is what the sources compile to',
    async (build: KernelBuild) => {
      expect(Buffer.from(await compileKernels(build)).equals(readFileSync(kernelFile(build)))).toBe(true)
    },
  )

  it('import nothing but the memory, whose first page is enough for their tables, and are small', () => {
    for (const build of KERNEL_BUILDS) {
      const module = kernelModule(build)
      expect(WebAssembly.Module.imports(module)).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }])
      const memory = new WebAssembly.Memory({ initial: 2 })
      new WebAssembly.Instance(module, { env: { memory } })
      expect(new Uint8Array(memory.buffer, KERNEL_BYTES).every((byte) => byte === 0)).toBe(true)
      expect(readFileSync(kernelFile(build)).length).toBeLessThan(100_000)
    }
  })
})

describe('whole numbers', () => {
  it('INT64 within 32 bits, and refuses others', async () => {
    const session = await loadVerge(shared, identity('INT64', ['n']))
    const values = BigInt64Array.of(0n, -1n, 2147483647n, -2147483648n)
    expect((await runSession(session, { input: tensor('INT64', [4], values) })).get('output')?.data).toEqual(values)
    for (const value of [2147483648n, -2147483649n, 4294967296n, -9223372036854775808n]) {
      const error = await rejection(runSession(session, { input: tensor('INT64', [1], BigInt64Array.of(value)) }))
      expect(error.code).toBe('integer_too_large')
      expect(error.message).toContain(String(value))
    }
    session.dispose()
  })
})

describe('memory', () => {
  it('holds no more than the artifact and the run, and gives both back', async () => {
    const engine = vergeEngine()
    const { memory } = engine.runtime
    const session = await loadVerge(engine, encoder)
    expect(session.bytes).toBeLessThan(encoder.length + 192)
    const before = memory.used
    const outputs = await runSession(session, encoderInputs())
    expect(memory.used).toBe(before)
    const grown = memory.bytes
    for (let run = 0; run < 5; run++) expect(await runSession(session, encoderInputs())).toEqual(outputs)
    expect(memory.bytes).toBe(grown)
    session.dispose()
    expect(memory.used).toBe(0)
  })

  it('uses the bytes of results that nobody reads any more', async () => {
    const engine = vergeEngine()
    const session = await loadVerge(engine, doubling(100))
    await runSession(session, { x: tensor('FP32', [MiB / 4], new Float32Array(MiB / 4)) })
    // Input, the result in work, and the output: not a hundred results.
    expect(engine.runtime.memory.bytes).toBeLessThan(4 * MiB)
  })

  it('never grows past its maximum: the model alone is too large, or the run is, or others have to go first', async () => {
    const engine = vergeEngine('relaxed', { heapLimitBytes: 4 * MiB })
    const large = new Uint8Array(5 * MiB)
    const info = await artifactOf(large, 'verge')
    expect(engine.supports(info)).toMatchObject({ ok: false, code: 'model_too_large' })
    expect((await rejection(engine.load(info, sourceOf(large), { signal: never() }))).code).toBe('model_too_large')
    const session = await loadVerge(engine, doubling(3))
    const x = tensor('FP32', [MiB], new Float32Array(MiB))
    const error = await rejection(runSession(session, { x }))
    expect(error.code).toBe('run_too_large')
    expect(error.details).toMatchObject({ elements: MiB })
    const other = await loadVerge(engine, VERGE_SUBJECTS.lookup(2 * MiB))
    expect((await rejection(runSession(session, { x }))).code).toBe('engine_full')
    expect((await rejection(loadVerge(engine, VERGE_SUBJECTS.lookup(2 * MiB, 2)))).code).toBe('engine_full')
    other.dispose()
    const small = tensor('FP32', [3], Float32Array.of(1, 2, 3))
    expect((await runSession(session, { x: small })).get('y')?.data).toEqual(Float32Array.of(8, 16, 24))
    expect(engine.runtime.memory.bytes).toBeLessThanOrEqual(4 * MiB)
    expect((await engine.health()).heapLimitBytes).toBe(4 * MiB)
  })

  it("says so where another engine's memory is what a model or a run would need", async () => {
    const heapBudget = new HeapBudget(6 * MiB)
    const engine = vergeEngine('relaxed', { heapLimitBytes: 6 * MiB, heapBudget })
    const session = await loadVerge(engine, doubling(3))
    expect(heapBudget.grow('another', 4 * MiB)).toBe(true)
    const half = { x: tensor('FP32', [MiB / 2], new Float32Array(MiB / 2)) }
    const run = await rejection(runSession(session, half))
    expect([run.code, isHeldByOthers(run), run.retryAfter]).toEqual(['engine_full', true, 1])
    // Larger than the memory would be without the other.
    expect(
      (await rejection(runSession(session, { x: tensor('FP32', [2 * MiB], new Float32Array(2 * MiB)) }))).code,
    ).toBe('run_too_large')
    session.dispose()
    const load = await rejection(loadVerge(engine, VERGE_SUBJECTS.lookup(3 * MiB)))
    expect([load.code, isHeldByOthers(load)]).toEqual(['engine_full', true])
    // While something is loaded, it may be evicted.
    const small = await loadVerge(engine, VERGE_SUBJECTS.lookup(MiB))
    expect(isHeldByOthers(await rejection(loadVerge(engine, VERGE_SUBJECTS.lookup(3 * MiB))))).toBe(false)
    small.dispose()
    expect(heapBudget.bytes).toBeLessThanOrEqual(6 * MiB)
  })

  it('drops a load that was killed, when the artifact is loaded again', async () => {
    const engine = vergeEngine()
    const info = await artifactOf(encoder, 'verge')
    // The request of this load ends without its `finally`.
    const killed = engine.load(
      info,
      { bytes: encoder.length, deliver: () => new Promise(() => {}) },
      { signal: never() },
    )
    expect(engine.runtime.memory.used).toBeGreaterThan(encoder.length)
    const session = await loadVerge(engine, encoder)
    expect(killed).toBeInstanceOf(Promise)
    session.dispose()
    expect(engine.runtime.memory.used).toBe(0)
  })
})

describe('warm runs', () => {
  it('find their operands where the memory of this run lies, which other models move', async () => {
    const engine = vergeEngine()
    const session = await loadVerge(engine, encoder)
    const first = await runSession(session, encoderInputs())
    // Its image takes the place that the run had.
    const other = await loadVerge(engine, encoder)
    expect(await runSession(session, encoderInputs())).toEqual(first)
    expect(await runSession(other, encoderInputs())).toEqual(first)
    other.dispose()
    expect(await runSession(session, encoderInputs())).toEqual(first)
  })

  it('give the same where a program has more calls than are kept', async () => {
    const writer = new PlanWriter()
    const n = writer.symbol('n', 8)
    let x = writer.input('x', 'FP32', [n])
    for (let step = 0; step < 3001; step++) x = writer.step('unary', [x], 'f32', [n], { kind: 'neg' })
    writer.output('y', 'FP32', [n], x)
    const session = await loadVerge(vergeEngine(), writer.artifact())
    for (const value of [1, 2, 3]) {
      const outputs = await runSession(session, { x: tensor('FP32', [2], Float32Array.of(value, -value)) })
      expect(outputs.get('y')?.data).toEqual(Float32Array.of(-value, value))
    }
  })
})

describe('long runs', () => {
  /** A clock whose sleeps are counted, and can be held. */
  function steppedClock() {
    let hold: Promise<void> = Promise.resolve()
    const state = { sleeps: 0, now: 0 }
    const clock = {
      ...systemClock,
      now: () => state.now,
      async sleep(_ms: number, signal?: AbortSignal) {
        state.sleeps++
        await hold
        if (signal?.aborted)
          throw signal.reason instanceof VergeError ? signal.reason : new VergeError('cancelled', 'gone')
      },
    }
    return { clock, state, holdUntil: (promise: Promise<void>) => (hold = promise) }
  }

  it('yields after enough work, and keeps its turn meanwhile', async () => {
    const { clock, state } = steppedClock()
    // A step of 1,000 elements counts 4,000: ten steps are five pauses of two.
    const engine = vergeEngine('relaxed', { clock, workBetweenYields: 8_000 })
    const session = await loadVerge(engine, doubling(10))
    const x = tensor('FP32', [1000], new Float32Array(1000).fill(1))
    const held: number[] = []
    const run = async () => {
      const onTurn = () => held.push(engine.runtime.memory.used)
      const outputs = await session.run(new Map([['x', x]]), { signal: never(), onTurn })
      return outputs.get('y')?.data
    }
    expect(await Promise.all([run(), run(), run()])).toEqual(new Array(3).fill(new Float32Array(1000).fill(1024)))
    // When a run begins, no other has its memory.
    expect(held).toEqual(new Array(3).fill(session.bytes))
    expect(state.sleeps).toBeGreaterThanOrEqual(12)
    expect(engine.runtime.memory.used).toBe(session.bytes)
  })

  it('ends at a pause where its caller is gone, and a session that is disposed meanwhile goes after its run', async () => {
    const { clock } = steppedClock()
    const engine = vergeEngine('relaxed', { clock, workBetweenYields: 8_000 })
    const session = await loadVerge(engine, doubling(10))
    const x = tensor('FP32', [1000], new Float32Array(1000).fill(1))
    const gone = new AbortController()
    const cancelled = session.run(new Map([['x', x]]), { signal: gone.signal, onTurn: () => gone.abort() })
    expect((await rejection(cancelled)).code).toBe('cancelled')
    const outputs = await session.run(new Map([['x', x]]), { signal: never(), onTurn: () => session.dispose() })
    expect(outputs.get('y')?.data).toEqual(new Float32Array(1000).fill(1024))
    expect(engine.runtime.memory.used).toBe(0)
  })

  it('goes on after a run that was killed in a pause', async () => {
    const { clock, state, holdUntil } = steppedClock()
    const engine = vergeEngine('relaxed', { clock, workBetweenYields: 8_000, turnLeaseMs: 1000 })
    const session = await loadVerge(engine, doubling(10))
    const inputs = new Map([['x', tensor('FP32', [1000], new Float32Array(1000).fill(1))]])
    let began = () => {}
    const killed = new Promise<void>((resolve) => {
      began = resolve
    })
    void session.run(inputs, {
      signal: never(),
      onTurn: () => {
        holdUntil(new Promise(() => {}))
        began()
      },
    })
    await killed
    const held = engine.runtime.memory.used
    expect(held).toBeGreaterThan(session.bytes)
    holdUntil(Promise.resolve())
    state.now = 5000
    expect((await session.run(inputs, { signal: never() })).get('y')?.shape).toEqual([1000])
    expect(engine.runtime.memory.used).toBe(session.bytes)
    session.dispose()
    expect(engine.runtime.memory.used).toBe(0)
  })

  it('gives the memory of a run that was killed to the next load, and that of its model too', async () => {
    const { clock, state, holdUntil } = steppedClock()
    const engine = vergeEngine('relaxed', { clock, workBetweenYields: 8_000, loadStaleMs: 5000 })
    const session = await loadVerge(engine, doubling(10))
    const began = new Promise<void>((resolve) => {
      const onTurn = () => {
        holdUntil(new Promise(() => {}))
        resolve()
      }
      const inputs = new Map([['x', tensor('FP32', [1000], new Float32Array(1000))]])
      void session.run(inputs, { signal: never(), onTurn })
    })
    await began
    session.dispose()
    // As far as anybody knows, the run goes on.
    expect(engine.runtime.memory.used).toBeGreaterThan(session.bytes)
    state.now = 6000
    const next = await loadVerge(engine, encoder)
    expect(engine.runtime.memory.used).toBe(next.bytes)
  })
})
