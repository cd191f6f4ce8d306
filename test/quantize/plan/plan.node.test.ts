import { describe, expect, it } from 'vitest'
import { type PrecisionPlanOptions, planMixedPrecision } from '../../../src/quantize/plan/plan.ts'
import type { PlanLayer, Precision, PrecisionPlan } from '../../../src/quantize/plan/precision-levels.ts'
import { bytesAt, movesOf, unitsOf } from '../../../src/quantize/plan/precision-levels.ts'
import { measureSensitivity } from '../../../src/quantize/plan/sensitivity.ts'

const signal = new AbortController().signal

function layer(node: string, elements: number, weight = `${node}.weight`): PlanLayer {
  return { node, weight, bytes: { q4: elements / 2 + elements / 8, int8: elements, fp32: elements * 4 } }
}

/** A model that is its plan: no network is needed to test which plan is chosen. */
const encode = async (plan: PrecisionPlan): Promise<Uint8Array> =>
  new TextEncoder().encode(JSON.stringify(Object.fromEntries(plan)))
const decode = (model: Uint8Array): Readonly<Record<string, Precision>> => JSON.parse(new TextDecoder().decode(model))

/** Accuracy that falls by a layer's own harm for each step down. */
function additive(harm: Readonly<Record<string, readonly [int8: number, q4: number]>>, baseline = 0.9) {
  return async (model: Uint8Array): Promise<number> => {
    let accuracy = baseline
    for (const [node, precision] of Object.entries(decode(model))) {
      const [int8, q4] = harm[node] ?? [0, 0]
      accuracy -= precision === 'fp32' ? 0 : precision === 'int8' ? int8 : q4
    }
    return accuracy
  }
}

function plan(options: Omit<PrecisionPlanOptions, 'signal' | 'quantizeWith'>) {
  return planMixedPrecision({ quantizeWith: encode, signal, ...options })
}

function sizeOf(layers: readonly PlanLayer[], chosen: PrecisionPlan): number {
  return layers.reduce((sum, { node, bytes }) => sum + (bytes[chosen.get(node) as Precision] ?? Number.NaN), 0)
}

/** Numbers that follow from a seed. */
function* numbers(seed: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    yield state / 2 ** 32
  }
}

