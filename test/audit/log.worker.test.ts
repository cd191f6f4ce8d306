import { describe, expect, it } from 'vitest'
import { AUDIT_PREFIX, auditKey, HEAD_KEY, NO_HASH, parseEntry } from '../../src/audit/entry.ts'
import { AuditLog } from '../../src/audit/log.ts'
import { verifyChain } from '../../src/audit/verify.ts'
import { canonicalJson } from '../../src/catalog/canonical-json.ts'
import type { Change } from '../../src/catalog/change-log.ts'
import { LIMITS, type Limits } from '../../src/core/limits.ts'
import { sha256Factory } from '../../src/core/sha256.ts'
import { R2Store } from '../../src/weights/r2.ts'
import type { Store } from '../../src/weights/store.ts'
import { readValue, text } from '../contract/store.ts'
import { bindings } from '../fixtures/bindings.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { partOfStore } from '../fixtures/part-of-store.ts'

const sha256 = sha256Factory()
const DIGEST = 'ab'.repeat(32)

const newStore = (): Store => partOfStore(new R2Store(bindings.BUCKET), `log-${crypto.randomUUID()}/`)

function logOf(store: Store, by = 'ann', limits: Partial<Limits> = {}): AuditLog {
  return new AuditLog(store, { by, sha256, clock: new ManualClock(), limits: { ...LIMITS, ...limits } })
}

const change = (fields: Partial<Change> = {}): Change => ({
  action: 'release',
  subject: 'alias/m',
  before: null,
  after: { sha256: DIGEST, value: { live: '1' } },
  ...fields,
})

async function entryAt(store: Store, seq: number) {
  return parseEntry(await readValue(store, auditKey(seq))).entry
}

const verified = (store: Store) => verifyChain(store, { sha256, limits: LIMITS })

describe('the audit log', () => {
  it('chains entries by the SHA-256 of their canonical JSON, as anything else would compute it', async () => {
    const store = newStore()
    const log = logOf(store)
    await log.record(change())
    await log.record(change({ action: 'rollback' }))
    const [first, second] = [await entryAt(store, 1), await entryAt(store, 2)]
    expect(first).toMatchObject({ schema: 1, seq: 1, at: '1970-01-01T00:00:00.000Z', by: 'ann', previous: NO_HASH })
    expect(first).toMatchObject({ action: 'release', subject: 'alias/m', before: null, after: { sha256: DIGEST } })
    expect(second?.previous).toBe(first?.hash)
    const { hash, ...content } = JSON.parse(
      new TextDecoder().decode((await readValue(store, auditKey(2))) ?? undefined),
    )
    const digest = await crypto.subtle.digest('SHA-256', text(canonicalJson(content)))
    expect(hash).toBe(Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join(''))
    const head = JSON.parse(new TextDecoder().decode((await readValue(store, HEAD_KEY)) ?? undefined))
    expect(head).toEqual({ schema: 1, seq: 2, hash })
  })

  it('gives each of several operators who write at once a number of their own', async () => {
    const store = newStore()
    const operators = ['ann', 'ben', 'cem', 'dot', 'eva']
    await Promise.all(
      operators.map(async (by) => {
        for (let i = 0; i < 4; i++) await logOf(store, by).record(change({ subject: `alias/${by}` }))
      }),
    )
    const report = await verified(store)
    expect(report).toMatchObject({ entries: 20, faults: [], last: { seq: 20 } })
    const by = await Promise.all(Array.from({ length: 20 }, async (_, at) => (await entryAt(store, at + 1))?.by))
    expect(by.sort()).toEqual(operators.flatMap((name) => [name, name, name, name]))
  })

  it('says when it loses too many races, and writes nothing', async () => {
    const store = newStore()
    const outrun: Store = {
      ...store,
      async put(key, value, options) {
        if (key.startsWith(AUDIT_PREFIX)) await logOf(store, 'faster').record(change())
        return store.put(key, value, options)
      },
    }
    const losing = logOf(outrun, 'ann', { auditAppendAttempts: 3 }).record(change())
    await expect(losing).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/Nothing was changed/),
    })
    expect(await verified(store)).toMatchObject({ entries: 3, faults: [] })
  })

  it.each([
    ['lags', (store: Store, first: Uint8Array) => store.put(HEAD_KEY, first)],
    ['is lost', (store: Store) => store.delete(HEAD_KEY)],
    ['cannot be read', (store: Store) => store.put(HEAD_KEY, text('{'))],
  ])('continues where the head %s, and notes it again', async (_, damage) => {
    for (const auditReadsForward of [2, 100]) {
      const store = newStore()
      await logOf(store).record(change())
      const first = (await readValue(store, HEAD_KEY)) ?? new Uint8Array(0)
      for (let i = 0; i < 5; i++) await logOf(store).record(change())
      await damage(store, first)
      await logOf(store, 'ben', { auditReadsForward }).record(change())
      const report = await verified(store)
      expect(report).toMatchObject({ entries: 7, faults: [] })
      const head = JSON.parse(new TextDecoder().decode((await readValue(store, HEAD_KEY)) ?? undefined))
      expect(head).toMatchObject(report.last)
    }
  })

  it('writes entries although the head cannot be written', async () => {
    const store = newStore()
    const refusing: Store = {
      ...store,
      put: (key, value, options) => (key === HEAD_KEY ? Promise.resolve(null) : store.put(key, value, options)),
    }
    for (let i = 0; i < 3; i++) await logOf(refusing).record(change())
    expect(await verified(store)).toMatchObject({ entries: 3, faults: [] })
  })

  it('recognises its own entry where the answer to the write was lost and the client wrote again', async () => {
    const store = newStore()
    const twice: Store = {
      ...store,
      async put(key, value, options) {
        await store.put(key, value, options)
        return store.put(key, value, options)
      },
    }
    await logOf(twice).record(change())
    await logOf(twice).record(change())
    expect(await verified(store)).toMatchObject({ entries: 2, faults: [] })
  })

  it('continues after an entry that cannot be read, because keys have to be revoked all the same', async () => {
    const store = newStore()
    for (let i = 0; i < 2; i++) await logOf(store).record(change())
    await store.put(auditKey(2), text('damaged'))
    await store.delete(HEAD_KEY)
    await logOf(store).record(change())
    const { faults, entries } = await verified(store)
    expect(entries).toBe(3)
    expect(faults).toEqual([{ seq: 2, finding: 'Entry 2 is not JSON.' }])
  })

  it('records that a change was not made', async () => {
    const store = newStore()
    await logOf(store).record(change({ after: { sha256: 'cd'.repeat(32) } }))
    const entry = await logOf(store).record(change())
    await entry.withdraw()
    expect(await entryAt(store, 3)).toMatchObject({ action: 'withdrawn', subject: 'alias/m', withdraws: 2 })
    const { recorded } = await verified(store)
    expect(recorded.get('alias/m')).toEqual({ seq: 1, before: null, after: 'cd'.repeat(32) })
  })

  it('refuses a change that is too large for an entry', async () => {
    const store = newStore()
    const value = 'x'.repeat(LIMITS.auditEntryBytes)
    await expect(logOf(store).record(change({ after: { sha256: DIGEST, value } }))).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/does not fit an entry/),
    })
    expect((await store.list('')).keys).toEqual([])
  })
})
