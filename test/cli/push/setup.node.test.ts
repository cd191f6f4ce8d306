import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import { checkAccount } from '../../../src/cli/doctor/configuration.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { type PackedModel, packFolder } from '../../../src/cli/pack/packer.ts'
import { pushModel } from '../../../src/cli/push/push.ts'
import { planSetup, type SetupContext } from '../../../src/cli/push/setup.ts'
import { openTarget } from '../../../src/cli/target/open.ts'
import type { Target } from '../../../src/cli/target/target.ts'
import { readAccount } from '../../../src/cloudflare/account.ts'
import { HttpClient } from '../../../src/cloudflare/http.ts'
import { S3Bucket } from '../../../src/cloudflare/s3-bucket.ts'
import { readEnvironment } from '../../../src/cloudflare/wrangler-config.ts'
import type { Clock } from '../../../src/core/runtime.ts'
import { arithmeticModel } from '../../../synthetic/onnx-models.ts'
import { pattern } from '../../contract/store.ts'
import { ACCOUNT, type StandIn, startStandIn, TOKEN } from '../../fixtures/node/cloudflare-stand-in.ts'
import { packedOf } from '../../fixtures/node/packed.ts'

const KEY = 'a-key-of-the-operator-0123456789'
const BUCKET = 'verge-models-production'

let cloud: StandIn
let folder: string
let configPath: string
let models: PackedModel[]
let pauses: number[]
/** Counts the pauses instead of making them. */
let clock: Pick<Clock, 'sleep'>

beforeEach(async () => {
  cloud = await startStandIn()
  folder = await mkdtemp(join(tmpdir(), 'verge-setup-'))
  configPath = join(folder, 'wrangler.toml')
  await copyFile(join(ROOT, 'wrangler.toml'), configPath)
  const model = join(folder, 'models/sums')
  await mkdir(model, { recursive: true })
  await writeFile(join(model, 'model.onnx'), arithmeticModel())
  const description = { name: 'sums', version: '1', licence: 'MIT', artifacts: [{ file: 'model.onnx', dtype: 'fp32' }] }
  await writeFile(join(model, 'verge.json'), JSON.stringify({ ...description, visibility: 'public' }))
  models = [await packFolder(model)]
  pauses = []
  clock = {
    async sleep(ms) {
      pauses.push(ms)
    },
  }
})
afterEach(async () => {
  await cloud?.close()
  await rm(folder, { recursive: true, force: true })
})

async function context(over: Partial<SetupContext> = {}): Promise<SetupContext> {
  return {
    http: new HttpClient({ clock, random: () => 0.5 }),
    account: readAccount(cloud.env),
    configPath,
    environment: { ...(await readEnvironment(configPath, 'production')), env: 'production' },
    models,
    apiKey: KEY,
    location: 'weur',
    by: 'ann',
    ...over,
  }
}

async function applyAll(over: Partial<SetupContext> = {}): Promise<string[]> {
  const said: string[] = []
  for (const step of await planSetup(await context(over))) said.push(step.done ?? (await step.apply?.()) ?? '')
  return said
}

const writes = (): string[] => cloud.requests.filter((request) => !/^(GET|HEAD) /.test(request))

function stored(): { bucket: string[]; kv: string[] } {
  return {
    bucket: [...(cloud.buckets.get(BUCKET)?.keys() ?? [])].sort(),
    kv: [...cloud.namespaces.values()].flatMap(({ values }) => [...values.keys()]).sort(),
  }
}

