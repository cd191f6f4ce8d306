import { describe, expect, it } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { silentLogger } from '../../../src/core/runtime.ts'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import { infer } from '../../../src/inference/infer.ts'
import { type ShadowOutcome, Shadows } from '../../../src/inference/shadow/shadows.ts'
import { BoundedAdmission } from '../../../src/serving/admission.ts'
import { charged, openLedger } from '../../../src/serving/ledger.ts'
import type { ResolvedModel, RunResult } from '../../../src/serving/serving.ts'
import { ManualClock, settle, testContext } from '../../fixtures/clock.ts'
import { FakeServing, testModel } from '../../fixtures/http.ts'

const floats = (...values: number[]): Tensors =>
  new Map([['x', tensor('FP32', [1, values.length], Float32Array.from(values))]])

interface Script {
  readonly canary?: Partial<NonNullable<Alias['canary']>>
  /** The version that answers. */
  readonly answers?: '1' | '2'
  readonly run?: (version: string, inputs: Tensors) => Tensors | Promise<Tensors>
  readonly cost?: (version: string) => number
  readonly busy?: boolean
  readonly fits?: boolean
  readonly random?: () => number
}

/** A request to a model with a canary, version 2, and what is made of it behind the answer. */
function setUp(script: Script = {}) {
  const { answers = '1', busy = false, canary, cost = () => 1, fits = true, random = () => 0 } = script
  const spec = { name: 'x', datatype: 'FP32' as const, shape: ['n'] }
  const model = testModel('m', 'public', { task: 'image-classification', inputs: [spec], outputs: [spec] })
  const alias: Alias = {
    ...model.alias,
    live: [{ version: answers, weight: 1 }],
    canary: { version: '2', against: '1', shadow: 0.5, guarded: true, ...canary },
  }
  const runs: string[] = []
  class Serving extends FakeServing {
    readonly busy = busy
    fitsBeside = (): boolean => fits
    override run(resolved: ResolvedModel, inputs: Tensors, _: unknown, context: Parameters<FakeServing['run']>[3]) {
      const { version } = resolved.manifest
      runs.push(version)
      const units = cost(version)
      if (context.ledger !== undefined) context.ledger.cost += units
      const timings = { loadMs: 0, queueMs: 0, runMs: 1 }
      return charged(context.ledger, units, async (): Promise<RunResult> => {
        const outputs = (await script.run?.(version, inputs)) ?? inputs
        return { outputs, artifact: undefined, start: 'warm', place: 'edge', timings }
      })
    }
  }
  const serving = new Serving([{ ...model, alias }])
  const clock = new ManualClock()
  const outcomes: ShadowOutcome[] = []
  const seen: string[] = []
  const shadows = new Shadows({
    serving,
    placement: undefined,
    clock,
    limits: LIMITS,
    random,
    watch: {
      seen: ({ model: name }) => seen.push(name),
      compared: (_, outcome) => outcomes.push(outcome),
    },
  })
  const context = { ...testContext(), ledger: openLedger() }
  const admission = new BoundedAdmission({ slots: 1, bodyBytes: 1, leaseMs: 60_000, clock })
  const ask = (inputs: Tensors = floats(0, 1)): Promise<Tensors> =>
    infer<Tensors>(
      { serving, admission, logger: silentLogger, clock, shadows },
      { serving, caller: { kind: 'anonymous' }, context },
      {
        name: 'm',
        version: answers,
        route: 'oip',
        work: async ({ model: resolved, runner }) => (await runner.run(resolved, inputs, undefined, context)).outputs,
      },
    )
  return { ask, clock, context, outcomes, runs, seen }
}

