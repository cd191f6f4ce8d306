import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { blobKey } from '../../../src/catalog/keys.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { type PushOptions, type PushResult, pushModel } from '../../../src/cli/push/push.ts'
import { openTarget } from '../../../src/cli/target/open.ts'
import type { Target } from '../../../src/cli/target/target.ts'
import type { HttpOptions } from '../../../src/cloudflare/http.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { pattern } from '../../contract/store.ts'
import { type Fault, type StandIn, startStandIn, TOKEN, TOKEN_ID } from '../../fixtures/node/cloudflare-stand-in.ts'
import { memoryTarget, packedOf } from '../../fixtures/node/packed.ts'

const BUCKET = 'verge-models-production'
const NAMESPACE = '00112233445566778899aabbccddeeff'
const md5 = (body: Uint8Array): string => createHash('md5').update(body).digest('hex')

let cloud: StandIn
let folder: string
let configPath: string
let pauses: number[]

beforeEach(async () => {
  cloud = await startStandIn()
  cloud.etag = md5
  cloud.buckets.set(BUCKET, new Map())
  cloud.namespaces.set(NAMESPACE, { title: 'copies', values: new Map() })
  folder = await mkdtemp(join(tmpdir(), 'verge-push-'))
  configPath = join(folder, 'wrangler.toml')
  await copyFile(join(ROOT, 'wrangler.toml'), configPath)
  const toml = await readFile(configPath, 'utf8')
  await writeFile(configPath, toml.replaceAll(/^id = .*$/gm, `id = "${NAMESPACE}"`))
  pauses = []
})
afterEach(async () => {
  await cloud?.close()
  await rm(folder, { recursive: true, force: true })
})

/** Notes the pauses instead of making them. */
const http: HttpOptions = {
  clock: {
    async sleep(ms) {
      pauses.push(ms)
    },
  },
  random: () => 0.5,
}

async function remote(signal?: AbortSignal, env: NodeJS.ProcessEnv = {}): Promise<Target> {
  return openTarget(
    { env: 'production', remote: true, configPath },
    { environment: { ...cloud.env, ...env }, http, ...(signal !== undefined && { signal }) },
  )
}

async function push(packed = model(), options: Partial<PushOptions> = {}): Promise<PushResult> {
  const target = await remote(options.signal)
  cloud.requests.length = 0
  return pushModel(target, packed, { live: true, ...options })
}

/** Seven chunks, all hot. */
const model = (version = '1', seed = 1) => packedOf('m', pattern(6_500, seed), { version })

const bucket = () => cloud.buckets.get(BUCKET) ?? new Map<string, { body: Buffer; etag: string }>()
const kv = () => cloud.namespaces.get(NAMESPACE)?.values ?? new Map<string, { body: Buffer }>()
const writes = (): string[] => cloud.requests.filter((request) => !/^(GET|HEAD) /.test(request))
const alias = () => JSON.parse(String(bucket().get('alias/m')?.body ?? 'null')) as Record<string, unknown> | null

function isComplete(packed = model()): void {
  for (const [sha256, data] of packed.chunks) {
    expect(bucket().get(blobKey(sha256))?.body.equals(data), sha256).toBe(true)
    expect(kv().get(blobKey(sha256))?.body.equals(data), sha256).toBe(true)
  }
}

