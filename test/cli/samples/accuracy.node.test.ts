import { describe, expect, it } from 'vitest'
import {
  confidenceNote,
  createEvaluator,
  dropInterval,
  measureAccuracy,
  splitSamples,
} from '../../../src/cli/samples/accuracy.ts'
import { likeness, relativeNoise, topClass } from '../../../src/cli/samples/answers.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import type { Sample } from '../../../src/quantize/types.ts'
import { onnxModel } from '../../../synthetic/onnx.ts'
import { nativeEngine } from '../../fixtures/node/native.ts'

const signal = new AbortController().signal

/** `logits` [n, 2] = x [n, 2] by a 2 x 2 weight. */
function product(weight: readonly number[]): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 2] }],
    outputs: [{ name: 'logits', datatype: 'FP32', shape: ['n', 2] }],
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['logits'] }],
    initializers: { w: tensor('FP32', [2, 2], Float32Array.from(weight)) },
  })
}

const SAME = product([1, 0, 0, 1])
const SWAPPED = product([0, 1, 1, 0])

function point(x: number, y: number, label?: number): Sample {
  const inputs = new Map([['x', tensor('FP32', [1, 2], Float32Array.of(x, y))]])
  return label === undefined ? { inputs } : { inputs, label }
}

describe('measuring accuracy', () => {
  const labelled = [point(2, 1, 0), point(1, 2, 1), point(3, 1, 1), point(1, 1.5, 1)]
  const options = { engine: nativeEngine(), original: SAME, signal }

  it('counts right answers where all samples are labelled', async () => {
    const evaluator = await createEvaluator({ ...options, samples: labelled, classes: 2 })
    expect(evaluator).toMatchObject({ metric: 'accuracy', baseline: 0.75, count: 4 })
    expect(await evaluator.evaluate(SAME)).toMatchObject({ score: 0.75, lost: 0, gained: 0 })
    expect(await evaluator.evaluate(SWAPPED)).toMatchObject({ score: 0.25, lost: 3, gained: 1 })
  })

  it('counts agreement where they are not', async () => {
    const samples = [...labelled.slice(1), point(5, 4)]
    const evaluator = await createEvaluator({ ...options, samples, classes: 2 })
    expect(evaluator).toMatchObject({ metric: 'agreement', baseline: 1 })
    expect((await evaluator.evaluate(SAME)).score).toBe(1)
    expect(await evaluator.evaluate(product([1, 0, 0, 1.4]))).toMatchObject({ score: 0.75, lost: 1, gained: 0 })
  })

  it('takes the cosine where the model does not classify, and the error of the outputs always', async () => {
    const samples = [point(3, 4), point(4, 3)]
    const evaluator = await createEvaluator({ ...options, samples })
    expect(evaluator.metric).toBe('cosine')
    expect((await evaluator.evaluate(SWAPPED)).score).toBeCloseTo(24 / 25, 6)
    expect(await evaluator.error(SAME)).toBe(0)
    expect(await evaluator.error(SWAPPED)).toBeCloseTo(2 / 25, 6)
    expect(await evaluator.error(product([2, 0, 0, 2]))).toBeCloseTo(1, 6)
  })

  it('gives nothing for a model whose answers are no numbers', async () => {
    const broken = product([Number.NaN, Number.NaN, Number.NaN, Number.NaN])
    expect((await measureAccuracy(broken, { ...options, samples: labelled })).score).toBe(0)
    expect((await measureAccuracy(broken, { ...options, samples: [point(1, 2)] })).score).toBe(0)
    const evaluator = await createEvaluator({ ...options, samples: [point(1, 2)] })
    expect(await evaluator.error(broken)).toBe(Number.POSITIVE_INFINITY)
  })

  it('refuses no samples, and stops where it is told to', async () => {
    await expect(createEvaluator({ ...options, samples: [] })).rejects.toThrow(/bad samples/)
    const aborted = { ...options, samples: labelled, signal: AbortSignal.abort() }
    await expect(createEvaluator(aborted)).rejects.toThrow()
  })

  it('holds some samples back, the same for the same seed, each in one part', () => {
    const samples = Array.from({ length: 10 }, (_, i) => point(i, 0))
    const { choose: kept, confirm } = splitSamples(samples)
    expect([kept.length, confirm.length]).toEqual([7, 3])
    expect(new Set([...kept, ...confirm]).size).toBe(10)
    expect(splitSamples(samples).confirm).toEqual(confirm)
    expect(splitSamples(samples.slice(0, 2), { share: 0.9 }).choose).toHaveLength(1)
    expect(() => splitSamples(samples.slice(0, 1))).toThrow(/at least two/)
  })

  it('says how far a drop can be trusted', () => {
    const evaluation = { metric: 'accuracy' as const, score: 0.89, baseline: 0.9 }
    const few = { ...evaluation, count: 100, lost: 1, gained: 0 }
    expect(confidenceNote(few, 0.3)).toContain('Give at least 334 samples')
    const some = { ...evaluation, count: 1000, lost: 12, gained: 2 }
    expect(confidenceNote(some, 1)).toMatch(/0\.2. to 1\.\d\d points \(95 %, 1000 samples\)/)
    expect(confidenceNote({ ...evaluation, count: 5000, lost: 5, gained: 5 }, 0.3)).toBeUndefined()
    const [least, most] = dropInterval(some)
    expect((least + most) / 2).toBeCloseTo(1000 / 1002, 9)
  })

  it('reads the output that has a score for each class', () => {
    const outputs = new Map<string, Tensor>([
      ['count', tensor('INT64', [1, 2], BigInt64Array.of(9n, 1n))],
      ['hidden', tensor('FP32', [1, 3], Float32Array.of(1, 5, 2))],
      ['logits', tensor('FP16', [1, 2], Uint16Array.of(0x3c00, 0x4000))],
    ])
    expect(topClass(outputs, 2)).toBe(1)
    expect(topClass(outputs)).toBe(1)
    expect(topClass(new Map([...outputs].slice(0, 1)), 2)).toBe(-1)
    expect(likeness(Float32Array.of(0, 0), Float32Array.of(0, 0))).toBe(1)
    expect(likeness(Float32Array.of(1, 0), Float32Array.of(0, 0))).toBe(0)
    expect(likeness(Float32Array.of(1, 0), Float32Array.of(1))).toBe(0)
    expect(likeness(Float32Array.of(1, 0), Float32Array.of(-1, 0))).toBe(0)
    expect(relativeNoise(Float32Array.of(0), Float32Array.of(0))).toBe(0)
    expect(relativeNoise(Float32Array.of(0), Float32Array.of(0, 0))).toBe(Number.POSITIVE_INFINITY)
    expect(relativeNoise(Float32Array.of(0), Float32Array.of(1))).toBe(Number.POSITIVE_INFINITY)
  })
})
