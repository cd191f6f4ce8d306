import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HELD_OUT } from '../../src/cli/accuracy/held-out.ts'
import { measureAccuracy } from '../../src/cli/accuracy/measure.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { type Local, startLocal } from '../../src/cli/local/local.ts'
import { type Description, readDescription } from '../../src/cli/pack/description.ts'
import { readSamples } from '../../src/cli/samples/read.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { decodeModel, encodeModel } from '../../src/onnx/codec.ts'
import { quantizeModel } from '../../src/quantize/quantize.ts'
import type { Dtype, Sample } from '../../src/quantize/types.ts'
import { loadNative, nativeEngine } from '../fixtures/node/native.ts'

const DATA = join(ROOT, '../shared/datasets')
const haveData = existsSync(DATA)
if (!haveData) console.warn('SKIPPED: accuracy after quantizing is not measured, because ../shared/datasets is missing')

interface Gate {
  readonly model: string
  readonly folder: string
  /** Whose held-out data it is measured on. */
  readonly heldOut: string
  /** Data to calibrate on: part of what the model was trained on. */
  readonly samples: { readonly file: string; readonly part: { readonly divisor: number; readonly remainder: number } }
  /** Percentage points that accuracy may fall, by precision. */
  readonly drops: readonly { readonly dtype: Dtype; readonly points: number }[]
}

const REVIEWS = { file: 'imdb-train.jsonl.gz', part: { divisor: 5, remainder: 0 } }

const GATES: readonly Gate[] = [
  {
    model: 'digits',
    folder: join(ROOT, 'models/digits'),
    heldOut: 'digits',
    samples: { file: 'mnist-8000-images-idx3-ubyte.gz', part: { divisor: 4, remainder: 0 } },
    drops: [
      { dtype: 'int8', points: 0.3 },
      { dtype: 'q4', points: 1 },
    ],
  },
  {
    model: 'reviews',
    folder: join(ROOT, 'models/reviews'),
    heldOut: 'reviews',
    samples: REVIEWS,
    drops: [
      { dtype: 'int8', points: 0.3 },
      { dtype: 'q4', points: 1 },
    ],
  },
  {
    model: 'encoder',
    folder: join(ROOT, 'test/fixtures/models/encoder'),
    heldOut: 'reviews',
    samples: REVIEWS,
    drops: [
      { dtype: 'int8', points: 0.5 },
      { dtype: 'q4', points: 1 },
    ],
  },
]

const CALIBRATION_SAMPLES = 64

/** Ten thousand texts through a transformer, on a machine that may be busy. */
const TIMEOUT_MS = 1_800_000

const signal = new AbortController().signal

/** The description of a model as it was before anything of it was quantized. */
async function original(folder: string): Promise<{ readonly description: Description; readonly model: Uint8Array }> {
  const described = await readDescription(folder)
  const artifact = described.artifacts.find(({ dtype }) => dtype === 'fp32')
  if (artifact === undefined) throw new Error(`${folder} has no fp32 artifact to quantize`)
  const model = new Uint8Array(await readFile(join(folder, artifact.file)))
  return { description: { ...described, artifacts: [{ file: 'model.onnx', dtype: 'fp32' }] }, model }
}

async function calibrationSamples(
  { samples, folder }: Gate,
  description: Description,
  model: Uint8Array,
): Promise<Sample[]> {
  const session = await loadNative(model)
  const { signature } = session
  session.dispose()
  const { tokenizer, preprocess, task, labels } = description
  return readSamples(join(DATA, samples.file), {
    manifest: {
      model: description.name,
      version: description.version,
      inputs: [...signature.inputs].map((spec) => ({ ...spec, shape: [...spec.shape] })),
      outputs: [],
      ...(task && { task }),
      ...(labels && { labels }),
      ...(preprocess?.image && { image: preprocess.image }),
      ...(preprocess?.text && { text: preprocess.text }),
    },
    ...(tokenizer && { files: new Map([['tokenizer.json', new Uint8Array(await readFile(join(folder, tokenizer)))]]) }),
    limit: CALIBRATION_SAMPLES,
    part: samples.part,
  })
}

describe.skipIf(!haveData)(
  'accuracy after quantizing, through HTTP (skipped only where ../shared/datasets is missing)',
  () => {
    let local: Local
    let work: string

    /** Writes a model folder that is served under a name of its own. */
    async function write(name: string, folder: string, description: Description, model: Uint8Array): Promise<string> {
      const target = join(work, 'models', name)
      await mkdir(target, { recursive: true })
      await writeFile(join(target, 'model.onnx'), model)
      await writeFile(join(target, 'verge.json'), JSON.stringify({ ...description, name }))
      if (description.tokenizer)
        await copyFile(join(folder, description.tokenizer), join(target, description.tokenizer))
      return target
    }

    beforeAll(async () => {
      work = await mkdtemp(join(tmpdir(), 'verge-quantized-'))
      const folders: string[] = []
      for (const gate of GATES) {
        const { description, model } = await original(gate.folder)
        folders.push(await write(gate.model, gate.folder, description, model))
        const samples = await calibrationSamples(gate, description, model)
        for (const { dtype } of gate.drops) {
          const result = await quantizeModel(decodeModel(model), { dtype, samples }, { engine: nativeEngine(), signal })
          const bytes = encodeModel(result.model)
          const described = { ...description, artifacts: [{ file: 'model.onnx', dtype }] }
          folders.push(await write(`${gate.model}-${dtype}`, gate.folder, described, bytes))
          const share = ((100 * bytes.length) / model.length).toFixed(1)
          console.log(`${gate.model} ${dtype}: ${bytes.length} bytes, ${share} % of ${model.length}`)
          for (const { node, reason } of result.skipped) console.log(`  left out ${node}: ${reason}`)
        }
      }
      const silent = (): void => {}
      const persistTo = join(work, 'state')
      local = await startLocal({ port: await freePort(), persistTo, folders, progress: silent, log: silent })
    }, 600_000)

    afterAll(async () => {
      await local?.server.stop()
      await rm(work, { recursive: true, force: true })
    })

    /** Right answers on everything held out, by the name that the model is served under; each is measured once. */
    const measured = new Map<string, { readonly right: number; readonly count: number }>()

    async function accuracy(name: string, heldOut: string): Promise<number> {
      const known = measured.get(name)
      if (known !== undefined) return known.right / known.count
      const data = HELD_OUT.find(({ model }) => model === heldOut)
      if (data === undefined) throw new Error(`no held-out data of ${heldOut}`)
      const { right, count } = await measureAccuracy(`${local.server.url}/run/${name}`, await data.read(DATA), {
        concurrency: 2,
      })
      expect(count).toBeGreaterThanOrEqual(2000)
      measured.set(name, { right, count })
      console.log(`${name}: ${right} of ${count} = ${((100 * right) / count).toFixed(2)} %`)
      return right / count
    }

    const rows = GATES.flatMap(({ model, heldOut, drops }) => drops.map((drop) => ({ model, heldOut, ...drop })))

    it.each(rows)(
      '$model as $dtype loses at most $points points',
      async ({ model, heldOut, dtype, points }) => {
        const before = await accuracy(model, heldOut)
        const after = await accuracy(`${model}-${dtype}`, heldOut)
        expect(100 * (before - after)).toBeLessThanOrEqual(points + 1e-9)
      },
      TIMEOUT_MS,
    )
  },
)
