import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { agreementOf } from '../../../src/cli/build/agreement.ts'
import { loadModel } from '../../../src/cli/build/load.ts'
import { choosePrecision } from '../../../src/cli/build/precision.ts'
import { quantizeSettings } from '../../../src/cli/build/quantize-settings.ts'
import { silentProgress } from '../../../src/cli/terminal/progress.ts'
import { findSamples } from '../../../src/cli/verify/find.ts'
import { toleranceFor } from '../../../src/cli/verify/tolerance.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { decodeModel, encodeModel } from '../../../src/onnx/codec.ts'
import { DataType, makeTensor } from '../../../src/onnx/data.ts'
import { makeNode } from '../../../src/onnx/make.ts'
import type { ModelProto } from '../../../src/onnx/schema/onnx_pb.js'
import { type NodeSpec, onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { haveRealModels, REAL_MODELS, SKIP_REASON } from '../../fixtures/node/real-models.ts'

const signal = never()
const WIDTH = 128

interface Heads {
  /** Added to the scores before the sigmoid: at 0 they are probabilities of nothing, at 8 they are real ones. */
  readonly shift?: number
  readonly boxes?: boolean
}

/**
 * FP32 `x` [n, 128] -> `scores` [n, 128], below 0.003 whatever the input, and steep, so that rounding moves them by half;
 * `boxes` [n, 128], a product.
 */
function detector({ shift = 0, boxes = true }: Heads = {}): Uint8Array {
  const square = (seed: number) => tensor('FP32', [WIDTH, WIDTH], seededFloats(WIDTH * WIDTH, seed))
  const scalar = (value: number) => tensor('FP32', [], Float32Array.of(value))
  const nodes: NodeSpec[] = [
    { op: 'MatMul', inputs: ['x', 'w1'], outputs: ['product'] },
    { op: 'Mul', inputs: ['product', 'steep'], outputs: ['angle'] },
    { op: 'Sin', inputs: ['angle'], outputs: ['wave'] },
    { op: 'Add', inputs: ['wave', 'low'], outputs: ['logits'] },
    { op: 'Sigmoid', inputs: ['logits'], outputs: ['scores'] },
    ...(boxes ? [{ op: 'MatMul', inputs: ['x', 'w2'], outputs: ['boxes'] }] : []),
  ]
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', WIDTH] }],
    outputs: ['scores', ...(boxes ? ['boxes'] : [])].map((name) => ({ name, datatype: 'FP32', shape: ['n', WIDTH] })),
    nodes,
    initializers: { w1: square(1), steep: scalar(20), low: scalar(shift - 8), ...(boxes && { w2: square(2) }) },
  })
}

async function chosen(onnx: Uint8Array, asked: Parameters<typeof quantizeSettings>[0] = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'verge-agreement-'))
  try {
    await writeFile(join(folder, 'model.onnx'), onnx)
    const bench = { progress: silentProgress, signal }
    const loaded = await loadModel(join(folder, 'model.onnx'), bench)
    const samples = await findSamples(onnx, { count: 8, seed: 1, signal })
    const set = { samples, synthetic: true, classes: undefined }
    return await choosePrecision(loaded, quantizeSettings(asked), set, { ...bench, tolerance: undefined })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

describe('the choice of a precision', () => {
  it('is 8 bits where one head is silent and the others agree', async () => {
    const { dtype, onnx, notes } = await chosen(detector())
    expect({ dtype, notes: notes.filter((note) => /not taken/.test(note)) }).toEqual({ dtype: 'q8', notes: [] })
    const { shown, differences, unexercised } = await agreementOf({
      original: detector(),
      candidate: onnx,
      samples: await findSamples(detector(), { count: 8, seed: 1, signal }),
      tolerance: toleranceFor('q8'),
      classes: false,
      signal,
    })
    expect({ shown, differences, unexercised }).toEqual({
      shown: true,
      differences: [],
      unexercised: ['output "scores" is not exercised: all its values are below 0.01'],
    })
  })

  it('is floats where the same head is not silent', async () => {
    const { dtype, notes } = await chosen(detector({ shift: 8 }))
    expect(dtype).toBe('fp32')
    expect(notes.join('\n')).toMatch(/8 bits \(\w+\) was rejected: output "scores" /)
  })

  it('is called what it is, and not what was asked for', async () => {
    const onnx = onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 64, 4, 4] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 64, 4, 4] }],
      nodes: [{ op: 'Conv', inputs: ['x', 'w'], outputs: ['y'] }],
      initializers: { w: tensor('FP32', [64, 64, 1, 1], seededFloats(64 * 64, 1)) },
    })
    const { dtype, notes } = await chosen(onnx, { dtype: 'q4' })
    expect({ dtype, note: notes[0] }).toEqual({
      dtype: 'q8',
      note: 'precision: q8: no layer of this model can be quantized to q4',
    })
  })

  it('is floats where nothing shows whether 8 bits are right', async () => {
    const { dtype, notes } = await chosen(detector({ boxes: false }))
    expect(dtype).toBe('fp32')
    expect(notes.join('\n')).toMatch(/was rejected: the samples exercise no output/)
  })
})

