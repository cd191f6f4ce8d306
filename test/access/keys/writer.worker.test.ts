import { describe, expect, it } from 'vitest'
import { parseKey } from '../../../src/access/keys/form.ts'
import { KeyReader } from '../../../src/access/keys/reader.ts'
import { findSecret, keyRecordKey, MOST_SECRETS } from '../../../src/access/keys/record.ts'
import { keyFault } from '../../../src/access/keys/state.ts'
import { type KeyDecisions, KeyWriter } from '../../../src/access/keys/writer.ts'
import type { Change } from '../../../src/catalog/change-log.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { type Clock, silentLogger, systemClock } from '../../../src/core/runtime.ts'
import { sha256Factory } from '../../../src/core/sha256.ts'
import { unavailable } from '../../../src/weights/body.ts'
import { KvStore } from '../../../src/weights/kv.ts'
import { R2Store } from '../../../src/weights/r2.ts'
import type { Store } from '../../../src/weights/store.ts'
import { readValue, text } from '../../contract/store.ts'
import { bindings } from '../../fixtures/bindings.ts'

const sha256 = sha256Factory()
const r2 = new R2Store(bindings.BUCKET)
const kv = new KvStore(bindings.KV)
const random = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length))

const DECISIONS: KeyDecisions = {
  name: 'shop',
  grant: { models: ['digits'], actions: ['infer'], places: ['edge'], limits: { rate: { requests: 60, seconds: 60 } } },
}

interface Options {
  readonly copies?: readonly Store[]
  readonly now?: () => number
}

/** A writer whose pauses take no time, and what it put on record. */
function writing({ copies = [kv], now = Date.now }: Options = {}) {
  const clock: Clock = { ...systemClock, now, sleep: async () => undefined }
  const changes: Change[] = []
  const audit = {
    async record(change: Change) {
      changes.push(change)
      return { withdraw: async () => void changes.pop() }
    },
  }
  return { writer: new KeyWriter(r2, copies, { sha256, clock, random, limits: LIMITS, audit }), changes }
}

const stored = async (store: Store, id: string) =>
  new TextDecoder().decode((await readValue(store, keyRecordKey(id))) ?? new Uint8Array(0))

const readerOf = (copy: Store = kv) =>
  new KeyReader(copy, r2, { clock: systemClock, logger: silentLogger, limits: LIMITS })

/** KV that refuses every write. */
const refusing: Store = {
  name: 'kv',
  head: (key) => kv.head(key),
  get: (key, options) => kv.get(key, options),
  list: (prefix, options) => kv.list(prefix, options),
  put: () => Promise.reject(unavailable('kv', new Error('refused'))),
  delete: () => Promise.reject(unavailable('kv', new Error('refused'))),
}

