import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ROOT } from '../../../src/cli/files/project.ts'
import { pushModel } from '../../../src/cli/push/push.ts'
import { allKeys } from '../../../src/cli/push/references.ts'
import { planRemoval } from '../../../src/cli/push/removal.ts'
import { openRemote } from '../../../src/cli/target/remote.ts'
import { type Target, understandable } from '../../../src/cli/target/target.ts'
import { KvStore } from '../../../src/weights/kv.ts'
import { R2Store } from '../../../src/weights/r2.ts'
import { pattern } from '../../contract/store.ts'
import { type Fault, type StandIn, startStandIn } from '../../fixtures/node/cloudflare-stand-in.ts'
import { packedOf } from '../../fixtures/node/packed.ts'

const BUCKET = 'verge-models-production'
const NAMESPACE = '00112233445566778899aabbccddeeff'
const HTML = '<!doctype html><html><body>Please log in to the network.</body></html>'

let folder: string
let cloud: StandIn
let target: Target
let pauses: number

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-unreadable-'))
  const toml = await readFile(join(ROOT, 'wrangler.toml'), 'utf8')
  await writeFile(join(folder, 'wrangler.toml'), toml.replaceAll(/^id = .*$/gm, `id = "${NAMESPACE}"`))
})
/** Two models that share all their weights. */
beforeEach(async () => {
  cloud = await startStandIn()
  cloud.buckets.set(BUCKET, new Map())
  cloud.namespaces.set(NAMESPACE, { title: 'copies', values: new Map() })
  pauses = 0
  target = await open()
  for (const name of ['one', 'two']) await pushModel(target, packedOf(name, pattern(2_500)), { live: true })
})
afterEach(async () => {
  await cloud?.close()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function open(): Promise<Target> {
  const clock = { sleep: async () => void pauses++ }
  const configPath = join(folder, 'wrangler.toml')
  return openRemote({
    env: 'production',
    configPath,
    by: 'test',
    environment: cloud.env,
    http: { clock, random: () => 0.5 },
  })
}

/** As the commands print it. */
async function said(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'nothing',
    (error: unknown) => String(understandable(error)),
  )
}

const plan = () => planRemoval(target, 'one', undefined, new AbortController().signal)
const isBucketList = (path: string) => path === `/${BUCKET}`
const isKvList = (path: string) => path.endsWith(`/namespaces/${NAMESPACE}/keys`)
const xml = (inside: string) => `<?xml version="1.0"?><ListBucketResult>${inside}</ListBucketResult>`
const entry = (key: string) => `<Contents><Key>${key}</Key><Size>3</Size></Contents>`
const page = (more: object) => JSON.stringify({ success: true, errors: [], ...more })

describe('a list that cannot be understood is no empty list', () => {
  it('finds what another model needs', async () => {
    expect((await plan()).chunks).toEqual([])
  })

  it.each<[string, (path: string) => boolean, string]>([
    ['a web page for the bucket', isBucketList, HTML],
    ['nothing at all', isBucketList, ''],
    ['a list that does not say whether it is complete', isBucketList, xml('')],
    ['one that goes on, and does not say where', isBucketList, xml('<IsTruncated>true</IsTruncated>')],
    ['one that is cut off', isBucketList, xml('<IsTruncated>false</IsTruncated>').slice(0, -12)],
    ['one with half an entry', isBucketList, xml('<IsTruncated>false</IsTruncated><Contents><Key>manifest/x')],
    ['one that counts more than it has', isBucketList, xml('<IsTruncated>false</IsTruncated><KeyCount>3</KeyCount>')],
    ['one of other keys', isBucketList, xml(`<IsTruncated>false</IsTruncated>${entry('other/key')}`)],
    ['a web page for KV', isKvList, HTML],
    ['a list of KV without a cursor', isKvList, page({ result: [], result_info: { count: 0 } })],
    ['one without anything about pages', isKvList, page({ result: [] })],
    ['one that counts more than it has', isKvList, page({ result: [], result_info: { count: 7, cursor: '' } })],
    ['one that is not a list', isKvList, page({ result: null, result_info: { cursor: '' } })],
  ])('refuses %s, and plans no removal', async (_what, concerns, body) => {
    cloud.fault = ({ method, path }) => (method === 'GET' && concerns(path) ? { status: 200, body } : undefined)
    const store = concerns === isKvList ? target.copies[0] : target.truth
    const message = await said(allKeys(store ?? target.truth, 'manifest/'))
    expect(message).toMatch(/unknown format|does not come from Cloudflare's API/)
    expect(message).not.toMatch(/\n\s+at /)
    expect(await said(plan())).toBe(message)
  })

  it('refuses a list that says twice that it goes on from the same place', async () => {
    const body = xml(`<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>`)
    cloud.fault = ({ method, path }) => (method === 'GET' && isBucketList(path) ? { status: 200, body } : undefined)
    expect(await said(allKeys(target.truth, 'manifest/'))).toContain('is incomplete')
  })

  it('refuses a list that leaves out what the bucket has', async () => {
    const body = xml('<IsTruncated>false</IsTruncated><KeyCount>0</KeyCount>')
    cloud.fault = ({ method, path }) => (method === 'GET' && isBucketList(path) ? { status: 200, body } : undefined)
    expect(await said(plan())).toContain('does not list it')
  })

  it('refuses pages of the bindings that go on, and do not say where', async () => {
    const bucket = { list: async () => ({ objects: [], truncated: true }) } as never
    await expect(new R2Store(bucket).list('')).rejects.toMatchObject({ code: 'store_unavailable' })
    const namespace = { list: async () => ({ keys: [], list_complete: false }) } as never
    await expect(new KvStore(namespace).list('')).rejects.toMatchObject({ code: 'store_unavailable' })
  })
})

describe('an answer that is not of the store', () => {
  const page200 = (wanted: string): Fault => {
    return ({ method, path }) => (method === wanted && !isBucketList(path) ? { status: 200, body: HTML } : undefined)
  }

  it('does not count as written, as deleted, or as a missing key', async () => {
    const [kv] = target.copies
    cloud.fault = page200('PUT')
    expect(await said(target.truth.put('alias/x', new Uint8Array(3)))).toContain('without its etag')
    expect(await said(kv?.put('alias/x', new Uint8Array(3)) ?? Promise.resolve())).toContain(
      "does not come from Cloudflare's API",
    )
    cloud.fault = page200('DELETE')
    expect(await said(target.truth.delete('alias/one'))).toContain('HTTP 200')
    expect(await said(kv?.delete('alias/one') ?? Promise.resolve())).toContain("does not come from Cloudflare's API")
    cloud.fault = ({ method, path }) =>
      method === 'GET' && !isBucketList(path) ? { status: 404, body: HTML } : undefined
    expect(await said(target.truth.get('alias/one'))).toContain('HTTP 404')
    expect(await said(kv?.get('alias/one') ?? Promise.resolve())).toContain("does not come from Cloudflare's API")
    expect(await said(kv?.head('alias/one') ?? Promise.resolve())).toContain("does not come from Cloudflare's API")
  })

  it('tells a missing bucket or namespace from a missing key', async () => {
    cloud.buckets.clear()
    target = await open()
    for (const look of [() => target.truth.head('alias/one'), () => target.truth.get('alias/one')]) {
      expect(await said(look())).toMatch(/NoSuchBucket.*verge setup/)
    }
    cloud.namespaces.clear()
    const [kv] = target.copies
    expect(await said(kv?.get('alias/one') ?? Promise.resolve())).toContain('10013')
  })
})

describe('an answer that breaks off', () => {
  const breaking = (times: number, concerns: (path: string) => boolean): Fault => {
    let left = times
    return ({ method, path }) =>
      method === 'GET' && concerns(decodeURIComponent(path)) && left-- > 0 ? 'break-off' : undefined
  }

  it('is asked for again: lists, values of R2 and of KV', async () => {
    cloud.fault = breaking(2, isBucketList)
    expect(await allKeys(target.truth, 'alias/')).toEqual(['alias/one', 'alias/two'])
    cloud.fault = breaking(2, isKvList)
    expect(await allKeys(target.copies[0] ?? target.truth, 'alias/')).toEqual(['alias/one', 'alias/two'])
    for (const store of [target.truth, ...target.copies]) {
      cloud.fault = breaking(3, (path) => path.endsWith('alias/one'))
      const found = await store.get('alias/one')
      const text = await new Response(found?.body).text()
      expect(JSON.parse(text), store.name).toMatchObject({ model: 'one' })
      expect(Buffer.from(text).equals(cloud.buckets.get(BUCKET)?.get('alias/one')?.body ?? Buffer.of())).toBe(true)
    }
    expect(pauses).toBe(10)
  })

  it('goes on with the part that was asked for, and takes no other value for the rest', async () => {
    await target.truth.put('x', pattern(1_000))
    cloud.fault = breaking(2, (path) => path === `/${BUCKET}/x`)
    const part = await target.truth.get('x', { range: { offset: 100, length: 500 } })
    expect(Buffer.from(await new Response(part?.body).arrayBuffer())).toEqual(
      Buffer.from(pattern(1_000).subarray(100, 600)),
    )
    cloud.fault = breaking(1, (path) => path === `/${BUCKET}/x`)
    const old = await target.truth.get('x')
    cloud.buckets.get(BUCKET)?.set('x', { body: Buffer.from(pattern(1_000, 5)), etag: 'another' })
    await expect(new Response(old?.body).arrayBuffer()).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('ends in one line if it keeps breaking off', async () => {
    const [kv] = target.copies
    for (const look of [
      () => plan(),
      async () => new Response((await target.truth.get('alias/one'))?.body).text(),
      async () => new Response((await kv?.get('alias/one'))?.body).text(),
      async () => kv?.list('alias/'),
    ]) {
      cloud.fault = breaking(100, () => true)
      expect(await said(look())).toMatch(
        /^UsageError: .* closes the connection \(.*5 attempts\).*run the command again[^\n]*$/,
      )
    }
  })
})
