import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { referenceEngine } from '../../src/cli/build/context.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { bundleWorker } from '../../src/cli/local/bundle.ts'
import { measureCost } from '../../src/cli/measure/cost.ts'
import { measureInWorkerd } from '../../src/cli/measure/measure.ts'
import { packedReference, REFERENCE, REFERENCE_UNITS, referenceInputs } from '../../src/cli/measure/reference-model.ts'
import { toBlob } from '../../src/cli/pack/bytes.ts'
import { type PackedModel, packFolder } from '../../src/cli/pack/packer.ts'
import { findSamples } from '../../src/cli/verify/find.ts'
import { proveInWorkerd } from '../../src/cli/verify/prove.ts'
import { withStage } from '../../src/cli/verify/stage.ts'
import { toleranceFor } from '../../src/cli/verify/tolerance.ts'
import { verifyInWorkerd } from '../../src/cli/verify/verify.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { tensor } from '../../src/core/tensors.ts'
import { decodeModel, encodeModel } from '../../src/onnx/codec.ts'
import { quantizeModel } from '../../src/quantize/quantize.ts'
import { onnxModel, seededFloats } from '../../synthetic/onnx.ts'
import { concatModel, matmulModel } from '../../synthetic/onnx-models.ts'

const signal = new AbortController().signal

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-test-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function packed(model: Uint8Array, fields: object = {}, dtype = 'fp32'): Promise<PackedModel> {
  const description = { name: 'm', version: '1', licence: 'MIT', artifacts: [{ file: 'model.onnx', dtype }], ...fields }
  await writeFile(join(folder, 'verge.json'), JSON.stringify(description))
  await writeFile(join(folder, 'model.onnx'), model)
  return packFolder(folder)
}

/** An artifact that is proved in onnxruntime-node: for tests of the judgement, which needs no Worker. */
const NATIVE = { artifacts: [{ file: 'model.onnx', dtype: 'fp32', places: ['origin'] }] }

const WIDTH = 64

/** Two products with a Relu between; `change` is done to the second's weights. */
function classifier(change: (value: number, index: number) => number = (value) => value): Uint8Array {
  const square = (seed: number) => seededFloats(WIDTH * WIDTH, seed)
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', WIDTH] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: ['n', WIDTH] }],
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w1'], outputs: ['first'] },
      { op: 'Relu', inputs: ['first'], outputs: ['active'] },
      { op: 'MatMul', inputs: ['active', 'w2'], outputs: ['scores'] },
    ],
    initializers: {
      w1: tensor('FP32', [WIDTH, WIDTH], square(1)),
      w2: tensor('FP32', [WIDTH, WIDTH], square(2).map(change)),
    },
  })
}

interface DetectorOptions {
  /** Multiplied with all weights of the scores. */
  readonly scale?: number
  /** Added to the scores before the sigmoid, which leave nothing of noise. */
  readonly shift?: number
  /** Whether it has boxes beside the scores. */
  readonly boxes?: boolean
}

/** FP32 `x` [n, 64] -> `scores` [n, 64], far below a sigmoid's middle, and `boxes` [n, 64]. */
function detector({ scale = 1, shift = 0, boxes = true }: DetectorOptions = {}): Uint8Array {
  const square = (seed: number) => seededFloats(WIDTH * WIDTH, seed)
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', WIDTH] }],
    outputs: ['scores', ...(boxes ? ['boxes'] : [])].map((name) => ({ name, datatype: 'FP32', shape: ['n', WIDTH] })),
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w1'], outputs: ['logits'] },
      { op: 'Add', inputs: ['logits', 'bias'], outputs: ['low'] },
      { op: 'Sigmoid', inputs: ['low'], outputs: ['probabilities'] },
      { op: 'Mul', inputs: ['probabilities', 'scale'], outputs: ['scores'] },
      ...(boxes ? [{ op: 'MatMul', inputs: ['x', 'w2'], outputs: ['boxes'] }] : []),
    ],
    initializers: {
      w1: tensor(
        'FP32',
        [WIDTH, WIDTH],
        square(1).map((value) => value / WIDTH),
      ),
      bias: tensor('FP32', [1], Float32Array.of(shift - 18)),
      scale: tensor('FP32', [1], Float32Array.of(scale)),
      ...(boxes && { w2: tensor('FP32', [WIDTH, WIDTH], square(2)) }),
    },
  })
}

