import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Alias } from '../../../src/catalog/alias.ts'
import { blobKey, manifestKey } from '../../../src/catalog/keys.ts'
import type { Command } from '../../../src/cli/command.ts'
import { auditCommand } from '../../../src/cli/commands/audit.ts'
import { modelsCommand } from '../../../src/cli/commands/models.ts'
import { releaseCommand } from '../../../src/cli/commands/release.ts'
import { rmCommand } from '../../../src/cli/commands/rm.ts'
import { sweepCommand } from '../../../src/cli/commands/sweep.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { pushModel } from '../../../src/cli/push/push.ts'
import { openTarget, type TargetSpec } from '../../../src/cli/target/open.ts'
import { pattern } from '../../contract/store.ts'
import { type StandIn, startStandIn, TOKEN } from '../../fixtures/node/cloudflare-stand-in.ts'
import { packedOf } from '../../fixtures/node/packed.ts'

const BUCKET = 'verge-models-production'
const NAMESPACE = '00112233445566778899aabbccddeeff'

let folder: string
let configPath: string
let cloud: StandIn
let at: string[]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-catalog-'))
  configPath = join(folder, 'wrangler.toml')
  const toml = await readFile(join(ROOT, 'wrangler.toml'), 'utf8')
  await writeFile(configPath, toml.replaceAll(/^id = .*$/gm, `id = "${NAMESPACE}"`))
})
beforeEach(async () => {
  cloud = await startStandIn()
  cloud.buckets.set(BUCKET, new Map())
  cloud.namespaces.set(NAMESPACE, { title: 'copies', values: new Map() })
  for (const [name, value] of Object.entries(cloud.env)) vi.stubEnv(name, value)
  at = ['--env', 'production', '--config', configPath]
  process.exitCode = undefined
})
afterEach(async () => {
  process.exitCode = undefined
  vi.unstubAllEnvs()
  await cloud?.close()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Two versions of `m`, the second live, and `other`, which is public. */
async function fill(spec: TargetSpec = { env: 'production', remote: true, configPath }): Promise<void> {
  const target = await openTarget(spec)
  const versions = ['1', '2'].map((version) => packedOf('m', pattern(2_500, Number(version)), { version }))
  const other = packedOf('other', pattern(500), { visibility: 'public', hot: false })
  for (const packed of [...versions, other]) await pushModel(target, packed, { live: true })
  await target.dispose()
}

async function run(command: Command, ...args: string[]): Promise<string> {
  return (await command.run([...args, ...at])) ?? ''
}

describe('models', () => {
  it('lists what is live, and one model with all its versions', async () => {
    expect(await run(modelsCommand)).toMatch(/^There are no models in verge-production/)
    await fill()
    const list = (await run(modelsCommand)).split('\n')
    expect(list[0]).toMatch(/^model +live +share +visibility +browsers +task +artifacts +generation$/)
    expect(list[1]).toMatch(/^m +2 +100 % +private +raw tensors +edge-fp32 2.4 KiB +2$/)
    expect(list[2]).toMatch(/^other +1 +100 % +public /)
    const one = await run(modelsCommand, 'm')
    expect(one).toMatch(/^m: private, generation 2\nlive: 2; before that: 1\n/)
    expect(one).toMatch(/version 2, live \(100 %\), pushed [-\d]{10} [:\d]{5} UTC\n[\s\S]*version 1, pushed/)
    const { models, faults } = JSON.parse(await run(modelsCommand, '--json'))
    expect(faults).toEqual([])
    expect(models[0]).toMatchObject({
      model: 'm',
      live: [{ version: '2', weight: 1 }],
      versions: [{ version: '2', share: 1, bytes: 2_500, artifacts: [{ id: 'edge-fp32', bytes: 2_500, chunks: 3 }] }],
    })
    expect(JSON.parse(await run(modelsCommand, 'm', '--json')).versions).toHaveLength(2)
    await expect(run(modelsCommand, 'nobody')).rejects.toThrow('There is no model "nobody"')
    await expect(run(modelsCommand, 'No/body')).rejects.toThrow('is not a model name')
  })

  it('says which versions browsers may download', async () => {
    const target = await openTarget({ env: 'production', remote: true, configPath })
    const packed = packedOf('m', pattern(500), {})
    await pushModel(target, { ...packed, manifest: { ...packed.manifest, downloadable: true } }, { live: true })
    await pushModel(target, packedOf('other', pattern(500), {}), { live: true })
    await target.dispose()
    const list = await run(modelsCommand)
    expect(list).toMatch(/^m +1 +100 % +private +download +raw tensors/m)
    expect(list).toMatch(/^other +1 +100 % +private +raw tensors/m)
    expect(await run(modelsCommand, 'm')).toContain('browsers  may download it')
    expect(await run(modelsCommand, 'other')).not.toContain('browsers')
    const downloadable = async (model: string) =>
      JSON.parse(await run(modelsCommand, model, '--json')).versions[0].downloadable
    expect([await downloadable('m'), await downloadable('other')]).toEqual([true, undefined])
  })

  it('shows a canary, and that it was taken out', async () => {
    await fill()
    const target = await openTarget({ env: 'production', remote: true, configPath })
    const live = ['1', '2'].map((version) => ({ version, weight: 50 }))
    const canary = { version: '2', against: '1', shadow: 0.1, guarded: true }
    const { alias } = await target.writer.updateAlias('m', (old) => ({ ...(old as Alias), live, canary }))
    expect(await run(modelsCommand)).toMatch(/^m +1 +50 %[^\n]*\n +2 \(canary\) +50 %/m)
    expect(await run(modelsCommand, 'm')).toContain(
      'trial: canary 2 against 1, outputs of 10 % of requests compared, taken out by itself if it is worse\n',
    )
    const stopped = { generation: alias.generation, version: '2', at: 60, reason: 'errors: 9 of 40' }
    await target.truth.put('alias/m', new TextEncoder().encode(JSON.stringify({ ...alias, stopped })))
    await target.dispose()
    expect(await run(modelsCommand)).toMatch(/^m +1 \(canary 2 stopped\) +100 %/m)
    expect(await run(modelsCommand, 'm')).toContain(
      'trial: canary 2 was taken out 1970-01-01 00:01 UTC: errors: 9 of 40\n',
    )
    expect(JSON.parse(await run(modelsCommand, 'm', '--json'))).toMatchObject({ live: [{ version: '1' }], stopped })
  })

  it('says what it cannot read, and ends with a failure', async () => {
    await fill()
    const target = await openTarget({ env: 'production', remote: true, configPath })
    await target.truth.put('alias/m', new TextEncoder().encode('{'))
    await target.truth.put('manifest/other/1', new TextEncoder().encode('{'))
    await target.dispose()
    const list = await run(modelsCommand)
    expect(list).toMatch(/other .*manifest cannot be read/)
    expect(list).toMatch(/not listed: The alias of model "m" is not JSON/)
    expect(process.exitCode).toBe(1)
  })
})

describe('release', () => {
  const live = async (): Promise<unknown> => JSON.parse(await run(modelsCommand, 'm', '--json')).live

  it('releases, runs a canary, and goes back to what was live alone before', async () => {
    await fill()
    expect(await run(releaseCommand, 'm', '1')).toMatch(/^m is now: live: 1; private; generation 3 \(was live: 2;/)
    expect(await run(releaseCommand, 'm', '1')).toMatch(/^m needs no change/)
    expect(await run(releaseCommand, 'm', '2', '--weight', '10')).toContain('live: 1 (90 %), 2 (10 %)')
    expect(await live()).toEqual([
      { version: '1', weight: 90 },
      { version: '2', weight: 10 },
    ])
    await run(releaseCommand, 'm', '1=25', '2=75')
    expect(await run(modelsCommand)).toMatch(/m +1 +25 %[^\n]*\n +2 \(canary\) +75 %/)
    // not the canary of before
    expect(await run(releaseCommand, 'm', '--rollback')).toContain('live: 1;')
    expect(await live()).toEqual([{ version: '1', weight: 1 }])
  })

  it('goes further back with every rollback, and never forward', async () => {
    await fill()
    const target = await openTarget({ env: 'production', remote: true, configPath })
    for (const version of ['3', '4']) {
      await pushModel(target, packedOf('m', pattern(2_500, Number(version)), { version }), { live: true })
    }
    await run(releaseCommand, 'm', '3=90', '4=10')
    expect(JSON.parse(await run(modelsCommand, 'm', '--json')).history).toEqual(['1', '2', '3', '4'])
    await run(releaseCommand, 'm', '3')
    expect(JSON.parse(await run(modelsCommand, 'm', '--json')).history).toEqual(['1', '2'])
    await run(rmCommand, 'm@4', '--yes')
    expect(await run(releaseCommand, 'm', '--rollback', '--dry-run')).toContain('live: 2')
    expect(await run(releaseCommand, 'm', '--rollback')).toContain('live: 2')
    expect(await run(releaseCommand, 'm', '--rollback')).toContain('live: 1')
    await expect(run(releaseCommand, 'm', '--rollback')).rejects.toThrow(
      'has no older version that was live alone. Name the version to release: 1, 2, 3.',
    )
    // a version that has been removed is passed over
    await run(releaseCommand, 'm', '2')
    await run(releaseCommand, 'm', '3')
    await run(rmCommand, 'm@2', '--yes')
    expect(await run(releaseCommand, 'm', '--rollback')).toContain('live: 1')
    await target.dispose()
  })

  it("understands what an older Verge recorded as live before, and does not take a canary's remains for it", async () => {
    await fill()
    const target = await openTarget({ env: 'production', remote: true, configPath })
    const stored = async (more: object): Promise<void> => {
      const { history: _, ...alias } = JSON.parse(String(cloud.buckets.get(BUCKET)?.get('alias/m')?.body))
      await target.truth.put('alias/m', new TextEncoder().encode(JSON.stringify({ ...alias, ...more })))
    }
    const canary = ['1', '2'].map((version) => ({ version, weight: 50 }))
    await stored({ live: canary, previous: [{ version: '2', weight: 1 }] })
    expect(await run(releaseCommand, 'm', '--rollback')).toContain('live: 2;')
    await stored({ live: [{ version: '2', weight: 1 }], previous: canary })
    await expect(run(releaseCommand, 'm', '--rollback')).rejects.toThrow('has no older version')
    await target.dispose()
  })

  it('records when a version was pushed', async () => {
    const before = Math.floor(Date.now() / 1000)
    await fill()
    const { versions } = JSON.parse(await run(modelsCommand, 'm', '--json'))
    const [{ created }] = versions
    expect(created).toBeGreaterThanOrEqual(before)
    expect(created).toBeLessThanOrEqual(Date.now() / 1000)
    const target = await openTarget({ env: 'production', remote: true, configPath })
    await target.writer.updateAlias('m', (old) => ({ ...(old as Alias), created: { 1: 100, 2: 200 } }))
    await pushModel(target, packedOf('m', pattern(2_500, 2), { version: '2' }), { live: true })
    await target.dispose()
    expect(await run(modelsCommand, 'm')).toContain('version 2, live (100 %), pushed 1970-01-01 00:03 UTC')
  })

  it('changes who may see a model, and both in one write', async () => {
    await fill()
    expect(await run(releaseCommand, 'm', '--public')).toContain('live: 2; public; generation 3')
    const both = JSON.parse(await run(releaseCommand, 'm', '1', '--private', '--json'))
    expect(both).toMatchObject({ visibility: 'private', live: [{ version: '1' }], generation: 4, changed: true })
  })

  it('changes nothing in a dry run', async () => {
    await fill()
    expect(await run(releaseCommand, 'm', '1', '--dry-run')).toMatch(/^m would be: live: 1; .*Nothing was changed/)
    expect(await live()).toEqual([{ version: '2', weight: 1 }])
    await expect(run(releaseCommand, 'm', '3', '--dry-run')).rejects.toMatchObject({ code: 'version_not_found' })
  })

  it('says what cannot be', async () => {
    await fill()
    await expect(run(releaseCommand, 'm', '3')).rejects.toThrow('has no version "3"; it has 1, 2')
    await expect(run(releaseCommand, 'nobody', '1')).rejects.toMatchObject({ code: 'model_not_found' })
    await expect(run(releaseCommand, 'other', '--rollback')).rejects.toThrow('has no older version')
  })

  it.each([
    [[], 'Specify a model'],
    [['m'], 'Specify what to change'],
    [['m', '1', '2'], 'need a percentage each'],
    [['m@2'], 'Separate the model and the version by a space: npx verge release m 2'],
    [['m', '1=5%'], '"1=5%" is not VERSION=PERCENT. Write the percentage as a number, such as 1=5.'],
    [['m', '1=-1'], 'not VERSION=PERCENT'],
    [['m', '1=0'], '1=0 answers no caller. Compare its outputs: npx verge release m 1=0 --shadow 10'],
    [['m', '1=0', '2=100'], 'A share of 0 is for one version alone'],
    [['m', '1=120'], 'at most 100 per cent'],
    [['m', '1=x'], 'not VERSION=PERCENT'],
    [['m', '1=90=3'], 'not VERSION=PERCENT'],
    [['m', '1=90', '2=20'], '1=90 2=20: the percentages add up to 110 instead of 100'],
    [['m', '1=1', '2=3'], 'add up to 4 instead of 100'],
    [['m', '1', '--shadow', '5'], 'is not watched. Give it a share: 1=5.'],
    [['m', '1=5', '--shadow', '101'], '--shadow must be a number from 0 to 100'],
    [['m', '1', '--max-cost', '2'], 'is not watched'],
    [['m', '1=5', '--max-errors', '0'], '--max-errors must be a number from 0.1 to 90'],
    [['m', '1=5', '--max-latency', '0.5'], '--max-latency must be a number from 1 to 100'],
    [['m', '--promote', '--max-cost', '2'], '--promote takes no versions'],
    [['m', '1', '--promote'], '--promote takes no versions'],
    [['m', '--promote', '--rollback'], 'cannot be combined'],
    [['m', '--rollback', '--no-guard'], '--rollback takes no versions'],
    [['m', '..='], 'not VERSION=PERCENT'],
    [['m', '../1'], 'is not a version name'],
    [['m', '1', '--weight', '100'], '--weight needs exactly one version'],
    [['m', '--weight', '5'], '--weight needs exactly one version'],
    [['m', '1', '--rollback'], '--rollback takes no versions'],
    [['m', '--public', '--private'], 'cannot be combined'],
    [['m', '1', '--local'], 'Use either --local'],
    [['m', '1', '--persist-to', 'x'], 'Use either --local'],
  ])('refuses %j before it opens anything', async (args, message) => {
    await expect(run(releaseCommand, ...args)).rejects.toThrow(message)
  })
})

describe('rm', () => {
  it('keeps the newest versions, the live ones, and where a rollback goes', async () => {
    const target = await openTarget({ env: 'production', remote: true, configPath })
    for (const version of ['1', '2', '3', '4', '5', '6']) {
      await pushModel(target, packedOf('m', pattern(900, Number(version)), { version }), { live: version !== '6' })
    }
    await target.dispose()
    // 5 answers, a rollback goes to 4; of 1, 2, 3 and 6 the newest one stays
    await expect(run(rmCommand, 'm@1', '--keep', '1')).rejects.toThrow('leave out @VERSION')
    await expect(run(rmCommand, 'm', '--keep', 'x')).rejects.toThrow('a whole number')
    await expect(run(rmCommand, 'none', '--keep', '1', '--yes')).rejects.toMatchObject({ code: 'model_not_found' })
    expect(await run(rmCommand, 'm', '--keep', '1', '--dry-run')).toMatch(/3 versions of model m: 1, 2, 3\nNothing was/)
    const { removed, versions } = JSON.parse(await run(rmCommand, 'm', '--keep', '1', '--yes', '--json'))
    expect(versions).toEqual(['1', '2', '3'])
    expect(removed).toMatchObject([{ version: '1', result: { chunks: 1, harmed: [] } }, {}, {}])
    const { versions: left } = JSON.parse(await run(modelsCommand, 'm', '--json'))
    expect(left.map(({ version }: { version: string }) => version).sort()).toEqual(['4', '5', '6'])
    expect(await run(rmCommand, 'm', '--keep', '1', '--yes')).toContain('Nothing was changed')
  })

  it('asks, looks only, and removes', async () => {
    await fill()
    await expect(run(rmCommand, 'm')).rejects.toThrow('Run it with --yes')
    await expect(run(rmCommand, 'm@2', '--yes')).rejects.toMatchObject({ code: 'conflict' })
    expect(await run(rmCommand, 'm', '--dry-run')).toMatch(/2 versions: 1, 2\n {2}6 chunks of weights.*\nNothing was/)
    const removed = JSON.parse(await run(rmCommand, 'm@1', '--yes', '--json'))
    expect(removed).toMatchObject({ versions: ['1'], whole: false, result: { chunks: 3, bytes: 2_500, harmed: [] } })
    expect(await run(rmCommand, 'm', '--yes')).toMatch(/^Removed model m, and 3 chunks of weights/)
    await expect(run(modelsCommand, 'm')).rejects.toThrow('There is no model "m"')
    await expect(run(rmCommand, 'm', '--yes')).rejects.toMatchObject({ code: 'model_not_found' })
    expect(JSON.parse(await run(modelsCommand, '--json')).models).toHaveLength(1)
  })

  it('counts what no line holds, and names it if asked', async () => {
    const target = await openTarget({ env: 'production', remote: true, configPath })
    const versions = Array.from({ length: 14 }, (_, index) => `v${10 + index}`)
    for (const version of versions) await pushModel(target, packedOf('m', pattern(500), { version }), { live: true })
    await target.dispose()
    const short = await run(rmCommand, 'm', '--dry-run')
    expect(short).toContain('14 versions: v10, v11, v12, v13, v14, v15, v16, v17, v18, v19 and 4 more (--verbose')
    expect(await run(rmCommand, 'm', '--dry-run', '--verbose')).toContain(`14 versions: ${versions.join(', ')}\n`)
    expect(JSON.parse(await run(rmCommand, 'm', '--dry-run', '--json')).versions).toEqual(versions)
  })

  it.each([
    [[], 'Specify a model or a version'],
    [['m@1@2'], 'is not NAME or NAME@VERSION'],
    [['m@'], 'is not a version name'],
    [['m', '--json'], 'cannot ask for confirmation'],
  ])('refuses %j', async (args, message) => {
    await expect(run(rmCommand, ...args)).rejects.toThrow(message)
  })
})

describe('sweep', () => {
  it('shows what it would do, marks, and deletes after the grace time', async () => {
    await fill()
    await expect(run(sweepCommand, '--grace', 'soon')).rejects.toThrow('--grace takes a period such as 24h or 7d')
    await expect(run(sweepCommand, '--json')).rejects.toThrow('--json cannot ask for confirmation')
    const lost = blobKey('0'.repeat(64))
    const target = await openTarget({ env: 'production', remote: true, configPath })
    await target.truth.put(lost, pattern(2_048))
    await target.dispose()
    expect(await run(sweepCommand, '--dry-run')).toMatch(
      /to be marked: 1 chunk \(2\.0 KiB\)[\s\S]*to be deleted: 0 chunks[\s\S]*Nothing was changed/,
    )
    expect(await run(sweepCommand, '--yes')).toBe('Deleted 0 chunks (0 B). Marked 1; 0 within the grace time.')
    expect(await run(sweepCommand, '--yes')).toBe('Deleted 0 chunks (0 B). Marked 0; 1 within the grace time.')
    // Without --yes it asks, and there is nobody to answer.
    await expect(run(sweepCommand, '--grace', '0s')).rejects.toThrow('Run it with --yes')
    expect(cloud.buckets.get(BUCKET)?.has(lost)).toBe(true)
    expect(JSON.parse(await run(sweepCommand, '--grace', '0s', '--yes', '--json'))).toMatchObject({
      dryRun: false,
      planned: { delete: { digests: ['0'.repeat(64)], bytes: 2_048 } },
      result: { deleted: 1, bytes: 2_048, copies: 0 },
    })
    expect(cloud.buckets.get(BUCKET)?.has(lost)).toBe(false)
    expect(await run(auditCommand)).toMatch(/sweep/)
  })

  it('keeps all weights while a manifest cannot be read, and ends with 1', async () => {
    await fill()
    const target = await openTarget({ env: 'production', remote: true, configPath })
    await target.truth.put(manifestKey('odd', '1'), new Uint8Array([63]))
    await target.dispose()
    expect(await run(sweepCommand, '--yes')).toMatch(/All weights stay, because .* manifest\/odd\/1/)
    expect(process.exitCode).toBe(1)
    process.exitCode = undefined
  })
})

describe('the index of lists', () => {
  it('is written by each change, and made again by --reindex', async () => {
    await fill()
    cloud.buckets.get(BUCKET)?.delete('index/head')
    expect(await run(modelsCommand, '--reindex')).toMatch(/^The index of .* has 2 models\.$/)
    const head = String(cloud.buckets.get(BUCKET)?.get('index/head')?.body)
    expect(JSON.parse(head)).toMatchObject({ complete: true, all: [{ blocks: [['m', 2, 1, expect.any(Number)]] }] })
    await expect(run(modelsCommand, 'm', '--reindex')).rejects.toThrow('Leave the name out')
  })
})

describe('where', () => {
  it('leaves nothing but the audit log, the end of the deletions and an empty index in the bucket and in KV when everything is removed', async () => {
    await fill()
    const released = await run(releaseCommand, 'm', '1', '--public')
    expect(released).toMatch(/live: 1; public; generation 3[\s\S]*within about a minute/)
    const copy = JSON.parse(String(cloud.namespaces.get(NAMESPACE)?.values.get('alias/m')?.body))
    expect(copy).toMatchObject({ generation: 3, live: [{ version: '1' }] })
    for (const model of ['m', 'other']) expect(await run(rmCommand, model, '--yes')).toContain(`Removed model ${model}`)
    const left = [...(cloud.buckets.get(BUCKET)?.keys() ?? [])]
    // the announcement of deletions stays, and names nothing
    expect(left.filter((key) => !key.startsWith('audit')).sort()).toEqual(['deleting/chunks', 'index/head'])
    expect(left).toHaveLength(9)
    expect([...(cloud.namespaces.get(NAMESPACE)?.values.keys() ?? [])]).toEqual([])
  })

  it('says what the account refuses, without its credentials', async () => {
    cloud.fault = ({ path }) => (path.startsWith(`/${BUCKET}`) ? { status: 403 } : undefined)
    const failure = run(modelsCommand)
    await expect(failure).rejects.toThrow(/R2 answered HTTP 403.*Workers R2 Storage: Edit/)
    await failure.catch((error: Error) => expect(error.message).not.toContain(TOKEN))
    at = ['--env', 'nowhere', '--config', configPath]
    await expect(run(modelsCommand)).rejects.toThrow('no environment')
  })

  it('is local storage if nothing else is said', async () => {
    const local = join(folder, 'state')
    await fill({ local })
    at = ['--persist-to', local]
    expect(await run(releaseCommand, 'm', '1')).toMatch(/live: 1; private; generation 3[\s\S]*within 10 s/)
    expect(await run(rmCommand, 'm', '--yes')).toMatch(/^Removed model m, and 6 chunks/)
    expect(await run(modelsCommand)).toMatch(/generation\nother +1 /)
    expect(cloud.requests).toEqual([])
  })
})

it('has a help with examples for each command', async () => {
  for (const command of [modelsCommand, releaseCommand, rmCommand]) {
    expect(await command.run(['--help'])).toMatch(/Usage: [\s\S]*Examples:\n {2}npx verge /)
  }
})
