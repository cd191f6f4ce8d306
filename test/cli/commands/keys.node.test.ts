import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { parseKey } from '../../../src/access/keys/form.ts'
import { findSecret, parseKeyRecord } from '../../../src/access/keys/record.ts'
import type { Command } from '../../../src/cli/command.ts'
import { auditCommand } from '../../../src/cli/commands/audit.ts'
import { keysCommand } from '../../../src/cli/commands/keys.ts'
import { modelsCommand } from '../../../src/cli/commands/models.ts'
import { rmCommand } from '../../../src/cli/commands/rm.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { pushModel } from '../../../src/cli/push/push.ts'
import { openTarget } from '../../../src/cli/target/open.ts'
import { runScript } from '../../../src/cli/terminal/command-line.ts'
import { mintToken } from '../../../src/client/mint-token.ts'
import { writeSnapshot } from '../../../src/metering/usage/snapshot.ts'
import { pattern } from '../../contract/store.ts'
import { type StandIn, startStandIn } from '../../fixtures/node/cloudflare-stand-in.ts'
import { packedOf } from '../../fixtures/node/packed.ts'

const BUCKET = 'verge-models-production'
const NAMESPACE = '00112233445566778899aabbccddeeff'
const PLANS = '{"free":{"rate":"60/1m"},"team":{"rate":"600/1m"}}'