describe('verification in workerd', () => {
  it('proves a model that ships, in ORT format at the edge and as a plain file', async () => {
    const original = await readFile(join(ROOT, 'models/digits/model.onnx'))
    const samples = await findSamples(original, { count: 3, seed: 1, signal })
    const model = await packFolder(join(ROOT, 'models/digits'))
    const steps: string[] = []
    const verification = await verifyInWorkerd({
      packed: model,
      original,
      samples,
      synthetic: true,
      signal,
      progress: (done, total) => steps.push(`${done}/${total}`),
    })
    expect(verification.artifacts.flatMap(({ failures }) => failures)).toEqual([])
    expect(verification).toMatchObject({ ok: true, samples: 3, synthetic: true })
    const edge = verification.artifacts.find(({ place }) => place === 'edge')
    expect(edge?.outputs[0]?.cosine).toBeGreaterThan(0.9999)
    expect(edge?.outputs[0]?.elements).toBe(30)
    expect(steps).toEqual(['1/3', '2/3', '3/3'])
  })

  it('fails an artifact that differs, naming the output and where the error begins', async () => {
    const original = classifier()
    const samples = await findSamples(original, { count: 4, seed: 1, signal })
    const shifted = await packed(
      classifier((value, index) => (index % 5 === 0 ? -value : value)),
      {},
      'int8',
    )
    const verification = await verifyInWorkerd({ packed: shifted, original, samples, signal })
    expect(verification.ok).toBe(false)
    expect(verification.artifacts.map(({ artifact }) => artifact)).toEqual(['verge-int8', 'edge-int8', 'onnx-int8'])
    for (const { failures, located } of verification.artifacts) {
      expect(failures.join('\n')).toMatch(/output "scores" has a cosine similarity of 0\.\d+/)
      expect(failures.join('\n')).toMatch(/The error begins at "scores" \(MatMul\)/)
      expect(located?.first).toMatchObject({ value: 'scores' })
    }
    const generous = { cosine: -1, relative: 10, agreement: 0 }
    expect(await verifyInWorkerd({ packed: shifted, original, samples, signal, tolerance: generous })).toMatchObject({
      ok: true,
    })
  })

  it('holds a model to the precision that it has, and not to what it is called', async () => {
    const original = classifier()
    const samples = await findSamples(original, { count: 4, seed: 1, signal })
    const near = classifier((value, index) => value * (1 + ((index % 7) - 3) * 0.01))
    const verify = async (model: Uint8Array, dtype: string) =>
      verifyInWorkerd({ packed: await packed(model, {}, dtype), original, samples, signal })
    const floats = await verify(near, 'q4')
    expect(floats).toMatchObject({ ok: false, verdict: 'differs' })
    expect(floats.artifacts.map(({ dtype }) => dtype)).toEqual(['fp32', 'fp32', 'fp32'])
    const env = { engine: referenceEngine(), signal }
    const { model } = await quantizeModel(decodeModel(original), { dtype: 'q8', method: 'weights', samples: [] }, env)
    const bytes = await verify(encodeModel(model), 'q4')
    expect(bytes).toMatchObject({ ok: true, verdict: 'agrees' })
    expect(bytes.artifacts[0]).toMatchObject({ dtype: 'q8', tolerance: toleranceFor('int8') })
  })

  it('takes a model that answers nothing for no proof, and one silent output for no failure', async () => {
    const samples = await findSamples(detector(), { count: 4, seed: 1, signal })
    const verify = async (model: Uint8Array, original: Uint8Array, tolerance = {}) =>
      verifyInWorkerd({ packed: await packed(model, NATIVE), original, samples, synthetic: true, tolerance, signal })
    // Both give scores below a ten millionth.
    const silent = await verify(detector({ scale: 0, boxes: false }), detector({ boxes: false }))
    expect(silent).toMatchObject({ ok: false, verdict: 'none' })
    expect(silent.artifacts[0]?.failures).toEqual([])
    expect(silent.artifacts[0]?.outputs[0]?.unexercised).toMatch(/below 0\.000001/)
    const both = await verify(detector({ scale: 0 }), detector())
    expect(both).toMatchObject({ ok: true, verdict: 'agrees' })
    expect(both.artifacts[0]?.outputs.map(({ output, unexercised }) => [output, unexercised === null])).toEqual([
      ['scores', false],
      ['boxes', true],
    ])
    expect(await verify(detector({ shift: 20 }), detector())).toMatchObject({ ok: false, verdict: 'differs' })
  })

  it('fails a classifier whose best class is another, on real samples alone', async () => {
    // The largest score, and nothing else, goes to the last class.
    const original = scores([1, 0.999])
    const swapped = scores([0.999, 1])
    const samples = Array.from({ length: 80 }, (_, index) => ({
      inputs: new Map([['x', tensor('FP32', [1, 1], Float32Array.of(1 + index))]]),
    }))
    const labels = { labels: ['a', 'b'] }
    const verify = async (synthetic: boolean) =>
      verifyInWorkerd({
        packed: await packed(swapped, { ...NATIVE, ...labels }),
        original,
        samples,
        synthetic,
        tolerance: { cosine: 0.99 },
        signal,
      })
    expect((await verify(true)).ok).toBe(true)
    const { artifacts, ok } = await verify(false)
    expect(ok).toBe(false)
    expect(artifacts[0]?.failures[0]).toMatch(/same best class for 0 of 80/)
  })

  it('compares strings, and takes NaN for equal to nothing', async () => {
    const strings = await packed(concatModel())
    const samples = await findSamples(concatModel(), { count: 2, seed: 1, signal })
    expect((await verifyInWorkerd({ packed: strings, original: concatModel(), samples, signal })).ok).toBe(true)
    const roots = onnxModel({
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
      nodes: [{ op: 'Sqrt', inputs: ['x'], outputs: ['y'] }],
    })
    const verify = async (...values: number[]) =>
      verifyInWorkerd({
        packed: await packed(roots),
        original: roots,
        samples: [{ inputs: new Map([['x', tensor('FP32', [values.length], Float32Array.from(values))]]) }],
        signal,
      })
    expect(await verify(9, 4, Infinity, 0)).toMatchObject({ ok: true })
    const nan = await verify(-1, 4, Infinity, 0)
    expect(nan.ok).toBe(false)
    expect(nan.artifacts[0]?.outputs[0]).toMatchObject({ notNumbers: 1, elements: 4 })
    expect(nan.artifacts[0]?.failures[0]).toMatch(/is NaN in the outputs of the original, 1 of 4 elements/)
  })

  it('runs in onnxruntime-node what is not for the edge', async () => {
    const original = classifier()
    const samples = await findSamples(original, { count: 2, seed: 1, signal })
    const verify = async (model: Uint8Array) => {
      const artifacts = [{ file: 'model.onnx', dtype: 'q4', places: ['origin'] }]
      const tolerance = { cosine: 0.95 }
      return verifyInWorkerd({ packed: await packed(model, { artifacts }), original, samples, tolerance, signal })
    }
    const good = await verify(classifier((value) => value * 1.05))
    expect(good.artifacts).toMatchObject([{ artifact: 'onnx-q4', place: 'native', failures: [] }])
    expect(good.artifacts[0]?.outputs[0]?.relative).toBeCloseTo(0.05, 5)
    expect((await verify(classifier((value) => -value))).ok).toBe(false)
  })

  it('says of an artifact that does not load that it does not run in a Worker', async () => {
    const original = classifier()
    const samples = await findSamples(original, { count: 1, seed: 1, signal })
    const model = await packed(original)
    const { blob, pieces } = toBlob(new Uint8Array(10_000).fill(7), LIMITS.chunkBytes)
    const [edge, plain] = model.manifest.artifacts
    if (!edge || !plain) throw new Error('two artifacts were packed')
    const broken: PackedModel = {
      ...model,
      manifest: { ...model.manifest, artifacts: [{ ...edge, ...blob }, plain] },
      chunks: new Map([...model.chunks, ...pieces]),
    }
    const verification = await proveInWorkerd({ packed: broken, original, samples, signal })
    expect(verification.verification.ok).toBe(false)
    expect(verification.verification.artifacts[0]?.failures[0]).toMatch(
      /^does not run in a Worker: The model could not be/,
    )
    expect(verification.verification.artifacts[1]?.failures).toEqual([])
    expect(verification.measured).toBeNull()
  })

  it('ends when it is called off, and leaves no storage behind', async () => {
    const controller = new AbortController()
    const original = classifier()
    const samples = await findSamples(original, { count: 50, seed: 1, signal })
    const reason = new Error('enough')
    vi.stubEnv('TMPDIR', folder)
    const verification = verifyInWorkerd({
      packed: await packed(original),
      original,
      samples,
      signal: controller.signal,
      progress: (done) => done === 2 && controller.abort(reason),
    })
    await expect(verification).rejects.toBe(reason)
    await expect(
      verifyInWorkerd({ packed: await packed(original), original, samples, signal: controller.signal }),
    ).rejects.toBe(reason)
    vi.unstubAllEnvs()
    expect((await readdir(folder)).filter((name) => name.startsWith('verge-stage'))).toEqual([])
  })

  it('bundles the Worker once for the same sources, whichever process asks', async () => {
    const directory = await bundleWorker()
    const made = await stat(join(directory, 'worker.js'))
    const script = `console.log(await (await import(${JSON.stringify(join(ROOT, 'src/cli/local/bundle.ts'))})).bundleWorker())`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
    expect(stdout.trim()).toBe(directory)
    expect((await stat(join(directory, 'worker.js'))).mtimeMs).toBe(made.mtimeMs)
  })
})

