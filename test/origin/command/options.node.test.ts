import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { releaseKey } from '../../../src/catalog/signing/public-keys.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { localOriginKey } from '../../../src/origin/command/key.ts'
import { OPTION_NAMES, readOptions, variableOf } from '../../../src/origin/command/options.ts'
import { openSource } from '../../../src/origin/command/source.ts'

const KEY = 'a key that is long enough to be taken for one'
const OTHER = 'another key that is long enough for this as well'
const env = { VERGE_ORIGIN_KEY: KEY }

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-options-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('options of the origin', () => {
  it('has defaults for all of them', async () => {
    const options = await readOptions([], env)
    expect(options).toMatchObject({
      from: 'http://127.0.0.1:8787',
      host: '127.0.0.1',
      port: 8788,
      adminHost: '127.0.0.1',
      adminPort: 8789,
      cacheBytes: 20e9,
      maxBatch: 32,
      maxWaitMs: 2,
      maxQueue: 128,
      maxCost: 1_000_000,
      providers: ['cuda', 'webgpu', 'cpu'],
      drainMs: 30_000,
      logLevel: 'info',
      preload: [],
      releaseKeys: [],
      keys: [KEY],
    })
    expect(options?.models).toBeUndefined()
    expect(options?.threads).toBeUndefined()
    expect(options?.memoryBytes).toBeGreaterThan(1e8)
  })

  it('reads each from the command line, and else from the environment', async () => {
    const options = await readOptions(['--port', '9000', '--models=a, b', '--preload', 'b', '--memory-gb', '1.5'], {
      ...env,
      VERGE_ORIGIN_PORT: '7000',
      VERGE_ORIGIN_ADMIN_PORT: '7001',
      VERGE_ORIGIN_MAX_WAIT_MS: '0.5',
      VERGE_ORIGIN_PROVIDERS: 'webgpu, cpu',
      VERGE_ORIGIN_THREADS: '3',
    })
    expect(options).toMatchObject({
      port: 9000,
      adminPort: 7001,
      models: new Set(['a', 'b']),
      preload: ['b'],
      memoryBytes: 1.5e9,
      maxWaitMs: 0.5,
      providers: ['webgpu', 'cpu'],
      threads: 3,
    })
    expect(variableOf('admin-port')).toBe('VERGE_ORIGIN_ADMIN_PORT')
  })

  it.each([
    [['--port', 'x'], '--port must be a whole number from 0 to 65535'],
    [['--port', '1.5'], '--port'],
    [['--port', ''], '--port'],
    [['--max-batch', '0'], '--max-batch'],
    [['--cache-gb', '-1'], '--cache-gb'],
    [['--providers', 'cuda,tpu'], '"tpu" is not one of cuda, webgpu, cpu'],
    [['--log-level', 'loud'], '--log-level'],
    [['--models', 'A b'], 'is not a model name'],
    [['--models', 'a', '--preload', 'b'], '--preload names "b", but --models does not'],
    [['--key-file', 'x'], 'not both'],
  ])('refuses %j', async (args, message) => {
    await expect(readOptions(args, env)).rejects.toThrow(message)
  })

  it('takes several keys, and none that is too short, without printing it', async () => {
    expect((await readOptions([], { VERGE_ORIGIN_KEY: `${KEY}, ${OTHER}` }))?.keys).toEqual([KEY, OTHER])
    const file = join(folder, 'keys')
    await writeFile(file, `${OTHER}\n${KEY}\n\n`)
    expect((await readOptions(['--key-file', file], {}))?.keys).toEqual([OTHER, KEY])
    const short = await readOptions([], { VERGE_ORIGIN_KEY: `${KEY},tooshort` }).catch((error: Error) => error)
    expect(short).toMatchObject({ message: expect.stringContaining('at least 32 characters') })
    expect(String(short)).not.toContain('tooshort')
    await expect(readOptions([], { VERGE_ORIGIN_KEY: ' , ' })).rejects.toThrow('has no key')
    const missing = await readOptions(['--key-file', join(folder, 'none')], {}).catch((error: Error) => error)
    expect(missing).toMatchObject({ message: expect.stringContaining('cannot be read') })
  })

  it('takes public keys that releases must be signed with, for a catalogue that can be signed', async () => {
    const x = String(generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x)
    const [key] = await Promise.all([releaseKey(Uint8Array.from(Buffer.from(x, 'base64url')))])
    const given = { ...env, VERGE_RELEASE_KEYS: x }
    expect((await readOptions([], given))?.releaseKeys).toEqual([key])
    expect((await readOptions(['--from', 's3://models'], given))?.releaseKeys).toEqual([key])
    await expect(readOptions(['--from', 'models'], given)).rejects.toThrow(
      'VERGE_RELEASE_KEYS needs a signed catalogue',
    )
    await expect(readOptions([], { ...env, VERGE_RELEASE_KEYS: 'x' })).rejects.toThrow(
      'VERGE_RELEASE_KEYS must be public keys of Ed25519',
    )
  })

  it("sends traces where OpenTelemetry's variables say, and prints no secret of them", async () => {
    expect((await readOptions([], env))?.traces).toBeUndefined()
    const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://collector:4318'
    const OTEL_EXPORTER_OTLP_HEADERS = 'authorization=Bearer%20secret'
    const given = { ...env, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS }
    expect((await readOptions([], given))?.traces).toEqual({
      url: 'http://collector:4318/v1/traces',
      headers: { authorization: 'Bearer secret' },
      serviceName: 'verge-origin',
    })
    expect((await readOptions([], { ...given, OTEL_SERVICE_NAME: 'fra' }))?.traces?.serviceName).toBe('fra')
    for (const wrong of [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'secret' }, { OTEL_EXPORTER_OTLP_HEADERS: 'secret' }]) {
      const error = await readOptions([], { ...given, ...wrong }).catch((thrown: Error) => thrown)
      expect(String(error)).toMatch(/OTEL_EXPORTER_OTLP_(ENDPOINT|HEADERS) must be/)
      expect(String(error)).not.toContain('secret')
    }
  })

  it('explains every option in its help', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, 'scripts/origin.ts'), '--help'])
    for (const name of OPTION_NAMES) expect(stdout).toContain(`--${name} `)
  })
})

