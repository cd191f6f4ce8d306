import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Alias } from '../../../../src/catalog/alias.ts'
import { canonicalBytes } from '../../../../src/catalog/canonical-json.ts'
import type { Command } from '../../../../src/cli/command.ts'
import { auditCommand } from '../../../../src/cli/commands/audit.ts'
import { signCommand } from '../../../../src/cli/commands/keys/sign.ts'
import { modelsCommand } from '../../../../src/cli/commands/models.ts'
import { releaseCommand } from '../../../../src/cli/commands/release.ts'
import { rmCommand } from '../../../../src/cli/commands/rm.ts'
import { checkReleases } from '../../../../src/cli/doctor/releases.ts'
import { ROOT } from '../../../../src/cli/files/project.ts'
import { pushModel } from '../../../../src/cli/push/push.ts'
import { releaseKeysIn } from '../../../../src/cli/signing/signing.ts'
import { openTarget } from '../../../../src/cli/target/open.ts'
import { pattern } from '../../../contract/store.ts'
import { type StandIn, startStandIn } from '../../../fixtures/node/cloudflare-stand-in.ts'
import { packedOf } from '../../../fixtures/node/packed.ts'

const BUCKET = 'verge-models-production'
const NAMESPACE = '00112233445566778899aabbccddeeff'

function pair() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    text: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    publicKey: String(publicKey.export({ format: 'jwk' }).x),
  }
}
const [first, second] = [pair(), pair()]

let folder: string
let configPath: string
let cloud: StandIn

