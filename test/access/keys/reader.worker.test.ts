import { describe, expect, it } from 'vitest'
import { KeyReader } from '../../../src/access/keys/reader.ts'
import { type KeyRecord, keyRecordBytes, keyRecordKey } from '../../../src/access/keys/record.ts'
import { isVergeError, VergeError } from '../../../src/core/errors.ts'
import { LIMITS, type Limits } from '../../../src/core/limits.ts'
import type { LogFields, Logger } from '../../../src/core/runtime.ts'
import { KvStore } from '../../../src/weights/kv.ts'
import { R2Store } from '../../../src/weights/r2.ts'
import type { Store } from '../../../src/weights/store.ts'
import { bindings } from '../../fixtures/bindings.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { issueKey, storeKey } from '../../fixtures/keys.ts'

const kv = new KvStore(bindings.KV)
const r2 = new R2Store(bindings.BUCKET)

/** A store as it is, which counts what is read and can be away. */
function watched(store: Store) {
  const state = { reads: 0, away: false, silent: false }
  const seen: Store = {
    name: store.name,
    head: store.head.bind(store),
    put: store.put.bind(store),
    list: store.list.bind(store),
    delete: store.delete.bind(store),
    get: (key, options) => {
      state.reads++
      if (state.away) return Promise.reject(new VergeError('store_unavailable', 'Gone.'))
      const { signal } = options ?? {}
      if (state.silent)
        return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      return store.get(key, options)
    },
  }
  return { state, store: seen }
}

function reading(changes: Partial<Limits> = {}) {
  const clock = new ManualClock()
  const events: string[] = []
  const note = (event: string, _fields?: LogFields): void => void events.push(event)
  const logger: Logger = { info: note, warn: note, error: note }
  const [copies, truth] = [watched(kv), watched(r2)]
  const reader = new KeyReader(copies.store, truth.store, { clock, logger, limits: { ...LIMITS, ...changes } })
  const reads = (): [kv: number, r2: number] => [copies.state.reads, truth.state.reads]
  return { clock, events, reader, reads, copies: copies.state, truth: truth.state }
}

const code = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'fine',
    (error: unknown) => (isVergeError(error) ? error.code : String(error)),
  )

const revoked = (record: KeyRecord): KeyRecord => ({ ...record, revokedAt: 1, generation: record.generation + 1 })