describe('setup', () => {
  it('looks without changing anything', async () => {
    const steps = await planSetup(await context())
    expect(steps.map(({ what }) => what)).toEqual([
      `R2 bucket ${BUCKET}`,
      'KV namespace verge-production-kv',
      'secret VERGE_API_KEY of verge-production',
      'model sums, version 1',
    ])
    expect(steps.every(({ plan }) => plan !== undefined)).toBe(true)
    expect(writes()).toEqual([])
    expect(await readFile(configPath, 'utf8')).toBe(await readFile(join(ROOT, 'wrangler.toml'), 'utf8'))
  })

  it('creates everything, and copies to KV what a Worker reads there', async () => {
    await applyAll()
    const [id = ''] = cloud.namespaces.keys()
    expect((await readEnvironment(configPath, 'production')).namespaceId).toBe(id)
    expect(cloud.workers.get('verge-production')?.get('VERGE_API_KEY')).toBe(KEY)
    const { bucket, kv } = stored()
    expect(bucket).toContain('alias/sums')
    expect(bucket).toContain('manifest/sums/1')
    const edge = models[0]?.manifest.artifacts.find(({ places }) => places.includes('edge'))
    for (const { sha256 } of edge?.chunks ?? []) expect(kv).toContain(`blob/sha256/${sha256}`)
    expect(kv.every((key) => bucket.includes(key))).toBe(true)
    for (const [key, { body, metadata }] of cloud.namespaces.get(id)?.values ?? []) {
      expect(metadata, key).toEqual({ bytes: body.length })
      expect(body.equals(cloud.buckets.get(BUCKET)?.get(key)?.body ?? Buffer.alloc(0)), key).toBe(true)
    }
  })

  it('does nothing the second time', async () => {
    await applyAll()
    const etags = (): string[] => [...(cloud.buckets.get(BUCKET)?.values() ?? [])].map(({ etag }) => etag)
    const before = etags()
    const toml = await readFile(configPath, 'utf8')
    const said = await applyAll()
    expect(etags()).toEqual(before)
    expect(said[3]).toBe('exists')
    expect(await readFile(configPath, 'utf8')).toBe(toml)
  })

  it('rolls a model back by pushing the older version again', async () => {
    await applyAll()
    const [first] = models
    if (first === undefined) throw new Error('no model')
    await applyAll({ models: [{ ...first, manifest: { ...first.manifest, version: '2' } }] })
    const live = (): unknown => JSON.parse(String(cloud.buckets.get(BUCKET)?.get('alias/sums')?.body)).live
    expect(live()).toEqual([{ version: '2', weight: 1 }])
    await applyAll()
    expect(live()).toEqual([{ version: '1', weight: 1 }])
  })

  describe('after somebody has released', () => {
    const alias = () => JSON.parse(String(cloud.buckets.get(BUCKET)?.get('alias/sums')?.body)) as Alias
    const version = (name: string): PackedModel => {
      const [first] = models as [PackedModel]
      return { ...first, manifest: { ...first.manifest, version: name } }
    }
    const modelStep = async (packed: PackedModel) => (await planSetup(await context({ models: [packed] }))).at(-1)

    /** Setup has pushed version 1; then somebody works with the model, by other commands. */
    async function decide(work: (target: Target) => Promise<unknown>): Promise<Alias> {
      await applyAll()
      for (const [name, value] of Object.entries(cloud.env)) vi.stubEnv(name, value)
      const target = await openTarget({ env: 'production', remote: true, configPath })
      await work(target)
      await target.dispose()
      vi.unstubAllEnvs()
      return alias()
    }

    it.each<[string, (target: Target) => Promise<unknown>, string]>([
      [
        'a version that was pushed',
        (target) => pushModel(target, version('3'), { live: true }),
        'exists; not live, because the operator released 3. To make it live: npx verge release sums 1 --env production',
      ],
      [
        'a canary',
        async (target) => {
          await pushModel(target, version('3'), { live: false })
          await target.writer.release('sums', [
            { version: '1', weight: 90 },
            { version: '3', weight: 10 },
          ])
        },
        'exists',
      ],
      ['a model made private', (target) => target.writer.setVisibility('sums', 'private'), 'exists'],
    ])('leaves %s as it is', async (_what, work, said) => {
      const decided = await decide(work)
      expect((await modelStep(version('1')))?.done).toBe(said)
      await applyAll()
      expect(alias()).toEqual(decided)
    })

    it('copies pages of embedding tables that KV lacks, and says where KV refuses them', async () => {
      await applyAll()
      const packed = packedOf('paged', pattern(500), { pages: pattern(1_000, 2) })
      const step = await modelStep(packed)
      expect(step?.plan).toMatch(/^push .* of missing data; copy 4 pages to KV; make it live, private$/)
      cloud.fault = ({ path }) => (path.endsWith('/bulk') ? { status: 400, body: '' } : undefined)
      expect(await step?.apply?.()).toMatch(/^live, .*; R2 serves pages that KV refused: .+HTTP 400/)
      cloud.fault = () => undefined
      const again = await modelStep(packed)
      expect(again?.plan).toBe('copy 4 pages to KV')
      await again?.apply?.()
      expect((await modelStep(packed))?.done).toMatch(/^exists/)
      const checks = await checkAccount(
        await readEnvironment(configPath, 'production'),
        new HttpClient({ clock }),
        cloud.env,
      )
      expect(checks).toContainEqual({
        area: 'pages paged',
        status: 'ok',
        finding: 'version 1, edge-fp32: R2 has all 4 pages; 4 of them are the same in KV',
      })
    })

    it('repairs what is missing without releasing it', async () => {
      const decided = await decide((target) => pushModel(target, version('3'), { live: true }))
      const [values] = [...cloud.namespaces.values()].map((namespace) => namespace.values)
      const [chunk = ''] = stored().bucket.filter((key) => key.startsWith('blob/'))
      cloud.buckets.get(BUCKET)?.delete(chunk)
      values?.delete('manifest/sums/1')
      expect((await modelStep(version('1')))?.plan).toMatch(
        /^push .* of missing data; not live, because the operator released 3/,
      )
      await applyAll()
      expect(stored().bucket).toContain(chunk)
      expect((await modelStep(version('1')))?.done).toMatch(/^exists/)
      values?.delete('alias/sums')
      expect((await modelStep(version('1')))?.plan).toMatch(/^update the copies in KV; not live/)
      await applyAll()
      expect(values?.has('alias/sums')).toBe(true)
      expect(alias()).toEqual(decided)
    })

    it('stores the version that a newer Verge brings, and does not release it', async () => {
      await decide((target) => target.writer.setVisibility('sums', 'private'))
      const step = await modelStep(version('2'))
      expect(step?.plan).toMatch(
        /^add the version; not live, because the operator released 1.*npx verge release sums 2 --env production$/,
      )
      expect(await step?.apply?.()).toMatch(/^\d writes \(generation 3\); not live, because the operator released 1/)
      expect(alias()).toMatchObject({ visibility: 'private', live: [{ version: '1' }] })
      expect(Object.keys(alias().versions)).toEqual(['1', '2'])
    })

    it('releases it where nobody has decided anything', async () => {
      await applyAll()
      const step = await modelStep(version('2'))
      expect(step?.plan).toBe('make it live, public')
      expect(await step?.apply?.()).toMatch(/^live, /)
      expect(alias()).toMatchObject({ visibility: 'public', live: [{ version: '2' }], history: ['1'] })
    })

    it('takes an alias of a Verge that recorded nothing for decided', async () => {
      await applyAll()
      const { seeded: _, ...older } = alias()
      const body = Buffer.from(JSON.stringify(older))
      cloud.buckets.get(BUCKET)?.set('alias/sums', { body, etag: 'older' })
      await (await modelStep(version('2')))?.apply?.()
      expect(alias()).toMatchObject({ live: [{ version: '1' }] })
    })
  })

  it('goes on where it was broken off', async () => {
    cloud.fault = ({ method, path }) => (method === 'PUT' && path.includes('/alias/') ? { status: 403 } : undefined)
    await expect(applyAll()).rejects.toThrow('Workers R2 Storage: Edit')
    expect(stored().bucket).not.toContain('alias/sums')
    cloud.fault = () => undefined
    await applyAll()
    expect(stored().bucket).toContain('alias/sums')
    expect(cloud.namespaces.size).toBe(1)
  })

  it('takes a namespace of its own that is there, whose id was lost', async () => {
    cloud.namespaces.set(ACCOUNT, { title: 'verge-production-kv', values: new Map() })
    await applyAll()
    expect(cloud.namespaces.size).toBe(1)
    expect((await readEnvironment(configPath, 'production')).namespaceId).toBe(ACCOUNT)
  })

  it('takes nothing over without a word that is called the same and is not its own', async () => {
    cloud.workers.set('verge-production', new Map())
    cloud.bindings.set('verge-production', ['SHOP_DB'])
    const shop = new Map([['basket/7', { body: Buffer.from('x'), metadata: null }]])
    cloud.namespaces.set(ACCOUNT, { title: 'verge-production-kv', values: shop })
    cloud.buckets.set(BUCKET, new Map([['photos/1.jpg', { body: Buffer.from('x'), etag: 'e' }]]))
    const [bucket, namespace, secret] = await planSetup(await context())
    expect(bucket?.done).toContain('objects that Verge did not write, such as photos/1.jpg')
    expect(namespace?.takesOver).toMatch(
      /verge-production-kv, which has keys that Verge did not write, such as basket\/7/,
    )
    expect(secret?.takesOver).toMatch(/the Worker verge-production, which exists.*first deployment replaces it/)
    const [, , unset] = await planSetup(await context({ apiKey: undefined }))
    expect(unset?.done).toContain('a deployment replaces the Worker verge-production')
    const args = ['setup', '--env', 'production', '--config', configPath, '--no-models', '--yes']
    const env = { ...cloud.env, VERGE_API_KEY: KEY }
    const refused = await verge(args, env)
    expect(refused).toMatchObject({ code: 1, output: expect.stringMatching(/! It takes over[\s\S]*add --take-over/) })
    expect(writes()).toEqual([])
    expect(await verge([...args, '--take-over'], env)).toMatchObject({ code: 0 })
    expect(cloud.workers.get('verge-production')?.get('VERGE_API_KEY')).toBe(KEY)
  })

  it('knows what it has made itself', async () => {
    cloud.fault = ({ method, path }) => (method === 'PUT' && path.endsWith('/secrets') ? { status: 403 } : undefined)
    await expect(applyAll()).rejects.toThrow('set the secret')
    expect(cloud.bindings.get('verge-production')).toEqual(['VERGE_DRAFT'])
    cloud.fault = () => undefined
    for (const step of await planSetup(await context())) expect(step.takesOver, step.what).toBeUndefined()
  })

  it('leaves a key that is set, and says how to have one where none is given', async () => {
    cloud.workers.set('verge-production', new Map([['VERGE_API_KEY', 'older']]))
    await applyAll()
    expect(cloud.workers.get('verge-production')?.get('VERGE_API_KEY')).toBe('older')
    cloud.workers.clear()
    const [, , secret] = await planSetup(await context({ apiKey: undefined }))
    expect(secret?.done).toContain('openssl rand')
    expect(secret?.apply).toBeUndefined()
  })

  it('refuses an id of another account', async () => {
    const toml = await readFile(configPath, 'utf8')
    await writeFile(configPath, toml.replaceAll(/^id = .*$/gm, `id = "${'f'.repeat(32)}"`))
    await expect(planSetup(await context())).rejects.toThrow('is not in this account')
  })
})

