import { describe, expect, it } from 'vitest'
import { measureLoss, proveTrimming, type TrimProofOptions, withNumbers } from '../../../src/cli/trim/proof.ts'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import type { Sample } from '../../../src/quantize/types.ts'
import { type NodeSpec, onnxModel } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'

const WIDTH = 2
/** The row of a token points into its own direction. */
const rowOf = (id: number): readonly number[] => [Math.cos(id / 3), Math.sin(id / 3)]

function model(rows: readonly number[], pooled = false): Uint8Array {
  const mean: NodeSpec = {
    op: 'ReduceMean',
    inputs: ['rows'],
    outputs: ['y'],
    attributes: { axes: { ints: [1] }, keepdims: { int: 0 } },
  }
  const same: NodeSpec = { op: 'Identity', inputs: ['rows'], outputs: ['y'] }
  return onnxModel({
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['batch', 'length'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: pooled ? ['batch', WIDTH] : ['batch', 'length', WIDTH] }],
    nodes: [{ op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['rows'] }, pooled ? mean : same],
    initializers: { table: tensor('FP32', [rows.length, WIDTH], Float32Array.from(rows.flatMap(rowOf))) },
  })
}

/** The table is made of another type first, so that its rows do not bound the numbers that are made up. */
function behindCast(rows: readonly number[]): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['batch', 'length'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 'length', WIDTH] }],
    nodes: [
      { op: 'Cast', inputs: ['table'], outputs: ['floats'], attributes: { to: { int: 1 } } },
      { op: 'Gather', inputs: ['floats', 'input_ids'], outputs: ['y'] },
    ],
    initializers: { table: tensor('FP64', [rows.length, WIDTH], Float64Array.from(rows.flatMap(rowOf))) },
  })
}

/** Takes no text that is not of 7,001 tokens. */
function rejecting(rows: readonly number[]): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['batch', 'length'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 7001, WIDTH] }],
    nodes: [
      { op: 'Reshape', inputs: ['input_ids', 'sizes'], outputs: ['numbers'] },
      { op: 'Gather', inputs: ['table', 'numbers'], outputs: ['y'] },
    ],
    initializers: {
      sizes: tensor('INT64', [2], BigInt64Array.of(1n, 7001n)),
      table: tensor('FP32', [rows.length, WIDTH], Float32Array.from(rows.flatMap(rowOf))),
    },
  })
}

const tokens = (...ids: readonly number[]): Tensors =>
  new Map([['input_ids', tensor('INT64', [1, ids.length], BigInt64Array.from(ids, BigInt))]])
const sample = (ids: readonly number[], label?: number): Sample => ({
  inputs: tokens(...ids),
  ...(label !== undefined && { label }),
})

const ALL = [0, 1, 2, 3, 4, 5, 6, 7]
const KEPT = [0, 2, 3, 7]

const options = (more: Partial<TrimProofOptions>): TrimProofOptions => ({
  original: model(ALL),
  trimmed: model(KEPT),
  kept: Int32Array.from(KEPT),
  before: [],
  after: [],
  classes: undefined,
  settings: undefined,
  signal: never(),
  ...more,
})

describe('the proof of a trimmed model', () => {
  it('shows what samples lose', async () => {
    const { loss } = await proveTrimming(
      options({
        before: [sample([2, 7, 3]), sample([2, 5, 3])],
        // The token 5 is written in two others.
        after: [sample([1, 3, 2]), sample([1, 3, 3, 2])],
      }),
    )
    expect(loss).toMatchObject({ samples: 2, tokens: 6, samplesUnchanged: 0.5, metric: 'cosine', baseline: 1 })
    expect(loss?.tokensKept).toBeCloseTo(5 / 6)
    // Of other lengths, the means of the rows are compared.
    const mean = (ids: readonly number[]) => [0, 1].map((at) => ids.reduce((sum, id) => sum + (rowOf(id)[at] ?? 0), 0))
    const [[a = 0, b = 0], [c = 0, d = 0]] = [mean([2, 5, 3]), mean([2, 7, 7, 3])]
    const cosine = (a * c + b * d) / (Math.hypot(a, b) * Math.hypot(c, d))
    expect(loss?.value).toBeCloseTo((1 + cosine) / 2, 5)
  })

  it('counts right answers of labelled samples, and equal ones of others', async () => {
    const classes = { original: model(ALL, true), trimmed: model(KEPT, true), classes: WIDTH }
    // Token 0 is of class 0, and token 5 of class 1; token 7 is of neither to be sure of.
    const [before, after] = [
      [sample([0], 0), sample([5], 1)],
      [sample([0], 0), sample([0], 1)],
    ]
    expect((await proveTrimming(options({ ...classes, before, after }))).loss).toMatchObject({
      metric: 'accuracy',
      value: 0.5,
      baseline: 1,
    })
    const bare = (samples: readonly Sample[]) => samples.map(({ inputs }) => ({ inputs }))
    const { loss } = await proveTrimming(options({ ...classes, before: bare(before), after: bare(after) }))
    expect(loss).toMatchObject({
      metric: 'agreement',
      value: 0.5,
      baseline: 1,
    })
  })

  it('fails where the same tokens have another answer', async () => {
    const wrong = options({ trimmed: model([0, 2, 4, 7]) })
    await expect(proveTrimming(wrong)).rejects.toMatchObject({ code: 'disagrees' })
    const [before, after] = [[sample([2, 3])], [sample([1, 2])]]
    // A quantized model may differ, and is measured.
    const loss = await measureLoss(model([0, 2, 4, 7]), options({ before, after }))
    expect(loss).toMatchObject({ samplesUnchanged: 1, tokensKept: 1 })
    expect(loss?.value).toBeLessThan(1)
  })

  it('fails where tokens have another answer that nothing says to be tokens of a table', async () => {
    const right = options({ original: behindCast(ALL), trimmed: behindCast(KEPT) })
    expect((await proveTrimming(right)).same).toBeGreaterThan(4)
    const wrong = options({ original: behindCast(ALL), trimmed: behindCast([0, 2, 3, 6]) })
    await expect(proveTrimming(wrong)).rejects.toMatchObject({ code: 'disagrees' })
  })

  it('has no loss to show without samples', async () => {
    const { loss, same } = await proveTrimming(options({}))
    expect(loss).toBeUndefined()
    expect(same).toBeGreaterThan(0)
  })

  it('says that nothing was compared where a model takes nothing made up', async () => {
    expect(await proveTrimming(options({ original: rejecting(ALL), trimmed: rejecting(KEPT) }))).toEqual({
      loss: undefined,
      same: 0,
    })
  })
})

describe('other numbers for tokens', () => {
  it('leave everything else as it is', () => {
    const mask = tensor('INT64', [1, 2], BigInt64Array.of(1n, 1n))
    const inputs = new Map([...tokens(3, 4), ['attention_mask', mask] as const])
    const changed = withNumbers(inputs, (number) => number + 1)
    expect(changed.get('input_ids')?.data).toEqual(BigInt64Array.of(4n, 5n))
    expect(changed.get('attention_mask')).toBe(mask)
    expect(withNumbers(new Map([['attention_mask', mask]]), () => 0).get('attention_mask')).toBe(mask)
  })
})
