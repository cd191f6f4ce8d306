import { KEY_RECORD_PREFIX, type KeyRecord, keyRecordKey } from '../../access/keys/record.ts'
import { readableRecord } from '../../access/keys/writer.ts'
import { readStored } from '../../catalog/change-record.ts'
import { equal } from '../../catalog/copies.ts'
import { isVergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Store } from '../../weights/store.ts'
import { inParallel } from '../push/pool.ts'
import { allKeys } from '../push/references.ts'

export interface KeyInventory {
  /** Oldest first. */
  readonly keys: readonly KeyRecord[]
  /** What cannot be read, by id. */
  readonly unreadable: ReadonlyMap<string, string>
}

/** Every key of a bucket. @throws store_unavailable, the signal's reason */
export async function listKeys(truth: Store, signal?: AbortSignal): Promise<KeyInventory> {
  const keys: KeyRecord[] = []
  const unreadable = new Map<string, string>()
  const read = async (key: string): Promise<void> => {
    const id = key.slice(KEY_RECORD_PREFIX.length)
    const stored = await readStored(truth, key, LIMITS.keyRecordBytes, signal)
    // removed since it was listed
    if (stored === null) return
    try {
      keys.push(readableRecord(stored.bytes, id))
    } catch (error) {
      if (!isVergeError(error, 'invalid_request')) throw error
      unreadable.set(id, error.message)
    }
  }
  await inParallel(await allKeys(truth, KEY_RECORD_PREFIX, signal), LIMITS.parallelFetches, read, signal)
  return { keys: keys.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1)), unreadable }
}

/** Ids of keys whose copies differ from the truth, or have none there. @throws store_unavailable, the signal's reason */
export async function outdatedCopies(truth: Store, copies: readonly Store[], signal?: AbortSignal): Promise<string[]> {
  const outdated = new Set<string>()
  for (const copy of copies) {
    const [there, copied] = [
      await allKeys(truth, KEY_RECORD_PREFIX, signal),
      await allKeys(copy, KEY_RECORD_PREFIX, signal),
    ]
    const compare = async (key: string): Promise<void> => {
      const read = async (store: Store) => (await readStored(store, key, LIMITS.keyRecordBytes, signal))?.bytes ?? null
      if (!equal(await read(truth), await read(copy))) outdated.add(key.slice(KEY_RECORD_PREFIX.length))
    }
    await inParallel([...new Set([...there, ...copied])], LIMITS.parallelFetches, compare, signal)
  }
  return [...outdated].sort()
}

/** Whether a copy of this key differs from the truth. @throws store_unavailable, the signal's reason */
export async function isCopied(
  truth: Store,
  copies: readonly Store[],
  id: string,
  signal: AbortSignal,
): Promise<boolean> {
  const read = async (store: Store) =>
    (await readStored(store, keyRecordKey(id), LIMITS.keyRecordBytes, signal))?.bytes ?? null
  const wanted = await read(truth)
  for (const copy of copies) if (!equal(await read(copy), wanted)) return false
  return true
}
