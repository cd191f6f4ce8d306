import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Command } from '../../../src/cli/command.ts'
import { auditCommand } from '../../../src/cli/commands/audit.ts'
import { releaseCommand } from '../../../src/cli/commands/release.ts'
import { rmCommand } from '../../../src/cli/commands/rm.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { pushModel } from '../../../src/cli/push/push.ts'
import { seed } from '../../../src/cli/seed.ts'
import { openTarget, type TargetSpec } from '../../../src/cli/target/open.ts'
import { pattern } from '../../contract/store.ts'
import { type StandIn, startStandIn } from '../../fixtures/node/cloudflare-stand-in.ts'
import { packedOf } from '../../fixtures/node/packed.ts'

const BUCKET = 'verge-models-production'
const NAMESPACE = '00112233445566778899aabbccddeeff'

let folder: string
let configPath: string
let cloud: StandIn
let at: string[]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-audit-'))
  configPath = join(folder, 'wrangler.toml')
  const toml = await readFile(join(ROOT, 'wrangler.toml'), 'utf8')
  await writeFile(configPath, toml.replaceAll(/^id = .*$/gm, `id = "${NAMESPACE}"`))
})
beforeEach(async () => {
  cloud = await startStandIn()
  cloud.buckets.set(BUCKET, new Map())
  cloud.namespaces.set(NAMESPACE, { title: 'copies', values: new Map() })
  for (const [name, value] of Object.entries(cloud.env)) vi.stubEnv(name, value)
  vi.stubEnv('VERGE_OPERATOR', 'ann')
  at = ['--env', 'production', '--config', configPath]
  process.exitCode = undefined
})
afterEach(async () => {
  process.exitCode = undefined
  vi.unstubAllEnvs()
  await cloud?.close()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const PRODUCTION = (): TargetSpec => ({ env: 'production', remote: true, configPath })

async function fill(...versions: string[]): Promise<void> {
  const target = await openTarget(PRODUCTION())
  for (const version of versions) {
    await pushModel(target, packedOf('m', pattern(500, Number(version)), { version }), { live: true })
  }
  await target.dispose()
}

async function run(command: Command, ...args: string[]): Promise<string> {
  return (await command.run([...args, ...at])) ?? ''
}

const verify = async () => JSON.parse(await run(auditCommand, '--verify', '--json'))
const bucket = () => cloud.buckets.get(BUCKET) ?? new Map<string, { body: Buffer; etag: string }>()
const put = (key: string, value: string) =>
  bucket().set(key, { body: Buffer.from(value), etag: `etag of ${value.length}` })

describe('every change of a model', () => {
  it('is on record with who made it, when, and what was before and after', async () => {
    await fill('1', '2')
    await run(releaseCommand, 'm', '1=90', '2=10')
    await run(releaseCommand, 'm', '--rollback', '--by', 'ben')
    await run(releaseCommand, 'm', '--public')
    await run(releaseCommand, 'm', '--public')
    await run(releaseCommand, 'm', '1', '--dry-run')
    await run(rmCommand, 'm@1', '--yes').catch(() => run(rmCommand, 'm@2', '--yes'))
    await run(rmCommand, 'm', '--yes', '--by', 'cem')
    const lines = (await run(auditCommand)).split('\n').map((line) => line.trim().replace(/ {2,}/g, ' | '))
    expect(lines[0]).toBe('entry | at (UTC) | by | action | record | change')
    const of = (seq: number) => (lines[8 - seq] ?? '').replace(/ \| \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \| /, ' | ').trim()
    expect([1, 2, 3, 4, 5, 6, 7].map(of)).toEqual([
      '1 | ann | publish | alias/m | live: 1; versions: +1; visibility: private',
      '2 | ann | publish | alias/m | live: 1 -> 2; versions: +2',
      '3 | ann | release | alias/m | live: 2 -> 1=90 2=10; canary: 1 against 2',
      '4 | ben | rollback | alias/m | canary: 1 against 2 -> none; live: 1=90 2=10 -> 2',
      '5 | ann | visibility | alias/m | visibility: private -> public',
      '6 | ann | remove-version | alias/m | versions: -1',
      '7 | cem | remove-model | alias/m',
    ])
    expect(await verify()).toMatchObject({ ok: true, entries: 7, faults: [], differences: [], records: 0 })
    const { entries } = JSON.parse(await run(auditCommand, '--json'))
    expect(entries[6]).toMatchObject({ seq: 1, before: null, after: { value: { model: 'm', generation: 1 } } })
    expect(entries[5].before).toEqual(entries[6].after)
  })

  it('is selected by model, time and number', async () => {
    await fill('1', '2')
    const target = await openTarget(PRODUCTION())
    await pushModel(target, packedOf('other', pattern(500)), { live: true })
    await target.dispose()
    const seqs = async (...args: string[]): Promise<unknown> =>
      JSON.parse(await run(auditCommand, '--json', ...args)).entries.map(({ seq }: { seq: number }) => seq)
    expect(await seqs('--model', 'm')).toEqual([2, 1])
    expect(await seqs('--model', 'missing')).toEqual([])
    expect(await seqs('--limit', '1')).toEqual([3])
    expect(await seqs('--since', '1h')).toEqual([3, 2, 1])
    expect(await seqs('--since', '2200-01-01')).toEqual([])
    expect(await run(auditCommand, '--limit', '1')).toMatch(/There are older entries/)
    expect(await run(auditCommand, '--model', 'missing')).toMatch(/^The audit log of .* has no such entries\.$/)
  })

  it('is withdrawn where another command was faster, and both are on record where two operators change at once', async () => {
    await fill('1', '2')
    await Promise.all([
      run(releaseCommand, 'm', '1', '--by', 'ben'),
      run(releaseCommand, 'm', '--public', '--by', 'cem'),
    ])
    const report = await verify()
    expect(report).toMatchObject({ ok: true })
    const { entries } = JSON.parse(await run(auditCommand, '--json'))
    const [made, withdrawn] = [true, false].map((is) =>
      entries.filter(({ action }: { action: string }) => (action !== 'withdrawn') === is),
    )
    expect(made.length - withdrawn.length).toBe(4)
  })

  it('is not recorded as withdrawn where only the answer to the write was lost', async () => {
    await fill('1', '2')
    let lost = 0
    cloud.fault = ({ method, path }) =>
      method === 'PUT' && path.endsWith('/alias/m') && lost++ === 0 ? 'lose-answer' : undefined
    await run(releaseCommand, 'm', '1')
    expect(lost).toBeGreaterThan(1)
    const { entries } = JSON.parse(await run(auditCommand, '--json'))
    expect(entries.map(({ action }: { action: string }) => action)).toEqual(['release', 'publish', 'publish'])
    expect(await verify()).toMatchObject({ ok: true })
  })

  it('is withdrawn where the bucket refuses it', async () => {
    await fill('1', '2')
    cloud.fault = ({ method, path }) => (method === 'PUT' && path.endsWith('/alias/m') ? { status: 403 } : undefined)
    await expect(run(releaseCommand, 'm', '1')).rejects.toThrow('403')
    cloud.fault = () => undefined
    expect(await run(auditCommand, '--limit', '1')).toMatch(/withdrawn +alias\/m +entry 3 was not carried out/)
    expect(await verify()).toMatchObject({ ok: true, entries: 4 })
  })

  it('is not made where it cannot be recorded', async () => {
    await fill('1', '2')
    cloud.fault = ({ method, path }) => (method === 'PUT' && path.includes('/audit/') ? { status: 403 } : undefined)
    await expect(run(releaseCommand, 'm', '1')).rejects.toThrow('403')
    cloud.fault = () => undefined
    expect(JSON.parse(bucket().get('alias/m')?.body.toString() ?? '').live).toEqual([{ version: '2', weight: 1 }])
  })
})

describe('--verify', () => {
  it('finds records that were written past the log, and adopts them when it is told to', async () => {
    await fill('1', '2')
    expect(await run(auditCommand, '--verify')).toMatch(
      /^ok +2 entries: the chain is intact\nok +1 record: each is what was recorded last\n[\s\S]*--expect 2:[0-9a-f]{64}$/,
    )
    expect(process.exitCode).toBeUndefined()
    const now = bucket().get('alias/m')?.body.toString() ?? ''
    put('alias/m', now.replace('"private"', '"public"'))
    put('alias/planted', now)
    expect(await run(auditCommand, '--verify')).toMatch(
      /^fail +alias\/m is not what entry 2 recorded.*\nfail +alias\/planted is not in the log.*\nok +2 entries/,
    )
    expect(process.exitCode).toBe(1)
    await expect(run(auditCommand, '--adopt')).rejects.toThrow('--yes')
    expect(await run(auditCommand, '--adopt', '--yes', '--by', 'ben')).toBe(
      'Recorded as they are now: alias/m, alias/planted',
    )
    expect(await verify()).toMatchObject({ ok: true, entries: 4 })
    expect(await run(auditCommand, '--adopt')).toMatch(/Nothing was changed/)
  })

  it('finds an alias that was put back to an older recorded state', async () => {
    await fill('1')
    const old = bucket().get('alias/m')?.body.toString() ?? ''
    await fill('2')
    put('alias/m', old)
    expect(await verify()).toMatchObject({
      ok: false,
      differences: [{ subject: 'alias/m', kind: 'as-before', seq: 2 }],
    })
  })

  it('compares with an entry that was noted earlier', async () => {
    await fill('1', '2')
    const { last } = await verify()
    expect(await run(auditCommand, '--verify', '--expect', `${last.seq}:${last.hash}`)).toMatch(/^ok/)
    expect(await run(auditCommand, '--verify', '--expect', `${last.seq}:${'0'.repeat(64)}`)).toMatch(
      /^fail +You expected entry 2 with hash 0+, but the log has another one: it was rewritten\./,
    )
    expect(process.exitCode).toBe(1)
  })
})

it('names seeding, and the operator of commands, in local storage', async () => {
  const local = join(folder, 'state')
  await seed({ persistTo: local, models: [packedOf('m', pattern(500), {})] })
  at = ['--persist-to', local]
  await run(releaseCommand, 'm', '--public')
  const { entries } = JSON.parse(await run(auditCommand, '--json'))
  expect(entries.map(({ by, action }: { by: string; action: string }) => [by, action])).toEqual([
    ['ann', 'visibility'],
    ['seeding', 'publish'],
  ])
  expect(await verify()).toMatchObject({ ok: true, records: 1 })
})

it.each([
  [['--limit', '0'], '--limit must be'],
  [['--since', 'yesterday'], '--since takes a period such as 90d or 24h, or a date such as 2027-01-01'],
  [['--since', '2026-02-30'], 'is neither'],
  [['--model', 'No/model'], 'is not a model name'],
  [['--verify', '--adopt'], 'Use either --verify or --adopt'],
  [['--expect', `1:${'0'.repeat(64)}`], '--expect needs --verify'],
  [['--verify', '--expect', '1:abc'], '--expect takes the number and the hash'],
  [['--verify', '--limit', '5'], '--limit cannot be combined'],
  [['--adopt', '--json'], 'Add --yes'],
  [['--by', ''], '--by must have 1 to 64 printable characters'],
  [['--by', 'a\nb'], '--by must have'],
])('refuses %j', async (args, message) => {
  await expect(run(auditCommand, ...args)).rejects.toThrow(message)
})

it('has a help with examples', async () => {
  expect(await auditCommand.run(['--help'])).toMatch(/Usage: [\s\S]*Examples:\n {2}npx verge audit/)
})
