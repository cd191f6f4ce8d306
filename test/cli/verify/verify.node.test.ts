import { describe, expect, it } from 'vitest'
import { fitCost } from '../../../src/cli/measure/fit.ts'
import { sizedInputs } from '../../../src/cli/measure/sizes.ts'
import { verdictOf } from '../../../src/cli/measure/verdict.ts'
import { assessOutput } from '../../../src/cli/verify/assess-output.ts'
import { inputBounds } from '../../../src/cli/verify/bounds.ts'
import { Comparison, type OutputAgreement } from '../../../src/cli/verify/compare.ts'
import { type Exercise, ExerciseWatch } from '../../../src/cli/verify/exercise.ts'
import { findSamples } from '../../../src/cli/verify/find.ts'
import { describeLocated, locateError } from '../../../src/cli/verify/locate.ts'
import { outputRanges } from '../../../src/cli/verify/ranges.ts'
import { syntheticSamples } from '../../../src/cli/verify/samples.ts'
import { type Tolerance, toleranceFor } from '../../../src/cli/verify/tolerance.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { halfBits, type Signature, type Tensor, tensor } from '../../../src/core/tensors.ts'
import { runCost } from '../../../src/engine/costs.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { arithmeticModel, lookupModel, lookupRows, matmulModel } from '../../../synthetic/onnx-models.ts'

const signal = new AbortController().signal
const fp32 = (...values: number[]): Tensor => tensor('FP32', [1, values.length], Float32Array.from(values))

function compared(pairs: readonly (readonly [Tensor, Tensor | undefined])[], classes = false): OutputAgreement {
  const comparison = new Comparison('y', { classes })
  for (const [reference, actual] of pairs) comparison.add(reference, actual)
  return comparison.result()
}

/** What an original answers that exercises all: one sample of ones. */
const EXERCISED: Exercise = { samples: 1, elements: 1, nans: 0, largest: 1, moved: null }

function deviations(agreement: OutputAgreement, tolerance: Tolerance): readonly string[] {
  return assessOutput(agreement, EXERCISED, tolerance, undefined).deviations
}

