import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { grantSchema } from '../../../src/access/grant.ts'
import { usageCommand } from '../../../src/cli/commands/usage.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { keyWriterOf } from '../../../src/cli/keys/open.ts'
import { openTarget } from '../../../src/cli/target/open.ts'
import { snapshotKey, writeSnapshot } from '../../../src/metering/usage/snapshot.ts'
import { dayOf, monthOf } from '../../../src/metering/usage/usage-by-day.ts'
import { type StandIn, startStandIn } from '../../fixtures/node/cloudflare-stand-in.ts'
import { counts } from '../../fixtures/usage.ts'

/** The id of a key that has no record. */
const GONE = '0k3m9qv7x2ab'
const NAMESPACE = '00112233445566778899aabbccddeeff'

let folder: string
let configPath: string
let cloud: StandIn

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-usage-'))
  configPath = join(folder, 'wrangler.toml')
  const toml = await readFile(join(ROOT, 'wrangler.toml'), 'utf8')
  await writeFile(configPath, toml.replaceAll(/^id = .*$/gm, `id = "${NAMESPACE}"`))
})
beforeEach(async () => {
  cloud = await startStandIn()
  cloud.buckets.set('verge-models-production', new Map())
  cloud.namespaces.set(NAMESPACE, { title: 'copies', values: new Map() })
  for (const [name, value] of Object.entries(cloud.env)) vi.stubEnv(name, value)
})
afterEach(async () => {
  process.exitCode = undefined
  vi.unstubAllEnvs()
  await cloud?.close()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function run(...args: string[]): Promise<string> {
  return (await usageCommand.run([...args, '--env', 'production', '--config', configPath])) ?? ''
}

async function createKey(name: string): Promise<{ id: string; text: string }> {
  const target = await openTarget({ env: 'production', remote: true, configPath })
  const grant = grantSchema.parse({ models: ['*'] })
  const { record, text } = await keyWriterOf(target).create({ name, grant })
  await target.dispose()
  return { id: record.id, text }
}

/** @param day of the usage */
async function fill(principals: readonly string[], day: string): Promise<void> {
  const target = await openTarget({ env: 'production', remote: true, configPath })
  const month = monthOf(day)
  const at = Date.parse(day)
  for (const principal of principals) {
    const days = new Map([[day, new Map([['a@1', counts({ requests: 3 })]])]])
    await target.truth.put(snapshotKey(principal, month), writeSnapshot({ principal, month, at, lastUsedAt: at, days }))
  }
  await target.dispose()
}

describe('usage', () => {
  it('is that of this month by caller, of one key by model, or of a day', async () => {
    expect(await run()).toMatch(/^No usage of \d{4}-\d{2} is in verge-production/)
    await fill([`key:${GONE}`, 'anonymous'], dayOf(Date.now()))
    expect((await run()).split('\n').slice(1, 4)).toEqual([
      expect.stringMatching(/^anonymous +3 /),
      expect.stringMatching(/^key:0k3m9qv7x2ab +3 /),
      expect.stringMatching(/^total +6 /),
    ])
    expect((await run('--principal', 'anonymous', '--group', 'key')).split('\n')[1]).toMatch(/^anonymous +3 /)
  })

  it('of a key is found by its name, its id or its whole text, which is not repeated, and is shown with the name', async () => {
    const { id, text } = await createKey('shop')
    await fill([`key:${id}`, `key:${GONE}`], dayOf(Date.now()))
    expect(await run()).toMatch(new RegExp(`^key:${id} +shop +3 `, 'm'))
    expect(JSON.parse(await run('--json')).data).toContainEqual(
      expect.objectContaining({ key: `key:${id}`, name: 'shop', requests: 3 }),
    )
    for (const key of ['shop', id, `key:${id}`, text]) {
      expect((await run('--key', key)).split('\n')[1], key).toMatch(/^a@1 +3 /)
    }
    expect((await run('--key', id, '--group', 'day')).split('\n')[1]).toMatch(/^\d{4}-\d{2}-\d{2} +3 /)
    await expect(run('--key', 'shoq')).rejects.toThrow('There is no key "shoq". Did you mean "shop"?')
    await expect(run('--key', `${text}x`)).rejects.toThrow(/^This is not a whole key: /)
  })

  it('of a key whose record is gone is found by its id', async () => {
    await fill([`key:${GONE}`], dayOf(Date.now()))
    expect((await run('--key', GONE)).split('\n')[1]).toMatch(/^a@1 +3 /)
  })

  it('of another month is read with --month, for programs with --json', async () => {
    await fill(['key:one'], '2026-02-03')
    const { data, total } = JSON.parse(await run('--month', '2026-02', '--group', 'day', '--json'))
    expect(data).toMatchObject([{ day: '2026-02-03', requests: 3 }])
    expect(total.requests).toBe(3)
  })

  it('says what is wrong with its options', async () => {
    await expect(run('--month', '2026-13')).rejects.toThrow('"2026-13" is not a month. Write it as 2026-11.')
    await expect(run('--group', 'hour')).rejects.toThrow('--group must be one of key, day, model.')
    await expect(run('--key', 'a', '--principal', 'b')).rejects.toThrow('Use either --key or --principal.')
    await expect(run('--principal', 'a b')).rejects.toThrow('"a b" is not the name of a caller.')
  })
})