describe('planning a mix of precisions', () => {
  const layers = ['a', 'b', 'c', 'd', 'e', 'f'].map((node) => layer(node, 8000))

  it('takes the lowest precision throughout where that fits, without measuring layers', async () => {
    const result = await plan({ layers, evaluate: additive({ a: [0, 0.002] }), maxDrop: 0.3 })
    expect(new Set(result.plan.values())).toEqual(new Set(['q4']))
    expect(result.sensitivity).toEqual([])
    expect(result.evaluated).toBe(2)
    expect(result.baseline - result.accuracy).toBeCloseTo(0.002, 9)
    expect(result.bytes).toBe(6 * 5000)
  })

  it('raises only the layer that does the harm, and only as far as is needed', async () => {
    const result = await plan({ layers, evaluate: additive({ c: [0.001, 0.05], e: [0, 0.0005] }), maxDrop: 0.3 })
    expect(Object.fromEntries(result.plan)).toEqual({ a: 'q4', b: 'q4', c: 'int8', d: 'q4', e: 'q4', f: 'q4' })
  })

  it('leaves a layer alone that bears no quantizing at all', async () => {
    const result = await plan({ layers, evaluate: additive({ d: [0.1, 0.4], a: [0.0001, 0.01] }), maxDrop: 0.3 })
    expect(Object.fromEntries(result.plan)).toEqual({ a: 'int8', b: 'q4', c: 'q4', d: 'fp32', e: 'q4', f: 'q4' })
  })

  it('is no larger than int8 throughout where that fits, however wrong the estimate of the layers is', async () => {
    const evaluate = async (model: Uint8Array): Promise<number> =>
      Object.values(decode(model)).includes('q4') ? 0.8 : 0.9
    const error = async (model: Uint8Array): Promise<number> =>
      Object.values(decode(model)).filter((precision) => precision !== 'fp32').length
    // Too few evaluations to lower anything again.
    const result = await plan({ layers, evaluate, error, maxDrop: 0.3, maxEvaluations: 5 })
    expect(new Set(result.plan.values())).toEqual(new Set(['int8']))
  })

  it('lowers again what a wrong estimate raised for nothing', async () => {
    const evaluate = additive({ f: [0.0001, 0.05] })
    const error = additive({ a: [-0.1, -0.4], b: [-0.1, -0.3], f: [-0.01, -0.02] }, 0)
    const result = await plan({ layers, evaluate, error, maxDrop: 0.3 })
    expect(Object.fromEntries(result.plan)).toEqual({ a: 'q4', b: 'q4', c: 'q4', d: 'q4', e: 'q4', f: 'int8' })
  })

  it.each([12, 20])('measures no more models than the %i allowed', async (maxEvaluations) => {
    const many = Array.from({ length: 200 }, (_, i) => layer(`n${i}`, 80 * (i + 1)))
    const evaluate = additive(Object.fromEntries(many.map(({ node }) => [node, [0.00005, 0.0005] as const])))
    let evaluations = 0
    const counted = async (model: Uint8Array): Promise<number> => {
      evaluations++
      return evaluate(model)
    }
    const error = async (model: Uint8Array): Promise<number> => 0.9 - (await evaluate(model))
    const options = { layers: many, evaluate: counted, confirm: counted, error, maxDrop: 0.5, maxEvaluations }
    const result = await plan(options)
    expect(evaluations).toBeLessThanOrEqual(maxEvaluations)
    expect(result.evaluated).toBe(evaluations)
    expect(0.9 - (await evaluate(await encode(result.plan)))).toBeLessThanOrEqual(0.005 + 1e-9)
    expect(result.bytes).toBeLessThan(many.reduce((sum, { bytes }) => sum + bytes.fp32, 0))
  })

  it('raises the cheap one of two layers where either is enough', async () => {
    const sizes = [layer('large', 80_000), layer('small', 800)]
    const evaluate = additive({ large: [0, 0.002], small: [0, 0.002] })
    const result = await plan({ layers: sizes, evaluate, maxDrop: 0.3 })
    expect(Object.fromEntries(result.plan)).toEqual({ large: 'q4', small: 'int8' })
  })

  it('uses the finer error where accuracy does not see a single layer', async () => {
    const harm = { b: [0.001, 0.004], c: [0.0001, 0.0002] } as const
    // Steps of 1 %: no layer by itself is seen, both together are.
    const coarse = async (model: Uint8Array): Promise<number> => Math.floor(100 * (await additive(harm, 0.9041)(model)))
    const error = async (model: Uint8Array): Promise<number> => 0.9041 - (await additive(harm, 0.9041)(model))
    const evaluate = async (model: Uint8Array): Promise<number> => (await coarse(model)) / 100
    const result = await plan({ layers, evaluate, error, maxDrop: 0 })
    expect(Object.fromEntries(result.plan)).toEqual({ a: 'q4', b: 'int8', c: 'q4', d: 'q4', e: 'q4', f: 'q4' })
    expect(result.sensitivity.find(({ nodes }) => nodes.includes('b'))?.errors.q4).toBeCloseTo(0.004, 9)
  })

  it.each(Array.from({ length: 40 }, (_, seed) => seed))(
    'keeps budget and bounds for random models, seed %i',
    async (seed) => {
      const random = numbers(seed + 1)
      const next = (): number => random.next().value as number
      const many = Array.from({ length: 1 + Math.floor(next() * 40) }, (_, i) =>
        layer(`n${i}`, 64 * (1 + Math.floor(next() * 99))),
      )
      const harm = Object.fromEntries(
        many.map(({ node }) => {
          const q4 = next() ** 6 * 0.05
          return [node, [q4 * next() * 0.3, q4] as const]
        }),
      )
      // Every other model is not monotone: raising a layer may make it worse.
      const noise = new Map<string, number>()
      const exact = additive(harm)
      const evaluate = async (model: Uint8Array): Promise<number> => {
        const key = new TextDecoder().decode(model)
        if (seed % 2 === 1 && !noise.has(key)) noise.set(key, (next() - 0.5) * 0.01)
        return (await exact(model)) + (noise.get(key) ?? 0)
      }
      let evaluations = 0
      const counted = async (model: Uint8Array): Promise<number> => {
        evaluations++
        return evaluate(model)
      }
      const maxDrop = [0, 0.1, 0.3, 1, 3][seed % 5] as number
      const result = await plan({
        layers: many,
        evaluate: counted,
        error: async (m) => 0.9 - (await exact(m)),
        maxDrop,
      })
      const all = (precision: Precision) => encode(new Map(many.map(({ node }) => [node, precision])))
      const baseline = await evaluate(await all('fp32'))
      expect(result.baseline).toBe(baseline)
      // Measured again, from the plan alone.
      const accuracy = await evaluate(await encode(result.plan))
      expect(accuracy).toBeGreaterThanOrEqual(baseline - maxDrop / 100 - 1e-9)
      expect(result.accuracy).toBe(accuracy)
      expect(result.bytes).toBe(sizeOf(many, result.plan))
      expect(evaluations).toBeLessThanOrEqual(32)
      const int8 = await all('int8')
      if ((await evaluate(int8)) >= baseline - maxDrop / 100) {
        const whole = many.reduce((sum, { bytes }) => sum + (bytes.int8 ?? 0), 0)
        expect(result.bytes).toBeLessThanOrEqual(whole)
      }
    },
  )

  it('is close to the best plan, found by trying all', async () => {
    const few = layers.map(({ node }, i) => layer(node, 1600 * (i + 1)))
    const harm = {
      a: [0.001, 0.004],
      b: [0, 0.003],
      c: [0.002, 0.006],
      d: [0.0002, 0.001],
      e: [0, 0.002],
      f: [0, 0.0004],
    } as const
    const evaluate = additive(harm)
    let best = Number.POSITIVE_INFINITY
    const precisions = ['q4', 'int8', 'fp32'] as const
    for (let code = 0; code < 3 ** few.length; code++) {
      const one = new Map(few.map(({ node }, i) => [node, precisions[Math.floor(code / 3 ** i) % 3] as Precision]))
      if ((await evaluate(await encode(one))) >= 0.9 - 0.005 - 1e-9) best = Math.min(best, sizeOf(few, one))
    }
    const result = await plan({ layers: few, evaluate, maxDrop: 0.5 })
    expect(result.bytes).toBeGreaterThanOrEqual(best)
    expect(result.bytes).toBeLessThanOrEqual(best * 1.1)
  })

  it('goes up where the samples that were held back disagree', async () => {
    const evaluate = additive({ a: [0, 0.002] })
    const confirm = additive({ a: [0, 0.002], b: [0.0001, 0.03] }, 0.88)
    const result = await plan({ layers, evaluate, confirm, maxDrop: 0.3 })
    expect(result.confirmed?.baseline).toBeCloseTo(0.88, 9)
    expect(result.confirmed?.accuracy).toBeGreaterThanOrEqual(0.877 - 1e-9)
    expect(result.plan.get('b')).not.toBe('q4')
    expect(result.evaluated).toBeLessThanOrEqual(32)
  })

  it('gives layers that share a weight one precision, and counts it once', async () => {
    const tied = [layer('embed', 8000, 'table'), layer('head', 8000, 'table'), layer('other', 800)]
    const result = await plan({ layers: tied, evaluate: additive({ head: [0, 0.1] }), maxDrop: 0.3 })
    expect(Object.fromEntries(result.plan)).toEqual({ embed: 'int8', head: 'int8', other: 'q4' })
    expect(result.bytes).toBe(8000 + 500)
  })

  it('does without a precision that a layer does not have, or that saves nothing', async () => {
    const odd: PlanLayer[] = [
      { node: 'no4', weight: 'x', bytes: { int8: 100, fp32: 400 } },
      { node: 'only', weight: 'y', bytes: { fp32: 400 } },
      { node: 'flat', weight: 'z', bytes: { q4: 120, int8: 100, fp32: 400 } },
    ]
    const result = await plan({ layers: odd, evaluate: additive({}), maxDrop: 0 })
    expect(Object.fromEntries(result.plan)).toEqual({ no4: 'int8', only: 'fp32', flat: 'int8' })
    expect(result.bytes).toBe(600)
  })

  it('starts at int8 where that is the lowest asked for', async () => {
    const result = await plan({ layers, evaluate: additive({ a: [0.1, 0.2] }), maxDrop: 0.3, lowest: 'int8' })
    expect(Object.fromEntries(result.plan)).toEqual({
      a: 'fp32',
      b: 'int8',
      c: 'int8',
      d: 'int8',
      e: 'int8',
      f: 'int8',
    })
  })

  it('takes a model that gives no number for one that does not fit', async () => {
    const evaluate = async (model: Uint8Array): Promise<number> => (decode(model).a === 'fp32' ? 0.9 : Number.NaN)
    const error = async (model: Uint8Array): Promise<number> => (decode(model).a === 'fp32' ? 0.01 : Number.NaN)
    const result = await plan({ layers, evaluate, error, maxDrop: 0.3 })
    expect(Object.fromEntries(result.plan)).toEqual({ a: 'fp32', b: 'q4', c: 'q4', d: 'q4', e: 'q4', f: 'q4' })
  })

  it('has an answer for a model without layers', async () => {
    const result = await plan({ layers: [], evaluate: additive({}), maxDrop: 0.3 })
    expect(result).toMatchObject({ bytes: 0, accuracy: 0.9, evaluated: 1 })
  })

  it('fails where not even the unquantized model is within the budget of the original', async () => {
    const work = plan({ layers, evaluate: additive({}, 0.8), baseline: 0.9, maxDrop: 0.3 })
    await expect(work).rejects.toMatchObject({ code: 'disagrees' })
  })

  it.each([-1, 101, Number.NaN])('refuses a drop of %d points', async (maxDrop) => {
    await expect(plan({ layers, evaluate: additive({}), maxDrop })).rejects.toMatchObject({ code: 'bad_options' })
  })

  it('refuses sizes that are none, with the name of the layer', async () => {
    const broken = [{ node: 'odd', weight: 'w', bytes: { int8: -4, fp32: 400 } }]
    const work = plan({ layers: broken, evaluate: additive({}), maxDrop: 0 })
    await expect(work).rejects.toMatchObject({ code: 'bad_options', node: 'odd' })
  })

  it('stops where it is told to', async () => {
    const controller = new AbortController()
    let count = 0
    const evaluate = async (): Promise<number> => {
      if (++count === 3) controller.abort(new Error('enough'))
      return count === 1 ? 0.9 : 0.1
    }
    const work = planMixedPrecision({ layers, quantizeWith: encode, evaluate, maxDrop: 0, signal: controller.signal })
    await expect(work).rejects.toThrow('enough')
    expect(count).toBe(3)
  })

  it('says how far it is', async () => {
    const steps: string[] = []
    const progress = (step: string, done: number, total: number): void => {
      expect(done).toBeLessThanOrEqual(total)
      steps.push(step)
    }
    await plan({ layers, evaluate: additive({ c: [0.001, 0.05] }), maxDrop: 0.3, progress })
    expect(steps.slice(0, 3)).toEqual(['fp32', 'lowest', 'int8'])
    expect(steps.filter((step) => step === 'sensitivity')).toHaveLength(2 * layers.length + 1)
  })
})