describe('a new key', () => {
  it('is what a Worker accepts, from KV and from R2, and its secret is nowhere', async () => {
    const { writer, changes } = writing()
    const { record, text: key, outdated } = await writer.create(DECISIONS)
    expect(outdated).toBeUndefined()
    const parts = parseKey(key)
    expect(parts?.id).toBe(record.id)
    const read = await readerOf().record(record.id)
    expect(read).toEqual(record)
    expect(read && (await findSecret(read, parts?.secret ?? ''))).toMatchObject({ createdAt: record.createdAt })
    expect(read && (await findSecret(read, `${parts?.secret.slice(1)}x`))).toBeUndefined()
    for (const store of [r2, kv]) expect(await stored(store, record.id)).not.toContain(parts?.secret)
    const [secret] = record.secrets
    const recorded = JSON.stringify(changes)
    for (const hidden of [parts?.secret, secret?.hash, secret?.salt]) expect(recorded).not.toContain(hidden)
    expect(changes).toMatchObject([
      {
        action: 'key-create',
        subject: `key/${record.id}`,
        before: null,
        after: { value: { name: 'shop', generation: 1 } },
      },
    ])
  })

  it('works although KV has no copy, and the next command writes it', async () => {
    const { record, text: key, outdated } = await writing({ copies: [refusing] }).writer.create(DECISIONS)
    expect(parseKey(key)?.id).toBe(record.id)
    expect(outdated?.message).toMatch(/was written, but its copy in kv may be out of date/)
    expect(await stored(kv, record.id)).toBe('')
    expect(await readerOf().record(record.id)).toEqual(record)
    const again = await writing().writer.update(record.id, () => DECISIONS)
    expect(again).toMatchObject({ changed: false, record: { generation: 1 } })
    expect(await stored(kv, record.id)).toBe(await stored(r2, record.id))
  })

  it('is refused where a Worker would not read it', async () => {
    const { writer, changes } = writing()
    for (const [field, wrong] of [
      ['name', { name: '' }],
      ['grant', { grant: { ...DECISIONS.grant, models: ['No Model'] } }],
      ['expiresAt', { expiresAt: -1 }],
    ] as const) {
      await expect(writer.create({ ...DECISIONS, ...wrong }), field).rejects.toMatchObject({
        code: 'invalid_request',
        message: expect.stringMatching(new RegExp(`The key's "${field}`)),
      })
    }
    expect(changes).toEqual([])
  })
})

