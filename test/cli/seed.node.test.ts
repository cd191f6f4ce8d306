import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { getPlatformProxy } from 'wrangler'
import { ROOT } from '../../src/cli/files/project.ts'
import { type PackedModel, packFolder } from '../../src/cli/pack/packer.ts'
import { type PushResult, pushModel } from '../../src/cli/push/push.ts'
import { describePublished, seed } from '../../src/cli/seed.ts'
import { openTarget } from '../../src/cli/target/open.ts'
import { arithmeticModel, lookupModel } from '../../synthetic/onnx-models.ts'

let folder: string
let models: PackedModel[]

async function packed(name: string, model: Uint8Array, more: object = {}): Promise<PackedModel> {
  await writeFile(join(folder, 'model.onnx'), model)
  const artifacts = [{ file: 'model.onnx', dtype: 'fp32' }]
  const description = { name, version: '1', licence: 'MIT', visibility: 'public', artifacts, ...more }
  await writeFile(join(folder, 'verge.json'), JSON.stringify(description))
  return packFolder(folder)
}

/** Reads local storage as `wrangler dev` does. */
async function withStorage<T>(work: (storage: { BUCKET: R2BucketLike; KV: KvLike }) => Promise<T>): Promise<T> {
  const proxy = await getPlatformProxy<{ BUCKET: R2BucketLike; KV: KvLike }>({
    configPath: join(ROOT, 'wrangler.toml'),
    persist: { path: join(folder, 'state/v3') },
  })
  try {
    return await work(proxy.env)
  } finally {
    await proxy.dispose()
  }
}
interface R2BucketLike {
  list(): Promise<{ objects: { key: string }[] }>
  delete(key: string): Promise<void>
}
interface KvLike {
  list(): Promise<{ keys: { name: string }[] }>
  delete(key: string): Promise<void>
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-seed-'))
  models = [await packed('sums', arithmeticModel()), await packed('table', lookupModel(40_000), { hot: false })]
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('seeding local storage', () => {
  it('writes everything to R2, what the edge needs of hot models to KV, and nothing the second time', async () => {
    const persistTo = join(folder, 'state')
    const first = await seed({ persistTo, models })
    expect(first.map(({ model, generation }) => [model, generation])).toEqual([
      ['sums', 1],
      ['table', 1],
    ])
    const { truth, copies } = await withStorage(async ({ BUCKET, KV }) => ({
      truth: (await BUCKET.list()).objects.map(({ key }) => key),
      copies: (await KV.list()).keys.map(({ name }) => name),
    }))
    const chunksOf = (model: PackedModel, place: 'edge' | 'origin') =>
      model.manifest.artifacts
        .filter(({ places }) => places.includes(place))
        .flatMap(({ chunks }) => chunks.map(({ sha256 }) => `blob/sha256/${sha256}`))
    const [sums, table] = models as [PackedModel, PackedModel]
    const catalogue = ['alias/sums', 'alias/table', 'manifest/sums/1', 'manifest/table/1']
    const blobs = [sums, table].flatMap((model) => [...chunksOf(model, 'edge'), ...chunksOf(model, 'origin')])
    const audit = ['audit-head', 'audit/000000000001', 'audit/000000000002']
    const index = truth.filter((key) => key.startsWith('index/'))
    expect(index).toContain('index/head')
    expect(truth.sort()).toEqual([...catalogue, ...audit, ...blobs, ...index].sort())
    expect(copies.sort()).toEqual([...catalogue, ...chunksOf(sums, 'edge')].sort())

    const second = await seed({ persistTo, models })
    expect(second.map(({ written }) => written)).toEqual([0, 0])
    expect(second.map(describePublished)[0]).toBe('sums 1: nothing to write (generation 1)')
  })

  it('writes again just what is gone', async () => {
    const persistTo = join(folder, 'state')
    const chunk = models[1]?.manifest.artifacts[0]?.chunks[0]?.sha256
    await withStorage(async ({ BUCKET, KV }) => {
      await BUCKET.delete(`blob/sha256/${chunk}`)
      await KV.delete('alias/sums')
    })
    const again = await seed({ persistTo, models })
    expect(again.map(({ written, generation }) => [written, generation])).toEqual([
      [1, 1],
      [1, 1],
    ])
  })

  it('releases nothing against what somebody has decided, and says so', async () => {
    const persistTo = join(folder, 'decided')
    const [sums] = models as [PackedModel]
    await seed({ persistTo, models: [sums] })
    const target = await openTarget({ local: persistTo })
    const third = { ...sums, manifest: { ...sums.manifest, version: '3' } }
    await pushModel(target, third, { live: true, visibility: 'private' })
    await target.dispose()
    const [again] = await seed({ persistTo, models: [sums] })
    expect(again).toMatchObject({ live: [{ version: '3' }], visibility: 'private', written: 0 })
    expect(describePublished(again as PushResult)).toBe(
      'sums 1: nothing to write (generation 2); not live, because the operator released 3. To make it live: npx verge release sums 1',
    )
    const [released] = await seed({ persistTo, models: [sums], release: true })
    expect(released).toMatchObject({ live: [{ version: '1' }], visibility: 'public' })
  })

  it('says what to do where a version has changed', async () => {
    const changed = await packed('sums', lookupModel(40_000))
    const failure = seed({ persistTo: join(folder, 'state'), models: [changed] })
    await expect(failure).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/already exists[\s\S]*Change "version" in its verge\.json/),
    })
  })
})