describe('pushing to an environment', () => {
  it('stores chunks, then the manifest, then the alias, and copies them to KV', async () => {
    const result = await push()
    expect(result).toMatchObject({ sent: 14, skipped: 0, bytesSent: 13_000, generation: 1, visibility: 'private' })
    isComplete()
    const order = writes().map((request) => /(blob|manifest|alias)/.exec(decodeURIComponent(request))?.[1])
    expect(order.lastIndexOf('blob')).toBeLessThan(order.indexOf('manifest'))
    expect(order.lastIndexOf('manifest')).toBeLessThan(order.indexOf('alias'))
    expect(
      kv()
        .get('alias/m')
        ?.body.equals(bucket().get('alias/m')?.body ?? Buffer.alloc(0)),
    ).toBe(true)
  })

  it('sends nothing the second time, and reads no weights to find that out', async () => {
    await push()
    const second = await push()
    expect(second).toMatchObject({ sent: 0, skipped: 14, bytesSent: 0, written: 0, generation: 1 })
    expect(writes()).toEqual([])
    const reads = cloud.requests.filter((request) => request.startsWith('GET ')).map(decodeURIComponent)
    expect(reads.filter((request) => request.includes('blob/') && !request.includes('/metadata/'))).toEqual([])
  })

  it('sends only what is new in a version that shares chunks with another', async () => {
    await push()
    const bytes = pattern(6_500)
    bytes.fill(7, 6_000)
    const second = await push(packedOf('m', bytes, { version: '2' }))
    expect(second).toMatchObject({ sent: 2, bytesSent: 1_000, generation: 2 })
    expect(alias()).toMatchObject({ live: [{ version: '2' }], history: ['1'] })
  })

  it('looks only, in a dry run', async () => {
    const dry = await push(model(), { dryRun: true })
    expect(dry).toMatchObject({ sent: 14, bytesSent: 13_000, generation: 1, written: 0, dryRun: true })
    expect(dry.steps.join('\n')).toMatch(/R2: would get 7 of 7 chunks.*\nKV: would get 7 of 7.*\nalias: would move/)
    expect(writes()).toEqual([])
    await push()
    expect((await push(model(), { dryRun: true })).steps.at(-1)).toBe('alias: stays at generation 1; live: 1')
  })

  it('leaves what is live where it is told to, and refuses a first version like that before it sends it', async () => {
    await expect(push(model(), { live: false })).rejects.toMatchObject({ code: 'conflict' })
    expect(writes()).toEqual([])
    await push()
    expect((await push(model('2', 2), { live: false })).live).toEqual([{ version: '1', weight: 1 }])
    expect(Object.keys(alias()?.versions as object).sort()).toEqual(['1', '2'])
  })

  it('keeps the visibility of a model unless it is told another', async () => {
    await push(model(), { visibility: 'public' })
    expect((await push(model('2', 2))).visibility).toBe('public')
    expect((await push(model('3', 3), { visibility: 'private' })).visibility).toBe('private')
  })

  it('finds out before it sends anything that a version exists with other contents', async () => {
    await push()
    await expect(push(model('1', 2))).rejects.toMatchObject({ code: 'conflict' })
    expect(writes()).toEqual([])
  })

  it('does not send what was packed wrongly', async () => {
    const packed = model()
    const [first = ''] = packed.chunks.keys()
    const chunks = new Map(packed.chunks).set(first, new Uint8Array(1000))
    await expect(push({ ...packed, chunks })).rejects.toMatchObject({ code: 'manifest_invalid' })
    expect(writes()).toEqual([])
  })

  it('copies nothing but the catalogue of a model that is not hot', async () => {
    const cold = packedOf('m', pattern(2_500), { hot: false })
    expect((await push(cold)).sent).toBe(3)
    expect([...kv().keys()].sort()).toEqual(['alias/m', 'manifest/m/1'])
  })
})

describe('a model that is hot no longer', () => {
  const copied = (): string[] => [...kv().keys()].filter((key) => key.startsWith('blob/')).sort()
  const keysOf = (...chunks: readonly Uint8Array[]): string[] =>
    [...new Set(chunks.flatMap((bytes) => [...packedOf('x', bytes).chunks.keys()].map(blobKey)))].sort()
  const a = pattern(2_500)
  const b = pattern(2_500, 3)

  it('leaves no copies in KV, once it is pushed like that', async () => {
    await push(packedOf('m', a))
    expect(copied()).toEqual(keysOf(a))
    const dry = await push(packedOf('m', a, { hot: false }), { dryRun: true })
    expect(dry).toMatchObject({
      removed: 3,
      written: 0,
      steps: expect.arrayContaining([expect.stringMatching(/^KV: would lose 3 chunks/)]),
    })
    expect(copied()).toEqual(keysOf(a))
    expect(await push(packedOf('m', a, { hot: false }))).toMatchObject({ removed: 3, sent: 0, written: 3 })
    expect(copied()).toEqual([])
    expect([...bucket().keys()]).toEqual(expect.arrayContaining(keysOf(a)))
    expect(await push(packedOf('m', a, { hot: false }))).toMatchObject({ removed: 0, written: 0 })
    expect(await push(packedOf('m', a))).toMatchObject({ sent: 3 })
    expect(copied()).toEqual(keysOf(a))
  })

  it('leaves what other models need, and versions that go on answering', async () => {
    await push(packedOf('other', a))
    await push(packedOf('m', new Uint8Array([...a, ...b])))
    expect(await push(packedOf('m', b, { version: '2', hot: false }), { live: false })).toMatchObject({ removed: 0 })
    expect(copied()).toEqual(keysOf(a, new Uint8Array([...a, ...b])))
    await push(packedOf('m', new Uint8Array([...a, ...b]), { version: '3', hot: false }))
    expect(copied()).toEqual(keysOf(a))
  })
})