describe('comparison of outputs', () => {
  it('gives the textbook figures', () => {
    const agreement = compared([[fp32(3, 4), fp32(4, 3)]])
    expect(agreement.cosine).toBeCloseTo(24 / 25, 12)
    expect(agreement.maxAbs).toBe(1)
    expect(agreement.relative).toBeCloseTo(Math.sqrt(2) / 5, 12)
    expect(agreement.sqnrDb).toBeCloseTo(10 * Math.log10(25 / 2), 10)
    expect(agreement).toMatchObject({ elements: 2, kind: 'float', equal: null, top1: null, misshapen: 0 })
  })

  it('takes all samples together, and keeps the worst one', () => {
    const agreement = compared([
      [fp32(100, 0), fp32(100, 0)],
      [fp32(1, 0), fp32(0, 1)],
    ])
    expect(agreement.worstCosine).toBe(0)
    expect(agreement.cosine).toBeGreaterThan(0.999)
  })

  it('sees a wrong scale, which the cosine does not', () => {
    const agreement = compared([[fp32(1, 2, 3), fp32(2, 4, 6)]])
    expect(agreement.cosine).toBeCloseTo(1, 12)
    expect(deviations(agreement, toleranceFor('q4'))).toEqual([expect.stringMatching(/has a relative error of 100 %/)])
  })

  it('takes the same infinity for equal, and NaN for equal to nothing', () => {
    const both = compared([[fp32(1, Infinity, -Infinity), fp32(1, Infinity, -Infinity)]])
    expect(both).toMatchObject({ notNumbers: 0, cosine: 1, relative: 0, sqnrDb: null })
    expect(deviations(both, toleranceFor('fp32'))).toEqual([])
    const one = compared([[fp32(1, 2, Infinity, 4), fp32(1, Number.NaN, -Infinity, 4)]])
    expect(one.notNumbers).toBe(2)
    expect(deviations(one, toleranceFor('q4'))).toEqual([expect.stringMatching(/2 elements that are NaN or infinite/)])
    const nans = compared([[fp32(1, Number.NaN), fp32(1, Number.NaN)]])
    expect(nans.notNumbers).toBe(1)
    const exercise = { ...EXERCISED, nans: 1, elements: 2 }
    expect(assessOutput(nans, exercise, toleranceFor('q4'), undefined).deviations).toEqual([
      'is NaN in the outputs of the original, 1 of 2 elements',
    ])
  })

  it('gives no figure for what it could not compare', () => {
    const none = { cosine: null, worstCosine: null, maxAbs: null, largest: null, relative: null, sqnrDb: null }
    expect(compared([])).toMatchObject(none)
    expect(compared([[fp32(1), undefined]])).toMatchObject(none)
    expect(compared([[fp32(Number.NaN), fp32(Number.NaN)]])).toMatchObject(none)
  })

  it('treats zeros as what they are', () => {
    expect(compared([[fp32(0, 0), fp32(0, 0)]])).toMatchObject({ cosine: 1, relative: 0 })
    expect(deviations(compared([[fp32(0, 0), fp32(1, 0)]]), toleranceFor('q4'))).toHaveLength(2)
  })

  it('wants whole numbers and strings equal', () => {
    const ints = (...values: bigint[]): Tensor => tensor('INT64', [values.length], BigInt64Array.from(values))
    const texts = (...values: string[]): Tensor => tensor('BYTES', [values.length], values)
    const wrong = compared([[ints(1n, 2n, 2n ** 60n), ints(1n, 2n, 2n ** 60n + 1n)]])
    expect(wrong).toMatchObject({ kind: 'exact', elements: 3, equal: 2, cosine: null })
    expect(deviations(wrong, toleranceFor('fp32'))).toEqual([expect.stringMatching(/2 of 3 elements/)])
    expect(deviations(compared([[texts('a', 'b'), texts('a', 'b')]]), toleranceFor('fp32'))).toEqual([])
    expect(deviations(compared([[texts('a', 'b'), texts('a', 'c')]]), toleranceFor('fp32'))).toHaveLength(1)
  })

  it('reads half floats as numbers', () => {
    const half = (...values: number[]): Tensor => tensor('FP16', [values.length], halfBits(values))
    expect(compared([[half(3, 4), half(4, 3)]]).cosine).toBeCloseTo(24 / 25, 12)
  })

  it('says when the shape or the type is another, or the output is missing', () => {
    const reference = fp32(1, 2)
    const pairs: (readonly [Tensor, Tensor | undefined])[] = [
      [reference, tensor('FP32', [2], Float32Array.of(1, 2))],
      [reference, tensor('FP64', [1, 2], Float64Array.of(1, 2))],
      [reference, undefined],
    ]
    expect(deviations(compared(pairs), toleranceFor('q4'))).toEqual([
      expect.stringMatching(/a different shape or type for 3/),
    ])
  })

  it('counts the best class by row, taking either of two equal ones', () => {
    const rows = (values: number[]): Tensor => tensor('FP32', [values.length / 3, 3], Float32Array.from(values))
    const agreement = compared([[rows([1, 5, 5, 9, 0, 0, 0, 2, 1]), rows([1, 5, 6, 9, 0, 0, 3, 2, 1])]], true)
    expect(agreement.top1).toEqual({ same: 2, rows: 3 })
  })

  it('fails a classifier for disagreement only where that is no chance', () => {
    const agreement = { ...compared([[fp32(1, 2), fp32(1, 2)]]), top1: { same: 9, rows: 10 } }
    expect(deviations(agreement, toleranceFor('int8'))).toEqual([])
    const many = { ...agreement, top1: { same: 900, rows: 1000 } }
    expect(deviations(many, toleranceFor('int8'))).toEqual([expect.stringMatching(/same best class for 900 of 1000/)])
  })
})