describe('the key that this machine shares', () => {
  it('is made once, is random, and is for its owner alone', async () => {
    const file = join(folder, 'made/origin.key')
    const keys = await Promise.all(Array.from({ length: 4 }, () => localOriginKey(file)))
    expect(new Set(keys).size).toBe(1)
    expect(keys[0]).toMatch(/^[0-9a-f]{64}$/)
    expect(await localOriginKey(file)).toBe(keys[0])
    expect((await readFile(file, 'utf8')).trim()).toBe(keys[0])
    expect(await localOriginKey(join(folder, 'other/origin.key'))).not.toBe(keys[0])
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  it('says so when the file holds none', async () => {
    const file = join(folder, 'short.key')
    await writeFile(file, 'short\n')
    await expect(localOriginKey(file)).rejects.toThrow('has no key of at least 32 characters')
  })
})

describe('where an origin has its models from', () => {
  const open = (from: string, environment: NodeJS.ProcessEnv = {}) =>
    openSource({ from, key: KEY, cacheFolder: join(folder, 'cache'), environment, progress() {} })

  it.each([
    ['http://verge.example.com', 'needs an https:// address'],
    ['https://user@verge.example.com', 'is not the address of a Worker'],
    ['s3://No_Bucket', 'the name of an R2 bucket'],
    ['s3://models', 'R2_ENDPOINT or CLOUDFLARE_ACCOUNT_ID, R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY'],
    ['no-such-folder', 'does not exist'],
  ])('refuses %s', async (from, message) => {
    await expect(open(from)).rejects.toThrow(message)
  })

  it('sends credentials by https alone', async () => {
    const keys = { R2_ACCESS_KEY_ID: 'id', R2_SECRET_ACCESS_KEY: 'a secret' }
    await expect(open('s3://models', { ...keys, R2_ENDPOINT: 'http://r2.example.com' })).rejects.toThrow('https://')
    const account = { ...keys, CLOUDFLARE_ACCOUNT_ID: '0123456789abcdef0123456789abcdef' }
    expect((await open('s3://models', account)).store.name).toBe('r2')
    expect((await open('s3://models', { ...account, R2_ENDPOINT: '' })).store.name).toBe('r2')
    expect((await open('https://verge.example.com/base')).store.name).toBe('worker')
  })
})