/** The model with nodes after each of its outputs, which give the outputs' names. */
function extended(
  model: ModelProto,
  after: (inner: string, outer: string) => ReturnType<typeof makeNode>[],
): Uint8Array {
  const copy = decodeModel(encodeModel(model))
  const { graph } = copy
  if (graph === undefined) throw new Error('it has a graph')
  for (const { name } of graph.output) {
    const inner = `${name} before ${graph.node.length}`
    for (const node of graph.node) {
      node.output = node.output.map((value) => (value === name ? inner : value))
      node.input = node.input.map((value) => (value === name ? inner : value))
    }
    graph.node.push(...after(inner, name))
  }
  for (const [name, value] of [
    ['zero', 0],
    ['far', 20],
  ] as const) {
    if (graph.initializer.some((known) => known.name === name)) continue
    graph.initializer.push(makeTensor(name, DataType.FLOAT, [], Float32Array.of(value)))
  }
  return encodeModel(copy)
}

describe.skipIf(!haveRealModels)(`a real detector (skipped only where ${SKIP_REASON})`, () => {
  const times = (inner: string, outer: string) => [
    makeNode({ op: 'Mul', inputs: [inner, 'zero'], outputs: [outer], name: `zero ${inner}` }),
  ]
  const faint = (inner: string, outer: string) => [
    makeNode({ op: 'Sub', inputs: [inner, 'far'], outputs: [`${outer} far`], name: `far ${inner}` }),
    makeNode({ op: 'Sigmoid', inputs: [`${outer} far`], outputs: [outer], name: `faint ${inner}` }),
  ]

  it('does not agree with itself multiplied by zero, and shows nothing where all of it is faint', async () => {
    const original = decodeModel(await readFile(join(REAL_MODELS, 'ultraface-rfb-320/model.onnx')))
    const samples = await findSamples(encodeModel(original), { count: 3, seed: 1, signal })
    const compare = (of: Uint8Array, candidate: Uint8Array) =>
      agreementOf({ original: of, candidate, samples, tolerance: toleranceFor('fp32'), classes: false, signal })
    const zeroed = await compare(encodeModel(original), extended(original, times))
    expect(zeroed.shown).toBe(false)
    expect(zeroed.differences).toEqual([
      expect.stringMatching(/output "scores" has a cosine similarity of 0/),
      expect.stringMatching(/output "scores" has a relative error of 100 %/),
      expect.stringMatching(/output "boxes" has a cosine similarity of 0/),
      expect.stringMatching(/output "boxes" has a relative error of 100 %/),
    ])
    const itself = await compare(encodeModel(original), encodeModel(original))
    expect(itself).toEqual({ shown: true, differences: [], unexercised: [] })
    const faintOriginal = extended(original, faint)
    const silenced = await compare(faintOriginal, extended(decodeModel(faintOriginal), times))
    expect(silenced).toMatchObject({ shown: false, differences: [] })
    expect(silenced.unexercised).toHaveLength(2)
  })
})