describe('what samples show of an output', () => {
  const seen = (...samples: (readonly number[])[]): Exercise => {
    const watch = new ExerciseWatch()
    for (const values of samples) watch.add(fp32(...values))
    return watch.result()
  }
  const judged = (pairs: readonly (readonly [readonly number[], readonly number[]])[], dtype: string, range?: number) =>
    assessOutput(
      compared(pairs.map(([reference, actual]) => [fp32(...reference), fp32(...actual)])),
      seen(...pairs.map(([reference]) => reference)),
      toleranceFor(dtype),
      range,
    )

  it('measures how far answers are from the first', () => {
    expect(seen([3, 4]).moved).toBeNull()
    expect(seen([3, 4], [3, 4])).toMatchObject({ moved: 0, largest: 4, samples: 2 })
    expect(seen([1, 0], [0, 1]).moved).toBeCloseTo(1, 12)
    // Answers of other lengths are compared as far as they go.
    expect(seen([1, 2], [1, 2, 3]).moved).toBe(0)
    const watch = new ExerciseWatch()
    for (const label of ['a', 'b', 'a']) watch.add(tensor('BYTES', [1], [label]))
    expect(watch.result()).toEqual({ samples: 3, elements: 3, nans: 0, largest: null, moved: 0.5 })
  })

  it('takes no agreement with nothing for an agreement', () => {
    const silent: [number[], number[]][] = [
      [
        [1e-7, 3e-7],
        [0, 0],
      ],
      [
        [2e-7, 1e-7],
        [0, 0],
      ],
    ]
    expect(judged(silent, 'fp32')).toEqual({ deviations: [], unexercised: 'all its values are below 0.000001' })
    expect(
      judged(
        [
          [
            [0, 0],
            [0, 0],
          ],
        ],
        'fp32',
      ).unexercised,
    ).toBe('the original returns only zeros')
    const loud: [number[], number[]][] = [
      [
        [1e-7, 3e-7],
        [0.5, 0],
      ],
    ]
    expect(judged(loud, 'q4', 1).deviations).not.toEqual([])
  })

  it('takes small numbers that agree for evidence', () => {
    const small: [number[], number[]][] = [
      [
        [1e-9, 3e-9],
        [1e-9, 3e-9],
      ],
      [
        [2e-9, 1e-9],
        [2e-9, 1e-9],
      ],
    ]
    expect(judged(small, 'fp32')).toEqual({ deviations: [], unexercised: null })
  })

  it('knows scores of nothing by their range and by the precision', () => {
    const scores: [number[], number[]][] = [
      [
        [0.004, 0.001],
        [0.006, 0.0005],
      ],
      [
        [0.002, 0.003],
        [0.001, 0.005],
      ],
    ]
    expect(judged(scores, 'q8', 1)).toEqual({ deviations: [], unexercised: 'all its values are below 0.01' })
    expect(judged(scores, 'q8').deviations).not.toEqual([])
    expect(judged(scores, 'fp32', 1).deviations).not.toEqual([])
    expect(
      judged(
        [
          ...scores,
          [
            [0.9, 0.001],
            [0.1, 0.001],
          ],
        ],
        'q8',
        1,
      ).deviations,
    ).not.toEqual([])
  })

  it('takes what never moves for no evidence, and what never moves and differs for wrong', () => {
    const constant: [number[], number[]][] = [
      [
        [1, 2],
        [1, 2],
      ],
      [
        [1, 2],
        [1, 2],
      ],
    ]
    expect(judged(constant, 'q8').unexercised).toBe('the original returns the same output for every sample')
    expect(
      judged(
        [
          constant[0] ?? [[], []],
          [
            [1, 2],
            [2, 1],
          ],
        ],
        'q8',
      ).deviations,
    ).not.toEqual([])
  })

  it('knows by the graph which outputs are probabilities', () => {
    const model = onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4] }],
      outputs: ['scores', 'boxes', 'both', 'best', 'where'].map((name) => ({
        name,
        datatype: name === 'where' ? 'INT64' : 'FP32',
        shape: ['n', 'm'],
      })),
      nodes: [
        { op: 'Sigmoid', inputs: ['x'], outputs: ['p'] },
        { op: 'Softmax', inputs: ['x'], outputs: ['q'] },
        { op: 'Mul', inputs: ['p', 'q'], outputs: ['pq'] },
        { op: 'Sqrt', inputs: ['pq'], outputs: ['scores'] },
        { op: 'Relu', inputs: ['x'], outputs: ['boxes'] },
        { op: 'Concat', inputs: ['scores', 'boxes'], outputs: ['both'], attributes: { axis: { int: 1 } } },
        { op: 'TopK', inputs: ['scores', 'k'], outputs: ['best', 'where'] },
      ],
      initializers: { k: tensor('INT64', [1], BigInt64Array.of(2n)) },
    })
    expect([...outputRanges(decodeModel(model)).keys()]).toEqual(['scores', 'best'])
  })
})

