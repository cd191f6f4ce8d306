import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compiledOf, madeSubject, type Subject, tokens } from '../../bench/models/subjects.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { findSamples } from '../../src/cli/verify/find.ts'
import { proveInWorkerd } from '../../src/cli/verify/prove.ts'
import { type Tensor, tensor } from '../../src/core/tensors.ts'
import { runFootprint, sessionFootprint } from '../../src/engine/costs.ts'
import { KERNEL_BYTES } from '../../src/engine/verge/kernels.ts'
import { MATMUL_INNER, matmulModel } from '../../synthetic/onnx-models.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { loadNative } from '../fixtures/node/native.ts'
import { inferBinary, type NamedTensor } from '../fixtures/node/oip-client.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { runSession } from '../fixtures/node/verge-engine.ts'

const KEY = 'a-key-for-the-operator'
const MB = 1e6
/** Linear memory grows by pages, and blocks are aligned in it. */
const SLACK_BYTES = 2 * 65_536
/** JavaScript's own, answers of 1.5 MB and what local storage leaves behind in the process. */
const BESIDE_BYTES = 40 * MB

type Name = 'encoder-medium-int8' | 'distilbert-int8'
const NAMES: readonly Name[] = ['encoder-medium-int8', 'distilbert-int8']
const LEAST_BYTES: Readonly<Record<Name, number>> = { 'encoder-medium-int8': 56 * MB, 'distilbert-int8': 64 * MB }

/** A text of so many made-up tokens, `batch` times. */
function text(length: number, batch = 1): NamedTensor[] {
  return tokens(length).map(({ name, data }) => {
    const all = new BigInt64Array(batch * length)
    for (let item = 0; item < batch; item++) all.set(data as BigInt64Array, item * length)
    return { name, ...tensor('INT64', [batch, length], all) }
  })
}

function floats(outputs: ReadonlyMap<string, Tensor>): Float32Array {
  return outputs.get('last_hidden_state')?.data as Float32Array
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [ab, aa, bb] = [0, 0, 0]
  for (let index = 0; index < a.length; index++) {
    const [x, y] = [a[index] ?? 0, b[index] ?? 0]
    ab += x * y
    aa += x * x
    bb += y * y
  }
  return ab / Math.sqrt(aa * bb)
}

const subjects = new Map<Name, Subject>()
beforeAll(async () => {
  for (const name of NAMES) subjects.set(name, await madeSubject(name))
})

function subjectOf(name: Name): Subject {
  const subject = subjects.get(name)
  if (subject === undefined) throw new Error(`${name} is not packed`)
  return subject
}

function artifactOf(name: Name) {
  const artifact = subjectOf(name).packed.manifest.artifacts.find(({ format }) => format === 'verge')
  if (artifact === undefined) throw new Error(`${name} has no artifact for Verge's own engine`)
  return artifact
}

async function heapBytes(worker: LiveWorker): Promise<number> {
  return ((await health(worker)) as { heap_bytes: number }).heap_bytes
}

async function health(worker: LiveWorker): Promise<unknown> {
  const response = await fetch(`${worker.url}/healthz`, { headers: { authorization: `Bearer ${KEY}` } })
  return response.json()
}

async function started(...models: Parameters<typeof publish>[1][]): Promise<LiveWorker> {
  const worker = await startLiveWorker({ VERGE_API_KEY: KEY })
  const writer = await writerFor(worker)
  for (const packed of models) await publish(writer, packed)
  return worker
}

describe.each(NAMES)('%s in an isolate', (name) => {
  let worker: LiveWorker
  let residentBefore: number

  beforeAll(async () => {
    worker = await started(subjectOf(name).packed)
    expect((await fetch(`${worker.url}/v2/models/${name}`)).status).toBe(200)
    residentBefore = worker.residentBytes()
  })
  afterAll(() => worker?.dispose())

  it('has the weights that are claimed, and was admitted by the packer', () => {
    const { bytes, places } = artifactOf(name)
    expect(bytes).toBeGreaterThan(LEAST_BYTES[name])
    expect(places).toContain('edge')
    expect(compiledOf(subjectOf(name)).length).toBe(bytes)
  })

  it.each([16, 128, 512])(
    'answers %i tokens as onnxruntime-node does, and takes the memory that was counted for them',
    async (length) => {
      const inputs = text(length)
      const answer = floats(await inferBinary(worker.url, name, inputs))
      const native = await loadNative(subjectOf(name).onnx)
      const reference = floats(
        await runSession(native, Object.fromEntries(inputs.map(({ name: input, ...value }) => [input, value]))),
      )
      native.dispose()
      expect(answer.length).toBe(reference.length)
      // Activations of 8 bits by tensor there, of 7 bits by row here.
      expect(cosine(answer, reference)).toBeGreaterThan(0.999)
      const artifact = artifactOf(name)
      const counted = sessionFootprint(artifact) + runFootprint(artifact, 2 * length)
      expect(await heapBytes(worker)).toBeLessThanOrEqual(counted + KERNEL_BYTES + SLACK_BYTES)
    },
  )

  it('leaves room in 128 MB: the process has grown by the linear memory and little more', async () => {
    const linear = await heapBytes(worker)
    const grown = worker.residentBytes() - residentBefore
    console.log(`${name}: linear memory ${(linear / MB).toFixed(1)} MB, process grown by ${(grown / MB).toFixed(1)} MB`)
    expect(linear).toBeLessThan(84 * MB)
    expect(grown).toBeLessThan(linear + BESIDE_BYTES)
  })

  it('refuses a batch that does not fit before it begins, with a size that does', async () => {
    const before = await heapBytes(worker)
    const body = JSON.stringify({
      inputs: text(512, 4).map(({ name: input, shape, data }) => ({
        name: input,
        shape,
        datatype: 'INT64',
        data: Array.from(data as BigInt64Array, Number),
      })),
    })
    const response = await fetch(`${worker.url}/v2/models/${name}/infer`, { method: 'POST', body })
    const refusal = (await response.json()) as { limit_elements: number }
    expect([response.status, refusal]).toMatchObject([413, { code: 'run_too_large', elements: 4096 }])
    expect(await heapBytes(worker)).toBe(before)
    expect(worker.logs.some((line) => line.includes('session_squeeze'))).toBe(false)
    const length = Math.min(512, Math.floor(refusal.limit_elements / 2))
    expect(length).toBeGreaterThan(500)
    expect(floats(await inferBinary(worker.url, name, text(length))).length).toBeGreaterThan(0)
  })
})

