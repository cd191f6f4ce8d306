import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { canonicalBytes } from '../../../src/catalog/canonical-json.ts'
import { checkBlobs } from '../../../src/catalog/servable.ts'
import { memorySource, sha256 } from '../../../src/cli/pack/bytes.ts'
import { toOrtFormat } from '../../../src/cli/pack/convert.ts'
import { readDescription } from '../../../src/cli/pack/description.ts'
import { edgeEngine } from '../../../src/cli/pack/edge-engine.ts'
import { canonicalOrt } from '../../../src/cli/pack/ort-format.ts'
import { pack, packFolder } from '../../../src/cli/pack/packer.ts'
import { referenceSession } from '../../../src/cli/verify/reference.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import { onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import * as models from '../../../synthetic/onnx-models.ts'
import { loadNative } from '../../fixtures/node/native.ts'
import { haveRealModels, packRealModels, realModels, SKIP_REASON } from '../../fixtures/node/real-models.ts'

const signal = new AbortController().signal
const base = { name: 'm', version: '1', licence: 'MIT', artifacts: [{ file: 'model.onnx', dtype: 'fp32' }] }

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-test-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function write(description: unknown, model: Uint8Array = models.arithmeticModel()): Promise<void> {
  await writeFile(join(folder, 'verge.json'), JSON.stringify(description))
  await writeFile(join(folder, 'model.onnx'), model)
}

