import { describe, expect, it } from 'vitest'
import { isVergeError, VergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { systemClock } from '../../src/core/runtime.ts'
import { type Tensor, type TensorSpec, type Tensors, tensor } from '../../src/core/tensors.ts'
import { assertWithinCostLimit, type CostBudget, costOf, type InputShapes } from '../../src/engine/costs.ts'
import type { CallContext } from '../../src/inference/call.ts'
import type { EncodedText } from '../../src/media/text/tokenizer.ts'
import { openLedger } from '../../src/serving/ledger.ts'
import { LocalServing } from '../../src/serving/local.ts'
import { runInBatches } from '../../src/tasks/text/batches.ts'
import { testModel } from '../fixtures/http.ts'

const shapes = (named: Record<string, number[]>) =>
  new Map(Object.entries(named).map(([name, shape]) => [name, { shape }]))
const spec = (name: string, shape: (number | string)[]): TensorSpec => ({ name, datatype: 'INT64', shape })
/** A million weights: one unit for each place. */
const MILLION_WEIGHTS = { bytes: 4_000_000 }

describe('the cost of a run', () => {
  it('is what was measured, by the elements of all inputs', () => {
    const artifact = { bytes: 1, cost: { base: 2, perElement: 0.5 } }
    const specs = [spec('ids', ['n', 'tokens']), spec('mask', ['n', 'tokens'])]
    expect(costOf(artifact, specs, shapes({ ids: [2, 3], mask: [2, 3] }))).toBe(2 + 12 * 0.5)
    expect(costOf(artifact, specs, shapes({ ids: [0, 3], mask: [0, 3] }))).toBe(2)
  })

  it.each([
    ['texts: one place a token', ['n', 'tokens'], [4, 128], 512],
    ['rows: one place a row, however long', ['n', 2048], [7, 2048], 7],
    ['a fixed shape: the model itself', [1, 3, 224, 224], [1, 3, 224, 224], 1],
    ['pictures of one size: one place each', ['n', 3, 224, 224], [5, 3, 224, 224], 5],
    ['pictures of any size: by their pixels', [-1, 3, 'h', 'w'], [2, 3, 320, 480], 2 * (320 / 16) * (480 / 16)],
    ['small pictures: not less than one place', [-1, 1, 'h', 'w'], [3, 1, 8, 8], 3],
    ['an unknown rank: the first dimension', [], [6, 100], 6],
    ['an empty batch: one pass over the weights', ['n', 10], [0, 10], 1],
  ])('is estimated where it was not: %s', (_, signature, shape, places) => {
    expect(costOf(MILLION_WEIGHTS, [spec('x', signature)], shapes({ x: shape }))).toBeCloseTo(places, 9)
  })

  it.each([
    ['one place for 20 ms', ['n', 'samples'], [2, 16_000], 100],
    ['in one channel', ['n', 1, 'samples'], [1, 1, 16_000], 50],
    ['not less than one place', ['n', 'samples'], [3, 160], 3],
    ['features of fixed width are no samples', ['n', 'frames', 80], [1, 640, 80], 640],
  ])('is estimated for sounds: %s', (_, shape, given, places) => {
    const sound: TensorSpec = { name: 'x', datatype: 'FP32', shape }
    const mask = spec('mask', ['n', 'samples'])
    expect(costOf(MILLION_WEIGHTS, [sound], shapes({ x: given }))).toBeCloseTo(places, 9)
    if (given.length !== 2) return
    expect(costOf(MILLION_WEIGHTS, [sound, mask], shapes({ x: given, mask: given }))).toBeCloseTo(places, 9)
  })

  it('is estimated by the longest of several inputs, which share their places', () => {
    const specs = [spec('ids', ['n', 't']), spec('mask', ['n', 't']), spec('scale', [1])]
    expect(costOf(MILLION_WEIGHTS, specs, shapes({ ids: [2, 8], mask: [2, 8], scale: [1] }))).toBe(16)
  })
})

describe('the cost of loops', () => {
  const loops = [{ input: 'times', steps: 1000, cost: 0.5, perElement: 0.01 }]
  const artifact = { bytes: 1, cost: { base: 2, perElement: 0 }, loops }
  const run = (times: number, elements: number): Tensors =>
    new Map<string, Tensor>([
      ['times', tensor('INT64', [], BigInt64Array.of(BigInt(times)))],
      ['x', tensor('FP32', [elements], new Float32Array(elements))],
    ])

  it('is by the number of steps that is sent', () => {
    expect(costOf(artifact, [], run(0, 9))).toBe(2)
    expect(costOf(artifact, [], run(100, 9))).toBeCloseTo(2 + 100 * (0.5 + 0.1), 9)
    expect(costOf(artifact, [], run(-5, 9))).toBe(2)
    expect(costOf(artifact, [], run(2 ** 50, 9))).toBeGreaterThan(1e14)
    // Only planned: the number is not there yet.
    expect(costOf(artifact, [], shapes({ times: [], x: [9] }))).toBe(2)
  })

  it('is that of the most steps, where their number is not known', () => {
    const computed = { ...artifact, loops: [{ steps: 1000, cost: 0.5, perElement: 0.01 }] }
    expect(costOf(computed, [], run(1, 9))).toBeCloseTo(2 + 1000 * 0.6, 9)
  })

  it('is refused above the limit, by the name of what to change', () => {
    const refusal = (more: object, times: number): unknown => {
      try {
        return assertWithinCostLimit([run(times, 9)], {
          model: 'm',
          artifact: { ...artifact, ...more },
          inputs: [],
          spent: 0,
          limit: 100,
        })
      } catch (error) {
        return error
      }
    }
    expect(refusal({}, 100)).toBeCloseTo(62, 9)
    expect(refusal({}, 1000)).toMatchObject({
      code: 'cost_too_high',
      message: expect.stringMatching(/Input "times" .* Send a smaller number/),
    })
    expect(refusal({ loops: [{ steps: 1000, cost: 0.5, perElement: 0 }] }, 1)).toMatchObject({
      code: 'cost_too_high',
      message: expect.stringMatching(/may take 1000 steps/),
    })
  })
})

describe('what a request may cost', () => {
  const charge: CostBudget = {
    model: 'm',
    artifact: { bytes: 0, cost: { base: 10, perElement: 1 } },
    inputs: [spec('x', ['n'])],
    spent: 0,
    limit: 100,
  }
  const refusal = (runs: number[][], more: Partial<CostBudget> = {}): VergeError => {
    try {
      assertWithinCostLimit(
        runs.map((x) => shapes({ x })),
        { ...charge, ...more },
      )
    } catch (error) {
      if (isVergeError(error)) return error
      throw error
    }
    throw new Error('it was not refused')
  }

  it('is the limit itself, and not a unit more', () => {
    expect(assertWithinCostLimit([shapes({ x: [90] })], charge)).toBe(100)
    const { code, message, details } = refusal([[91]])
    expect(code).toBe('cost_too_high')
    expect(details).toEqual({ cost: 101, limit_cost: 100, elements: 91, limit_elements: 90 })
    expect(message).toContain('costs 101 units; the limit of a request is 100')
    expect(message).toContain('it has 91 input elements, and the limit allows 90')
  })

  it('counts earlier runs, and all that are announced', () => {
    expect(refusal([[50]], { spent: 41 }).details).toMatchObject({ cost: 101, limit_elements: 49 })
    expect(assertWithinCostLimit([shapes({ x: [40] }), shapes({ x: [40] })], charge)).toBe(100)
    expect(refusal([[40], [41]]).details).toMatchObject({ cost: 101, elements: 81, limit_elements: 80 })
  })

  it('says nothing of elements where it does not know', () => {
    const { details } = refusal([[1000]], { artifact: { bytes: 4_000_000 } })
    expect(details).toEqual({ cost: 1000, limit_cost: 100, elements: 1000 })
  })
})

describe('texts that run in batches', () => {
  const manifest = testModel('m', 'public', {
    inputs: ['input_ids', 'attention_mask'].map((name) => ({ name, datatype: 'INT64', shape: ['n', 'length'] })),
    outputs: [],
  }).manifest
  const texts = Array.from({ length: 40 }, (_, i): EncodedText => {
    const ids = Array(1 + ((i * 7) % 90)).fill(5)
    return { ids, typeIds: ids.map(() => 0) } as unknown as EncodedText
  })

  it('are announced with the shapes that they then have, before the first runs', async () => {
    const shapesOf = (run: InputShapes) => [...run].map(([name, { shape }]) => [name, shape])
    let announced: unknown[] = []
    const ran: unknown[] = []
    const checkCost = (runs: readonly InputShapes[]) => {
      expect(ran).toEqual([])
      announced = runs.map(shapesOf)
    }
    const run = async (inputs: Tensors) => {
      ran.push(shapesOf(inputs))
      return inputs
    }
    await runInBatches(texts, 0, { manifest, checkCost }, LIMITS, run, () => {})
    expect(ran.length).toBeGreaterThan(2)
    expect(announced).toEqual(ran)
  })

  it('are not run where they cost too much', async () => {
    let runs = 0
    const run = async (inputs: Tensors) => {
      runs++
      return inputs
    }
    const checkCost = () => {
      throw new VergeError('cost_too_high', 'Too much.')
    }
    await expect(runInBatches(texts, 0, { manifest, checkCost }, LIMITS, run, () => {})).rejects.toThrow('Too much.')
    expect(runs).toBe(0)
  })
})

describe('serving', () => {
  /** A model whose run costs 60 of 100 units, over sessions that count how often they are asked. */
  function setUp() {
    const model = testModel('m', 'public', { inputs: [spec('x', ['n']) as never], outputs: [] })
    const [artifact] = model.manifest.artifacts
    if (artifact === undefined) throw new Error('no artifact')
    const manifest = { ...model.manifest, artifacts: [{ ...artifact, cost: { base: 0, perElement: 1 } }] }
    let asked = 0
    const use = async () => {
      asked++
      return { outputs: new Map(), start: 'warm', timings: { loadMs: 0, queueMs: 0, runMs: 0 } }
    }
    const unused = {} as never
    const serving = new LocalServing({
      place: 'edge',
      catalog: unused,
      lists: unused,
      blobs: unused,
      files: unused,
      engine: { supports: () => ({ ok: true }) } as never,
      sessions: { run: use } as never,
      results: { through: (_run: unknown, _context: unknown, compute: () => unknown) => compute() } as never,
      costLimit: 100,
      prefillTokens: LIMITS.prefillTokens,
      pinned: new Set(),
      clock: systemClock,
      random: () => 0,
    })
    const context: CallContext = {
      requestId: 'r',
      signal: new AbortController().signal,
      runsBefore: 0,
      waitUntil: () => {},
      ledger: openLedger(),
    }
    const resolved = { alias: model.alias, manifest, digest: 'd' }
    const inputs = new Map([['x', tensor('FP32', [60], new Float32Array(60))]])
    return { serving, context, resolved, inputs, asked: () => asked }
  }
  const run = ({ serving, resolved, inputs, context }: ReturnType<typeof setUp>) =>
    serving.run(resolved, inputs, undefined, context)

  it('adds up the runs of a request, and refuses the one too many before it touches a session', async () => {
    const given = setUp()
    await run(given)
    expect(given.context.ledger?.cost).toBe(60)
    await expect(run(given)).rejects.toMatchObject({ code: 'cost_too_high', details: { cost: 120 } })
    expect(given.asked()).toBe(1)
    expect(given.context.ledger?.cost).toBe(60)
  })

  it('refuses what is announced, and charges nothing for announcing', () => {
    const { serving, resolved, inputs, context, asked } = setUp()
    serving.checkCost(resolved, [inputs], context)
    serving.checkCost(resolved, [inputs], context)
    expect(() => serving.checkCost(resolved, [inputs, inputs], context)).toThrow('costs 120 units')
    expect(asked()).toBe(0)
    expect(context.ledger?.cost).toBe(0)
  })
})