/** FP32 `x` [n, 1] -> `scores` [n, 2]: `x` times each of two weights. */
function scores(weights: readonly number[]): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 1] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: ['n', 2] }],
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['scores'] }],
    initializers: { w: tensor('FP32', [1, 2], Float32Array.from(weights)) },
  })
}

describe('measuring in workerd', () => {
  it('gives times, sizes, a cost and a verdict', async () => {
    const original = matmulModel(400_000)
    const samples = await findSamples(original, { count: 1, seed: 1, signal })
    const { measurements, verdict } = await measureInWorkerd({
      packed: await packed(original),
      original,
      samples,
      signal,
    })
    expect(verdict.fit).toBe('fits')
    if (!measurements) throw new Error('it runs')
    const { cost, coldMs, elements, heapBytes, residentAfter, residentBefore, warm } = measurements
    expect(coldMs).toBeGreaterThan(0)
    expect(warm.p95).toBeGreaterThanOrEqual(warm.p50)
    expect(elements).toBe(64)
    expect(residentAfter).toBeGreaterThan(residentBefore)
    expect(heapBytes).toBeLessThanOrEqual(LIMITS.engineHeapBytes)
    expect(cost.points.map((point) => point.elements)).toEqual([64, 128, 256])
    expect(cost.cost.base + cost.cost.perElement).toBeGreaterThan(0)
  })

  it('counts in multiply-adds of the reference: measured as a model, it costs what it was defined as', async () => {
    const reference = packedReference()
    const cost = await withStage(reference, { signal, beside: [{ name: REFERENCE, packed: reference }] }, (stage) =>
      stage.withWorker((worker) =>
        measureCost(worker, 0, [{ elements: 1, inputs: referenceInputs() }], { outputs: ['row'], signal }),
      ),
    )
    // A ratio of two times taken side by side; a busy machine moves both.
    const [point] = cost.points
    expect((point?.units ?? 0) / REFERENCE_UNITS).toBeGreaterThan(0.5)
    expect((point?.units ?? 0) / REFERENCE_UNITS).toBeLessThan(2)
  })

  it('sends a model without an artifact for the edge to the origin', async () => {
    const original = classifier()
    const model = await packed(original, NATIVE)
    const samples = await findSamples(original, { count: 1, seed: 1, signal })
    expect(await measureInWorkerd({ packed: model, original, samples, signal })).toMatchObject({
      measurements: null,
      verdict: { fit: 'origin-only' },
    })
  })
})