describe('packing', () => {
  it('makes artifacts for both engines of the edge and keeps the ONNX file for elsewhere', async () => {
    await write(base, models.matmulModel(400_000))
    const packed = await packFolder(folder)
    expect(packed.notes).toEqual([])
    expect(packed.visibility).toBe('private')
    const [own, edge, plain] = packed.manifest.artifacts
    expect(own).toMatchObject({ id: 'verge-fp32', format: 'verge', places: ['edge'], runtime: 'verge 1.1.0' })
    expect(own?.memoryBytes).toBe(own?.bytes)
    expect(edge).toMatchObject({ id: 'edge-fp32', format: 'ort', places: ['edge'], runtime: 'onnxruntime 1.30.0' })
    expect(plain).toMatchObject({ id: 'onnx-fp32', format: 'onnx', places: ['origin', 'browser'] })
    expect(edge?.memoryBytes).toBeGreaterThan(400_000)
    expect(edge?.memoryBytes).toBeLessThan(2_500_000)
    expect(packed.manifest.inputs).toEqual([{ name: 'x', datatype: 'FP32', shape: ['n', 64] }])
    for (const artifact of packed.manifest.artifacts) {
      const bytes = Buffer.concat(artifact.chunks.map((chunk) => packed.chunks.get(chunk.sha256) ?? new Uint8Array(0)))
      expect(sha256(bytes)).toBe(artifact.sha256)
    }
  })

  it('gives browsers what the edge runs of a downloadable model, and says no more of others', async () => {
    const placesOf = async (more: object) => {
      await write({ ...base, ...more }, models.matmulModel(40_000))
      const { manifest } = await packFolder(folder)
      return [manifest.downloadable, ...manifest.artifacts.map(({ id, places }) => `${id} ${places.join(' ')}`)]
    }
    const closed = [undefined, 'verge-fp32 edge', 'edge-fp32 edge', 'onnx-fp32 origin browser']
    expect(await placesOf({})).toEqual(closed)
    expect(await placesOf({ downloadable: false })).toEqual(closed)
    const open = [true, 'verge-fp32 edge browser', 'edge-fp32 edge browser', 'onnx-fp32 origin browser']
    expect(await placesOf({ downloadable: true })).toEqual(open)
    const at = (...places: string[]) => [{ file: 'model.onnx', dtype: 'fp32', places }]
    expect(await placesOf({ downloadable: true, artifacts: [...at('browser'), ...at('edge')] })).toEqual([
      true,
      'onnx-fp32 browser',
      'verge-fp32 edge',
      'edge-fp32 edge',
    ])
    await expect(placesOf({ downloadable: true, artifacts: at('edge', 'origin') })).rejects.toThrow(
      'is downloadable, but none of its artifacts is for browsers',
    )
    const elsewhere = { artifacts: [], placement: 'origin', inputs: [], outputs: [] }
    await expect(placesOf({ downloadable: true, ...elsewhere })).rejects.toThrow(
      'none of its artifacts is for browsers',
    )
  })

  it('makes artifacts for the engines that verge.json names alone', async () => {
    const idsFor = async (engines: string[]): Promise<string[]> => {
      await write({ ...base, engines }, models.matmulModel(40_000))
      return (await packFolder(folder)).manifest.artifacts.map(({ id }) => id)
    }
    expect(await idsFor(['onnxruntime'])).toEqual(['edge-fp32', 'onnx-fp32'])
    expect(await idsFor(['verge'])).toEqual(['verge-fp32', 'onnx-fp32'])
    expect(await idsFor(['onnxruntime', 'verge'])).toEqual(['verge-fp32', 'edge-fp32', 'onnx-fp32'])
    await write(
      { ...base, artifacts: [{ file: 'model.onnx', dtype: 'fp32', engines: ['onnxruntime'] }] },
      models.matmulModel(40_000),
    )
    expect((await packFolder(folder)).manifest.artifacts.map(({ id }) => id)).toEqual(['edge-fp32', 'onnx-fp32'])
    await expect(idsFor(['other'])).rejects.toThrow(/engines/)
    await expect(idsFor([])).rejects.toThrow(/engines/)
  })

  it("leaves a model whose smallest run does not fit beside its weights to ONNX Runtime's own limits", async () => {
    const sized = (elements: number) =>
      onnxModel({
        inputs: [{ name: 'x', datatype: 'FP32', shape: [elements] }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: [elements] }],
        nodes: [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
        initializers: { w: tensor('FP32', [elements], new Float32Array(elements).fill(2)) },
      })
    const noMemory = async () => ({ memoryBytes: 65_536 })
    const packOf = async (elements: number) => {
      await write(base, sized(elements))
      return packFolder(folder, noMemory)
    }
    const fits = await packOf(1_000_000)
    expect(fits.manifest.artifacts.map(({ id }) => id)).toContain('verge-fp32')
    // 28 MB of weights, and as much for the input and for the result.
    const large = await packOf(7_000_000)
    expect(large.manifest.artifacts.map(({ id }) => id)).not.toContain('verge-fp32')
    expect(large.notes).toContainEqual(
      expect.stringMatching(
        /^model\.onnx: too large for Verge's own engine: its weights and its smallest run take 8\d{7} bytes of memory, and an isolate has \d+$/,
      ),
    )
  })

  it("leaves a model out of ONNX Runtime's reach to Verge's own engine where a session of it would not be admitted", async () => {
    await write(base, models.matmulModel(100_000))
    const packOf = (memoryBytes: number) => packFolder(folder, async () => ({ memoryBytes }))
    const admitted = await packOf(LIMITS.sessionBudgetBytes)
    expect(admitted.manifest.artifacts.map(({ id }) => id)).toEqual(['verge-fp32', 'edge-fp32', 'onnx-fp32'])
    const large = await packOf(LIMITS.sessionBudgetBytes + 1)
    expect(large.manifest.artifacts.map(({ id, places }) => [id, places.join()])).toEqual([
      ['verge-fp32', 'edge'],
      ['onnx-fp32', 'origin,browser'],
    ])
    expect(large.notes.join('\n')).toContain("model.onnx: only Verge's own engine runs it at the edge")
  })

  it('takes a model in halves that ONNX Runtime refuses as it is written and runs optimized', async () => {
    // A Cast of halves to halves: ONNX Runtime 1.30 inserts casts to floats around it and then refuses its own graph.
    await write(base, models.idleCastModel())
    const { manifest, notes } = await packFolder(folder)
    expect(notes).toEqual([])
    expect(manifest.inputs).toEqual([{ name: 'x', datatype: 'FP16', shape: ['n', 2] }])
    expect(manifest.artifacts.map(({ id }) => id)).toEqual(['verge-fp32', 'edge-fp32', 'onnx-fp32'])
    // 1.5 x 2 in halves, as the matrix [[2, 0], [0, 2]] makes of it.
    const session = await referenceSession(models.idleCastModel(), signal)
    const x = tensor('FP16', [1, 2], Uint16Array.of(0x3e00, 0xbe00))
    const outputs = await session.run(new Map([['x', x]]), { signal })
    expect(outputs.get('y')).toEqual(tensor('FP16', [1, 2], Uint16Array.of(0x4200, 0xc200)))
  })

  it('measures what a run takes beside the session', async () => {
    const columns = 2048
    await write(base, models.matmulModel(columns * models.MATMUL_INNER * 4))
    const { manifest } = await packFolder(folder)
    const { base: least = 0, perElement = 0 } =
      manifest.artifacts.find(({ format }) => format === 'ort')?.activations ?? {}
    // Each row of 64 elements becomes one of 2048 floats.
    const exact = (columns * 4) / models.MATMUL_INNER
    expect(perElement).toBeGreaterThan(exact)
    expect(perElement).toBeLessThan(1.5 * exact)
    expect(least).toBeLessThan(512 * 1024)
  })

  it('measures one model after another in one instance of each engine, and each as if it were the first', async () => {
    let instances = 0
    const { Instance } = WebAssembly
    WebAssembly.Instance = new Proxy(Instance, {
      construct: (target, args) => {
        instances++
        return Reflect.construct(target, args) as object
      },
    })
    try {
      const pack = async (model: Uint8Array) => {
        await write(base, model)
        return (await packFolder(folder)).manifest.artifacts.filter(({ places }) => places.includes('edge'))
      }
      const first = await pack(models.matmulModel(300_000, 1))
      const before = instances
      for (let seed = 2; seed < 10; seed++) await pack(models.matmulModel(100_000 * seed, seed))
      await pack(models.loopModel())
      await pack(models.concatModel())
      expect(instances).toBe(before)
      expect(instances).toBeLessThanOrEqual(2)
      expect(await pack(models.matmulModel(300_000, 1))).toEqual(first)
    } finally {
      WebAssembly.Instance = Instance
    }
  })

  it('cuts large artifacts into chunks', async () => {
    await write(base, models.lookupModel(20_000_000))
    const { manifest } = await packFolder(folder)
    checkBlobs(manifest, LIMITS)
    expect(manifest.artifacts.map((artifact) => artifact.chunks.length)).toEqual([3, 3, 3])
  })

  it('keeps models that do not fit away from the edge, and says so', async () => {
    const model = models.matmulModel(90_000_000)
    await write(base, model)
    const { manifest, notes } = await packFolder(folder)
    expect(manifest.artifacts.map((artifact) => artifact.places)).toEqual([['origin', 'browser']])
    expect(notes.join('\n')).toMatch(/cannot run at the edge/)
    expect(notes.join('\n')).toMatch(/no artifact runs at the edge/)
    await write({ ...base, artifacts: [{ file: 'model.onnx', dtype: 'fp32', places: ['edge'] }] }, model)
    await expect(packFolder(folder)).rejects.toThrow(
      /cannot run at any place that verge\.json allows: .*cannot run at the edge/,
    )
  })

  it('says which engine runs a model at the edge that only fits with its table in pages', async () => {
    await write(base, models.lookupModel(90_000_000))
    const { manifest, notes } = await packFolder(folder)
    expect(manifest.artifacts.map(({ format, places }) => [format, places])).toEqual([
      ['verge', ['edge']],
      ['onnx', ['origin', 'browser']],
    ])
    const said = notes.join('\n')
    expect(said).toContain("model.onnx: only Verge's own engine runs it at the edge, because it does not fit into an")
    expect(said).not.toMatch(/cannot run at the edge|Use a smaller model/)
  })

  it('gives the same manifest in another process', async () => {
    await write(base, models.loopModel())
    const here = sha256(canonicalBytes((await packFolder(folder)).manifest))
    const script = join(import.meta.dirname, '../../../src/cli/main.ts')
    for (let time = 0; time < 2; time++) {
      const { stdout } = await promisify(execFile)(process.execPath, [script, 'pack', folder])
      expect(stdout).toContain(`manifest ${here}`)
    }
  })
})

