import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encoderModel } from '../../bench/models/encoder.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { inferRequest, readOutputs } from '../../src/cli/oip-client.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { type PackedModel, pack, packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { type Tensor, type Tensors, tensor } from '../../src/core/tensors.ts'
import { JSON_LENGTH_HEADER } from '../../src/protocols/oip/headers.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { planes, readPicture, resize } from '../fixtures/node/pictures.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { haveRealModels, packRealModels, REAL_SAMPLES, SKIP_REASON } from '../fixtures/node/real-models.ts'

/** The same Worker twice: as it is deployed, and with its own engine turned off. */
async function bothWorkers(models: readonly PackedModel[]): Promise<{ own: LiveWorker; runtime: LiveWorker }> {
  const [own, runtime] = [await startLiveWorker(), await startLiveWorker({ ENGINES: 'onnxruntime' })]
  for (const worker of [own, runtime]) {
    const writer = await writerFor(worker)
    for (const packed of models) await publish(writer, packed)
  }
  return { own, runtime }
}

interface Answer {
  /** Of the artifact that answered. */
  readonly artifact: string
  readonly outputs: Tensors
}

async function infer(worker: LiveWorker, model: string, inputs: Tensors): Promise<Answer> {
  const { path, headers, body } = inferRequest(model, inputs)
  const response = await fetch(`${worker.url}${path}`, { method: 'POST', headers, body })
  const bytes = new Uint8Array(await response.arrayBuffer())
  if (response.status !== 200) throw new Error(`${model}: ${response.status} ${new TextDecoder().decode(bytes)}`)
  const artifact = /artifact="([^"]+)"/.exec(response.headers.get('verge-placement') ?? '')?.[1] ?? ''
  return { artifact, outputs: readOutputs(bytes, response.headers.get(JSON_LENGTH_HEADER)) }
}

/** Largest difference of two answers, by the largest number of the second; names, types and shapes have to be the same. */
function apart(left: Tensors, right: Tensors): number {
  expect([...left.keys()]).toEqual([...right.keys()])
  let most = 0
  for (const [name, value] of left) {
    const other = right.get(name) as Tensor
    expect([value.datatype, value.shape]).toEqual([other.datatype, other.shape])
    if (value.datatype !== 'FP32' || other.datatype !== 'FP32') {
      expect(value.data).toEqual(other.data)
      continue
    }
    const largest = other.data.reduce((size, number) => Math.max(size, Math.abs(number)), 1e-9)
    for (const [index, number] of value.data.entries()) {
      most = Math.max(most, Math.abs(number - (other.data[index] ?? Number.NaN)) / largest)
    }
  }
  return most
}

async function picture(file: string, width: number, height: number, of: (sample: number) => number): Promise<Tensor> {
  const samples = resize(await readPicture(join(REAL_SAMPLES, 'images', file)), width, height)
  return tensor('FP32', [1, 3, height, width], planes(samples, of))
}

/** The first plane of a picture alone. */
function firstPlane({ shape, data }: Tensor): Tensor {
  const [, , height = 0, width = 0] = shape
  return tensor('FP32', [1, 1, height, width], (data as Float32Array<ArrayBuffer>).slice(0, height * width))
}

const integers = (values: readonly number[]): BigInt64Array<ArrayBuffer> => BigInt64Array.from(values, BigInt)

/** What each real model is asked, and how far its answers may be apart, by their largest number. */
const ASKED: readonly {
  readonly model: string
  readonly inputs: () => Promise<Readonly<Record<string, Tensor>>>
  readonly tolerance: number
}[] = [
  {
    model: 'mnist-8',
    inputs: async () => ({
      Input3: firstPlane(await picture('coffee.png', 28, 28, (sample) => sample)),
    }),
    tolerance: 1e-4,
  },
  {
    model: 'mobilenetv2-12-int8',
    inputs: async () => ({ input: await picture('chelsea.png', 224, 224, (sample) => (sample / 255 - 0.45) / 0.225) }),
    // Steps of 8 bits lie between two answers that round to different sides.
    tolerance: 0.1,
  },
  {
    model: 'magika',
    inputs: async () => ({
      bytes: tensor(
        'INT32',
        [1, 2048],
        Int32Array.from({ length: 2048 }, (_, index) => readFileSync(import.meta.filename)[index] ?? 256),
      ),
    }),
    tolerance: 1e-3,
  },
  {
    model: 'silero-vad',
    inputs: async () => ({
      input: tensor(
        'FP32',
        [1, 576],
        Float32Array.from({ length: 576 }, (_, index) => Math.sin(index / 9) / 3),
      ),
      state: tensor('FP32', [2, 1, 128], new Float32Array(256)),
      sr: tensor('INT64', [], integers([16_000])),
    }),
    tolerance: 1e-3,
  },
  {
    model: 'ultraface',
    inputs: async () => ({ input: await picture('astronaut.png', 320, 240, (sample) => (sample - 127) / 128) }),
    tolerance: 1e-3,
  },
  {
    model: 'super-resolution',
    inputs: async () => ({ input: firstPlane(await picture('chelsea.png', 224, 224, (sample) => sample / 255)) }),
    tolerance: 1e-4,
  },
  {
    model: 'm2v',
    inputs: async () => ({
      input_ids: tensor('INT64', [2, 4], integers([5, 17, 900, 3, 44, 1, 2, 0])),
      attention_mask: tensor('INT64', [2, 4], integers([1, 1, 1, 1, 1, 1, 0, 0])),
    }),
    tolerance: 1e-5,
  },
]