describe('sensitivity', () => {
  const layers = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((node, i) => layer(node, 800 * (i + 1)))
  const units = unitsOf(layers, 'q4')
  const harm = Object.fromEntries(layers.map(({ node }, i) => [node, [0.01 * i, 0.02 * i] as const]))
  const lost = async (model: Uint8Array): Promise<number> => 1 - (await additive(harm, 1)(model))

  it('measures each layer in each precision, with the others as they were', async () => {
    const errors = await measureSensitivity({ units, quantizeWith: encode, error: lost, most: 100, signal })
    for (const [i, row] of errors.entries()) {
      for (const [rung, wanted] of [0.02 * i, 0.01 * i, 0].entries()) expect(row[rung]).toBeCloseTo(wanted, 9)
    }
  })

  it('measures neighbours together where there are more than may be measured', async () => {
    let built = 0
    const error = async (model: Uint8Array): Promise<number> => {
      built++
      return lost(model)
    }
    const errors = await measureSensitivity({ units, quantizeWith: encode, error, most: 6, signal })
    expect(built).toBeLessThanOrEqual(6)
    // What is shared out is what was measured.
    const total = errors.reduce((sum, row) => sum + (row[0] as number), 0)
    expect(total).toBeCloseTo(0.02 * 21, 9)
  })
})

describe('steps up', () => {
  it('goes straight to fp32 where int8 takes almost nothing away', () => {
    const units = unitsOf([layer('a', 800)], 'q4')
    expect(movesOf(units, [[1, 0.99, 0]]).map(({ to }) => to)).toEqual([2])
    expect(movesOf(units, [[1, 0.1, 0]]).map(({ to }) => to)).toEqual([1, 2])
    expect(movesOf(units, [[1, 0.99, 0]], 'int8').map(({ to }) => to)).toEqual([1])
  })

  it('never takes a unit up before its step below, and ends at the top', () => {
    const units = unitsOf(
      Array.from({ length: 30 }, (_, i) => layer(`n${i}`, 80 * (i + 1))),
      'q4',
    )
    const random = numbers(7)
    const errors = units.map(() => [random.next().value as number, random.next().value as number, 0])
    const levels = units.map(() => 0)
    for (const { unit, to, bytes } of movesOf(units, errors)) {
      const before = bytesAt(units, levels)
      expect(to).toBeGreaterThan(levels[unit] as number)
      levels[unit] = to
      expect(bytesAt(units, levels) - before).toBe(bytes)
    }
    expect(levels).toEqual(units.map(() => 2))
  })
})