describe('Shadows', () => {
  it.each([
    ['1', '2', true],
    ['2', '1', false],
  ] as const)(
    'repeats what version %s has answered with version %s, behind the answer',
    async (answers, other, canaryBehind) => {
      const { ask, clock, context, outcomes, runs, seen } = setUp({ answers })
      await ask()
      await settle()
      expect([runs, seen]).toEqual([[answers], ['m']])
      await clock.advance(0)
      expect(runs).toEqual([answers, other])
      expect(outcomes).toEqual([
        { kind: 'compared', canaryBehind, agreement: { agrees: true, largest: 0 }, costRatio: 1 },
      ])
      // The caller pays for its own run alone.
      expect(context.ledger.units).toBe(1)
      expect(context.ledger.cost).toBe(1)
    },
  )

  it('says how outputs and cost differ, from what the version was given and had answered', async () => {
    const run = (version: string, inputs: Tensors) => (version === '2' ? floats(3, 1) : inputs)
    const { ask, clock, outcomes } = setUp({ run, cost: (version) => Number(version) * 10 })
    const inputs = floats(0, 1)
    const outputs = await ask(inputs)
    // Whoever has an answer may write into it.
    for (const { data } of [...inputs.values(), ...outputs.values()]) (data as Float32Array).fill(9)
    await clock.advance(0)
    expect(outcomes[0]).toMatchObject({ agreement: { agrees: false, largest: 3 }, costRatio: 2 })
  })

  it.each<[string, Script]>([
    ['outside of the sample', { random: () => 0.5 }],
    ['without comparisons', { canary: { shadow: undefined } }],
    ['to another version', { canary: { version: '3', against: '2' } }],
  ])('leaves requests %s alone', async (_name, script) => {
    const { ask, clock, outcomes, runs, seen } = setUp(script)
    await ask()
    await clock.advance(0)
    expect([runs, outcomes, seen]).toEqual([['1'], [], ['m']])
  })

  it.each<[string, Script]>([
    ['there is other work', { busy: true }],
    ['another model would have to leave the memory', { fits: false }],
  ])('gives way where %s', async (_name, script) => {
    const { ask, clock, outcomes, runs } = setUp(script)
    await ask()
    await clock.advance(0)
    expect([runs, outcomes]).toEqual([['1'], [{ kind: 'skipped', canaryBehind: true }]])
  })

  it('gives way to its own kind, and does not wait for ever', async () => {
    const { ask, clock, outcomes } = setUp({
      run: (version, inputs) => (version === '2' ? new Promise(() => {}) : inputs),
    })
    for (let i = 0; i <= LIMITS.shadowsAtOnce; i++) await ask()
    await clock.advance(0)
    expect(outcomes).toEqual([{ kind: 'skipped', canaryBehind: true }])
    // Those that were killed count no longer.
    await clock.advance(LIMITS.shadowMs)
    await ask()
    await clock.advance(0)
    expect(outcomes).toHaveLength(1)
  })

  it('holds no tensors that are too large', async () => {
    const { ask, clock, outcomes, runs } = setUp()
    const length = LIMITS.shadowBytes / 8 + 1
    await ask(new Map([['x', tensor('FP32', [length], new Float32Array(length))]]))
    await clock.advance(0)
    expect([runs, outcomes]).toEqual([['1'], [{ kind: 'skipped', canaryBehind: true }]])
  })

  it('leaves out what a store did not give in time: the version that answered had its weights in memory', async () => {
    const run = async (version: string, inputs: Tensors) => {
      if (version === '1') return inputs
      throw new VergeError('weights_unavailable', 'Not read in time.', { retryAfter: 1 })
    }
    const { ask, clock, outcomes } = setUp({ run })
    await ask()
    await clock.advance(0)
    expect(outcomes).toEqual([{ kind: 'skipped', canaryBehind: true }])
  })

  it('says why the other version gave no answer, and repeats nothing that failed', async () => {
    const failing = (version: string, inputs: Tensors): Tensors => {
      if (version === '2') throw new VergeError('model_invalid', 'It cannot be loaded.')
      return inputs
    }
    const behind = setUp({ run: failing })
    await behind.ask()
    await behind.clock.advance(0)
    expect(behind.outcomes).toEqual([{ kind: 'failed', canaryBehind: true, code: 'model_invalid' }])
    const first = setUp({ run: failing, answers: '2' })
    await expect(first.ask()).rejects.toThrow(/cannot be loaded/)
    await first.clock.advance(0)
    expect([first.runs, first.outcomes]).toEqual([['2'], []])
  })
})