describe('a model folder that is not right', () => {
  it('carries what was measured of an artifact into the manifest, the cost to the edge alone', async () => {
    const cost = { base: 1.5, perElement: 0.02 }
    const accuracy = { metric: 'top-1', value: 0.98, baseline: 0.985, samples: 1000 }
    await write({ ...base, artifacts: [{ file: 'model.onnx', dtype: 'fp32', cost, accuracy }] })
    const [own, edge, plain] = (await packFolder(folder)).manifest.artifacts
    // The cost was measured on the form that the edge prefers.
    expect(own).toMatchObject({ format: 'verge', cost, accuracy, places: ['edge'] })
    expect(edge).toMatchObject({ format: 'ort', accuracy, places: ['edge'] })
    expect(plain).toMatchObject({ accuracy, places: ['origin', 'browser'] })
    for (const other of [edge, plain]) expect(other).not.toHaveProperty('cost')
    for (const wrong of [{ base: -1, perElement: 0 }, { base: 1 }, { base: 1, perElement: '1' }]) {
      await write({ ...base, artifacts: [{ file: 'model.onnx', dtype: 'fp32', cost: wrong }] })
      await expect(packFolder(folder)).rejects.toThrow(/artifacts\.0\.cost/)
    }
  })

  it('takes a file as it is given, without one on disk', async () => {
    const onnx = models.arithmeticModel()
    await write({ ...base, tokenizer: 'tokenizer.json' })
    const tokenizer = JSON.stringify({ model: { type: 'WordLevel', vocab: { a: 0, b: 1 } } })
    await writeFile(join(folder, 'tokenizer.json'), tokenizer)
    const onDisk = await packFolder(folder)
    const description = await readDescription(folder)
    const given = new Map([
      ['model.onnx', onnx],
      ['tokenizer.json', new TextEncoder().encode(tokenizer)],
    ])
    expect(await pack(description, join(folder, 'missing'), given)).toEqual(onDisk)
  })

  it('stores a tokenizer as it is written, and compiled', async () => {
    await write({ ...base, tokenizer: 'own.json' })
    const written = new TextEncoder().encode(JSON.stringify({ model: { type: 'WordLevel', vocab: { a: 0, b: 1 } } }))
    await writeFile(join(folder, 'own.json'), written)
    const { chunks, manifest } = await packFolder(folder)
    const bytesOf = (name: string) => chunks.get(manifest.files?.[name]?.chunks[0]?.sha256 ?? '')
    expect(Object.keys(manifest.files ?? {})).toEqual(['tokenizer.json', 'tokenizer-1.bin'])
    expect(bytesOf('tokenizer.json')).toEqual(written)
    const tokenizer = TextTokenizer.open(bytesOf('tokenizer-1.bin') ?? new Uint8Array())
    expect(tokenizer.tokens('b').map(({ id }) => id)).toEqual([1])
  })

  it('keeps an artifact to the places that are named', async () => {
    const places = async (named: readonly string[]): Promise<unknown> => {
      await write({ ...base, artifacts: [{ file: 'model.onnx', dtype: 'fp32', places: named }] })
      return (await packFolder(folder)).manifest.artifacts.map(({ format, places }) => [format, places])
    }
    expect(await places(['edge'])).toEqual([
      ['verge', ['edge']],
      ['ort', ['edge']],
    ])
    expect(await places(['browser'])).toEqual([['onnx', ['browser']]])
    expect(await places(['edge', 'origin'])).toEqual([
      ['verge', ['edge']],
      ['ort', ['edge']],
      ['onnx', ['origin']],
    ])
    await write({ ...base, artifacts: [{ file: 'model.onnx', dtype: 'fp32', places: [] }] })
    await expect(packFolder(folder)).rejects.toThrow(/artifacts\.0\.places/)
  })

  it('says so where there is no description, or no JSON in it', async () => {
    await expect(packFolder(folder)).rejects.toMatchObject({
      message: expect.stringMatching(/verge\.json cannot be read/),
    })
    await writeFile(join(folder, 'verge.json'), '{"name": ')
    await expect(packFolder(folder)).rejects.toMatchObject({ message: expect.stringMatching(/is not JSON/) })
  })

  it('names every field that is wrong or missing', async () => {
    await write({ ...base, name: 'Upper Case', version: undefined, licnce: 'MIT', task: 'text-classification' })
    const failure = packFolder(folder)
    await expect(failure).rejects.toMatchObject({ code: 'manifest_invalid' })
    for (const part of [/\n {2}name: lower-case/, /\n {2}version: /, /licnce/]) {
      await expect(packFolder(folder)).rejects.toThrow(part)
    }
    await write({ ...base, task: 'text-classification' })
    for (const part of [/\n {2}labels: /, /\n {2}preprocess\.text: /, /\n {2}tokenizer: /]) {
      await expect(packFolder(folder)).rejects.toThrow(part)
    }
  })

  it('reaches nothing outside the folder', async () => {
    await write({ ...base, artifacts: [{ file: '../model.onnx', dtype: 'fp32' }] })
    await expect(packFolder(folder)).rejects.toThrow(/artifacts\.0\.file: the name of a file in the same folder/)
  })

  it('refuses a file that is missing, is no model, or has another signature', async () => {
    await write({ ...base, artifacts: [{ file: 'other.onnx', dtype: 'fp32' }] })
    await expect(packFolder(folder)).rejects.toThrow(/other\.onnx, which verge\.json names, cannot be read/)
    await write(base, new Uint8Array(100).fill(7))
    await expect(packFolder(folder)).rejects.toMatchObject({ code: 'model_invalid' })
    await write({ ...base, artifacts: [...base.artifacts, { file: 'other.onnx', dtype: 'int8' }] })
    await writeFile(join(folder, 'other.onnx'), models.loopModel())
    await expect(packFolder(folder)).rejects.toThrow(/other\.onnx has different inputs or outputs/)
  })

  it('refuses a tokenizer that is no JSON', async () => {
    await write({ ...base, tokenizer: 'tokenizer.json' })
    await writeFile(join(folder, 'tokenizer.json'), 'not json')
    await expect(packFolder(folder)).rejects.toThrow(/tokenizer\.json is not a tokenizer .* not valid JSON/)
  })
})

