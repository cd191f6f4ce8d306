import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { pushCommand } from '../../../src/cli/commands/push.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { packFolder } from '../../../src/cli/pack/packer.ts'
import { pushModel } from '../../../src/cli/push/push.ts'
import { openTarget } from '../../../src/cli/target/open.ts'
import { arithmeticModel, lookupModel } from '../../../synthetic/onnx-models.ts'
import { type StandIn, startStandIn } from '../../fixtures/node/cloudflare-stand-in.ts'

// whatever gets as far as the proof has been found out too late
vi.mock('../../../src/cli/build/prove.ts', async (original) => ({
  ...(await original<object>()),
  prove: () => Promise.reject(new Error('it was proven')),
}))

const BUCKET = 'verge-models-production'
const NAMESPACE = '00112233445566778899aabbccddeeff'

let folder: string
let configPath: string
let cloud: StandIn

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-preflight-'))
  configPath = join(folder, 'wrangler.toml')
  const toml = await readFile(join(ROOT, 'wrangler.toml'), 'utf8')
  await writeFile(configPath, toml.replaceAll(/^id = .*$/gm, `id = "${NAMESPACE}"`))
  for (const [name, model] of [
    ['one', arithmeticModel()],
    ['other', lookupModel(4_000)],
  ] as const) {
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, 'model.onnx'), model)
    const artifacts = [{ file: 'model.onnx', dtype: 'fp32' }]
    const description = { name: 'sums', version: '1', licence: 'unknown', artifacts }
    await writeFile(join(folder, name, 'verge.json'), JSON.stringify(description))
  }
})
beforeEach(async () => {
  cloud = await startStandIn()
  cloud.buckets.set(BUCKET, new Map())
  cloud.namespaces.set(NAMESPACE, { title: 'copies', values: new Map() })
  for (const [name, value] of Object.entries(cloud.env)) vi.stubEnv(name, value)
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await cloud?.close()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function refusal(...args: string[]): Promise<string> {
  return pushCommand.run([...args, '--env', 'production', '--config', configPath]).then(
    (text) => `pushed: ${text}`,
    (error: Error) => error.message,
  )
}

async function stored(name: string): Promise<void> {
  const target = await openTarget({ env: 'production', remote: true, configPath })
  await pushModel(target, await packFolder(join(folder, name)), { live: true })
  await target.dispose()
}

it('goes on to the proof where nothing speaks against it', async () => {
  expect(await refusal(join(folder, 'one'))).toBe('it was proven')
  await stored('one')
  expect(await refusal(join(folder, 'one'))).toBe('it was proven')
})

it('finds a missing bucket, a missing namespace and keys that are refused before it reads the model', async () => {
  cloud.buckets.clear()
  expect(await refusal('no-such-model.onnx')).toMatch(/NoSuchBucket.*verge setup/)
  cloud.buckets.set(BUCKET, new Map())
  cloud.namespaces.clear()
  expect(await refusal('no-such-model.onnx')).toMatch(/10013.*The KV namespace that wrangler.toml names/)
  cloud.namespaces.set(NAMESPACE, { title: 'copies', values: new Map() })
  cloud.fault = ({ path }) =>
    path.startsWith(`/${BUCKET}`) ? { status: 403, body: '<Error><Code>AccessDenied</Code></Error>' } : undefined
  expect(await refusal('no-such-model.onnx')).toMatch(/AccessDenied/)
})

it('finds a conflict before it proves anything', async () => {
  await stored('one')
  expect(await refusal(join(folder, 'other'))).toMatch(
    /Version "1" of model "sums" already exists with different contents/,
  )
  const lone = join(folder, 'other/model.onnx')
  expect(await refusal(lone, '--name', 'sums', '--model-version', '1', '--dtype', 'fp32')).toMatch(/already exists/)
  expect(await refusal(lone, '--name', 'sums', '--dtype', 'fp32')).toBe('it was proven')
})

it('finds what a first version and a public one need', async () => {
  expect(await refusal(join(folder, 'one'), '--no-live')).toMatch(/first version of model "sums", so it must be live/)
  expect(await refusal(join(folder, 'one'), '--public')).toMatch(/needs a licence/)
})
