import { beforeAll, describe, expect, it } from 'vitest'
import { multilingualModel } from '../../../../bench/models/multilingual.ts'
import { memorySource } from '../../../../src/cli/pack/bytes.ts'
import type { CompiledModel } from '../../../../src/cli/pack/compiled.ts'
import { type PackedModel, pack } from '../../../../src/cli/pack/packer.ts'
import { compileForEdge, excessOf, pagesNote } from '../../../../src/cli/pack/pages/compile-for-edge.ts'
import { pagePlanner } from '../../../../src/cli/pack/pages/page-plan.ts'
import { LIMITS } from '../../../../src/core/limits.ts'
import { type Tensors, tensor } from '../../../../src/core/tensors.ts'
import { cosine } from '../../../../src/quantize/shared/metrics.ts'
import { never } from '../../../../synthetic/source.ts'
import { FEW_LANGUAGES } from '../../../fixtures/node/few-languages.ts'
import { loadNative } from '../../../fixtures/node/native.ts'
import { runSession, vergeEngine } from '../../../fixtures/node/verge-engine.ts'

const HOT = 1_000
const { description, files } = multilingualModel(FEW_LANGUAGES, 'many', { engines: ['verge'], hotRows: HOT })
const onnx = files.get('model.onnx') ?? new Uint8Array()

async function compiled(pages: 'auto' | 'on' | 'off'): Promise<CompiledModel> {
  const result = await compileForEdge(onnx, { pages }, pagePlanner({ hotRows: HOT }))
  if (!result.ok) throw new Error(result.note)
  return result.model
}

describe('a table', () => {
  it('is read by page where that is asked for, and stays whole in a model that fits, or where that is asked for', async () => {
    const [on, auto, off] = [await compiled('on'), await compiled('auto'), await compiled('off')]
    expect(on.pages?.tables).toMatchObject([{ rows: 12_000, hot: HOT, rowsPerPage: 64, pages: 172 }])
    expect(auto.pages).toBeUndefined()
    expect(auto.bytes).toEqual(off.bytes)
    // The order takes 4 bytes for each row, the digests 32 for each page.
    const saved = off.bytes.length - on.bytes.length
    expect(saved).toBeGreaterThan(11_000 * 384 - 12_000 * 4 - 172 * 32 - 4_096)
  })

  it('is read by page where the model would not fit with it', async () => {
    // 70,000 rows of 1,024 bytes are 72 MB.
    const large = multilingualModel(
      { ...FEW_LANGUAGES, layers: 1, hidden: 1_024, heads: 16, vocabulary: 70_000 },
      'big',
    )
    const bytes = large.files.get('model.onnx') ?? new Uint8Array()
    const result = await compileForEdge(bytes, {}, pagePlanner({}))
    if (!result.ok) throw new Error(result.note)
    expect(result.model.pages?.tables).toMatchObject([{ rows: 70_000, hot: 6_144, rowsPerPage: 32 }])
    expect(excessOf(result.model)).toBeUndefined()
    const whole = await compileForEdge(bytes, { pages: 'off' }, pagePlanner({}))
    expect(whole.ok ? excessOf(whole.model) : whole.note).toContain(`an isolate has ${LIMITS.sessionBudgetBytes}`)
  })

  it('that is too small for pages is named where pages are asked for', async () => {
    const small = multilingualModel({ ...FEW_LANGUAGES, layers: 1, vocabulary: 3_000 }, 'small')
    const result = await compileForEdge(
      small.files.get('model.onnx') ?? new Uint8Array(),
      { pages: 'on' },
      pagePlanner({}),
    )
    if (!result.ok) throw new Error(result.note)
    expect(result.model.pages).toBeUndefined()
    expect(pagesNote(result.model, { pages: 'on' })).toContain('no table is read by page')
    expect(pagesNote(result.model, {})).toBeUndefined()
  })
})

describe('a model that is packed with pages', () => {
  let paged: PackedModel
  let whole: PackedModel
  beforeAll(async () => {
    paged = await pack({ ...description, pages: 'on' }, '.', files)
    whole = await pack(description, '.', files)
  })

  const artifactOf = ({ manifest }: PackedModel) => {
    const [first] = manifest.artifacts
    if (first?.format !== 'verge') throw new Error('it has no artifact for the own engine')
    return first
  }
  const bytesOf = ({ chunks }: PackedModel, blob: { chunks: readonly { sha256: string }[] }): Uint8Array =>
    new Uint8Array(Buffer.concat(blob.chunks.map(({ sha256 }) => chunks.get(sha256) ?? new Uint8Array())))

  it('has a file of pages beside the artifact, and a note of it', () => {
    const { bytes, memoryBytes, pages, runtime } = artifactOf(paged)
    expect(pages).toMatchObject({ bytes: 11_000 * 384, tables: [{ offset: 0, pageBytes: 24_576, pages: 172 }] })
    expect([memoryBytes, runtime]).toEqual([bytes, 'verge 1.2.0'])
    expect(paged.notes).toContainEqual(
      'model.onnx: 1000 of 12000 rows of its table stay in memory, and the others are read in 172 pages of 24576 bytes (docs/tasks/text.md)',
    )
    expect(artifactOf(whole).pages).toBeUndefined()
  })

  it('is the same each time, byte for byte', async () => {
    expect((await pack({ ...description, pages: 'on' }, '.', files)).manifest).toEqual(paged.manifest)
  })

  it('promises the answer of the model without pages, and gives it for rows of all pages', async () => {
    expect(artifactOf(paged).answer).toEqual(artifactOf(whole).answer)
    const engine = await vergeEngine()
    const run = async (packed: PackedModel, ids: bigint[]) => {
      const artifact = artifactOf(packed)
      const pages = artifact.pages && bytesOf(packed, artifact.pages)
      const session = await engine.load(artifact, memorySource(bytesOf(packed, artifact), pages), { signal: never() })
      return runSession(session, inputsOf(ids))
    }
    const ids = Array.from({ length: 200 }, (_, i) => BigInt((i * 59) % 12_000))
    const [one, other] = [await run(paged, ids), await run(whole, ids)]
    expect(one).toEqual(other)
    const native = await loadNative(onnx)
    const expected = await runSession(native, inputsOf(ids))
    expect(cosine(statesOf(expected), statesOf(one))).toBeGreaterThan(0.99)
  })

  it('keeps rows of frequent texts in memory, and refuses a file of texts that is none', async () => {
    const texts = new TextEncoder().encode('a text\n')
    const named = { ...description, pages: 'on' as const, hotTexts: 'texts.txt' }
    const other = await pack(named, '.', new Map([...files, ['texts.txt', texts]]))
    expect(artifactOf(other).sha256).not.toBe(artifactOf(paged).sha256)
    await expect(pack(named, '.', new Map([...files, ['texts.txt', new Uint8Array()]]))).rejects.toMatchObject({
      code: 'manifest_invalid',
      message: expect.stringContaining('texts.txt'),
    })
  })
})

function inputsOf(ids: readonly bigint[]) {
  const shape = [1, ids.length]
  return {
    input_ids: tensor('INT64', shape, BigInt64Array.from(ids)),
    attention_mask: tensor('INT64', shape, new BigInt64Array(ids.length).fill(1n)),
  }
}

function statesOf(outputs: Tensors): Float32Array {
  return outputs.get('last_hidden_state')?.data as Float32Array
}