describe('ORT format', () => {
  it('is the same each time, and answers as the original does, natively and in WebAssembly', async () => {
    const onnx = models.matmulModel(300_000, 5)
    const first = await toOrtFormat(onnx)
    expect(sha256((await toOrtFormat(onnx)).bytes)).toBe(sha256(first.bytes))
    const inputs = new Map<string, Tensor>([['x', tensor('FP32', [2, 64], seededFloats(128, 9))]])
    const expected = (await (await loadNative(onnx)).run(inputs, { signal })).get('mean')?.data as Float32Array
    const native = (await (await loadNative(first.bytes, 'ort')).run(inputs, { signal })).get('mean')?.data
    const artifact = { sha256: sha256(first.bytes), format: 'ort' as const, bytes: first.bytes.length }
    const session = await (await edgeEngine()).load(artifact, memorySource(first.bytes), { signal })
    const edge = (await session.run(inputs, { signal })).get('mean')?.data
    for (const actual of [native, edge] as Float32Array[]) {
      expect(actual.length).toBe(2)
      actual.forEach((value, index) => {
        expect(value).toBeCloseTo(expected[index] as number, 5)
      })
    }
  })

  it('is left alone where its layout is not the one known', async () => {
    expect(canonicalOrt(new Uint8Array(0))).toBeNull()
    expect(canonicalOrt(models.arithmeticModel())).toBeNull()
  })
})

/** Real models that Verge's own engine runs. */
const OWN_ENGINE = new Set(['mnist-8', 'ultraface', 'super-resolution', 'm2v', 'mobilenetv2-12-int8'])

describe.skipIf(!haveRealModels)(`real models${haveRealModels ? '' : `: skipped, ${SKIP_REASON}`}`, () => {
  it('all pack for the edge, alike each time', async () => {
    const packed = await packRealModels()
    expect(packed.map(({ manifest }) => manifest.model)).toEqual(realModels.map(({ description }) => description.name))
    for (const { manifest, notes } of packed) {
      const others = notes.filter(
        (note) => !note.includes('round as the processor') && !note.includes(': runs on ONNX Runtime: '),
      )
      expect({ model: manifest.model, notes: others }).toEqual({ model: manifest.model, notes: [] })
      const formats = manifest.artifacts.filter(({ places }) => places.includes('edge')).map(({ format }) => format)
      expect(formats).toEqual(OWN_ENGINE.has(manifest.model) ? ['verge', 'ort'] : ['ort'])
    }
    const again = await packRealModels()
    expect(again.map(({ manifest }) => manifest)).toEqual(packed.map(({ manifest }) => manifest))
  })
})