describe('a push that is broken off', () => {
  const isChunk = (path: string): boolean => decodeURIComponent(path).includes('blob/')

  it('leaves the alias, ends at once, and sends the rest the next time', async () => {
    await push(model('1', 9))
    const controller = new AbortController()
    let puts = 0
    cloud.fault = ({ method, path }) => {
      if (method === 'PUT' && isChunk(path) && ++puts === 6)
        controller.abort(new VergeError('cancelled', 'Interrupted.'))
      return undefined
    }
    const broken = push(model('2'), { signal: controller.signal })
    await expect(broken).rejects.toMatchObject({ code: 'cancelled', message: 'Interrupted.' })
    cloud.fault = () => undefined
    expect(alias()).toMatchObject({ generation: 1, live: [{ version: '1' }] })
    expect(bucket().has('manifest/m/2')).toBe(false)
    const there = [...model('2').chunks.keys()].flatMap((sha256) => [
      ...(bucket().has(blobKey(sha256)) ? ['r2'] : []),
      ...(kv().has(blobKey(sha256)) ? ['kv'] : []),
    ]).length
    expect(there).toBeGreaterThanOrEqual(5)
    expect(there).toBeLessThan(14)
    const second = await push(model('2'))
    expect(second.generation).toBe(2)
    // what was on its way may have arrived all the same
    expect(second.skipped).toBeGreaterThanOrEqual(there)
    expect(second.sent).toBeGreaterThan(0)
    expect(second.sent + second.skipped).toBe(14)
    isComplete(model('2'))
  })

  it('does not go on after a pause that it was broken off in', async () => {
    const controller = new AbortController()
    const target = await openTarget(
      { env: 'production', remote: true, configPath },
      { environment: cloud.env, signal: controller.signal },
    )
    cloud.fault = ({ method }) => {
      if (method !== 'PUT') return undefined
      setTimeout(() => controller.abort(), 20)
      return { status: 429, headers: { 'retry-after': '25' } }
    }
    const broken = pushModel(target, model(), { live: true, signal: controller.signal })
    await expect(broken).rejects.toMatchObject({ code: 'cancelled' })
    expect(bucket().size).toBe(0)
  })

  it('goes on after the process was killed', async () => {
    const script = `
      import { openTarget } from '${join(ROOT, 'src/cli/target/open.ts')}'
      import { pushModel } from '${join(ROOT, 'src/cli/push/push.ts')}'
      import { packedOf } from '${join(ROOT, 'test/fixtures/node/packed.ts')}'
      import { toBlob } from '${join(ROOT, 'src/cli/pack/bytes.ts')}'
      const bytes = new Uint8Array(Buffer.from(process.env.MODEL_BYTES, 'base64'))
      const target = await openTarget({ env: 'production', remote: true, configPath: process.env.CONFIG })
      await pushModel(target, packedOf('m', bytes), { live: true, concurrency: 2 })`
    let kill = (): void => {}
    let puts = 0
    cloud.fault = ({ method, path }) => {
      if (method !== 'PUT' || !isChunk(path) || ++puts < 8) return undefined
      kill()
      return 'hang-up'
    }
    const ended = await new Promise<string | null>((resolve) => {
      const child = execFile(process.execPath, ['--input-type=module', '-e', script], {
        env: {
          ...process.env,
          ...cloud.env,
          CONFIG: configPath,
          MODEL_BYTES: Buffer.from(pattern(6_500)).toString('base64'),
        },
      })
      kill = () => child.kill('SIGKILL')
      child.on('exit', (_, signal) => resolve(signal))
    })
    expect(ended).toBe('SIGKILL')
    expect(alias()).toBeNull()
    cloud.fault = () => undefined
    const second = await push()
    expect(second.skipped).toBe(7)
    expect(second.sent).toBe(7)
    isComplete()
  })
})