describe('faults of Cloudflare', () => {
  it('waits as long as it is asked to after 429, and backs off after 500', async () => {
    let failures = 0
    cloud.fault = ({ path }) => {
      if (!path.endsWith(`/r2/buckets/${BUCKET}`) || failures >= 3) return undefined
      failures++
      return failures === 1 ? { status: 429, headers: { 'retry-after': '7' } } : { status: 500 }
    }
    await planSetup(await context())
    expect(pauses).toEqual([7_000, 1_000, 2_000])
  })

  it('gives up in the end, and says so', async () => {
    cloud.fault = ({ path }) => (path.endsWith(`/r2/buckets/${BUCKET}`) ? { status: 503 } : undefined)
    await expect(planSetup(await context())).rejects.toThrow(/HTTP 503.*5 attempts.*run the command again/s)
    expect(pauses).toHaveLength(4)
  })

  it('survives a connection that breaks before the answer', async () => {
    let broken = false
    cloud.fault = ({ method, path }) => {
      if (broken || method !== 'POST' || !path.endsWith('/kv/namespaces')) return undefined
      broken = true
      return 'lose-answer'
    }
    await applyAll()
    // The namespace had been created although nobody heard of it.
    expect(broken).toBe(true)
    expect(cloud.namespaces.size).toBe(1)
  })

  it('releases once when the answer to the release is lost', async () => {
    let lost = false
    cloud.fault = ({ method, path }) => {
      if (lost || method !== 'PUT' || !path.endsWith('/alias/sums')) return undefined
      lost = true
      return 'lose-answer'
    }
    await applyAll()
    expect(lost).toBe(true)
    const alias = JSON.parse(String(cloud.buckets.get(BUCKET)?.get('alias/sums')?.body)) as { generation: number }
    expect(alias.generation).toBe(1)
  })

  it('loses a race for the alias without undoing the winner', async () => {
    await applyAll()
    const bucket = cloud.buckets.get(BUCKET)
    const winner = { ...JSON.parse(String(bucket?.get('alias/sums')?.body)), generation: 2, visibility: 'private' }
    bucket?.delete('alias/sums')
    let raced = false
    cloud.fault = ({ method, path }) => {
      if (raced || method !== 'PUT' || !path.endsWith(`${BUCKET}/alias/sums`)) return undefined
      raced = true
      bucket?.set('alias/sums', { body: Buffer.from(JSON.stringify(winner)), etag: 'of-the-winner' })
      return undefined
    }
    await applyAll()
    expect(raced).toBe(true)
    const alias = JSON.parse(String(bucket?.get('alias/sums')?.body)) as { generation: number; visibility: string }
    expect(alias).toMatchObject({ generation: 2, visibility: 'private' })
  })

  it('says that a token is wrong without repeating it', async () => {
    const wrong = { ...cloud.env, CLOUDFLARE_API_TOKEN: 'an-expired-token' }
    const failed = planSetup(await context({ account: readAccount(wrong) }))
    await expect(failed).rejects.toThrow('rejects CLOUDFLARE_API_TOKEN')
    await failed.catch((error: Error) => expect(error.message).not.toContain('an-expired-token'))
  })

  it('never repeats the token, even if the API does', async () => {
    const echo = { success: false, errors: [{ code: 1, message: `no scope for ${TOKEN}` }], result: null }
    cloud.fault = ({ path }) => (path.includes('/r2/buckets') ? { status: 403, body: JSON.stringify(echo) } : undefined)
    const failed = planSetup(await context())
    await expect(failed).rejects.toThrow('no scope for [token]')
    await expect(failed).rejects.toThrow('Workers R2 Storage: Edit')
  })

  const refusal = (status: number, code: number, message: string) => ({
    status,
    body: JSON.stringify({ success: false, errors: [{ code, message }], result: null }),
  })

  it.each<[string, { status: number; body: string }, RegExp, RegExp]>([
    [
      'R2 that is not enabled',
      refusal(403, 10_042, 'Please enable R2'),
      /R2 is not enabled.*dashboard/,
      /needs the perm/,
    ],
    ['a missing permission', refusal(403, 10_000, 'Authentication error'), /needs the permissions/, /wrong, expired/],
    ['an invalid token', refusal(403, 9109, 'Invalid access token'), /wrong, expired or revoked/, /token needs/],
    ['another account', refusal(404, 7003, 'Could not route'), /CLOUDFLARE_ACCOUNT_ID/, /permission/],
  ])('says what to do about %s', async (_what, answer, advice, not) => {
    cloud.fault = ({ path }) => (path.includes('/r2/buckets') ? answer : undefined)
    const message = await planSetup(await context()).catch((error: Error) => error.message)
    expect(message).toMatch(advice)
    expect(message).not.toMatch(not)
  })

  it.each<[string, string, 'token' | 'keys', RegExp]>([
    ['NotEntitled', 'head', 'token', /R2 is not enabled/],
    ['SignatureDoesNotMatch', 'get', 'keys', /R2_SECRET_ACCESS_KEY does not belong to R2_ACCESS_KEY_ID/],
    ['SignatureDoesNotMatch', 'head', 'keys', /R2_SECRET_ACCESS_KEY does not belong to R2_ACCESS_KEY_ID/],
    ['SignatureDoesNotMatch', 'get', 'token', /Check CLOUDFLARE_API_TOKEN/],
    ['Unauthorized', 'get', 'keys', /does not know the keys in R2_ACCESS_KEY_ID/],
    ['AccessDenied', 'get', 'keys', /R2_SECRET_ACCESS_KEY lack a permission.*Object Read & Write/],
    ['AccessDenied', 'get', 'token', /API token needs the permission "Workers R2 Storage: Edit"/],
    ['RequestTimeTooSkewed', 'get', 'keys', /clock differs too much/],
    ['NoSuchBucket', 'get', 'keys', /"npx verge setup" does/],
  ])('says what to do about %s to %s by the %s', async (code, method, source, advice) => {
    const body = `<Error><Code>${code}</Code></Error>`
    cloud.fault = ({ path, method: sent }) =>
      path.startsWith(`/${BUCKET}`)
        ? { status: code === 'NoSuchBucket' ? 404 : 403, body: sent === 'HEAD' ? '' : body }
        : undefined
    const { r2 } = readAccount(cloud.env)
    const credentials = { accessKeyId: 'k', secretAccessKey: 's', region: 'auto', source }
    const bucket = new S3Bucket({ http: new HttpClient({ clock }), endpoint: r2, bucket: BUCKET, credentials })
    const failed = method === 'head' ? bucket.head('alias/x') : bucket.get('alias/x')
    const message = await failed.then(String, (error: Error) => error.message)
    expect(message).toMatch(advice)
    if (source === 'keys') expect(message).not.toContain('API token needs')
  })

  it('follows no redirect with credentials', async () => {
    const seen: unknown[] = []
    const other = createServer((request, response) => {
      seen.push(request.headers)
      response.end('{}')
    })
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const location = `http://127.0.0.1:${(other.address() as AddressInfo).port}/`
    cloud.fault = () => ({ status: 302, headers: { location } })
    await expect(planSetup(await context())).rejects.toThrow(/redirects to http:\/\/127.*not sent to redirects/)
    other.close()
    expect(seen).toEqual([])
  })

  it('understands no answer that is not of the API', async () => {
    cloud.fault = ({ path }) => (path.endsWith('/kv/namespaces') ? { status: 200, body: '<html>' } : undefined)
    await expect(planSetup(await context())).rejects.toThrow("does not come from Cloudflare's API")
  })
})