describe('rotation', () => {
  it('adds a secret, and the one before ends after the overlap', async () => {
    let seconds = 1_000_000
    const { writer } = writing({ now: () => seconds * 1000 })
    const first = await writer.create(DECISIONS)
    seconds += 10
    const second = await writer.rotate(first.record.id, 3600)
    expect(second.record.secrets.map(({ expiresAt }) => expiresAt)).toEqual([1_003_610, undefined])
    const ends = async (key: string): Promise<number | undefined> =>
      (await findSecret(second.record, parseKey(key)?.secret ?? ''))?.expiresAt
    expect([await ends(first.text), await ends(second.text)]).toEqual([1_003_610, undefined])
    expect(keyFault(second.record, 1_003_610, 1_003_609_999)).toBeUndefined()
    expect(keyFault(second.record, 1_003_610, 1_003_610_000)).toMatchObject({ reason: 'replaced' })
    // an earlier end stays
    const third = await writer.rotate(first.record.id, 86_400)
    expect(third.record.secrets.map(({ expiresAt }) => expiresAt)).toEqual([1_003_610, 1_086_410, undefined])
  })

  it('keeps the last secrets only, and refuses to end one early', async () => {
    let seconds = 1_000_000
    const { writer } = writing({ now: () => seconds * 1000 })
    const { record } = await writer.create(DECISIONS)
    for (let i = 1; i < MOST_SECRETS; i++) await writer.rotate(record.id, 60)
    await expect(writer.rotate(record.id, 60)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/has 8 secrets that are valid/),
    })
    expect((await writer.rotate(record.id, 0)).record.secrets).toHaveLength(MOST_SECRETS)
    seconds += 60
    expect((await writer.rotate(record.id, 60)).record.secrets).toHaveLength(MOST_SECRETS)
  })

  it('is refused for a key that has ended', async () => {
    let seconds = 1_000_000
    const { writer } = writing({ now: () => seconds * 1000 })
    const { record } = await writer.create({ ...DECISIONS, expiresAt: 1_000_100 })
    seconds = 1_000_100
    await expect(writer.rotate(record.id, 60)).rejects.toThrow('has expired')
    await writer.revoke(record.id)
    await expect(writer.rotate(record.id, 60)).rejects.toThrow('was revoked, and stays revoked')
    await expect(writer.update(record.id, () => DECISIONS)).rejects.toThrow('was revoked, and stays revoked')
    await expect(writer.rotate('000000000000', 60)).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('revocation', () => {
  it('is seen by readers, and is not done twice', async () => {
    const { writer, changes } = writing()
    const { record } = await writer.create(DECISIONS)
    const reader = readerOf()
    await reader.record(record.id)
    expect(await writer.revoke(record.id, 'lost')).toMatchObject({ changed: true, record: { revokedWhy: 'lost' } })
    expect(await writer.revoke(record.id, 'lost again')).toMatchObject({
      changed: false,
      record: { revokedWhy: 'lost' },
    })
    reader.forget(record.id)
    const read = await reader.record(record.id)
    expect(read && keyFault(read, undefined, Date.now())).toMatchObject({ reason: 'revoked' })
    expect(changes.map(({ action }) => action)).toEqual(['key-create', 'key-revoke'])
  })

  it('says that a copy may still let the key in, and the next command writes it', async () => {
    const { record } = await writing().writer.create(DECISIONS)
    const { outdated } = await writing({ copies: [refusing] }).writer.revoke(record.id)
    expect(outdated?.code).toBe('store_unavailable')
    expect(await stored(kv, record.id)).not.toContain('revokedAt')
    expect(await writing().writer.revoke(record.id)).toMatchObject({ changed: false })
    expect(await stored(kv, record.id)).toContain('revokedAt')
  })

  it.each(['', '{"schema":1,"id', '{"schema":2}'])(
    'replaces a half-written record, whose copy is still accepted: %j',
    async (damaged) => {
      const { writer, changes } = writing()
      const { record } = await writer.create(DECISIONS)
      await r2.put(keyRecordKey(record.id), text(damaged))
      const reader = readerOf()
      expect(await reader.record(record.id)).toEqual(record)
      await expect(writer.read(record.id)).rejects.toMatchObject({
        code: 'invalid_request',
        message: expect.stringMatching(/Correct key\/[0-9a-z]{12} in the bucket, or revoke the key\.$/),
      })
      await expect(writer.update(record.id, () => DECISIONS)).rejects.toMatchObject({ code: 'invalid_request' })
      const revoked = await writer.revoke(record.id, 'damaged')
      expect(revoked.record.generation).toBeGreaterThan(record.generation)
      // also an isolate that has read the old record takes it
      reader.forget(record.id)
      expect(await reader.record(record.id)).toEqual(revoked.record)
      expect(await stored(kv, record.id)).toBe(await stored(r2, record.id))
      expect(changes.at(-1)).toMatchObject({ action: 'key-revoke', before: { sha256: expect.any(String) } })
    },
  )
})

it('takes the changes of operators at once one after the other', async () => {
  const { record } = await writing().writer.create(DECISIONS)
  const { writer, changes } = writing()
  const [, , , rotated] = await Promise.all([
    writer.update(record.id, ({ grant }) => ({ name: 'other', grant })),
    writer.update(record.id, ({ name, grant }) => ({ name, grant: { ...grant, models: ['reviews'] } })),
    writing().writer.rotate(record.id, 60),
    writing().writer.rotate(record.id, 60),
  ])
  const last = await writer.read(record.id)
  expect(last).toMatchObject({ name: 'other', grant: { models: ['reviews'] }, generation: 5 })
  expect(last.secrets).toHaveLength(3)
  expect(await findSecret(last, parseKey(rotated?.text ?? '')?.secret ?? '')).toBeDefined()
  expect(await stored(kv, record.id)).toBe(await stored(r2, record.id))
  expect(changes).toHaveLength(2)
})

it('refuses a grant that makes the record too large', async () => {
  const { writer } = writing()
  const { record } = await writer.create(DECISIONS)
  const limits = { ...LIMITS, keyRecordBytes: 600 }
  const small = new KeyWriter(r2, [], { sha256, clock: systemClock, random, limits })
  const models = Array.from({ length: 20 }, (_, i) => `a-model-with-a-long-name-${i}`)
  await expect(
    small.update(record.id, () => ({ ...DECISIONS, grant: { ...DECISIONS.grant, models } })),
  ).rejects.toThrow(/would have \d+ bytes; the limit is 600/)
})