describe('tolerances', () => {
  it('widen with fewer bits, know all names, and can be set', () => {
    const names = ['fp32', 'fp16', 'int8', 'q4']
    const cosines = names.map((name) => toleranceFor(name).cosine)
    expect(cosines).toEqual([...cosines].sort((left, right) => right - left))
    expect(toleranceFor('q8')).toEqual(toleranceFor('int8'))
    expect(toleranceFor('q4f16')).toEqual(toleranceFor('q4'))
    expect(toleranceFor('constructor')).toEqual(toleranceFor('q4'))
    const { agreement, floor } = toleranceFor('int8')
    expect(toleranceFor('int8', { cosine: 0.8 })).toEqual({
      cosine: 0.8,
      relative: expect.closeTo(0.75, 12),
      agreement,
      floor,
    })
    expect(toleranceFor('int8', { cosine: 0.8, relative: 0.1 })).toEqual({
      cosine: 0.8,
      relative: 0.1,
      agreement,
      floor,
    })
    expect(toleranceFor('int8', { cosine: -1 }).relative).toBe(Infinity)
  })

  it('let the same noise pass by its cosine and by its size', () => {
    for (const name of ['fp16', 'int8', 'q4']) {
      const { cosine, relative } = toleranceFor(name)
      // Noise r at right angles to the signal has a cosine of 1 / sqrt(1 + r^2).
      expect(1 / Math.sqrt(1 + relative ** 2)).toBeCloseTo(cosine, 2)
    }
  })
})