describe('the account in the environment', () => {
  it('says what is missing and what a token must be allowed', () => {
    expect(() => readAccount({})).toThrow(
      /CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID must be set[\s\S]*R2 Storage: Edit/,
    )
  })

  it('sends a token to no address in clear', () => {
    const env = { ...cloud.env, CLOUDFLARE_API_BASE_URL: 'http://api.example.com/client/v4' }
    expect(() => readAccount(env)).toThrow('CLOUDFLARE_API_BASE_URL must be an https:// address')
    expect(() => readAccount({ ...cloud.env, CLOUDFLARE_ACCOUNT_ID: '../x' })).toThrow('32 hexadecimal digits')
  })
})

describe('what doctor finds in an account', () => {
  const check = async (env: NodeJS.ProcessEnv = cloud.env): Promise<string> => {
    const checks = await checkAccount(await readEnvironment(configPath, 'production'), new HttpClient({ clock }), env)
    return checks.map(({ status, finding }) => `${status}: ${finding}`).join('\n')
  }

  it('finds nothing before and everything after a setup', async () => {
    expect(await check()).toContain(`fail: there is no bucket ${BUCKET}`)
    expect(await check()).toContain('fail: there is no Worker verge-production')
    await applyAll()
    expect(await check()).not.toMatch(/fail|warn/)
    cloud.workers.get('verge-production')?.clear()
    expect(await check()).toContain('warn: VERGE_API_KEY is not set')
    cloud.namespaces.clear()
    expect(await check()).toMatch(/fail: the KV namespace \w+ is not in this account/)
    expect(await check({})).toMatch(/^skip: /)
  })
})

