import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { samplesDigest } from '../../../src/cli/build/evidence.ts'
import { keptResults } from '../../../src/cli/build/kept.ts'
import { keptMemory } from '../../../src/cli/build/kept-memory.ts'
import { ExerciseWatch, stillness } from '../../../src/cli/verify/exercise.ts'
import { findSamples } from '../../../src/cli/verify/find.ts'
import { page } from '../../../src/cli/verify/pictures.ts'
import { referenceSession, tensorOutputs } from '../../../src/cli/verify/reference.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import type { Sample } from '../../../src/quantize/types.ts'
import { type NodeSpec, onnxModel } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'

const signal = never()
const scalar = (value: number): Tensor => tensor('FP32', [], Float32Array.of(value))

/** FP32 `x` -> `y`, by nodes that may read `low`. */
function model(shape: readonly number[], low: number, nodes: readonly NodeSpec[], outputs = ['y']): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape }],
    outputs: outputs.map((name) => ({ name, datatype: 'FP32', shape: ['n'] })),
    nodes,
    initializers: { low: scalar(low), axes: tensor('INT64', [2], BigInt64Array.of(2n, 3n)) },
  })
}

/** Silent unless some element of its input is above the constant `low`. */
const threshold = (): NodeSpec[] => [
  { op: 'Sub', inputs: ['x', 'low'], outputs: ['above'] },
  { op: 'Relu', inputs: ['above'], outputs: ['y'] },
]

async function still(onnx: Uint8Array, samples: readonly Sample[]): Promise<Record<string, string | null>> {
  const session = await referenceSession(onnx, signal)
  const outputs = tensorOutputs(session)
  const watches = new Map(outputs.map((name) => [name, new ExerciseWatch()]))
  for (const { inputs } of samples) {
    for (const [name, value] of await session.run(inputs, { outputs, signal })) watches.get(name)?.add(value)
  }
  session.dispose()
  return Object.fromEntries([...watches].map(([name, watch]) => [name, stillness(watch.result())]))
}

describe('samples that move outputs', () => {
  it('are those made up first, where they do', async () => {
    const onnx = model([1, 4], -100, threshold())
    const values = [...((await findSamples(onnx, { count: 2, seed: 1, signal }))[0]?.inputs.get('x')?.data ?? [])]
    expect(values.every((value) => Math.abs(Number(value)) < 4)).toBe(true)
  })

  it('are larger numbers where small ones leave a model silent', async () => {
    const onnx = model([1, 4], 100, threshold())
    expect(await still(onnx, await findSamples(onnx, { count: 4, seed: 1, signal }))).toEqual({ y: null })
  })

  it('are pages of handwriting where noise leaves a model silent', async () => {
    // Whole squares of 4 x 4 pixels that are dark are strokes of a pen, and never noise.
    const onnx = model(
      [1, 1, 128, 128],
      0.4,
      [
        { op: 'MaxPool', inputs: ['x'], outputs: ['lightest'], attributes: { kernel_shape: { ints: [4, 4] } } },
        { op: 'Sub', inputs: ['low', 'lightest'], outputs: ['darkness'] },
        { op: 'Relu', inputs: ['darkness'], outputs: ['y'] },
      ],
      ['y'],
    )
    expect(await still(onnx, await findSamples(onnx, { count: 4, seed: 1, signal }))).toEqual({ y: null })
  })

  it('move as many outputs as can be, where one never moves', async () => {
    const nodes: NodeSpec[] = [
      ...threshold(),
      { op: 'Sub', inputs: ['x', 'ten'], outputs: ['above ten'] },
      { op: 'Relu', inputs: ['above ten'], outputs: ['z'] },
      { op: 'Add', inputs: ['low', 'ten'], outputs: ['ignored'] },
    ]
    const onnx = onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4] }],
      outputs: ['y', 'z'].map((name) => ({ name, datatype: 'FP32', shape: [1, 4] })),
      nodes,
      initializers: { low: scalar(1e6), ten: scalar(10) },
    })
    expect(await still(onnx, await findSamples(onnx, { count: 4, seed: 1, signal }))).toEqual({
      y: 'the original returns only zeros',
      z: null,
    })
  })

  it('are real ones where they do better than all others', async () => {
    const onnx = model([1, 1], 1e5, threshold())
    const real = [2e5, 3e5].map((value) => ({
      inputs: new Map([['x', tensor('FP32', [1, 1], Float32Array.of(value))]]),
    }))
    expect(await findSamples(onnx, { count: 8, seed: 1, signal, real: async () => real })).toEqual(real)
  })

  it('are not those that lead to NaN, where others do not', async () => {
    // Above 10 it is a number: the logarithm of what is not negative.
    const onnx = model([1, 64], 2, [
      { op: 'Add', inputs: ['x', 'low'], outputs: ['more'] },
      { op: 'ReduceMax', inputs: ['more'], outputs: ['most'], attributes: { keepdims: { int: 1 } } },
      { op: 'Sub', inputs: ['most', 'ten'], outputs: ['rest'] },
      { op: 'Constant', inputs: [], outputs: ['ten'], attributes: { value: { tensor: scalar(10) } } },
      { op: 'Sqrt', inputs: ['rest'], outputs: ['y'] },
    ])
    const session = await referenceSession(onnx, signal)
    for (const { inputs } of await findSamples(onnx, { count: 4, seed: 1, signal })) {
      const [output] = (await session.run(inputs, { signal })).values()
      expect(Number.isNaN(Number(output?.data[0]))).toBe(false)
    }
  })
})