describe('made-up samples', () => {
  const spec = (
    name: string,
    datatype: Signature['inputs'][number]['datatype'],
    shape: readonly (number | string)[],
  ) => ({
    name,
    datatype,
    shape,
  })
  const encoder: Signature = {
    inputs: [
      spec('input_ids', 'INT64', ['batch_size', 'sequence_length']),
      spec('attention_mask', 'INT64', ['batch_size', 'sequence_length']),
      spec('token_type_ids', 'INT64', ['batch_size', 'sequence_length']),
    ],
    outputs: [],
  }

  it('are the same for the same seed, and others for another', () => {
    const make = (seed: number) => syntheticSamples(encoder, { count: 3, seed, bounds: new Map([['input_ids', 1000]]) })
    expect(make(1)).toEqual(make(1))
    expect(make(1)).not.toEqual(make(2))
    const [first, second] = make(1)
    expect(first).not.toEqual(second)
  })

  it('give encoders ids within the vocabulary, a mask of ones and one segment', () => {
    const samples = syntheticSamples(encoder, { count: 20, seed: 3, length: 50, bounds: new Map([['input_ids', 7]]) })
    const ids = samples.flatMap(({ inputs }) => [...((inputs.get('input_ids')?.data ?? []) as Iterable<bigint>)])
    expect(new Set(ids)).toEqual(new Set([0n, 1n, 2n, 3n, 4n, 5n, 6n]))
    for (const { inputs } of samples) {
      expect(inputs.get('input_ids')?.shape).toEqual([1, 50])
      expect(inputs.get('attention_mask')?.data).toEqual(new BigInt64Array(50).fill(1n))
      expect(inputs.get('token_type_ids')?.data).toEqual(new BigInt64Array(50))
    }
  })

  it('give pictures numbers in [0, 1), and one size to what has one name', () => {
    const signature: Signature = {
      inputs: [
        spec('picture', 'FP32', ['N', 3, 'height', 'width']),
        spec('state', 'FP32', [2, 'N', 8]),
        spec('raw', 'UINT8', [-1, 4, 4, 3]),
      ],
      outputs: [],
    }
    const [sample] = syntheticSamples(signature, { count: 1, seed: 1, batch: 2 })
    expect([...(sample?.inputs.values() ?? [])].map(({ shape }) => shape)).toEqual([
      [2, 3, 64, 64],
      [2, 2, 8],
      [2, 4, 4, 3],
    ])
    const data = (name: string): number[] => Array.from((sample?.inputs.get(name)?.data ?? []) as ArrayLike<number>)
    const picture = data('picture')
    expect(picture).toHaveLength(2 * 3 * 64 * 64)
    expect(picture.every((value) => value >= 0 && value < 1)).toBe(true)
    expect(Math.max(...data('raw'))).toBeGreaterThan(200)
    expect(data('state').some((value) => value < 0)).toBe(true)
  })

  it('refuse an input that is no tensor, or larger than a request', () => {
    const make = (input: Signature['inputs'][number]) => () =>
      syntheticSamples({ inputs: [input], outputs: [] }, { count: 1, seed: 1 })
    expect(make(spec('map', null, []))).toThrow(/Input "map" is not a tensor/)
    expect(make(spec('huge', 'FP32', [1e5, 1e5]))).toThrow(/at once|elements/)
  })

  it('find the vocabulary in the graph, behind casts too', () => {
    expect(inputBounds(decodeModel(lookupModel(100_000)))).toEqual(new Map([['row', lookupRows(100_000)]]))
    const cast = onnxModel({
      inputs: [{ name: 'ids', datatype: 'INT32', shape: ['n'] }],
      outputs: [{ name: 'y', datatype: 'FP32' }],
      nodes: [
        { op: 'Cast', inputs: ['ids'], outputs: ['wide'], attributes: { to: { int: 7 } } },
        { op: 'Unsqueeze', inputs: ['wide', 'axes'], outputs: ['row'] },
        { op: 'Gather', inputs: ['table', 'row'], outputs: ['y'] },
      ],
      initializers: {
        table: tensor('FP32', [9, 2], seededFloats(18, 1)),
        axes: tensor('INT64', [1], new BigInt64Array(1)),
      },
    })
    expect(inputBounds(decodeModel(cast))).toEqual(new Map([['ids', 9]]))
    expect(inputBounds(decodeModel(arithmeticModel()))).toEqual(new Map())
  })

  it('find the vocabulary behind a mask, and take any number of what is only hashed', () => {
    const ids = (name: string) => ({ name, datatype: 'INT64' as const, shape: ['n'] })
    const initializers = {
      table: tensor('FP32', [9, 2], seededFloats(18, 1)),
      factor: tensor('INT64', [], BigInt64Array.of(31n)),
      by: tensor('INT64', [], BigInt64Array.of(9n)),
    }
    const masked = onnxModel({
      inputs: [ids('words'), ids('attention_mask'), ids('characters')],
      outputs: [
        { name: 'y', datatype: 'FP32' },
        { name: 'z', datatype: 'FP32' },
      ],
      nodes: [
        { op: 'Mul', inputs: ['words', 'attention_mask'], outputs: ['kept'] },
        { op: 'Gather', inputs: ['table', 'kept'], outputs: ['y'] },
        { op: 'Mul', inputs: ['characters', 'factor'], outputs: ['product'] },
        { op: 'Mod', inputs: ['product', 'by'], outputs: ['rest'] },
        { op: 'Gather', inputs: ['table', 'rest'], outputs: ['z'] },
      ],
      initializers,
    })
    expect(inputBounds(decodeModel(masked))).toEqual(
      new Map([
        ['words', 9],
        ['characters', 0x110000],
      ]),
    )
  })

  it('have the last id of a table among them', () => {
    const signature = { inputs: [spec('ids', 'INT64', [2, 5])], outputs: [] }
    const samples = syntheticSamples(signature, { count: 3, seed: 7, bounds: new Map([['ids', 1000]]) })
    for (const { inputs } of samples) {
      const { data } = inputs.get('ids') as Tensor
      const values = Array.from(data as BigInt64Array, Number)
      expect(values.at(-1)).toBe(999)
      expect(values.every((value) => value >= 0 && value < 1000)).toBe(true)
      expect(new Set(values).size).toBeGreaterThan(5)
    }
  })

  it('are of a size that the model runs on', async () => {
    const [sample] = await findSamples(windowModel(), { count: 1, seed: 1, signal })
    expect(sample?.inputs.get('x')?.shape).toEqual([1, 32])
  })

  it('come in several sizes where dimensions are open', async () => {
    expect((await sizedInputs(matmulModel(10_000), [], signal)).map(({ elements }) => elements)).toEqual([64, 128, 256])
    expect((await sizedInputs(windowModel(), [], signal)).map(({ elements }) => elements)).toEqual([64, 128])
  })
})