describe('what doctor finds in an account that makes requests fail', () => {
  const withVars = async (lines: string): Promise<void> => {
    const toml = await readFile(configPath, 'utf8')
    await writeFile(configPath, toml.replace(/^(\[env\.production\.vars\]\n(?:#.*\n)*).*$/m, `$1${lines}`))
  }
  const check = async (): Promise<string> => {
    const environment = await readEnvironment(configPath, 'production')
    const checks = await checkAccount(environment, new HttpClient({ clock }), cloud.env)
    return checks.map(({ status, finding, fix }) => `${status}: ${finding} -> ${fix}`).join('\n')
  }

  it('a secret of an origin that it lacks, or that is misspelt', async () => {
    await applyAll()
    const origin = { name: 'fra', url: 'https://fra.example.com', auth: { type: 'hmac', key: 'ORIGIN_KEY' } }
    await withVars(`ORIGINS = '${JSON.stringify([origin])}'`)
    expect(await check()).toMatch(
      /fail: ORIGINS: origin "fra" needs the secret ORIGIN_KEY.* -> npx wrangler secret put ORIGIN_KEY --env production/,
    )
    cloud.workers.get('verge-production')?.set('ORIGIN_KEYS', 'x')
    expect(await check()).toMatch(/fail: the Worker reads no secret ORIGIN_KEYS\. Did you mean ORIGIN_KEY\?/)
    cloud.workers.get('verge-production')?.set('ORIGIN_KEY', 'x').delete('ORIGIN_KEYS')
    expect(await check()).not.toMatch(/fail|warn/)
  })

  it('a pinned model that does not exist', async () => {
    await applyAll()
    await withVars('PINNED_MODELS = "sums, smus"')
    expect(await check()).toMatch(/fail: PINNED_MODELS names smus, but the bucket has no such model/)
    expect(await check()).not.toContain('names sums')
  })

  it('a bucket that cannot be read', async () => {
    await applyAll()
    await withVars('PINNED_MODELS = "sums"')
    cloud.fault = ({ path }) => (path.startsWith(`/${BUCKET}`) ? { status: 200, body: '<html>' } : undefined)
    expect(await check()).toMatch(/fail: .*unknown format/)
  })
})

/** As a person runs it; asynchronously, because the stand-in answers from this process. */
function verge(args: readonly string[], env: NodeJS.ProcessEnv): Promise<{ code: number; output: string }> {
  const command = [join(ROOT, 'scripts/verge.ts'), ...args]
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      command,
      { cwd: ROOT, env: { PATH: process.env.PATH, ...env } },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr })
      },
    )
  })
}