describe('faults on the way', () => {
  /** Whatever is asked for goes wrong the first two times, each time in another way. */
  function stormy(): Fault {
    const faults: ReturnType<Fault>[] = [
      { status: 500 },
      'lose-answer',
      { status: 429, headers: { 'retry-after': '3' } },
      'hang-up',
      { status: 503 },
    ]
    const asked = new Map<string, number>()
    let failed = 0
    return ({ method, path }) => {
      const times = (asked.get(`${method} ${path}`) ?? 0) + 1
      asked.set(`${method} ${path}`, times)
      return times > 2 ? undefined : faults[failed++ % faults.length]
    }
  }

  it('gets through errors, lost answers, closed connections and refusals for haste', async () => {
    const target = await remote()
    cloud.fault = stormy()
    const result = await pushModel(target, model(), { live: true })
    cloud.fault = () => undefined
    expect(result).toMatchObject({ sent: 14, generation: 1 })
    isComplete()
    expect(alias()).toMatchObject({ generation: 1, live: [{ version: '1', weight: 1 }] })
    expect(
      kv()
        .get('alias/m')
        ?.body.equals(bucket().get('alias/m')?.body ?? Buffer.alloc(0)),
    ).toBe(true)
    expect(pauses).toContain(3_000)
  })

  it('says what a store said, and not with which credentials', async () => {
    const target = await remote()
    cloud.fault = ({ method }) => (method === 'PUT' ? { status: 503 } : undefined)
    const failure = await pushModel(target, model(), { live: true }).catch((error: Error) => error)
    expect(failure).toMatchObject({ name: 'UsageError', message: expect.stringMatching(/HTTP 503.*5 attempts/s) })
    expect(JSON.stringify([failure, String((failure as Error).cause)])).not.toContain(TOKEN)
    expect(alias()).toBeNull()
  })

  it('says that the alias has moved where only its copy could not be written', async () => {
    const target = await remote()
    cloud.fault = ({ method, path }) =>
      method === 'PUT' && decodeURIComponent(path).endsWith('values/alias/m') ? { status: 500 } : undefined
    await expect(pushModel(target, model(), { live: true })).rejects.toThrow(
      /was written, but its copy in kv may be out of date.*\n.*HTTP 500/,
    )
    cloud.fault = () => undefined
    expect(await push()).toMatchObject({ sent: 0, written: 1, generation: 1 })
  })

  /** A chunk changes on its way, as often as wanted. */
  function spoils(times: number): Fault {
    let left = times
    return ({ method, path, body }) => {
      const key = decodeURIComponent(path).slice(BUCKET.length + 2)
      if (left === 0 || method !== 'PUT' || !path.startsWith(`/${BUCKET}/`) || !key.startsWith('blob/'))
        return undefined
      left--
      const spoilt = Buffer.from(body)
      spoilt[17] = (spoilt[17] ?? 0) ^ 1
      const etag = cloud.etag(spoilt)
      bucket().set(key, { body: spoilt, etag })
      return { status: 200, headers: { etag: `"${etag}"` } }
    }
  }

  it.each([
    ['MD5', md5],
    ['another kind of etag', (): string => `"part-${Math.random()}-2`],
  ])('sends again what arrives spoilt, seen by %s', async (_, etag) => {
    cloud.etag = etag
    const target = await remote()
    cloud.fault = spoils(2)
    await pushModel(target, model(), { live: true })
    isComplete()
  })

  it('gives up on a way that spoils everything, and leaves the alias', async () => {
    await push(model('0', 5))
    const target = await remote()
    cloud.fault = spoils(1000)
    await expect(pushModel(target, model(), { live: true })).rejects.toMatchObject({ code: 'weights_corrupt' })
    expect(alias()).toMatchObject({ generation: 1, live: [{ version: '0' }] })
  })

  it('mends what was spoilt in the bucket meanwhile, and in KV if it is to be thorough', async () => {
    await push()
    const [key = ''] = [...model().chunks.keys()].map(blobKey)
    const spoilt = Buffer.alloc(1000, 3)
    bucket().set(key, { body: spoilt, etag: md5(spoilt) })
    kv().set(key, { body: spoilt, metadata: { bytes: 1000 } } as never)
    expect(await push()).toMatchObject({ sent: 1, written: 1 })
    expect(bucket().get(key)?.body.equals(spoilt)).toBe(false)
    expect(await push(model(), { thorough: true })).toMatchObject({ sent: 1, written: 1 })
    isComplete()
  })

  it('does not go live when chunks keep going before the end, and sends again by itself what has gone once', async () => {
    await push(model('0', 5))
    const target = await remote()
    const [lost = ''] = [...model().chunks.keys()].map(blobKey)
    let times = 2
    cloud.fault = ({ method, path }) => {
      // read after the manifest was stored, before the check of the chunks
      if (method === 'GET' && path.endsWith('deleting/chunks') && times-- > 0) bucket().delete(lost)
      return undefined
    }
    await expect(pushModel(target, model(), { live: true })).rejects.toMatchObject({ code: 'weights_unavailable' })
    expect(alias()).toMatchObject({ generation: 1, live: [{ version: '0' }] })
    times = 1
    expect(await push()).toMatchObject({ sent: 1, generation: 2 })
    expect(bucket().has(lost)).toBe(true)
  })

  it('loses a race for the alias without losing what the winner pushed', async () => {
    await push()
    const rival = await remote()
    const target = await remote()
    let raced: Promise<unknown> | undefined
    cloud.fault = ({ method, path }) => {
      if (raced === undefined && method === 'PUT' && path.endsWith('manifest/m/2')) {
        raced = pushModel(rival, model('3', 3), { live: true })
      }
      return undefined
    }
    await pushModel(target, model('2', 2), { live: true })
    await raced
    expect(alias()).toMatchObject({ generation: 3 })
    expect(Object.keys(alias()?.versions as object).sort()).toEqual(['1', '2', '3'])
    expect(
      kv()
        .get('alias/m')
        ?.body.equals(bucket().get('alias/m')?.body ?? Buffer.alloc(0)),
    ).toBe(true)
  })
})