describe('KeyReader, over real KV and R2', () => {
  it('reads the copy once, and again after its time', async () => {
    const { record } = await issueKey()
    await storeKey(record, kv, r2)
    const { clock, reader, reads } = reading()
    expect(reader.remembered(record.id)).toBeUndefined()
    for (let i = 0; i < 3; i++) expect(await reader.record(record.id)).toEqual(record)
    expect(reads()).toEqual([1, 0])
    expect(reader.remembered(record.id)).toEqual(record)
    await clock.advance(LIMITS.keyTtlMs)
    expect(reader.remembered(record.id)).toBeUndefined()
    await reader.record(record.id)
    expect(reads()).toEqual([2, 0])
  })

  it('reads the truth where there is no copy, and remembers for a while that there is no key', async () => {
    const { record } = await issueKey()
    const { clock, reader, reads } = reading()
    expect(await reader.record(record.id)).toBeNull()
    expect(await reader.record(record.id)).toBeNull()
    expect(reads()).toEqual([1, 1])
    await storeKey(record, r2)
    expect(await reader.record(record.id)).toBeNull()
    await clock.advance(LIMITS.unknownKeyTtlMs)
    expect(await reader.record(record.id)).toEqual(record)
    expect(reads()).toEqual([2, 2])
  })

  it('reads the truth where the copy was written by half, or is not the record of the key', async () => {
    const other = await issueKey()
    for (const damage of [
      (bytes: Uint8Array) => bytes.subarray(0, bytes.length / 2),
      () => new Uint8Array(0),
      () => keyRecordBytes(other.record),
      () => new Uint8Array(LIMITS.keyRecordBytes + 1).fill(32),
    ]) {
      const { record } = await issueKey()
      await storeKey(record, r2)
      await kv.put(keyRecordKey(record.id), damage(keyRecordBytes(record)))
      const { events, reader } = reading()
      expect(await reader.record(record.id)).toEqual(record)
      expect(events).toEqual(['key_copy_unusable'])
    }
  })

  it('lets nobody in by a record that is written by half in the truth', async () => {
    const { record } = await issueKey()
    await r2.put(keyRecordKey(record.id), keyRecordBytes(record).subarray(0, 40))
    const { reader } = reading()
    expect(await code(reader.record(record.id))).toBe('store_unavailable')
    // nor is it remembered
    await storeKey(record, r2)
    expect(await reader.record(record.id)).toEqual(record)
  })

  it('reads the truth where KV is away or silent, and refuses where both are', async () => {
    const { record } = await issueKey()
    await storeKey(record, kv, r2)
    const { clock, copies, reader, reads, truth } = reading()
    copies.away = true
    expect(await reader.record(record.id)).toEqual(record)
    expect(reads()).toEqual([1, 1])
    await clock.advance(LIMITS.keyTtlMs)
    truth.away = true
    // a record that was read before is out of date: it may have been revoked
    expect(await code(reader.record(record.id))).toBe('store_unavailable')
    copies.away = false
    expect(await reader.record(record.id)).toEqual(record)

    await clock.advance(LIMITS.keyTtlMs)
    copies.silent = true
    truth.away = false
    const late = reader.record(record.id)
    await clock.advance(LIMITS.keyCopyMs)
    expect(await late).toEqual(record)

    await clock.advance(LIMITS.keyTtlMs)
    truth.silent = true
    const never = code(reader.record(record.id))
    await clock.advance(LIMITS.keyCopyMs)
    await clock.advance(LIMITS.keyTruthMs)
    expect(await never).toBe('store_unavailable')
  })

  it('never goes back behind a generation that it has read', async () => {
    const { record } = await issueKey()
    const newer = revoked(record)
    await storeKey(newer, r2, kv)
    const { clock, events, reader } = reading()
    expect(await reader.record(record.id)).toEqual(newer)
    // KV answers with what it had before: the truth is asked
    await storeKey(record, kv)
    await clock.advance(LIMITS.keyTtlMs)
    expect(await reader.record(record.id)).toEqual(newer)
    expect(events).toEqual(['key_copy_outdated'])
    // the bucket was set back, too
    await storeKey(record, r2)
    await clock.advance(LIMITS.keyTtlMs)
    expect(await reader.record(record.id)).toEqual(newer)
    expect(events).toEqual(['key_copy_outdated', 'key_copy_outdated', 'key_went_back'])
  })

  it('sees a revocation once its time is over, and at once where it is told to forget', async () => {
    const { record } = await issueKey()
    await storeKey(record, kv, r2)
    const { clock, reader, reads } = reading()
    await reader.record(record.id)
    const newer = revoked(record)
    await storeKey(newer, r2)
    await clock.advance(LIMITS.keyTtlMs - 1)
    expect(await reader.record(record.id)).toEqual(record)
    reader.forget(record.id)
    expect(reader.remembered(record.id)).toBeUndefined()
    // the copy is still the old one: it is not asked
    expect(await reader.record(record.id)).toEqual(newer)
    expect(reads()).toEqual([1, 1])
  })

  it('does not take a copy that was being read while it was told to forget', async () => {
    const { record } = await issueKey()
    await storeKey(record, kv, r2)
    const { clock, reader } = reading()
    await reader.record(record.id)
    const newer = revoked(record)
    await storeKey(newer, r2)
    await clock.advance(LIMITS.keyTtlMs)
    const running = reader.record(record.id)
    reader.forget(record.id)
    expect(await running).toEqual(newer)
  })

  it('remembers so many unknown ids, and no more', async () => {
    const { reader, reads } = reading({ unknownKeysCached: 4 })
    const ids = Array.from({ length: 8 }, (_, i) => `zzzzzzzzzz${i}0`)
    for (const id of ids) expect(await reader.record(id)).toBeNull()
    expect(ids.map((id) => reader.remembered(id))).toEqual([...Array(4).fill(undefined), ...Array(4).fill(null)])
    expect(reads()).toEqual([8, 8])
  })

  it('keeps what it knows of keys within its bytes, however many ids are invented', async () => {
    const { record } = await issueKey()
    await storeKey(record, kv, r2)
    const { reader, reads } = reading({ unknownKeysCached: 4 })
    await reader.record(record.id)
    for (let i = 0; i < 16; i++) await reader.record(`zzzzzzzzz${100 + i}`)
    expect(await reader.record(record.id)).toEqual(record)
    expect(reads()).toEqual([17, 16])
  })

  it('ends with its request', async () => {
    const { record } = await issueKey()
    const { copies, reader } = reading()
    copies.silent = true
    const controller = new AbortController()
    const running = code(reader.record(record.id, controller.signal))
    controller.abort(new VergeError('cancelled', 'Gone.'))
    expect(await running).toBe('cancelled')
  })
})