describe('verge setup, the command', () => {
  const args = (...more: string[]): string[] => [
    ...['setup', '--env', 'production', '--config', configPath, '--models', join(folder, 'models')],
    ...more,
  ]

  it('asks before it creates, creates with --yes, and says the same again', async () => {
    const env = { ...cloud.env, VERGE_API_KEY: KEY }
    const dry = await verge(args('--dry-run'), env)
    expect(dry).toMatchObject({ code: 0, output: expect.stringContaining('Nothing was changed (--dry-run)') })
    const nobody = await verge(args(), env)
    expect(nobody).toMatchObject({ code: 1, output: expect.stringContaining('Run it with --yes') })
    expect(writes()).toEqual([])
    const first = await verge(args('--yes'), env)
    expect(first).toMatchObject({ code: 0, output: expect.stringContaining('npx wrangler deploy --env production') })
    expect(stored().bucket).toContain('alias/sums')
    const second = await verge(args('--yes'), env)
    expect(second.output).toContain('model sums, version 1: exists')
    for (const { output } of [dry, nobody, first, second]) {
      expect(output).not.toContain(TOKEN)
      expect(output).not.toContain(KEY)
    }
  })

  it('says what is missing, with exit code 1, and has a help', async () => {
    expect(await verge(args(), {})).toMatchObject({ code: 1, output: expect.stringContaining('CLOUDFLARE_API_TOKEN') })
    expect(await verge(['setup'], {})).toMatchObject({ code: 1, output: expect.stringContaining('--env staging') })
    expect(await verge(['setup', '--nonsense'], {})).toMatchObject({ code: 2 })
    expect(await verge(args(), { ...cloud.env, VERGE_API_KEY: 'short' })).toMatchObject({
      code: 1,
      output: expect.stringContaining('at least 16 characters'),
    })
    expect(await verge([], {})).toMatchObject({ code: 0, output: expect.stringContaining('doctor') })
    expect(await verge(['set-up'], {})).toMatchObject({ code: 1, output: expect.stringContaining('no command') })
  })
})
