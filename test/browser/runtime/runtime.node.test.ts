import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { assetUnavailable } from '../../../src/browser/runtime/engines.ts'
import type { LoadProgress } from '../../../src/browser/runtime/held-model.ts'
import { browserLimits } from '../../../src/browser/runtime/limits.ts'
import type { ModelPlan } from '../../../src/browser/runtime/runtime.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { type PackedModel, packFolder } from '../../../src/cli/pack/packer.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { unknownOperatorModel } from '../../../synthetic/onnx-models.ts'
import { rejection } from '../../contract/rejection.ts'
import { NODE_ASSETS, planOf, runtimeOver, weightsOf } from '../../fixtures/node/browser-runtime.ts'
import { packedOf } from '../../fixtures/node/packed.ts'

const MiB = 1024 * 1024
const BODY = { kind: 'json', value: { inputs: 'Dull.' } } as const

let reviews: PackedModel
let plan: ModelPlan
beforeAll(async () => {
  reviews = await packFolder(join(ROOT, 'models/reviews'))
  plan = await planOf(reviews)
}, 120_000)

describe('the runtime of browsers', () => {
  it('says how far a load is, downloads a model once, and only what its engine and its task need', async () => {
    const weights = weightsOf(reviews)
    const runtime = runtimeOver(weights)
    const progress: LoadProgress[] = []
    await runtime.load(plan, { onProgress: (each) => progress.push(each) })
    const { artifacts, files = {} } = plan.manifest
    const [own] = artifacts.filter(({ format }) => format === 'verge')
    const blobs = await runtime.blobs(plan)
    expect(blobs.map(({ sha256 }) => sha256)).toEqual([own?.sha256, files['tokenizer-1.bin']?.sha256])
    const totalBytes = blobs.reduce((sum, { bytes }) => sum + bytes, 0)
    expect(progress.at(-1)).toEqual({ loadedBytes: totalBytes, totalBytes })
    const loaded = progress.map(({ loadedBytes }) => loadedBytes)
    expect(loaded).toEqual(loaded.toSorted((a, b) => a - b))
    expect(progress.length).toBeGreaterThan(2)
    const read = [...weights.read]
    expect(new Set(read)).toEqual(new Set(blobs.flatMap(({ chunks }) => chunks.map(({ sha256 }) => sha256))))
    expect((await runtime.run(plan, BODY)).info).toMatchObject({ start: 'warm', engine: 'verge', artifact: 'verge-q8' })
    await runtime.load(plan)
    expect(weights.read).toEqual(read)
  })

  it.each(['weights', 'tokenizer'])('refuses damaged %s, and answers once they are whole', async (which) => {
    const [artifact] = plan.manifest.artifacts
    const file = plan.manifest.files?.['tokenizer-1.bin']
    const sha256 = (which === 'weights' ? artifact : file)?.chunks[0]?.sha256 ?? ''
    const damaged = new Map(reviews.chunks)
    damaged.set(
      sha256,
      Uint8Array.from(reviews.chunks.get(sha256) ?? [], (byte, at) => (at === 100 ? byte ^ 1 : byte)),
    )
    let whole = false
    const runtime = runtimeOver({
      source: (blob, signal) => weightsOf({ chunks: whole ? reviews.chunks : damaged }).source(blob, signal),
    })
    expect((await rejection(runtime.run(plan, BODY))).code).toBe('weights_corrupt')
    whole = true
    expect((await runtime.run(plan, BODY)).body).toContain('"label":"negative"')
  })

  it('asks for an engine again that could not be downloaded', async () => {
    let there = false
    const assets = {
      ...NODE_ASSETS,
      kernels: async () => {
        if (!there) throw assetUnavailable(new Error('offline'))
        return NODE_ASSETS.kernels()
      },
    }
    const runtime = runtimeOver(weightsOf(reviews), { assets })
    expect((await rejection(runtime.run(plan, BODY))).code).toBe('store_unavailable')
    there = true
    expect((await runtime.run(plan, BODY)).info?.start).toBe('cold')
  })

  it('knows what a model downloads before any engine is downloaded for it', async () => {
    const missing = async (): Promise<never> => {
      throw assetUnavailable(new Error('not to be downloaded'))
    }
    const runtime = runtimeOver(weightsOf(reviews), {
      assets: { kernels: missing, onnxruntime: missing, webgpu: missing },
    })
    const { artifacts, files = {} } = plan.manifest
    const [own] = artifacts
    const tokenizer = files['tokenizer-1.bin']?.sha256
    expect((await runtime.blobs(plan)).map(({ sha256 }) => sha256)).toEqual([own?.sha256, tokenizer])
    // One that does not fit the device is passed over.
    const large = { id: 'onnx-fp32', format: 'onnx' as const, dtype: 'fp32', places: ['browser' as const] }
    const blob = { sha256: 'e'.repeat(64), bytes: 2 ** 31, chunks: [] }
    const small = { ...large, id: 'onnx-q8', sha256: 'd'.repeat(64), bytes: MiB, chunks: [] }
    const manifest = { ...plan.manifest, artifacts: [{ ...large, ...blob }, small] }
    const blobs = await runtime.blobs({ digest: 'c'.repeat(64), manifest })
    expect(blobs.map(({ sha256 }) => sha256)).toEqual([small.sha256, tokenizer])
    expect((await rejection(runtime.load(plan))).code).toBe('store_unavailable')
  })

  it('refuses a model that is larger than the memory that the page may use, before it downloads it', async () => {
    const weights = weightsOf(reviews)
    const runtime = runtimeOver(weights, { limits: { ...browserLimits(), engineHeapBytes: 65_536 } })
    expect((await rejection(runtime.run(plan, BODY))).code).toBe('model_too_large')
    expect(weights.read).toEqual([])
  })

  it.each(['verge', 'onnxruntime'])('says so where the browser has no memory to give: %s', async (engine) => {
    const artifacts = plan.manifest.artifacts.filter(({ format }) => (format === 'verge') === (engine === 'verge'))
    const only = { digest: 'd'.repeat(64), manifest: { ...plan.manifest, artifacts } }
    const limits = { ...browserLimits(), engineHeapBytes: 2 ** 40, roomWaitMs: 1 }
    const runtime = runtimeOver(weightsOf(reviews), { limits })
    expect((await rejection(runtime.run(only, BODY))).code).toBe('engine_full')
  })

  it('refuses a run that does not fit into the memory, and goes on', async () => {
    const [own] = plan.manifest.artifacts
    // The weights, the kernels, and 192 KiB for runs.
    const engineHeapBytes = (own?.bytes ?? 0) + 256 * 1024
    const runtime = runtimeOver(weightsOf(reviews), {
      limits: { ...browserLimits(), engineHeapBytes, ownWorkingBytes: engineHeapBytes },
    })
    const inputs = Array.from({ length: 32 }, () => 'A long and dull film. '.repeat(200))
    const long = { kind: 'json', value: { inputs } } as const
    expect(['run_too_large', 'engine_full']).toContain((await rejection(runtime.run(plan, long))).code)
    expect((await runtime.run(plan, BODY)).info?.engine).toBe('verge')
  })

  it('says so where a model has an operator that its engine lacks', async () => {
    const packed = packedOf('strange', unknownOperatorModel())
    const strange = await planOf(packed)
    const runtime = runtimeOver(weightsOf(packed))
    const body = new TextEncoder().encode(
      JSON.stringify({ inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4] }] }),
    )
    expect((await rejection(runtime.infer(strange, body))).code).toBe('model_invalid')
  })

  it('refuses WebGPU where there is none, and tasks that browsers do not do', async () => {
    const runtime = runtimeOver(weightsOf(reviews))
    expect((await rejection(runtime.run(plan, BODY, { backend: 'webgpu' }))).code).toBe('engine_unsupported')
    const writer = { ...plan, digest: 'b'.repeat(64), manifest: { ...plan.manifest, task: 'text-generation' } }
    expect((await rejection(runtime.run(writer, BODY))).code).toBe('engine_unsupported')
    const plain = { ...plan, digest: 'c'.repeat(64), manifest: { ...plan.manifest, task: undefined } }
    expect((await rejection(runtime.run(plain, BODY))).code).toBe('task_mismatch')
  })

  it('ends work whose caller leaves, and all of it when it is disposed', async () => {
    const never = new Promise<never>(() => {})
    const runtime = runtimeOver({ source: ({ bytes }) => ({ bytes, deliver: () => never }) })
    const controller = new AbortController()
    const left = rejection(runtime.run(plan, BODY, { signal: controller.signal }))
    const other = rejection(runtime.run(plan, BODY))
    controller.abort()
    expect((await left).code).toBe('cancelled')
    runtime.dispose()
    expect((await other).code).toBe('cancelled')
    expect((await rejection(runtime.run(plan, BODY))).code).toBe('cancelled')
  })

  it('refuses a body that the Worker would refuse by its size', async () => {
    const bytes = new Uint8Array(LIMITS.requestBodyBytes + 1)
    const body = { kind: 'bytes', mediaType: 'image/png', bytes } as const
    expect((await rejection(runtimeOver(weightsOf(reviews)).run(plan, body))).code).toBe('body_too_large')
  })
})

describe('the limits of browsers', () => {
  it('are those of the edge for all that a request says, with memory by the device', () => {
    const [small, common, large] = [0.25, 4, 64].map((gibibytes) => browserLimits(gibibytes * 1024 * MiB))
    expect([small, common, large].map((limits) => (limits?.engineHeapBytes ?? 0) / MiB)).toEqual([128, 512, 1024])
    expect(browserLimits()).toEqual(common)
    for (const name of ['requestBodyBytes', 'requestCost', 'imagePixels', 'textLength', 'tokensPerRun'] as const) {
      expect(small?.[name]).toBe(LIMITS[name])
    }
    for (const limits of [small, common, large]) {
      expect(limits?.sessionBudgetBytes).toBeLessThan(limits?.ownWorkingBytes ?? 0)
      expect(limits?.ownWorkingBytes).toBeLessThan(limits?.engineHeapBytes ?? 0)
    }
  })
})
