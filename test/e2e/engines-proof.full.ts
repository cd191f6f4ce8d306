import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildContext } from '../../src/cli/build/context.ts'
import { keptResults } from '../../src/cli/build/kept.ts'
import { loadModel } from '../../src/cli/build/load.ts'
import { prove } from '../../src/cli/build/prove.ts'
import { toBlob } from '../../src/cli/pack/bytes.ts'
import { compileFile } from '../../src/cli/pack/compiled.ts'
import { descriptionSchema, withoutOwnEngine } from '../../src/cli/pack/description.ts'
import { type PackedModel, pack } from '../../src/cli/pack/packer.ts'
import { findSamples } from '../../src/cli/verify/find.ts'
import { matmulModel } from '../../synthetic/onnx-models.ts'
import { never } from '../../synthetic/source.ts'

const DESCRIPTION = descriptionSchema.parse({
  name: 'mean',
  version: '1',
  visibility: 'public',
  licence: 'MIT',
  artifacts: [{ file: 'model.onnx', dtype: 'fp32', places: ['edge'] }],
})

const meanOf = (model: Uint8Array, engines?: ['onnxruntime']): Promise<PackedModel> =>
  pack({ ...DESCRIPTION, ...(engines && { engines }) }, '.', new Map([['model.onnx', model]]))

describe("the proof of a model that Verge's own engine answers wrongly", () => {
  const original = matmulModel(100_000)
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'verge-engines-'))
    await writeFile(join(folder, 'model.onnx'), original)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** The artifacts of Verge's own engine, or the one that is named, made from other weights. */
  async function wrong(packed: PackedModel, id?: string): Promise<PackedModel> {
    const compilation = await compileFile(matmulModel(100_000, 77))
    if (!compilation.ok) throw new Error(compilation.note)
    const { blob, pieces } = toBlob(compilation.model.bytes, 1 << 20)
    const artifacts = packed.manifest.artifacts.map((artifact) =>
      artifact.format === 'verge' && (id ?? artifact.id) === artifact.id ? { ...artifact, ...blob } : artifact,
    )
    return { ...packed, manifest: { ...packed.manifest, artifacts }, chunks: new Map([...packed.chunks, ...pieces]) }
  }

  it('leaves it out, says why, and finds the same again', async () => {
    const context = buildContext(never(), true)
    const loaded = await loadModel(join(folder, 'model.onnx'), context)
    const set = {
      samples: await findSamples(original, { count: 2, seed: 1, signal: never() }),
      synthetic: true,
      classes: undefined,
    }
    const settings = { verify: true, measure: false, tolerance: undefined }
    const kept = keptResults(join(folder, 'kept'), async () => 'tools')
    const runtime = await meanOf(original, ['onnxruntime'])
    const packed = await wrong(await meanOf(original))
    const first = await prove(packed, loaded, set, settings, context, async () => runtime, kept)
    expect(first).toMatchObject({ declined: ['fp32'], kept: false, verification: { ok: true } })
    expect(first.packed.manifest).toEqual(runtime.manifest)
    expect(first.packed.chunks).toEqual(runtime.chunks)
    expect(first.packed.notes.at(-1)).toMatch(
      /^verge-fp32: not served by Verge's own engine: output "mean" .*; the model runs on ONNX Runtime$/,
    )
    const again = await prove(packed, loaded, set, settings, context, async () => runtime, kept)
    expect(again).toMatchObject({ declined: ['fp32'], kept: true })
    expect({ ...again, kept: false }).toEqual(first)

    // Where ONNX Runtime differs as well, the model is wrong.
    const other = await wrong(await meanOf(matmulModel(100_000, 5)))
    const both = await prove(other, loaded, set, settings, context, async () => runtime, kept)
    expect(both).toMatchObject({ declined: [], packed: other, verification: { ok: false, verdict: 'differs' } })
  })

  it('keeps what it answers rightly in another precision', async () => {
    const context = buildContext(never(), true)
    const loaded = await loadModel(join(folder, 'model.onnx'), context)
    const samples = await findSamples(original, { count: 2, seed: 1, signal: never() })
    const description = descriptionSchema.parse({
      ...{ name: 'both', version: '1', licence: 'MIT' },
      artifacts: [
        { file: 'model.onnx', dtype: 'fp32' },
        { file: 'other.onnx', dtype: 'fp16' },
      ],
    })
    const given = new Map(['model.onnx', 'other.onnx'].map((file) => [file, original]))
    const without: (readonly string[])[] = []
    const proof = await prove(
      await wrong(await pack(description, folder, given), 'verge-fp16'),
      loaded,
      { samples, synthetic: true, classes: undefined },
      { verify: true, measure: false, tolerance: undefined },
      context,
      (dtypes) => {
        without.push(dtypes)
        return pack(withoutOwnEngine(description, dtypes), folder, given)
      },
      keptResults(join(folder, 'kept-both'), async () => 'tools'),
    )
    expect(proof).toMatchObject({ declined: ['fp16'], verification: { ok: true } })
    expect(without).toEqual([['fp16']])
    const edge = proof.packed.manifest.artifacts.filter(({ places }) => places.includes('edge'))
    expect(edge.map(({ id }) => id)).toEqual(['verge-fp32', 'edge-fp32', 'edge-fp16'])
  })
})
