import { expect, it } from 'vitest'
import { aliasKey, blobKey, manifestKey } from '../../src/catalog/keys.ts'
import { MANIFEST_SCHEMA, type Manifest } from '../../src/catalog/manifest.ts'
import { CatalogReader } from '../../src/catalog/reader.ts'
import { CatalogWriter } from '../../src/catalog/writer.ts'
import { nodeSha256 } from '../../src/cli/pack/bytes.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { sha256Factory } from '../../src/core/sha256.ts'
import { BlobLoader } from '../../src/weights/loader.ts'
import { pattern, text } from '../contract/store.ts'
import { MemoryStore } from '../fixtures/memory-store.ts'
import { splitChunks } from '../fixtures/split-chunks.ts'

const sha256 = sha256Factory(nodeSha256)

it('publishes and reads back in Node as in a Worker, with nothing but stores', async () => {
  const truth = new MemoryStore({ name: 'truth', pageSize: 2 })
  const copy = new MemoryStore({ name: 'copy' })
  const writer = new CatalogWriter(truth, [copy], { sha256, limits: LIMITS })
  const data = pattern(10_000)
  const { blob } = await writer.putBlob(splitChunks(data, 4_000))
  expect(blob.chunks.map(({ bytes }) => bytes)).toEqual([4_000, 4_000, 2_000])
  const manifest: Manifest = {
    schema: MANIFEST_SCHEMA,
    model: 'm',
    version: '1',
    inputs: [],
    outputs: [],
    artifacts: [{ ...blob, chunks: [...blob.chunks], id: 'a', format: 'onnx', dtype: 'fp32', places: ['edge'] }],
  }
  const { digest } = await writer.publishVersion(manifest, { live: true })
  const keys = [...blob.chunks.map((chunk) => blobKey(chunk.sha256)).sort(), manifestKey('m', '1')]
  const listed: string[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const page = await truth.list('', { cursor })
    listed.push(...page.keys)
    cursor = page.cursor
  }
  expect(listed).toEqual([aliasKey('m'), ...keys])
  // what is not hot stays out of the copies
  expect((await copy.list('')).keys).toEqual([aliasKey('m'), manifestKey('m', '1')])

  const shared = { sha256, clock: systemClock, logger: silentLogger, limits: LIMITS }
  const reader = new CatalogReader([copy, truth], shared)
  expect((await reader.list()).map(({ model }) => model)).toEqual(['m'])
  expect(await reader.manifest('m', '1', digest)).toEqual(manifest)
  expect(await new BlobLoader([copy, truth], shared).bytes(blob, data.length)).toEqual(data)

  await truth.put(blobKey(blob.chunks[1]?.sha256 ?? ''), text('spoiled'))
  await expect(new BlobLoader([copy, truth], shared).bytes(blob, data.length)).rejects.toMatchObject({
    code: 'weights_corrupt',
    details: { index: 1 },
  })
})

it('says what is missing where a runtime has no incremental SHA-256', () => {
  expect(() => sha256Factory()).toThrow(/incremental SHA-256/)
})