describe('the environment to push to', () => {
  it('takes keys of the bucket, both or neither', async () => {
    const secret = createHash('sha256').update(TOKEN).digest('hex')
    const target = await remote(undefined, { R2_ACCESS_KEY_ID: TOKEN_ID, R2_SECRET_ACCESS_KEY: secret })
    await pushModel(target, model(), { live: true })
    expect(cloud.requests.join()).not.toContain('/tokens/verify')
    expect(target.label).toBe(`verge-production (R2 bucket ${BUCKET}, KV namespace ${NAMESPACE})`)
    await expect(remote(undefined, { R2_ACCESS_KEY_ID: TOKEN_ID })).rejects.toThrow('must both be set')
  })

  it('says what is missing', async () => {
    await expect(remote(undefined, { CLOUDFLARE_API_TOKEN: '' })).rejects.toThrow('CLOUDFLARE_API_TOKEN')
    await copyFile(join(ROOT, 'wrangler.toml'), configPath)
    await expect(remote()).rejects.toThrow(/no KV namespace yet[\s\S]*setup --env production/)
  })
})

it('has as many chunks on their way as it may, and no more', async () => {
  const target = memoryTarget()
  let now = 0
  let most = 0
  target.onChange = async (store, _, key) => {
    if (store !== 'truth' || !key.startsWith('blob/')) return
    most = Math.max(most, ++now)
    await new Promise((resolve) => setTimeout(resolve, 2))
    now--
  }
  await pushModel(target, packedOf('m', pattern(20_000)), { live: true, concurrency: 3 })
  expect(most).toBe(3)
})