let folder: string
let configPath: string
let cloud: StandIn
let at: string[]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-keys-'))
  configPath = join(folder, 'wrangler.toml')
  const toml = (await readFile(join(ROOT, 'wrangler.toml'), 'utf8')).replaceAll(/^id = .*$/gm, `id = "${NAMESPACE}"`)
  await writeFile(configPath, toml.replace(/^\[env\.production\.vars\]$/m, `$&\nPLANS = '${PLANS}'`))
})
beforeEach(async () => {
  cloud = await startStandIn()
  cloud.buckets.set(BUCKET, new Map())
  cloud.namespaces.set(NAMESPACE, { title: 'copies', values: new Map() })
  for (const [name, value] of Object.entries(cloud.env)) vi.stubEnv(name, value)
  vi.stubEnv('VERGE_OPERATOR', 'ann')
  at = ['--env', 'production', '--config', configPath]
  process.exitCode = undefined
  const target = await openTarget({ env: 'production', remote: true, configPath })
  for (const model of ['digits', 'reviews']) await pushModel(target, packedOf(model, pattern(500)), { live: true })
  await target.dispose()
})
afterEach(async () => {
  process.exitCode = undefined
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  await cloud?.close()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function run(command: Command, ...args: string[]): Promise<string> {
  return (await command.run([...args, ...at])) ?? ''
}

const keys = (...args: string[]): Promise<string> => run(keysCommand, ...args)
const create = (...args: string[]): Promise<string> => keys('create', 'shop', '--quiet', ...args)
const json = async (...args: string[]) => JSON.parse(await keys(...args, '--json'))
const bucket = () => cloud.buckets.get(BUCKET) ?? new Map<string, { body: Buffer; etag: string }>()
const kv = () => cloud.namespaces.get(NAMESPACE)?.values ?? new Map<string, { body: Buffer; metadata: unknown }>()

/** As the ledger writes a month of a principal's usage. */
function snapshotOf(principal: string, month: string, lastUsedAt: string): Buffer {
  const times = { at: Date.parse(lastUsedAt), lastUsedAt: Date.parse(lastUsedAt) }
  return Buffer.from(writeSnapshot({ principal, month, ...times, days: new Map() }))
}

describe('create', () => {
  it('prints the key once, and stores a record by which a Worker knows it, in R2 and KV', async () => {
    const said = await keys('create', 'shop', '--models', 'digits, review*', '--rate', '60/1m', '--expires', '90d')
    const [key = ''] = /^verge_sk_\w+$/m.exec(said) ?? []
    const { id, secret } = parseKey(key) ?? { id: '', secret: '' }
    expect(said).toMatch(new RegExp(`^Key ${id}, "shop": valid\n +models +digits, review\\*\n`))
    expect(said).toMatch(/shown once and is stored nowhere[\s\S]*within 90 s/)
    const stored = bucket().get(`key/${id}`)?.body ?? Buffer.of()
    const record = parseKeyRecord(stored, id)
    expect(await findSecret(record, secret)).toBeDefined()
    expect(record).toMatchObject({
      name: 'shop',
      grant: { models: ['digits', 'review*'], actions: ['infer', 'browser'] },
    })
    expect(record.grant.limits).toEqual({ rate: { requests: 60, seconds: 60 } })
    expect((record.expiresAt ?? 0) - record.createdAt).toBe(90 * 86_400)
    expect(kv().get(`key/${id}`)?.body.equals(stored)).toBe(true)
    for (const { body } of [...bucket().values(), ...kv().values()]) expect(body.includes(secret)).toBe(false)
  })

  it('takes every limit, and prints nothing but the key with --quiet', async () => {
    const key = await create(
      ...['--models', '*', '--actions', 'infer,mint', '--places', 'edge', '--origins', 'https://a.example:443/'],
      ...['--plan', 'free', '--budget', '10000units/day', '--budget', '20.5usd/month', '--budget', '5requests/day'],
      ...['--concurrency', '4', '--body', '2MiB', '--batch', '8', '--max-tokens', '256', '--expires', '2199-01-01'],
    )
    expect(key).toMatch(/^verge_sk_\w+$/)
    expect(await json('show', 'shop')).toEqual({
      id: parseKey(key)?.id,
      name: 'shop',
      generation: 1,
      state: 'valid',
      createdAt: expect.any(String),
      expiresAt: '2199-01-01T00:00:00.000Z',
      copied: true,
      secrets: [{ createdAt: expect.any(String) }],
      grant: {
        models: ['*'],
        actions: ['infer', 'mint'],
        places: ['edge'],
        origins: ['https://a.example'],
        plan: 'free',
        limits: {
          budgets: { day: { units: 10_000, requests: 5 }, month: { usd: 20.5 } },
          concurrency: 4,
          bodyBytes: 2 * 1024 * 1024,
          batch: 8,
          maxTokens: 256,
        },
      },
    })
  })

  it('writes a signing key, with which a backend makes tokens by the client', async () => {
    const file = join(folder, 'signing.json')
    const { id } = parseKey(await create('--models', 'digits', '--actions', 'mint', '--signing', file)) ?? { id: '' }
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const { token } = await mintToken({
      key: await readFile(file, 'utf8'),
      origins: ['https://a.example'],
      models: ['digits'],
    })
    const [head = '', claims = '', signature = ''] = token.slice('verge_bt_'.length).split('.')
    const { signing } = parseKeyRecord(bucket().get(`key/${id}`)?.body ?? Buffer.of(), id)
    const raw = Buffer.from(signing?.[0]?.publicKey ?? '', 'base64url')
    const publicKey = await crypto.subtle.importKey('raw', raw, 'Ed25519', false, ['verify'])
    const signed = Buffer.from(`${head}.${claims}`)
    expect(await crypto.subtle.verify('Ed25519', publicKey, Buffer.from(signature, 'base64url'), signed)).toBe(true)
    await expect(create('--models', 'digits', '--signing', file)).rejects.toThrow('exists. Choose a name that is free')
    expect([...bucket().keys()].filter((key) => key.startsWith('key/'))).toHaveLength(1)
    const other = join(folder, 'other.json')
    expect(await keys('create', 'pages', '--models', 'digits', '--signing', other)).toContain(
      `The signing key is in ${other}.`,
    )
    const third = join(folder, 'third.json')
    expect(await keys('update', 'pages', '--signing', third)).toContain(`The signing key is in ${third}.`)
  })

  it('prints one form at a time', async () => {
    await expect(create('--models', 'digits', '--json')).rejects.toThrow('Use either --quiet or --json.')
    await expect(keys('rotate', 'shop', '--quiet', '--json')).rejects.toThrow('Use either --quiet or --json.')
  })

  it('leaves no file of a signing key behind that no key has, so that the command can be repeated', async () => {
    const file = join(folder, 'again.json')
    cloud.fault = ({ method, path }) => (method === 'PUT' && path.includes('/key/') ? { status: 403 } : undefined)
    await expect(create('--models', 'digits', '--signing', file)).rejects.toThrow('403')
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' })
    cloud.fault = () => undefined
    const { id } = parseKey(await create('--models', 'digits', '--signing', file)) ?? { id: '' }
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ kid: id })
    await keys('revoke', id)
    const another = join(folder, 'another.json')
    await expect(keys('update', id, '--signing', another)).rejects.toThrow('was revoked')
    await expect(stat(another)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it.each([
    [['create'], 'Specify one name'],
    [['create', 'a', 'b', '--models', '*'], 'Specify one name'],
    [['create', 'shop'], 'Specify the models'],
    [['create', 'shop', '--rate', '60/1m'], 'Specify the models'],
    [['create', '0123456789ab', '--models', '*'], "has the form of a key's id"],
    [['create', ' shop', '--models', '*'], 'without spaces at its ends'],
    [['create', 'shop', '--models', 'digist'], 'there is no model "digist". Did you mean "digits"?'],
    [['create', 'shop', '--models', 'other'], 'There are digits, reviews. For models to come, give a prefix'],
    [['create', 'shop', '--models', 'No'], '--models: a model\'s name, the beginning of one followed by "*"'],
    [
      ['create', 'shop', '--models', '*', '--plan', 'fre'],
      'there is no plan "fre" in the variable PLANS of [env.production',
    ],
    [['create', 'shop', '--models', '*', '--plan', 'fre'], 'Did you mean "free"?'],
    [['create', 'shop', '--models', '*', '--plan', 'gold'], 'There are free, team.'],
    [['create', 'shop', '--models', '*', '--actions', 'infre'], 'not "infre". Did you mean "infer"?'],
    [['create', 'shop', '--models', '*', '--places', 'moon'], '--places takes edge, origin, browser, not "moon"'],
    [['create', 'shop', '--models', '*', '--origins', 'https://a.example/path'], 'without a path'],
    [['create', 'shop', '--models', '*', '--rate', '60'], '--rate: a rate like "60/1m"'],
    [['create', 'shop', '--models', '*', '--budget', '5parsecs/day'], '--budget "5parsecs/day" is not an amount'],
    [['create', 'shop', '--models', '*', '--budget', '5.5units/day'], 'is not an amount in a period'],
    [
      ['create', 'shop', '--models', '*', '--budget', '1usd/day', '--budget', '2usd/day'],
      'given twice for usd in a day',
    ],
    [['create', 'shop', '--models', '*', '--body', '4 parsecs'], '--body "4 parsecs" is not a size'],
    [['create', 'shop', '--models', '*', '--concurrency', '0'], '--concurrency must be'],
    [['create', 'shop', '--models', '*', '--expires', '2020-01-01'], 'is in the past. To end a key now, revoke it.'],
    [['create', 'shop', '--models', '*', '--expires', 'soon'], '--expires takes a period such as 90d'],
    [['list', 'shop'], 'takes no names'],
    [['show'], 'Specify a key by its id or name'],
    [['show', 'a', 'b'], 'Specify one key only'],
    [['update', 'shop'], 'Specify what to change'],
    [['update', 'shop', '--rate', '60'], '--rate: a rate like'],
    [['rotate', 'shop', '--overlap', 'long'], '--overlap takes a period'],
    [['revoke', 'shop', '--why', 'x'.repeat(201)], 'at most 200 are kept'],
    [['creat', 'shop'], 'There is no command "keys creat". Did you mean "create"?'],
  ])('refuses %j, and changes nothing', async (args, message) => {
    await expect(keys(...args)).rejects.toThrow(message)
    expect([...bucket().keys()].filter((key) => key.startsWith('key/'))).toEqual([])
  })
})

describe('list and show', () => {
  it('show what keys may do, until when, and when they were used last', async () => {
    expect(await keys('list')).toMatch(/^There are no keys in verge-production/)
    const { id } = parseKey(await create('--models', 'digits', '--budget', '5requests/day')) ?? { id: '' }
    await keys('create', 'other', '--models', '*', '--quiet')
    const used = snapshotOf(`key:${id}`, '2026-11', '2026-11-30T18:22:00.000Z')
    const older = snapshotOf(`key:${id}`, '2026-10', '2026-10-01T00:00:00.000Z')
    bucket().set(`usage/key:${id}/2026-11.json`, { body: used, etag: '1' })
    bucket().set(`usage/key:${id}/2026-10.json`, { body: older, etag: '2' })
    bucket().set(`usage/anonymous/2026-11.json`, { body: older, etag: '3' })
    const lines = (await keys('list')).split('\n').map((line) => line.trim().split(/ {2,}/))
    expect(lines[0]).toEqual(['id', 'name', 'state', 'models', 'limits', 'expires', 'last used'])
    expect(lines.slice(1)).toHaveLength(2)
    expect(lines).toContainEqual([
      id,
      'shop',
      'valid',
      'digits',
      'budget 5requests/day',
      'never',
      '2026-11-30 18:22 UTC',
    ])
    expect(await keys('show', id)).toMatch(/last used +2026-11-30 18:22 UTC/)
    expect(await json('show', 'other')).not.toHaveProperty('lastUsedAt')
  })

  it('take an id, a name that one key has, or a whole key, of which only the id is used', async () => {
    const key = await create('--models', 'digits')
    const { id, secret } = parseKey(key) ?? { id: '', secret: '' }
    for (const reference of [id, 'shop', key, ` ${key}\n`.trim(), `verge_sk_${id}`]) {
      const said = await keys('show', reference)
      expect(said).toMatch(`Key ${id}`)
      expect(said).not.toContain(secret)
    }
    await create('--models', 'reviews')
    await expect(keys('show', 'shop')).rejects.toThrow(/^Several keys are called "shop": .*Give an id\.$/)
    const typo = id.slice(0, -1) + (id.endsWith('0') ? '1' : '0')
    await expect(keys('show', typo)).rejects.toThrow(`There is no key "${typo}". Did you mean "${id}"?`)
    await expect(keys('show', 'somewhere')).rejects.toThrow(new RegExp(`There are .*${id} \\(shop\\)`))
  })

  it('never repeat a secret, wherever it was given', async () => {
    const key = await create('--models', 'digits')
    const { secret } = parseKey(key) ?? { secret: '' }
    const mistyped = `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`
    await expect(keys('show', mistyped)).rejects.toThrow(/^This is not a whole key: .*\.$/)
    const printed: string[] = []
    for (const method of ['log', 'error', 'warn'] as const) {
      vi.spyOn(console, method).mockImplementation((...texts) => void printed.push(texts.join(' ')))
    }
    for (const args of [
      ['revoke', mistyped],
      ['show', key, key],
      ['list', key],
      ['create', key, '--models', '*'],
      ['create', 'x', '--models', key],
      ['create', 'x', '--models', '*', '--plan', key],
      [key],
      ['show', `--${key}`],
      ['list', '--json', `--name=${key}`],
    ]) {
      await runScript(keysCommand.help, () => keys(...args))
    }
    expect(printed.length).toBeGreaterThanOrEqual(9)
    for (const line of printed) expect(line).not.toContain(secret.slice(0, 8))
    await keys('revoke', key)
    for (const request of cloud.requests) expect(request).not.toContain(secret)
  })

  it('name a key that cannot be read, and end with a failure', async () => {
    await create('--models', 'digits')
    bucket().set('key/0123456789ab', { body: Buffer.from('{"schema":1'), etag: '1' })
    expect(await keys('list')).toMatch(
      /shop[\s\S]*not listed: The record of key 0123456789ab: It is not JSON\. Correct key\/0123456789ab in the bucket/,
    )
    expect(process.exitCode).toBe(1)
    await expect(keys('show', '0123456789ab')).rejects.toThrow('or revoke the key')
    expect(await keys('revoke', '0123456789ab')).toMatch(/^Key 0123456789ab, "unreadable": revoked/)
  })
})

describe('changes', () => {
  it('rotate, update and revoke a key, each on record with the operator, and verified', async () => {
    const first = await create('--models', 'digits', '--rate', '60/1m')
    const { id } = parseKey(first) ?? { id: '' }
    const second = await keys('rotate', 'shop', '--overlap', '7d', '--quiet', '--by', 'ben')
    expect(parseKey(second)?.id).toBe(id)
    expect(second).not.toBe(first)
    const { secrets } = await json('show', id)
    const week = Date.parse(secrets[0].expiresAt) - Date.parse(secrets[1].createdAt)
    expect([secrets.length, week]).toEqual([2, 7 * 86_400_000])
    expect(await keys('update', id, '--rate', 'none', '--budget', '5requests/day', '--name', 'store')).toMatch(
      /"store"[\s\S]*limits +budget 5requests\/day[\s\S]*The key is changed/,
    )
    expect(await keys('update', id, '--name', 'store')).toMatch(/needs no change/)
    const revoked = await keys('revoke', first, '--why', 'found in a repository')
    expect(revoked).toMatch(
      /: revoked\n[\s\S]*found in a repository\n\nThe key is revoked\.\nAll Workers have seen it within 90 s/,
    )
    const { entries } = JSON.parse(await run(auditCommand, '--json', '--key', id))
    expect(entries.map(({ action, by }: { action: string; by: string }) => `${action} ${by}`)).toEqual([
      'key-revoke ann',
      'key-update ann',
      'key-rotate ben',
      'key-create ann',
    ])
    expect(JSON.stringify(entries)).not.toMatch(/salt|hash":"[^"]*"[^}]*createdAt/)
    expect(await run(auditCommand, '--key', 'store')).toMatch(
      /key-update +key\/\w+ .*grant\.limits\.rate: 60\/1m -> none/,
    )
    expect(JSON.parse(await run(auditCommand, '--verify', '--json'))).toMatchObject({ ok: true, records: 3 })
  })

  it('take back what was decided, by "none"', async () => {
    const { id } = parseKey(
      await create(
        ...['--models', 'digits', '--plan', 'free', '--expires', '90d', '--origins', 'https://a.example'],
        ...['--concurrency', '4', '--body', '2MiB', '--batch', '8', '--max-tokens', '5', '--budget', '5requests/day'],
      ),
    ) ?? { id: '' }
    const none = ['plan', 'expires', 'origins', 'concurrency', 'body', 'batch', 'max-tokens', 'budget']
    const updated = await json('update', id, ...none.flatMap((name) => [`--${name}`, 'none']))
    expect(updated).not.toHaveProperty('expiresAt')
    expect(updated.grant).toEqual({
      models: ['digits'],
      actions: ['infer', 'browser'],
      places: ['edge', 'origin', 'browser'],
    })
  })

  it('say when the copy was not written, and end with a failure; the next command writes it', async () => {
    const { id } = parseKey(await create('--models', 'digits')) ?? { id: '' }
    const printed: string[] = []
    vi.spyOn(console, 'error').mockImplementation((...texts) => void printed.push(texts.join(' ')))
    cloud.fault = ({ method, path }) =>
      method === 'PUT' && path.includes('/storage/kv/') ? { status: 403 } : undefined
    expect(await keys('revoke', id)).toMatch(/The key is revoked/)
    expect(process.exitCode).toBe(1)
    expect(printed.join('\n')).toMatch(/The record of key \w+ was written, but its copy in kv may be out of date/)
    cloud.fault = () => undefined
    expect(kv().get(`key/${id}`)?.body.includes('revokedAt')).toBe(false)
    expect(await json('show', id)).toMatchObject({ copied: false })
    expect(await keys('list')).toContain(`1 copy in KV differed and was written again: ${id}`)
    expect(kv().get(`key/${id}`)?.body.includes('revokedAt')).toBe(true)
    expect(await keys('list')).not.toContain('differed')
  })
})

it('mentions the keys that name a model, with the model and when it is removed', async () => {
  await create('--models', 'digits')
  await keys('create', 'all', '--models', '*', '--quiet')
  expect(await run(modelsCommand, 'digits')).toMatch(
    /^keys: \w+ \(shop\), \w+ \(all\)$|^keys: \w+ \(all\), \w+ \(shop\)$/m,
  )
  const plan = await run(rmCommand, 'digits', '--dry-run')
  expect(plan).toMatch(/\n {2}keys that name it keep the name: \w+ \(shop\)\n/)
  expect(await run(rmCommand, 'digits', '--yes')).toMatch(
    /Keys that name the model keep the name, and may use a new model of that name: \w+ \(shop\)/,
  )
  expect(await run(rmCommand, 'reviews', '--dry-run')).not.toContain('keys that')
})

it('works in local storage', async () => {
  at = ['--persist-to', join(folder, 'state')]
  const key = await keys('create', 'local', '--models', 'anything*', '--quiet')
  expect(await keys('revoke', key)).toMatch(/A Worker on this machine has seen it within 30 s/)
  expect(await keys('list')).toMatch(/local +revoked/)
  expect(JSON.parse(await run(auditCommand, '--verify', '--json'))).toMatchObject({ ok: true, entries: 2, records: 1 })
})

it('has a help with examples for the family and each command', async () => {
  expect(await keysCommand.run([])).toBe(keysCommand.help)
  expect(await keysCommand.run(['--help'])).toMatch(/Usage: [\s\S]*Examples:\n {2}npx verge keys /)
  for (const name of Object.keys(keysCommand.subcommands ?? {})) {
    expect(await keysCommand.run([name, '--help'])).toMatch(
      new RegExp(`Usage: npx verge keys ${name}[\\s\\S]*Examples:\n {2}npx verge keys ${name}`),
    )
  }
})