/** FP32 `x` [batch, length] -> `y`; fails where the length is not a multiple of 32. */
function windowModel(): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 'length'] }],
    outputs: [{ name: 'y', datatype: 'FP32' }],
    nodes: [{ op: 'Reshape', inputs: ['x', 'shape'], outputs: ['y'] }],
    initializers: { shape: tensor('INT64', [3], BigInt64Array.of(0n, -1n, 32n)) },
  })
}

describe('where the error begins', () => {
  const WIDTH = 16
  const weights = (seed: number): Float32Array<ArrayBuffer> => seededFloats(WIDTH * WIDTH, seed)

  /** Three products in a row, of which the second can be changed. */
  function chain(second: Float32Array<ArrayBuffer>): Uint8Array {
    const square = (values: Float32Array<ArrayBuffer>): Tensor => tensor('FP32', [WIDTH, WIDTH], values)
    return onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', WIDTH] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['n', WIDTH] }],
      nodes: [
        { op: 'MatMul', inputs: ['x', 'w1'], outputs: ['a'] },
        { op: 'MatMul', inputs: ['a', 'w2'], outputs: ['b'] },
        { op: 'Shape', inputs: ['b'], outputs: ['size'] },
        { op: 'Reshape', inputs: ['b', 'size'], outputs: ['c'] },
        { op: 'MatMul', inputs: ['c', 'w3'], outputs: ['y'] },
      ],
      initializers: { w1: square(weights(1)), w2: square(second), w3: square(weights(3)) },
    })
  }

  it('is the node whose weights were changed, and what it adds is not counted again after it', async () => {
    const changed = weights(2).map((value, index) => value + (index % 3 === 0 ? 0.4 : 0))
    const original = chain(weights(2))
    const samples = await findSamples(original, { count: 3, seed: 5, signal })
    const located = await locateError({ original, quantized: chain(changed), samples, signal })
    expect(located.values.map(({ value }) => value)).toEqual(['a', 'b', 'c', 'y'])
    expect(located.values[0]?.sqnrDb).toBe(Infinity)
    expect(located.first).toMatchObject({ value: 'b', op: 'MatMul' })
    expect(located.worst[0]).toMatchObject({ value: 'b' })
    expect(located.worst.map(({ value }) => value)).not.toContain('c')
    expect(describeLocated(located)).toMatch(/^The error begins at "b" \(MatMul\), at -?\d+\.\d dB\./)
  })

  it('is nowhere where nothing differs', async () => {
    const original = chain(weights(2))
    const samples = await findSamples(original, { count: 1, seed: 5, signal })
    const located = await locateError({ original, quantized: original, samples, signal })
    expect(located).toMatchObject({ first: null, worst: [] })
    expect(describeLocated(located)).toMatch(/Every value inside the graph agrees/)
  })
})

