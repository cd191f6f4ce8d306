import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { blobKey } from '../../../src/catalog/keys.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { sha256 } from '../../../src/cli/pack/bytes.ts'
import { type PushOptions, type PushResult, pushModel } from '../../../src/cli/push/push.ts'
import { planRemoval, remove } from '../../../src/cli/push/removal.ts'
import { openTarget } from '../../../src/cli/target/open.ts'
import type { Target } from '../../../src/cli/target/target.ts'
import { pattern } from '../../contract/store.ts'
import { type StandIn, startStandIn } from '../../fixtures/node/cloudflare-stand-in.ts'
import { packedOf } from '../../fixtures/node/packed.ts'

const BUCKET = 'verge-models-production'
const NAMESPACE = '00112233445566778899aabbccddeeff'

let cloud: StandIn
let folder: string
let target: Target

beforeEach(async () => {
  cloud = await startStandIn()
  cloud.buckets.set(BUCKET, new Map())
  cloud.namespaces.set(NAMESPACE, { title: 'copies', values: new Map() })
  folder = await mkdtemp(join(tmpdir(), 'verge-pages-'))
  const configPath = join(folder, 'wrangler.toml')
  await copyFile(join(ROOT, 'wrangler.toml'), configPath)
  const toml = await readFile(configPath, 'utf8')
  await writeFile(configPath, toml.replaceAll(/^id = .*$/gm, `id = "${NAMESPACE}"`))
  const http = { clock: { async sleep() {} } }
  target = await openTarget({ env: 'production', remote: true, configPath }, { environment: cloud.env, http })
})
afterEach(async () => {
  await cloud?.close()
  await rm(folder, { recursive: true, force: true })
})

/** 2,400 pages of 300 bytes and one of 100, in chunks of 100 KB, so that pages lie across chunks. */
const PAGES = 2_401
const file = pattern(720_100, 3)
const digest = sha256(file)
const model = (more: Partial<Parameters<typeof packedOf>[2]> = {}) =>
  packedOf('m', pattern(2_000, 8), { chunkBytes: 100_000, pages: file, ...more })

function push(packed = model(), options: Partial<PushOptions> = {}): Promise<PushResult> {
  cloud.requests.length = 0
  return pushModel(target, packed, { live: true, ...options })
}

const kv = () => cloud.namespaces.get(NAMESPACE)?.values ?? new Map<string, { body: Buffer }>()
const copies = () => [...kv().keys()].filter((key) => key.startsWith('page/'))
/** All but the audit log, which is for ever. */
const left = () =>
  [...kv().keys(), ...(cloud.buckets.get(BUCKET)?.keys() ?? [])].filter((key) => !/^(audit|deleting|index)/.test(key))
const asked = (what: string) => cloud.requests.filter((request) => request.includes(what))
const BULK = `/storage/kv/namespaces/${NAMESPACE}/bulk`

function expectCopies(): void {
  expect(copies()).toHaveLength(PAGES)
  expectPages(300)
}

function expectPages(pageBytes: number): void {
  for (let offset = 0; offset < file.length; offset += pageBytes) {
    const page = Buffer.from(file.subarray(offset, offset + pageBytes))
    const text = kv().get(`page/${digest}/${offset}/${page.length}`)?.body.toString() ?? ''
    expect(text).toBe(page.toString('base64'))
  }
}