describe('the proof of a push', () => {
  it.each(NAMES)('finds %s right and able to run, each engine in a Worker of its own', async (name) => {
    const { onnx, packed } = subjectOf(name)
    const { signal } = new AbortController()
    const samples = await findSamples(onnx, { count: 1, seed: 1, signal })
    const { measured, verification } = await proveInWorkerd({
      packed,
      original: onnx,
      samples,
      signal,
      synthetic: true,
      runs: 3,
    })
    expect(verification).toMatchObject({ ok: true, verdict: 'agrees' })
    const atTheEdge = packed.manifest.artifacts.filter(({ places }) => places.includes('edge')).map(({ id }) => id)
    expect(verification.artifacts.filter(({ place }) => place === 'edge').map(({ artifact }) => artifact)).toEqual(
      atTheEdge,
    )
    // ONNX Runtime holds more than an isolate has for models of the larger one.
    expect(atTheEdge).toEqual(name === 'distilbert-int8' ? ['verge-int8'] : ['verge-int8', 'edge-int8'])
    expect(measured).toMatchObject({ verdict: { fit: 'fits-alone' }, measurements: { artifact: 'verge-int8' } })
  })
})

describe('two encoders that do not fit together', () => {
  let worker: LiveWorker

  beforeAll(async () => {
    worker = await started(...NAMES.map((name) => subjectOf(name).packed))
  })
  afterAll(() => worker?.dispose())

  it('alternate: each makes room for the other, and answers the same bits each time', async () => {
    const first = new Map<Name, Float32Array>()
    let grown = 0
    for (let round = 0; round < 3; round++) {
      for (const name of NAMES) {
        const answer = floats(await inferBinary(worker.url, name, text(512)))
        expect(answer).toEqual(first.get(name) ?? answer)
        first.set(name, answer)
      }
      const bytes = await heapBytes(worker)
      if (round > 0) expect(bytes).toBe(grown)
      grown = bytes
    }
    expect(grown).toBeLessThan(84 * MB)
    expect(worker.logs.filter((line) => line.includes('session_dropped')).length).toBe(5)
  })

  it('answer all who ask while one of them is loaded', async () => {
    const asked: readonly Name[] = ['encoder-medium-int8', 'distilbert-int8', 'encoder-medium-int8', 'distilbert-int8']
    const answers = await Promise.all(asked.map((name) => inferBinary(worker.url, name, text(16))))
    for (const [index, name] of asked.entries()) {
      expect(floats(answers[index] ?? new Map())).toEqual(floats(await inferBinary(worker.url, name, text(16))))
    }
    expect(await heapBytes(worker)).toBeLessThan(84 * MB)
  })
})

describe('an encoder as large as an isolate, and a model that ONNX Runtime runs', () => {
  const name = 'distilbert-int8'
  const other = pack(
    descriptionSchema.parse({
      name: 'other',
      version: '1',
      visibility: 'public',
      licence: 'MIT',
      engines: ['onnxruntime'],
      artifacts: [{ file: 'model.onnx', dtype: 'fp32', places: ['edge'] }],
    }),
    '.',
    new Map([['model.onnx', matmulModel(1_000_000)]]),
  )
  const row = [{ name: 'x', ...tensor('FP32', [1, MATMUL_INNER], new Float32Array(MATMUL_INNER).fill(0.5)) }]
  const held = { code: 'engine_full', details: { status: 503 }, message: expect.stringContaining('another engine') }

  it.each([
    { first: name, second: 'other' },
    { first: 'other', second: name },
  ])('do not fit together: after $first, $second is refused for what it is, and $first goes on', async ({ first }) => {
    const worker = await started(subjectOf(name).packed, await other)
    try {
      const ask = {
        [name]: () => inferBinary(worker.url, name, text(512)),
        other: () => inferBinary(worker.url, 'other', row),
      }
      const [one, two] = first === name ? [ask[name], ask.other] : [ask.other, ask[name]]
      const answer = await one()
      for (let round = 0; round < 2; round++) {
        await expect(two()).rejects.toMatchObject(held)
        expect(await one()).toEqual(answer)
        expect(await health(worker)).toMatchObject({ status: 'ok' })
      }
      // Nobody was made to leave for what cannot come.
      expect(worker.logs.filter((line) => line.includes('session_squeeze'))).toEqual([])
    } finally {
      await worker.dispose()
    }
  })
})
