import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canonicalBytes } from '../../src/catalog/canonical-json.ts'
import type { Artifact } from '../../src/catalog/manifest.ts'
import type { CatalogWriter } from '../../src/catalog/writer.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { sha256, toBlob } from '../../src/cli/pack/bytes.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { type PackedModel, pack, packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { onnxModel } from '../../synthetic/onnx.ts'
import { MATMUL_INNER, matmulModel } from '../../synthetic/onnx-models.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

const TEXTS = ['A wonderful film, I loved every minute.', 'Dull, slow and far too long. I want my money back.']
const PICTURES = ['two', 'five', 'seven']

interface Answer {
  readonly status: number
  readonly placement: string
  readonly body: unknown
}

async function ask(worker: LiveWorker, path: string, body: unknown): Promise<Answer> {
  const raw = body instanceof Uint8Array
  const response = await fetch(`${worker.url}${path}`, {
    method: 'POST',
    body: raw ? new Uint8Array(body) : JSON.stringify(body),
    headers: { 'content-type': raw ? 'image/png' : 'application/json' },
  })
  return {
    status: response.status,
    placement: response.headers.get('verge-placement') ?? '',
    body: await response.json(),
  }
}

/** Every number of an answer, and all else of it, apart. */
function parts(body: unknown): { numbers: number[]; rest: string } {
  const numbers: number[] = []
  const rest = JSON.stringify(body, (_, value) => {
    if (typeof value !== 'number') return value
    numbers.push(value)
    return 0
  })
  return { numbers, rest }
}

describe('the same requests with either engine', () => {
  let both: LiveWorker
  let runtime: LiveWorker
  const models = new Map<string, PackedModel>()

  beforeAll(async () => {
    for (const name of ['digits', 'reviews']) models.set(name, await packFolder(join(ROOT, 'models', name)))
    both = await startLiveWorker()
    runtime = await startLiveWorker({ ENGINES: 'onnxruntime' })
    for (const worker of [both, runtime]) {
      const writer = await writerFor(worker)
      for (const packed of models.values()) await publish(writer, packed)
    }
  })
  afterAll(async () => {
    await both?.dispose()
    await runtime?.dispose()
  })

  async function agree(path: string, body: unknown, tolerance: number): Promise<void> {
    const own = await ask(both, path, body)
    const other = await ask(runtime, path, body)
    expect([own.status, other.status], JSON.stringify([own.body, other.body])).toEqual([200, 200])
    expect(own.placement).toContain('verge-q8')
    expect(other.placement).toContain('edge-q8')
    const [left, right] = [parts(own.body), parts(other.body)]
    expect(left.rest).toBe(right.rest)
    expect(left.numbers.length).toBeGreaterThan(0)
    expect(left.numbers.length).toBe(right.numbers.length)
    for (const [index, value] of left.numbers.entries()) {
      expect(Math.abs(value - (right.numbers[index] ?? Number.NaN))).toBeLessThan(tolerance)
    }
  }

  it.each(PICTURES)('name the same digit on the picture of a %s', async (name) => {
    await agree('/run/digits', await readFile(join(ROOT, 'models/digits/samples', `${name}.png`)), 0.05)
  })

  it('judge the same of reviews', async () => {
    for (const inputs of TEXTS) await agree('/run/reviews', { inputs }, 0.05)
  })

  it.each(['digits', 'reviews'])('answer tensors of %s alike', async (name) => {
    const inputs = (models.get(name)?.manifest.inputs ?? []).map(({ name: input, datatype, shape }) => {
      const sizes = shape.map((size, axis) => (typeof size === 'number' && size > 0 ? size : axis === 0 ? 1 : 12))
      const count = sizes.reduce((product, size) => product * size, 1)
      const data = Array.from({ length: count }, (_, index) => (datatype === 'FP32' ? ((index * 37) % 100) / 100 : 1))
      return { name: input, datatype, shape: sizes, data }
    })
    await agree(`/v2/models/${name}/infer`, { inputs }, 0.5)
  })
})

const DESCRIPTION = descriptionSchema.parse({
  name: 'mean',
  version: '1',
  visibility: 'public',
  licence: 'MIT',
  artifacts: [{ file: 'model.onnx', dtype: 'fp32', places: ['edge'] }],
})

const meanOf = (model: Uint8Array, engines?: ['onnxruntime']): Promise<PackedModel> =>
  pack({ ...DESCRIPTION, ...(engines && { engines }) }, '.', new Map([['model.onnx', model]]))

describe('an artifact that this Worker cannot run', () => {
  let worker: LiveWorker
  let writer: CatalogWriter
  let packed: PackedModel

  beforeAll(async () => {
    packed = await meanOf(matmulModel(100_000))
    worker = await startLiveWorker()
    writer = await writerFor(worker)
    await publish(writer, packed)
  })
  afterAll(() => worker?.dispose())

  /** The model under another name, its artifact for Verge's own engine changed. */
  async function publishChanged(model: string, change: (own: Artifact) => object, only = false): Promise<void> {
    const artifacts = packed.manifest.artifacts
      .filter(({ format }) => !only || format === 'verge')
      .map((artifact) => (artifact.format === 'verge' ? change(artifact) : artifact))
    // As another Verge would write it: this one's writer refuses a format that it does not know.
    const bytes = canonicalBytes({ ...packed.manifest, model, artifacts })
    const alias = {
      schema: 1,
      model,
      generation: 1,
      visibility: 'public',
      versions: { '1': sha256(bytes) },
      live: [{ version: '1', weight: 1 }],
    }
    await writer.stores.truth.put(`manifest/${model}/1`, bytes)
    await writer.stores.truth.put(`alias/${model}`, canonicalBytes(alias))
  }

  const mean = (model: string): Promise<Answer> =>
    ask(worker, `/v2/models/${model}/infer`, {
      inputs: [
        {
          name: 'x',
          datatype: 'FP32',
          shape: [1, MATMUL_INNER],
          data: Array.from({ length: MATMUL_INNER }, (_, index) => index / 10),
        },
      ],
    })

  it.each([
    ['in a format of a newer Verge', 'format', (own: Artifact) => ({ ...own, format: 'verge2' })],
    ['for a newer version of the engine', 'version', (own: Artifact) => ({ ...own, runtime: 'verge 9.0.0' })],
  ])('%s leaves the model to ONNX Runtime', async (_, name, change) => {
    const own = await mean('mean')
    expect(own).toMatchObject({ status: 200, placement: expect.stringContaining('verge-fp32') })
    await publishChanged(name, change)
    const other = await mean(name)
    expect(other).toMatchObject({ status: 200, placement: expect.stringContaining('edge-fp32') })
    const [left, right] = [parts(own.body), parts(other.body)]
    expect(right.numbers.length).toBe(left.numbers.length)
    for (const [index, value] of left.numbers.entries()) expect(right.numbers[index]).toBeCloseTo(value, 3)
  })

  it('for a newer version alone is refused with what to do', async () => {
    await publishChanged('only', (own) => ({ ...own, runtime: 'verge 9.0.0' }), true)
    const { status, body } = await mean('only')
    expect(status).toBeGreaterThanOrEqual(400)
    expect(body).toMatchObject({ code: 'engine_unsupported' })
    expect(JSON.stringify(body)).toContain("needs version 9.0.0 of Verge's engine")
  })

  it('on numbers that need more than 32 bits is answered with a typed error, and the isolate goes on', async () => {
    const longs = (name: string) => ({ name, datatype: 'INT64' as const, shape: ['n'] })
    const product = onnxModel({
      inputs: [longs('a'), longs('b')],
      outputs: [longs('y')],
      nodes: [{ op: 'Mul', inputs: ['a', 'b'], outputs: ['y'] }],
    })
    const description = { ...DESCRIPTION, name: 'product' }
    await publish(writer, await pack(description, '.', new Map([['model.onnx', product]])))
    const times = (a: number, b: number): Promise<Answer> =>
      ask(worker, '/v2/models/product/infer', {
        inputs: Object.entries({ a, b }).map(([name, value]) => ({
          name,
          datatype: 'INT64',
          shape: [1],
          data: [value],
        })),
      })
    const fits = { status: 200, body: { outputs: [{ name: 'y', data: [2 ** 30] }] } }
    expect(await times(2 ** 20, 2 ** 10)).toMatchObject(fits)
    for (const [a, b] of [
      [2 ** 20, 2 ** 20],
      [2 ** 40, 1],
    ] as const) {
      expect(await times(a, b)).toMatchObject({ status: 400, body: { code: 'integer_too_large' } })
      expect(await times(2 ** 20, 2 ** 10)).toMatchObject(fits)
    }
  })

  it('because it is damaged is answered with a typed error, and the isolate goes on', async () => {
    const own = packed.manifest.artifacts.find(({ format }) => format === 'verge')
    const whole = Buffer.concat(
      (own?.chunks ?? []).map((chunk) => packed.chunks.get(chunk.sha256) ?? new Uint8Array(0)),
    )
    const damaged: readonly (readonly [string, Uint8Array])[] = [
      ['head', Uint8Array.from(whole, (byte, index) => (index === 3 ? byte ^ 0xff : byte))],
      ['plan', Uint8Array.from(whole, (byte, index) => (index === 40 ? 0 : byte))],
      ['cut', whole.subarray(0, whole.length - 4096)],
    ]
    for (const [name, bytes] of damaged) {
      const { blob, pieces } = toBlob(bytes, 1 << 20)
      await writer.putBlob([...pieces.values()], { hot: false })
      await publishChanged(name, (artifact) => ({ ...artifact, ...blob }))
      const { status, body } = await mean(name)
      expect(status, name).toBeGreaterThanOrEqual(400)
      expect(body, name).toMatchObject({ code: 'model_invalid' })
      expect(await mean('mean'), name).toMatchObject({ status: 200 })
    }
  })
})