/** The production environment accepts these keys. */
async function accept(...keys: string[]): Promise<void> {
  const toml = await readFile(join(ROOT, 'wrangler.toml'), 'utf8')
  const set = toml.replace('[env.production.vars]', `[env.production.vars]\nRELEASE_KEYS = "${keys.join(',')}"`)
  await writeFile(configPath, set.replaceAll(/^id = .*$/gm, `id = "${NAMESPACE}"`))
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-sign-'))
  configPath = join(folder, 'wrangler.toml')
})
beforeEach(async () => {
  cloud = await startStandIn()
  cloud.buckets.set(BUCKET, new Map())
  cloud.namespaces.set(NAMESPACE, { title: 'copies', values: new Map() })
  for (const [name, value] of Object.entries(cloud.env)) vi.stubEnv(name, value)
  vi.stubEnv('VERGE_SIGNING_KEY', '')
  process.exitCode = undefined
  await accept(first.publicKey)
  for (const model of ['a', 'b']) await push(model)
})
afterEach(async () => {
  process.exitCode = undefined
  vi.unstubAllEnvs()
  await cloud?.close()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const target = () => openTarget({ env: 'production', remote: true, configPath })

async function push(model: string, version = '1'): Promise<void> {
  const opened = await target()
  await pushModel(opened, packedOf(model, pattern(500, version.charCodeAt(0)), { version }), { live: true })
  await opened.dispose()
}

async function run(command: Command, ...args: string[]): Promise<string> {
  return (await command.run([...args, '--env', 'production', '--config', configPath])) ?? ''
}

async function aliasOf(model: string): Promise<Alias> {
  const { truth } = await target()
  return JSON.parse(await new Response((await truth.get(`alias/${model}`))?.body).text()) as Alias
}

async function tamper(model: string): Promise<void> {
  const alias = await aliasOf(model)
  await (await target()).truth.put(`alias/${model}`, canonicalBytes({ ...alias, visibility: 'public' }))
}

async function doctor(now = Date.now()): Promise<string[]> {
  const keys = await releaseKeysIn({ RELEASE_KEYS: first.publicKey })
  return (await checkReleases((await target()).truth, keys, now)).map(({ status, finding }) => `${status} ${finding}`)
}

describe('verge keys sign', () => {
  it('makes a key, and prints what the Worker needs', async () => {
    const path = join(folder, 'made.pem')
    const text = await signCommand.run(['--create', path])
    expect(text).toMatch(/id [0-9a-f]{16}, for \[vars\][\s\S]*RELEASE_KEYS = "[\w-]{43}"/)
    expect(text).not.toContain('PRIVATE')
    await accept()
    await run(signCommand, 'a', '--adopt', '--signing-key', path)
    expect((await aliasOf('a')).signature?.key).toMatch(/^[0-9a-f]{16}$/)
    await expect(signCommand.run(['--create', path])).rejects.toThrow(/exists already/)
  })

  it('signs what a person has looked at, and renews what is signed', async () => {
    vi.stubEnv('VERGE_SIGNING_KEY', first.text)
    expect(await run(signCommand, 'a')).toMatch(
      /^not signed: The stored release of model "a" is not signed\..* --adopt$/,
    )
    expect(process.exitCode).toBe(1)
    expect(await run(signCommand, 'a', '--adopt', '--expires', '90d')).toMatch(
      /^a is signed with key [0-9a-f]{16}, until .* UTC: generation 2, private; live: 1\n {2}version 1 {2}manifest sha256 [0-9a-f]{64}\n/,
    )
    process.exitCode = undefined
    const all = await run(signCommand, '--all', '--expires', 'never')
    expect(all).toMatch(/^a is signed with key [0-9a-f]{16}, without an end: generation 3/)
    expect(all).toMatch(/\nnot signed: The stored release of model "b" is not signed/)
    expect(process.exitCode).toBe(1)
    await tamper('a')
    expect(await run(signCommand, '--all')).toMatch(
      /not signed: The stored release of model "a" is not what was signed/,
    )
    const json = JSON.parse(await run(signCommand, '--all', '--adopt', '--json'))
    expect(json).toMatchObject({ signed: [{ model: 'a' }, { model: 'b' }], refused: [] })
  })

  it('names what it could not sign, and signs the others', async () => {
    vi.stubEnv('VERGE_SIGNING_KEY', first.text)
    await (await target()).truth.put('alias/a', new TextEncoder().encode('{'))
    const all = await run(signCommand, '--all', '--adopt')
    expect(all).toMatch(/^b is signed with key/)
    expect(all).toMatch(/\nnot signed: .*"a"/)
    expect(process.exitCode).toBe(1)
    process.exitCode = undefined
    expect(await run(signCommand, 'missing', 'b')).toMatch(/^b is signed with key[\s\S]*\nnot signed: .*missing/)
    expect(process.exitCode).toBe(1)
  })

  it('replaces a key by another while the deployment accepts both', async () => {
    vi.stubEnv('VERGE_SIGNING_KEY', first.text)
    await run(signCommand, '--all', '--adopt')
    vi.stubEnv('VERGE_SIGNING_KEY', second.text)
    await expect(run(signCommand, '--all')).rejects.toThrow(/does not have the public key of your signing key/)
    await accept(second.publicKey)
    expect(await run(signCommand, '--all')).toMatch(/by a key that is not accepted/)
    await accept(first.publicKey, second.publicKey)
    process.exitCode = undefined
    await run(signCommand, '--all')
    expect(process.exitCode).toBeUndefined()
  })

  it('refuses what makes no sense', async () => {
    await expect(run(signCommand)).rejects.toThrow(/Specify the models to sign/)
    await expect(run(signCommand, 'a', '--all')).rejects.toThrow(/Specify the models to sign/)
    await expect(run(signCommand, 'a', '--expires', '2001-01-01')).rejects.toThrow(/is in the past/)
    await expect(run(signCommand, 'a', '--expires', 'soon')).rejects.toThrow(/takes a period such as 90d/)
    await expect(run(signCommand, 'a', '--above=-1')).rejects.toThrow(/not a generation/)
    expect(await run(signCommand, 'a')).toMatch(/There is no key to sign model "a" with/)
  })
})

describe('commands that change a signed model', () => {
  beforeEach(async () => {
    vi.stubEnv('VERGE_SIGNING_KEY', first.text)
    await run(signCommand, '--all', '--adopt', '--expires', '20d')
  })

  it('sign with the key, and refuse without one', async () => {
    await push('a', '2')
    await run(releaseCommand, 'a', '--rollback')
    expect(await aliasOf('a')).toMatchObject({ generation: 4, signature: { key: expect.any(String) } })
    vi.stubEnv('VERGE_SIGNING_KEY', '')
    await expect(push('a', '3')).rejects.toThrow(/is signed \(key .* Set VERGE_SIGNING_KEY/)
    await expect(run(releaseCommand, 'a', '2')).rejects.toThrow(/is signed/)
    await expect(run(rmCommand, 'a@2', '--yes')).rejects.toThrow(/is signed/)
    await expect(run(rmCommand, 'a', '--yes')).rejects.toThrow(/is signed/)
    expect(await aliasOf('a')).toMatchObject({ generation: 4 })
    await run(releaseCommand, 'a', '2', '--unsigned')
    expect(await aliasOf('a')).not.toHaveProperty('signature')
    await expect(run(releaseCommand, 'b', '--public', '--unsigned', '--signing-key', 'x')).rejects.toThrow(/combined/)
  })

  it('put the key that signed on record', async () => {
    const opened = await target()
    const { keys } = await opened.truth.list('audit/')
    const entry = await opened.truth.get(keys.filter((key) => /\d$/.test(key)).at(-1) ?? '')
    const { after, action } = JSON.parse(await new Response(entry?.body).text())
    expect(action).toBe('sign')
    expect(after.value.signature).toMatchObject({ key: expect.stringMatching(/^[0-9a-f]{16}$/) })
    const listed = await run(auditCommand, '--model', 'a', '--limit', '1')
    expect(listed).toMatch(/ signature: key [0-9a-f]{16}, until \d{4}-\d\d-\d\d$/m)
  })

  it('warn once where the Worker will not serve what they write', async () => {
    vi.stubEnv('VERGE_SIGNING_KEY', '')
    const said = vi.spyOn(console, 'error').mockImplementation(() => {})
    await run(releaseCommand, 'a', '--public', '--unsigned')
    expect(said.mock.calls.flat()).toEqual([
      expect.stringMatching(/^Warning: RELEASE_KEYS is set, .* npx verge keys sign MODEL/),
    ])
    said.mockClear()
    await accept()
    await run(releaseCommand, 'a', '--private', '--unsigned')
    expect(said).not.toHaveBeenCalled()
    said.mockRestore()
  })

  it('show by whom and until when a model is signed', async () => {
    expect(await run(modelsCommand)).toMatch(
      /generation +signed\na .* by key [0-9a-f]{16}, until \d{4}-\d\d-\d\d \d\d:\d\d UTC/,
    )
    expect(await run(modelsCommand, 'a')).toMatch(/\nsigned: by key [0-9a-f]{16}, until/)
    await tamper('a')
    expect(await run(modelsCommand, 'a')).toMatch(/signed: by key .*: not accepted, because it is not what was signed/)
    expect(JSON.parse(await run(modelsCommand, 'a', '--json'))).toMatchObject({ signature: { state: 'wrong' } })
  })

  it('are checked by the doctor', async () => {
    expect(await doctor()).toEqual([
      expect.stringMatching(/^ok 2 models signed as RELEASE_KEYS \([0-9a-f]{16}\) demands$/),
    ])
    const day = 86_400_000
    expect(await doctor(Date.now() + 10 * day)).toEqual([
      expect.stringMatching(/^ok 2 models/),
      expect.stringMatching(/^warn a is served until .* then its signature ends$/),
      expect.stringMatching(/^warn b is served until/),
    ])
    expect(await doctor(Date.now() + 21 * day)).toContainEqual(
      expect.stringMatching(/^fail a is not served: .* because it has a signature that has ended$/),
    )
    await tamper('a')
    expect(await doctor()).toContainEqual(expect.stringMatching(/^fail a is not served: .* is not what was signed$/))
    vi.stubEnv('VERGE_SIGNING_KEY', '')
    await run(releaseCommand, 'b', '--public', '--unsigned')
    expect(await doctor()).toContainEqual('fail b is not served: not signed')
    expect((await checkReleases((await target()).truth, [], 0)).map(({ status }) => status)).toEqual(['skip'])
  })
})