/** Those that Verge's own engine runs today; more may become of it, not fewer. */
const CLAIMED = ['mnist-8', 'mobilenetv2-12-int8', 'ultraface', 'super-resolution', 'm2v']

if (!haveRealModels) console.warn(`SKIPPED: real models are not asked on both engines, because ${SKIP_REASON}`)

describe.skipIf(!haveRealModels)(`real models on both engines (skipped only where ${SKIP_REASON})`, () => {
  let own: LiveWorker
  let runtime: LiveWorker
  let compiled: Set<string>

  beforeAll(async () => {
    const models = await packRealModels()
    const has = (packed: PackedModel) => packed.manifest.artifacts.some(({ format }) => format === 'verge')
    compiled = new Set(models.filter(has).map(({ manifest }) => manifest.model))
    ;({ own, runtime } = await bothWorkers(models))
  })
  afterAll(async () => {
    await own?.dispose()
    await runtime?.dispose()
  })

  it("are at least four on Verge's own engine", () => {
    expect([...compiled]).toEqual(expect.arrayContaining(CLAIMED))
  })

  it.each(ASKED)(
    '$model answers the same request alike, whichever engine runs it',
    async ({ model, inputs, tolerance }) => {
      const asked = new Map(Object.entries(await inputs()))
      const [left, right] = [await infer(own, model, asked), await infer(runtime, model, asked)]
      expect(left.artifact).toMatch(compiled.has(model) ? /^verge-/ : /^edge-/)
      expect(right.artifact).toMatch(/^edge-/)
      expect(apart(left.outputs, right.outputs)).toBeLessThan(tolerance)
    },
  )
})

describe('encoders on both engines', () => {
  const SHAPE = { layers: 3, hidden: 256, heads: 4, ffn: 512, vocabulary: 1000, positions: 256 }
  let own: LiveWorker
  let runtime: LiveWorker

  beforeAll(async () => {
    const made = async (dtype: 'fp32' | 'int8') =>
      pack(
        descriptionSchema.parse({
          name: `shape-${dtype}`,
          version: '1',
          visibility: 'public',
          licence: 'MIT',
          artifacts: [{ file: 'model.onnx', dtype }],
        }),
        '.',
        new Map([['model.onnx', encoderModel(SHAPE, dtype)]]),
      )
    const trained = await packFolder(join(ROOT, 'test/fixtures/models/encoder'))
    ;({ own, runtime } = await bothWorkers([await made('fp32'), await made('int8'), trained]))
  })
  afterAll(async () => {
    await own?.dispose()
    await runtime?.dispose()
  })

  it.each([
    { model: 'shape-fp32', batch: 1, length: 16, tolerance: 1e-4 },
    { model: 'shape-fp32', batch: 3, length: 40, tolerance: 1e-4 },
    // Activations have 8 bits by tensor in one engine, and 7 bits by row in the other.
    { model: 'shape-int8', batch: 1, length: 16, tolerance: 0.05 },
    { model: 'shape-int8', batch: 1, length: 200, tolerance: 0.05 },
    { model: 'shape-int8', batch: 3, length: 40, tolerance: 0.05 },
  ])('$model answers $batch x $length tokens alike', async ({ model, batch, length, tolerance }) => {
    const count = batch * length
    const ids = Array.from({ length: count }, (_, index) => (index * 7919) % SHAPE.vocabulary)
    // The last item of a batch is half as long as the others.
    const mask = ids.map((_, index) => (batch > 1 && index >= count - length / 2 ? 0 : 1))
    const asked = new Map([
      ['input_ids', tensor('INT64', [batch, length], integers(ids))],
      ['attention_mask', tensor('INT64', [batch, length], integers(mask))],
    ])
    const [left, right] = [await infer(own, model, asked), await infer(runtime, model, asked)]
    expect([left.artifact.split('-')[0], right.artifact.split('-')[0]]).toEqual(['verge', 'edge'])
    expect(apart(left.outputs, right.outputs)).toBeLessThan(tolerance)
  })

  it('a trained one judges texts alike', async () => {
    const answers = await Promise.all(
      [own, runtime].map(async ({ url }) => {
        const response = await fetch(`${url}/run/encoder`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ inputs: 'A wonderful film, I loved every minute.' }),
        })
        expect(response.status).toBe(200)
        return { placement: response.headers.get('verge-placement'), text: await response.text() }
      }),
    )
    expect(answers[0]?.placement).toContain('verge-fp32')
    expect(answers[1]?.placement).toContain('edge-fp32')
    const [left, right] = answers.map(({ text }) => [...text.matchAll(/-?\d+\.\d+(?:e-?\d+)?/g)].map(Number))
    expect(left?.length).toBeGreaterThan(0)
    expect(left?.length).toBe(right?.length)
    for (const [index, score] of (left ?? []).entries()) expect(score).toBeCloseTo(right?.[index] ?? Number.NaN, 4)
  })
})
