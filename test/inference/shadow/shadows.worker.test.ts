import { describe, expect, it } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { silentLogger } from '../../../src/core/runtime.ts'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import { infer } from '../../../src/inference/infer.ts'
import { type ShadowOutcome, Shadows } from '../../../src/inference/shadow/shadows.ts'
import { BoundedAdmission } from '../../../src/serving/admission.ts'
import { charged, chargedText, openLedger } from '../../../src/serving/ledger.ts'
import type { Generation, GenerationOptions, ResolvedModel, RunResult } from '../../../src/serving/serving.ts'
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

interface TextScript {
  /** The token that each version holds for the likeliest. */
  readonly writes?: (version: string) => number
  /** Of each version's tokenizer. */
  readonly letters?: readonly [string, string]
  readonly contextLength?: number
  readonly busy?: () => boolean
  readonly maxNewTokens?: number
}

/** A request that has a text written by version 1 of a model with a canary, version 2. */
function setUpText(script: TextScript = {}) {
  const { busy = () => false, contextLength = 100, letters = ['a', 'a'], maxNewTokens = 3, writes = () => 2 } = script
  const spec = { name: 'input_ids', datatype: 'INT64' as const, shape: ['batch', 'length'] }
  const model = testModel('m', 'public', { task: 'text-generation', inputs: [spec], outputs: [spec] })
  const alias: Alias = {
    ...model.alias,
    live: [{ version: '1', weight: 1 }],
    canary: { version: '2', against: '1', shadow: 1, guarded: true },
  }
  const of = (version: '1' | '2') => ({
    ...model.manifest,
    version,
    generation: { contextLength, stopTokens: [0] },
    files: { 'tokenizer.json': { sha256: letters[Number(version) - 1]?.repeat(64) ?? '', bytes: 1, chunks: [] } },
  })
  const texts: string[] = []
  class Writing extends FakeServing {
    get busy(): boolean {
      return busy()
    }
    fitsBeside = (): boolean => true
    override generate(
      { manifest }: ResolvedModel,
      prompt: readonly number[],
      options: GenerationOptions,
      { ledger }: Parameters<FakeServing['generate']>[3],
    ): Promise<Generation> {
      texts.push(manifest.version)
      const most = options.maxNewTokens
      async function* tokens(): AsyncGenerator<number, undefined> {
        for (let i = 0; i < most; i++) {
          const token = options.choose(
            Float32Array.from([0, 1, 2, 3], (each) => (each === writes(manifest.version) ? 9 : 0)),
          )
          if (options.stopTokens.has(token)) return
          yield token
        }
      }
      const charge = { prompt: prompt.length, most, units: 1 + most, perToken: 1 }
      return chargedText(ledger, charge, async () => ({
        tokens: tokens(),
        artifact: undefined,
        start: 'warm',
        place: 'edge',
      }))
    }
  }
  const serving = new Writing([{ ...model, alias, manifests: { '1': of('1'), '2': of('2') } }])
  const clock = new ManualClock()
  const outcomes: ShadowOutcome[] = []
  const watch = { seen() {}, compared: (_: Alias, outcome: ShadowOutcome) => outcomes.push(outcome) }
  const shadows = new Shadows({ serving, placement: undefined, clock, limits: LIMITS, random: () => 0, watch })
  const context = { ...testContext(), ledger: openLedger() }
  const admission = new BoundedAdmission({ slots: 1, bodyBytes: 1, leaseMs: 60_000, clock })
  const ask = (): Promise<AsyncIterable<number>> =>
    infer(
      { serving, admission, logger: silentLogger, clock, shadows },
      { serving, caller: { kind: 'anonymous' }, context },
      {
        name: 'm',
        version: '1',
        route: 'openai',
        work: async ({ model: resolved, runner }) => {
          const options = { stopTokens: new Set([0]), maxNewTokens, choose: () => 3, signal: context.signal }
          return (await runner.generate(resolved, [1, 2], options, context)).tokens
        },
      },
    )
  /** As a caller reads it. */
  const read = async (tokens: AsyncIterable<number>): Promise<number[]> => {
    const all: number[] = []
    for await (const token of tokens) all.push(token)
    // A run for each token, each of them a few microtasks.
    for (let i = 0; i < 20; i++) await clock.advance(0)
    return all
  }
  return { ask, clock, context, outcomes, read, texts }
}

describe('Shadows of texts', () => {
  it('has the other version go over a text when the last token was read, and charges it to nobody', async () => {
    const { ask, clock, context, outcomes, read, texts } = setUpText()
    const streamed = await ask()
    await clock.advance(0)
    expect([texts, outcomes]).toEqual([['1'], []])
    expect(await read(streamed)).toEqual([3, 3, 3])
    expect(texts).toEqual(['1', '2'])
    expect(outcomes).toEqual([
      { kind: 'compared', canaryBehind: true, agreement: { agrees: true, largest: 0 }, costRatio: 1 },
    ])
    expect([context.ledger.units, context.ledger.outputTokens]).toEqual([4, 3])
  })

  it('says where the versions would write something else, and prices no part of a text', async () => {
    const { ask, outcomes, read } = setUpText({
      writes: Number,
      maxNewTokens: LIMITS.shadowTokens + 1,
      contextLength: 200,
    })
    await read(await ask())
    expect(outcomes).toEqual([{ kind: 'compared', canaryBehind: true, agreement: { agrees: false, largest: 0 } }])
  })

  it.each<[string, TextScript]>([
    ['another tokenizer', { letters: ['a', 'b'] }],
    ['a context that is too short', { contextLength: 4 }],
  ])('does not compare a text with that of a version with %s', async (_name, script) => {
    const { ask, outcomes, read, texts } = setUpText(script)
    await read(await ask())
    expect([texts, outcomes]).toEqual([['1'], [{ kind: 'incomparable', canaryBehind: true }]])
  })

  it('gives way while it goes over a text', async () => {
    let asked = 0
    const { ask, outcomes, read, texts } = setUpText({ busy: () => ++asked > 2 })
    await read(await ask())
    expect([texts, outcomes]).toEqual([['1', '2'], [{ kind: 'skipped', canaryBehind: true }]])
  })

  it('says of a request that an origin has answered whole that it is not compared', () => {
    const { context, outcomes } = setUpText()
    const { alias, manifest } = testModel('m', 'public', { inputs: [], outputs: [] })
    const canary = { version: '2', against: '1', shadow: 1, guarded: true }
    const serving = Object.assign(new FakeServing([]), { busy: false, fitsBeside: () => true })
    const watch = { seen() {}, compared: (_: Alias, outcome: ShadowOutcome) => outcomes.push(outcome) }
    const clock = new ManualClock()
    const shadows = new Shadows({ serving, placement: undefined, clock, limits: LIMITS, random: () => 0, watch })
    const resolved = { alias: { ...alias, canary }, manifest: { ...manifest, version: '2' }, digest: '' }
    shadows.begin(resolved, context)?.forwarded()
    expect(outcomes).toEqual([{ kind: 'incomparable', canaryBehind: false }])
  })
})