describe('cost', () => {
  it('is a line through what was measured', () => {
    expect(fitCost([1, 2, 4].map((n) => ({ elements: n * 100, units: 5 + n * 20 })))).toEqual({
      base: 5,
      perElement: 0.2,
    })
    expect(fitCost([{ elements: 784, units: 11.84 }])).toEqual({ base: 11.9, perElement: 0 })
  })

  it('is never below nothing, in either part', () => {
    const steep = fitCost([1, 2, 4].map((n) => ({ elements: n, units: n * n })))
    expect(steep.base).toBe(0)
    expect(steep.perElement).toBeGreaterThan(3)
    const falling = fitCost([1, 2, 3].map((n) => ({ elements: n, units: 10 - n })))
    expect(falling).toEqual({ base: 8, perElement: 0 })
  })

  it('prices a run by the manifest, and by an estimate where it says nothing', () => {
    expect(runCost({ bytes: 1e9, cost: { base: 2, perElement: 0.5 } }, 10)).toBe(7)
    expect(runCost({ bytes: 1e9, cost: { base: 0, perElement: 0 } }, 10)).toBe(0)
    const estimate = runCost({ bytes: 4e6 }, 128)
    expect(estimate).toBeGreaterThan(LIMITS.costBetweenYields)
    expect(runCost({ bytes: 4e6 }, 256)).toBe(2 * estimate)
    expect(runCost({ bytes: 4e6 }, 0)).toBeGreaterThan(0)
  })
})

describe('verdict', () => {
  const artifact = (memoryBytes: number) =>
    ({
      id: 'edge-int8',
      format: 'ort',
      dtype: 'int8',
      places: ['edge' as const],
      sha256: '',
      bytes: 1,
      chunks: [],
      memoryBytes,
    }) as const
  const runs = { heapBytes: 20e6, cpuMs: 5 }
  const fitOf = (bytes: number, how: Parameters<typeof verdictOf>[1]) =>
    verdictOf({ ...artifact(bytes), places: ['edge'], chunks: [] }, how).fit

  it('goes by what an isolate keeps for models', () => {
    const budget = LIMITS.sessionBudgetBytes
    expect([budget / 2, budget / 2 + 1, budget, budget + 1].map((bytes) => fitOf(bytes, runs))).toEqual([
      'fits',
      'fits-alone',
      'fits-alone',
      'origin-only',
    ])
    expect(verdictOf(undefined, undefined).fit).toBe('origin-only')
  })

  it('goes by what runs need, too', () => {
    expect(fitOf(1e6, undefined)).toBe('origin-only')
    expect(fitOf(20e6, { heapBytes: 79e6, cpuMs: 5 })).toBe('fits-alone')
    expect(fitOf(1e6, { heapBytes: 20e6, cpuMs: 31_000 })).toBe('origin-only')
    expect(
      verdictOf({ ...artifact(1e6), places: ['edge'], chunks: [] }, { heapBytes: 20e6, cpuMs: 44 }).reason,
    ).toMatch(/44 ms of CPU time here, more than the free plan's 10/)
  })
})