describe('pages of handwriting', () => {
  it('are paper with strokes on it, and others for other indices', () => {
    const pixels = (index: number): number[] => {
      const at = page(index, 32, 48)
      return Array.from({ length: 32 * 48 }, (_, place) => at(Math.floor(place / 48), place % 48, 0))
    }
    for (const index of [0, 1, 2, 3, 4, 5]) {
      const values = pixels(index)
      expect(values.every((value) => Number.isInteger(value) && value >= 0 && value <= 255)).toBe(true)
      expect(values.filter((value) => value > 200).length).toBeGreaterThan(values.length / 2)
      expect(values.some((value) => value < 100)).toBe(true)
    }
    expect(pixels(0)).toEqual(pixels(0))
    expect(pixels(0)).not.toEqual(pixels(1))
  })
})

describe('results that are kept', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'verge-kept-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('are found by all that they depend on, and by nothing else', async () => {
    const kept = keptResults(folder, async () => 'tools')
    const result = { sqnrDb: Infinity, none: null, bytes: Uint8Array.of(1, 2) }
    await kept.put('proof', { original: 'a', tolerance: 0.9 }, result)
    expect(await kept.find('proof', { tolerance: 0.9, original: 'a' })).toEqual(result)
    expect(await kept.find('proof', { original: 'a', tolerance: 0.8 })).toBeUndefined()
    expect(await kept.find('proof', { original: 'a' })).toBeUndefined()
    expect(await kept.find('choice', { original: 'a', tolerance: 0.9 })).toBeUndefined()
    expect(
      await keptResults(folder, async () => 'other').find('proof', { original: 'a', tolerance: 0.9 }),
    ).toBeUndefined()
  })

  it('are made again where they cannot be read', async () => {
    const kept = keptResults(folder, async () => 'tools')
    await kept.put('proof', {}, { ok: true })
    const [name = ''] = await readdir(folder)
    await writeFile(join(folder, name), 'cut')
    expect(await kept.find('proof', {})).toBeUndefined()
  })

  it('go when there are too many, those first that were used least recently', async () => {
    const kept = keptResults(folder, async () => 'tools', { bytes: 10_000, entries: 3 })
    for (const index of [0, 1, 2]) await kept.put('proof', { index }, index)
    // A file's own time may lag a few milliseconds behind the clock that a use is noted by.
    const age = async () => {
      for (const name of await readdir(folder)) await utimes(join(folder, name), new Date(1e12), new Date(1e12))
    }
    await age()
    expect(await kept.find('proof', { index: 1 })).toBe(1)
    await kept.put('proof', { index: 3 }, 3)
    expect(await readdir(folder)).toHaveLength(3)
    expect(await kept.find('proof', { index: 1 })).toBe(1)
    expect(await kept.find('proof', { index: 3 })).toBe(3)
    await age()
    await kept.put('proof', { index: 4 }, new Uint8Array(20_000))
    expect(await readdir(folder)).toHaveLength(1)
  })

  it('are measured once for each artifact, and again where that failed', async () => {
    const kept = keptResults(folder, async () => 'tools')
    const asked: string[] = []
    const measure = keptMemory(kept, async ({ sha256 }) => {
      asked.push(sha256)
      if (sha256 === 'large') throw new VergeError('model_too_large', 'It does not fit.')
      return { memoryBytes: 65_536 }
    })
    const ask = (sha256: string, settings = {}) =>
      measure({ sha256, format: 'ort', bytes: 3 }, new Uint8Array(3), new Uint8Array(4), settings)
    expect(await ask('a')).toEqual({ memoryBytes: 65_536 })
    expect(await ask('a')).toEqual({ memoryBytes: 65_536 })
    await ask('a', { bytes: { begin: 1, middle: 0, end: 1, padding: 0 } })
    for (const _ of [1, 2]) await expect(ask('large')).rejects.toMatchObject({ code: 'model_too_large' })
    expect(asked).toEqual(['a', 'a', 'large', 'large'])
  })

  it('depend on every element, label, name, shape and type of the samples', () => {
    const sample = (name: string, value: Tensor, label?: number): Sample => ({
      inputs: new Map([[name, value]]),
      ...(label !== undefined && { label }),
    })
    const x = (...values: number[]): Tensor => tensor('FP32', [values.length], Float32Array.from(values))
    const different = [
      [],
      [sample('x', x(1, 2))],
      [sample('x', x(1, 3))],
      [sample('y', x(1, 2))],
      [sample('x', x(1, 2), 0)],
      [sample('x', tensor('FP32', [1, 2], Float32Array.of(1, 2)))],
      [sample('x', tensor('INT64', [1], BigInt64Array.of(1n)))],
      [sample('x', tensor('BYTES', [2], ['a', 'b']))],
      [sample('x', tensor('BYTES', [2], ['ab', '']))],
      [sample('x', x(1)), sample('x', x(2))],
    ]
    expect(new Set(different.map(samplesDigest)).size).toBe(different.length)
    expect(samplesDigest([sample('x', x(1, 2))])).toBe(samplesDigest([sample('x', x(1, 2))]))
  })
})