describe('pushing pages', () => {
  it('stores the file in R2 alone, and every page in KV, with few requests and before the alias moves', async () => {
    const result = await push()
    expect(result.pages).toEqual({ all: PAGES, copied: PAGES })
    expect(result.steps).toContainEqual('KV: got 2401 of 2401 pages (703.2 KiB)')
    expectCopies()
    const bucket = cloud.buckets.get(BUCKET) ?? new Map()
    for (const { sha256: chunk } of model().manifest.artifacts[0]?.pages?.chunks ?? []) {
      expect(bucket.has(blobKey(chunk))).toBe(true)
      expect(kv().has(blobKey(chunk))).toBe(false)
    }
    expect([...bucket.keys()].some((key) => key.startsWith('page/'))).toBe(false)
    expect(asked('page%2F')).toEqual([])
    expect(asked(BULK)).toHaveLength(1)
    const requests = cloud.requests.map(decodeURIComponent)
    const alias = requests.findIndex((request) => request.startsWith('PUT') && request.includes('alias/m'))
    expect(requests.findIndex((request) => request.includes(BULK))).toBeLessThan(alias)
  })

  it('sends nothing the second time, and finds that out by listing', async () => {
    await push()
    const second = await push()
    expect(second).toMatchObject({ written: 0, pages: { all: PAGES, copied: 0 } })
    expect(second.steps).toContainEqual('KV: has 2401 of 2401 pages (703.2 KiB)')
    expect(asked(BULK)).toEqual([])
    expect(cloud.requests.length).toBeLessThan(50)
  })

  it('sends the rest of what was broken off, and only that', async () => {
    await push()
    for (const key of copies().slice(100, 140)) kv().delete(key)
    let sent = 0
    cloud.fault = ({ body, path }) => {
      if (path.endsWith(BULK)) sent += (JSON.parse(body.toString()) as unknown[]).length
      return undefined
    }
    const dry = await push(model(), { dryRun: true })
    expect(dry.steps).toContainEqual('KV: would get 40 of 2401 pages (703.2 KiB), one write for each')
    expect(sent).toBe(0)
    expect((await push()).pages).toEqual({ all: PAGES, copied: 40 })
    expect(sent).toBe(40)
    expectCopies()
  })

  const refusals = [
    { status: 429, body: '' },
    {
      status: 400,
      body: JSON.stringify({ success: false, errors: [{ code: 10048, message: 'used up' }], result: null }),
    },
    {
      status: 200,
      body: JSON.stringify({ success: true, errors: [], result: { unsuccessful_keys: ['page/a', 'page/b'] } }),
    },
  ]
  for (const refusal of refusals) {
    it(`makes the model live without copies where KV refuses them (HTTP ${refusal.status}), and copies them later`, async () => {
      cloud.fault = ({ path }) => (path.endsWith(BULK) ? refusal : undefined)
      const result = await push()
      expect(result).toMatchObject({ generation: 1, pages: { all: PAGES, copied: 0 } })
      expect(result.steps.join('\n')).toMatch(
        /KV: got 0 of 2401 missing pages, and refused the others: .+\nR2 has all pages, so the model answers;.*--no-page-copies/,
      )
      cloud.fault = () => undefined
      expect((await push()).pages).toEqual({ all: PAGES, copied: PAGES })
      expectCopies()
    })
  }

  it('ends when it is interrupted, with the alias as it was, and sends the rest the next time', async () => {
    const controller = new AbortController()
    cloud.fault = ({ path }) => {
      if (path.endsWith(BULK)) controller.abort()
      return undefined
    }
    await expect(push(model(), { signal: controller.signal })).rejects.toMatchObject({ code: 'cancelled' })
    expect(cloud.buckets.get(BUCKET)?.has('alias/m')).toBe(false)
    cloud.fault = () => undefined
    await push()
    expectCopies()
  })

  it('has every page of a file that two versions cut into pages of different sizes, and deletes all of them', async () => {
    await push()
    expect((await push(model({ pageBytes: 600, version: '2' }))).pages).toEqual({ all: 1_201, copied: 1_200 })
    expectPages(300)
    expectPages(600)
    const { signal } = new AbortController()
    await remove(target, await planRemoval(target, 'm', undefined, signal), { signal })
    expect(copies()).toEqual([])
  })

  it('leaves copies out where it is told to, or where the model is not hot', async () => {
    const without = await push(model(), { pageCopies: false })
    expect(without.pages).toBeUndefined()
    expect(copies()).toEqual([])
    await push(model({ hot: false, version: '2' }))
    expect(copies()).toEqual([])
    expect((await push()).pages).toEqual({ all: PAGES, copied: PAGES })
  })

  it('deletes the copies of a model that is no longer hot', async () => {
    await push()
    const cold = await push(model({ hot: false }))
    expect(cold.steps).toContainEqual('KV: lost 2401 pages copied when the model was hot')
    expect(copies()).toEqual([])
    expect(asked(`${BULK}/delete`)).toHaveLength(1)
  })
})

describe('removing a model with pages', () => {
  const { signal } = new AbortController()
  const rmModel = async (name: string, version?: string) =>
    remove(target, await planRemoval(target, name, version, signal), { signal })

  it('deletes pages with the last version that needs them', async () => {
    await push()
    await push(model({ version: '2' }))
    await push(packedOf('other', pattern(500, 4), { pages: pattern(1_000, 5) }))
    await rmModel('m', '1')
    expectCopiesOf(PAGES + 4)
    cloud.requests.length = 0
    await rmModel('m')
    expectCopiesOf(4)
    expect(asked(`${BULK}/delete`)).toHaveLength(2)
    await rmModel('other')
    expect(left()).toEqual([])
  })

  it('leaves pages that an artifact of a newer Verge needs, and deletes them with it', async () => {
    await push()
    const { manifest } = model()
    const artifacts = manifest.artifacts.map((artifact) => ({ ...artifact, format: 'vnn' }))
    const bytes = new TextEncoder().encode(JSON.stringify({ ...manifest, model: 'newer', artifacts }))
    await target.truth.put('manifest/newer/1', bytes)
    await rmModel('m')
    expectCopiesOf(PAGES)
    await rmModel('newer')
    expect(left()).toEqual([])
  })

  it('goes on after it was broken off between the manifest and the pages', async () => {
    await push()
    cloud.fault = ({ path }) => (path.endsWith(`${BULK}/delete`) ? { status: 400, body: '' } : undefined)
    await expect(rmModel('m')).rejects.toMatchObject({ code: 'store_unavailable' })
    expectCopiesOf(PAGES)
    cloud.fault = () => undefined
    await rmModel('m')
    expect(left()).toEqual([])
  })

  function expectCopiesOf(count: number): void {
    expect(copies()).toHaveLength(count)
  }
})
