import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { writerOf } from '../../src/cli/target/target.ts'
import { HttpClient } from '../../src/cloudflare/http.ts'
import { S3Bucket } from '../../src/cloudflare/s3-bucket.ts'
import { R2Store } from '../../src/weights/r2.ts'
import { type StandIn, startStandIn, TOKEN, TOKEN_ID } from '../fixtures/node/cloudflare-stand-in.ts'
import {
  encode,
  healthOf,
  loop,
  type OriginFolders,
  originFolders,
  PICTURE,
  until,
} from '../fixtures/node/origin-models.ts'
import {
  type OriginProcess,
  type SignedInit,
  signedFetch,
  startOriginProcess,
} from '../fixtures/node/origin-process.ts'

const KEY = 'the secret of these tests is long enough'

let scratch: string
let models: string
let folders: OriginFolders

beforeAll(async () => {
  folders = await originFolders()
  ;({ scratch, models } = folders)
})
afterAll(() => folders?.remove())

describe('an origin that is asked to stop', () => {
  it('finishes what is in work, refuses what comes, and ends well', async () => {
    const cache = join(scratch, 'drain')
    const origin = await startOriginProcess({ from: models, cache, keys: [KEY], args: ['--models', 'loop'] })
    await origin.logged('origin_ready')
    const infer = (model: string, body: Uint8Array<ArrayBuffer>, init: Partial<SignedInit> = {}) =>
      signedFetch(origin.url, KEY, `/v2/models/${model}/infer`, { body, ...init })
    expect((await infer('digits', PICTURE)).status).toBe(404)
    await infer('loop', loop(1))
    const inWork = infer('loop', loop(200_000))
    await until(async () => (await healthOf(origin)).running === 1)
    origin.process.kill('SIGTERM')
    await origin.logged('origin_draining')
    const refused = await infer('loop', loop(1))
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(refused.headers.get('connection')).toBe('close')
    expect(await refused.json()).toMatchObject({ code: 'origin_unavailable', reason: 'draining' })
    const readiness = await fetch(`${origin.admin}/readyz`)
    expect(readiness.status).toBe(503)
    expect(await readiness.json()).toEqual({ ready: false, missing: ['draining'] })
    expect((await fetch(`${origin.admin}/livez`)).status).toBe(200)
    expect((await fetch(`${origin.url}/v2/health/ready`)).status).not.toBe(200)
    expect((await inWork).status).toBe(200)
    expect(await origin.ended).toBe(0)
    expect(await origin.logged('origin_stopped')).toMatchObject({ finished: true })
    expect(await readdir(cache)).not.toContainEqual(expect.stringMatching(/^packed-/))
  })

  it('breaks off what takes too long, and ends at once when asked twice', async () => {
    const options = { from: models, keys: [KEY], args: ['--models', 'loop', '--drain-seconds', '0.2'] }
    const endless = (url: string) => signedFetch(url, KEY, '/v2/models/loop/infer', { body: loop(50_000_000) })
    const hurried = await startOriginProcess({ ...options, cache: join(scratch, 'hurried') })
    await hurried.logged('origin_ready')
    const broken = endless(hurried.url).catch((error: unknown) => error)
    await until(async () => (await healthOf(hurried)).running === 1)
    expect(await hurried.stop()).toBe(0)
    expect(await broken).toBeInstanceOf(TypeError)
    expect(await hurried.logged('origin_stopped')).toMatchObject({ finished: false })

    const patient = await startOriginProcess({
      ...options,
      args: ['--models', 'loop'],
      cache: join(scratch, 'patient'),
    })
    await patient.logged('origin_ready')
    endless(patient.url).catch(() => {})
    await until(async () => (await healthOf(patient)).running === 1)
    patient.process.kill('SIGTERM')
    await patient.logged('origin_draining')
    // Two at once are one: a terminal and a launcher each send theirs.
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(await patient.stop()).toBe(1)
  })
})

describe('an origin over R2', () => {
  let cloud: StandIn
  let cache: string

  beforeAll(async () => {
    cache = join(scratch, 'r2')
    cloud = await startStandIn()
    cloud.buckets.set('models', new Map())
    const credentials = { accessKeyId: TOKEN_ID, secretAccessKey: secretOf(TOKEN), region: 'auto' }
    const endpoint = new URL(cloud.env.R2_ENDPOINT ?? '')
    const bucket = new S3Bucket({ http: new HttpClient(), endpoint, bucket: 'models', credentials })
    const writer = writerOf(new R2Store(bucket), [])
    for (const name of ['digits', 'reviews']) await publish(writer, await packFolder(join(models, name)))
  })
  afterAll(() => cloud?.close())

  const start = () =>
    startOriginProcess({
      from: 's3://models',
      cache,
      keys: [KEY],
      env: {
        R2_ENDPOINT: cloud.env.R2_ENDPOINT ?? '',
        R2_ACCESS_KEY_ID: TOKEN_ID,
        R2_SECRET_ACCESS_KEY: secretOf(TOKEN),
      },
    })
  const answers = async (origin: OriginProcess): Promise<unknown[]> => {
    const picture = await signedFetch(origin.url, KEY, '/v2/models/digits/infer', { body: PICTURE })
    const review = await signedFetch(origin.url, KEY, '/run/reviews', { body: encode({ inputs: 'A dull film.' }) })
    const { outputs } = (await picture.json()) as { outputs: unknown }
    return [picture.status, outputs, review.status, await review.json()]
  }

  it('fetches once, mends a file that was damaged, and starts again without its source', async () => {
    const first = await start()
    await first.logged('origin_ready')
    const expected = await answers(first)
    expect(expected).toMatchObject([200, [{ shape: [1, 10] }], 200, [{ label: 'negative' }, { label: 'positive' }]])
    expect(await first.stop()).toBe(0)

    const files = (await readdir(join(cache, 'files'))).map((name) => join(cache, 'files', name))
    expect(files).toHaveLength(3)
    for (const file of files) {
      const bytes = await readFile(file)
      bytes.writeUInt8((bytes[1000] ?? 0) ^ 1, 1000)
      await writeFile(file, bytes)
    }
    cloud.requests.length = 0
    const mended = await start()
    await mended.logged('origin_ready')
    expect(await answers(mended)).toEqual(expected)
    expect(mended.logs.filter(({ event }) => event === 'cache_damaged')).toHaveLength(3)
    expect(cloud.requests.filter((each) => each.includes('/blob/')).length).toBeGreaterThanOrEqual(3)
    expect(await mended.stop()).toBe(0)

    cloud.fault = () => ({ status: 503, body: 'away' })
    const alone = await start()
    await alone.logged('origin_ready')
    expect(await answers(alone)).toEqual(expected)
    expect(alone.logs.map(({ event }) => event)).toContain('source_away')
    expect(JSON.stringify(alone.logs)).not.toContain(secretOf(TOKEN))
    expect(await alone.stop()).toBe(0)
  })

  it('is not ready while it has never read a catalogue', async () => {
    cloud.fault = () => ({ status: 503, body: 'away' })
    cache = join(scratch, 'r2-empty')
    const origin = await start()
    await origin.logged('catalogue_unread')
    expect(await (await fetch(`${origin.admin}/readyz`)).json()).toEqual({ ready: false, missing: ['catalogue'] })
    expect((await fetch(`${origin.url}/v2/health/ready`)).status).not.toBe(200)
    cloud.fault = () => undefined
    await origin.logged('origin_ready')
    expect((await fetch(`${origin.admin}/readyz`)).status).toBe(200)
    expect(await origin.stop()).toBe(0)
  })
})

/** R2's secret for a token, as its documentation says. */
function secretOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
