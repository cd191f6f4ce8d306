import { describe, expect, it } from 'vitest'
import { auditKey, HEAD_KEY, hashOf, parseEntry } from '../../src/audit/entry.ts'
import { AuditLog } from '../../src/audit/log.ts'
import { verifyChain } from '../../src/audit/verify.ts'
import { canonicalBytes } from '../../src/catalog/canonical-json.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { sha256Factory } from '../../src/core/sha256.ts'
import { R2Store } from '../../src/weights/r2.ts'
import type { Store } from '../../src/weights/store.ts'
import { readValue, text } from '../contract/store.ts'
import { bindings } from '../fixtures/bindings.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { partOfStore } from '../fixtures/part-of-store.ts'

const sha256 = sha256Factory()
const OTHER = 'cd'.repeat(32)

const newStore = (): Store => partOfStore(new R2Store(bindings.BUCKET), `verify-${crypto.randomUUID()}/`)

const verified = (store: Store, expected?: { seq: number; hash: string }) =>
  verifyChain(store, { sha256, limits: LIMITS, expected })

/** A log of so many entries. */
async function filled(entries: number): Promise<Store> {
  const store = newStore()
  const log = new AuditLog(store, { by: 'ann', sha256, clock: new ManualClock(), limits: LIMITS })
  for (let i = 0; i < entries; i++) {
    await log.record({ action: 'release', subject: 'alias/m', before: null, after: { sha256: OTHER, value: { i } } })
  }
  return store
}

async function contentOf(store: Store, seq: number): Promise<Record<string, unknown>> {
  return { ...parseEntry(await readValue(store, auditKey(seq))).entry }
}

const findings = async (store: Store): Promise<string[]> => (await verified(store)).faults.map(({ finding }) => finding)

describe('an entry that was changed', () => {
  it.each([
    ['schema', 2],
    ['seq', 7],
    ['at', '2020-01-01T00:00:00.000Z'],
    ['by', 'mallory'],
    ['action', 'rollback'],
    ['subject', 'alias/other'],
    ['before', { sha256: OTHER }],
    ['after', { sha256: OTHER, value: { i: 5 } }],
    ['after', { sha256: 'ef'.repeat(32), value: { i: 1 } }],
    ['after', null],
    ['withdraws', 1],
    ['unknown', 'field'],
    ['previous', OTHER],
    ['hash', OTHER],
  ])('is found by its hash: %s', async (field, value) => {
    const store = await filled(3)
    await store.put(auditKey(2), canonicalBytes({ ...(await contentOf(store, 2)), [field]: value }))
    expect(await findings(store)).toContain('Entry 2 was changed: its hash differs from its contents.')
  })

  it.each(['schema', 'seq', 'at', 'by', 'action', 'subject', 'before', 'after', 'previous'])(
    'is found without its %s',
    async (field) => {
      const store = await filled(3)
      const { [field]: _, ...rest } = await contentOf(store, 2)
      await store.put(auditKey(2), canonicalBytes(rest))
      expect(await findings(store)).toEqual([
        `Entry 2 is invalid at "${field}".`,
        expect.stringMatching(/^Entry 3 does not continue the chain: .* Entry 2 was changed or replaced\.$/),
      ])
    },
  )

  it('is found without its hash, which its bytes then have', async () => {
    const store = await filled(3)
    const { hash: _, ...rest } = await contentOf(store, 2)
    await store.put(auditKey(2), canonicalBytes(rest))
    expect(await findings(store)).toEqual(['Entry 2 is invalid at "hash".'])
  })

  it('is found by the next one, if its hash was computed again', async () => {
    const store = await filled(3)
    const forged = { ...(await contentOf(store, 2)), by: 'mallory' }
    await store.put(auditKey(2), canonicalBytes({ ...forged, hash: await hashOf(forged, sha256) }))
    expect(await findings(store)).toEqual([
      'Entry 3 does not continue the chain: it names another hash of the entry before. Entry 2 was changed or replaced.',
    ])
  })

  it('is found by the head, if it is the last one', async () => {
    const store = await filled(3)
    const forged = { ...(await contentOf(store, 3)), by: 'mallory' }
    await store.put(auditKey(3), canonicalBytes({ ...forged, hash: await hashOf(forged, sha256) }))
    expect(await findings(store)).toEqual([expect.stringMatching(/^audit-head notes entry 3 .* it was rewritten\.$/)])
  })

  it('is found where only its bytes differ, not what they state', async () => {
    const store = await filled(2)
    await store.put(auditKey(1), text(JSON.stringify(await contentOf(store, 1), null, 1)))
    expect(await findings(store)).toEqual(['Entry 1 was changed: it is not written as Verge writes it.'])
    await store.put(auditKey(1), new Uint8Array(LIMITS.auditEntryBytes + 1))
    expect((await findings(store))[0]).toBe('Entry 1 is longer than an entry can be.')
  })
})

describe('an entry that is missing', () => {
  it('is found at the beginning, in the middle and at the end', async () => {
    const store = await filled(6)
    for (const seq of [1, 3, 4, 6]) await store.delete(auditKey(seq))
    expect(await findings(store)).toEqual([
      'Entry 1 is missing.',
      'Entries 3 to 4 are missing.',
      expect.stringMatching(
        /^audit-head notes entry 6 .* the log ends with entry 5: entries were removed at its end\.$/,
      ),
    ])
  })

  it('is found at the end, with the head set back, by what was noted elsewhere', async () => {
    const store = await filled(3)
    const { last } = await verified(store)
    expect((await verified(store, last)).faults).toEqual([])
    const { hash } = await contentOf(store, 2)
    await store.delete(auditKey(3))
    await store.put(HEAD_KEY, canonicalBytes({ schema: 1, seq: 2, hash }))
    expect(await findings(store)).toEqual([])
    expect((await verified(store, last)).faults).toEqual([
      { finding: expect.stringMatching(/^You expected entry 3 .* the log ends with entry 2/) },
    ])
  })

  it('is not missed in an empty log', async () => {
    expect(await verified(newStore())).toMatchObject({ entries: 0, faults: [], last: { seq: 0 } })
  })
})

it('finds what is not of the log, and a withdrawal of nothing', async () => {
  const store = await filled(1)
  await store.put('audit/x', text('{}'))
  expect(await findings(store)).toEqual(['audit/x is not a key of an entry. Verge did not write it.'])
  const log = new AuditLog(store, { by: 'ann', sha256, clock: new ManualClock(), limits: LIMITS })
  const entry = await log.record({ action: 'release', subject: 'alias/m', before: null, after: null })
  await entry.withdraw()
  await entry.withdraw()
  expect(await findings(store)).toContain('Entry 4 withdraws entry 2, which is not a change of alias/m.')
})
