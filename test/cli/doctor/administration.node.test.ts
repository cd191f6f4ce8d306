import { randomBytes } from 'node:crypto'
import { beforeEach, expect, it } from 'vitest'
import { KeyWriter } from '../../../src/access/keys/writer.ts'
import { auditKey } from '../../../src/audit/entry.ts'
import { checkAdministration } from '../../../src/cli/doctor/administration.ts'
import { pushModel } from '../../../src/cli/push/push.ts'
import { auditLogOf, writerOf } from '../../../src/cli/target/target.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { systemClock } from '../../../src/core/runtime.ts'
import { nodeSha256 } from '../../../src/origin/sha256.ts'
import { text } from '../../contract/store.ts'
import { MemoryStore } from '../../fixtures/memory-store.ts'
import { packedOf } from '../../fixtures/node/packed.ts'

const NOW = Date.parse('2026-11-30T18:00:00Z')
const DAY = 86_400

let truth: MemoryStore
let copy: MemoryStore
let writer: KeyWriter

beforeEach(() => {
  truth = new MemoryStore({ name: 'r2' })
  copy = new MemoryStore({ name: 'kv' })
  const audit = auditLogOf(truth, 'ann')
  const clock = { ...systemClock, now: () => NOW }
  writer = new KeyWriter(truth, [copy], { sha256: nodeSha256, clock, random: randomBytes, limits: LIMITS, audit })
})

const grant = { models: ['*'], actions: ['infer'], places: ['edge'] } as const

async function check(plans?: ReadonlySet<string>, env?: string) {
  const checks = await checkAdministration(truth, copy, { env, plans, now: NOW })
  return checks.map(({ area, status, finding, fix }) => [`${status} ${area}: ${finding}`, fix])
}

it('says nothing of keys where there are none', async () => {
  expect(await check()).toEqual([
    ['ok audit log: the chain of 0 entries is intact, and each alias and key is what was recorded last', undefined],
  ])
})

it('finds keys, copies and a log as they should be', async () => {
  const { record } = await writer.create({ name: 'shop', grant: { ...grant, plan: 'free' } })
  await writer.create({ name: 'other', grant })
  await writer.revoke(record.id)
  expect(await check(new Set())).toEqual([
    ['ok keys: 2 keys, 1 valid: all can be read, and KV has the same', undefined],
    ['ok audit log: the chain of 3 entries is intact, and each alias and key is what was recorded last', undefined],
  ])
})

it('names what has ended or ends soon, and plans that do not exist', async () => {
  const seconds = NOW / 1000
  const old = await writer.create({ name: 'old', grant, expiresAt: seconds - 1 })
  const soon = await writer.create({ name: 'soon', grant, expiresAt: seconds + 13 * DAY })
  await writer.create({ name: 'later', grant, expiresAt: seconds + 15 * DAY })
  expect((await check()).slice(0, 3)).toEqual([
    ['ok keys: 3 keys, 2 valid: all can be read, and KV has the same', undefined],
    [`warn keys: 1 key expired: ${old.record.id} (old)`, expect.stringMatching(/update ID --expires 90d$/)],
    [
      `warn keys: 1 key will expire soon: ${soon.record.id} (soon) 2026-12-13 18:00 UTC`,
      expect.stringMatching(/--expires 90d$/),
    ],
  ])
  const planned = await writer.create({ name: 'planned', grant: { ...grant, plan: 'gold' } })
  expect((await check(new Set(['free']), 'staging'))[0]).toEqual([
    `fail keys: 1 key with a plan that PLANS does not have: ${planned.record.id} (planned): gold`,
    'Add the plan to PLANS, or: npx verge keys update ID --plan NAME --env staging',
  ])
  expect((await check(new Set(['gold'])))[0]?.[0]).toMatch(/^ok keys: 4 keys/)
})

it('finds a copy that differs, one that is missing, and a record that cannot be read', async () => {
  const ids: string[] = []
  for (const name of ['a', 'b', 'c']) ids.push((await writer.create({ name, grant })).record.id)
  const [a = '', b = '', c = ''] = ids
  await copy.put(`key/${a}`, text('{}'))
  await copy.delete(`key/${b}`)
  await truth.put(`key/${c}`, text('{"schema":1'))
  const checks = await check(undefined, 'production')
  expect(checks[0]?.[0]).toMatch(`fail keys: key ${c} cannot be read: The record of key ${c}: It is not JSON.`)
  expect(checks[0]?.[1]).toBe(`npx verge keys revoke ${c} --env production`)
  expect(checks[1]?.[0]).toBe(`fail keys: the copies of 3 keys in KV differ from R2: ${[a, b, c].sort().join(', ')}`)
  expect(checks[1]?.[1]).toMatch(/npx verge keys list --env production$/)
  expect(checks[2]?.[0]).toBe(
    `fail audit log: key/${c} is not what entry 3 recorded: Verge's commands did not write it.`,
  )
})

it('fails for a log that was changed, and warns of records that are older than the log', async () => {
  await pushModel({ truth, copies: [copy], writer: writerOf(truth, [copy]) }, packedOf('m', new Uint8Array(10)), {
    live: true,
  })
  expect(await check()).toEqual([
    [
      "warn audit log: alias/m is not in the log: it is older than the log, or Verge's commands did not write it.",
      expect.stringMatching(/npx verge audit --adopt$/),
    ],
  ])
  await writer.create({ name: 'a', grant })
  await writer.create({ name: 'b', grant })
  await truth.delete(auditKey(1))
  expect((await check()).at(-1)).toEqual([
    expect.stringMatching(/^fail audit log: Entry 1 is missing\. \(and \d problems more\)$/),
    'npx verge audit --verify shows all. docs/audit.md explains them.',
  ])
})
