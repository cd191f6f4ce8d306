import { keyRecordKey } from '../../access/keys/record.ts'
import { readableRecord } from '../../access/keys/writer.ts'
import { readStored } from '../../catalog/change-record.ts'
import { isVergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Store } from '../../weights/store.ts'
import { inParallel } from '../push/pool.ts'

const KEY_PRINCIPAL = 'key:'

/**
 * The names of the keys among these callers, by principal. Keys that are not there any more, or cannot be read, have none.
 * @throws store_unavailable, the signal's reason
 */
export async function namesOf(
  truth: Store,
  principals: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>()
  const read = async (principal: string): Promise<void> => {
    const id = principal.slice(KEY_PRINCIPAL.length)
    const stored = await readStored(truth, keyRecordKey(id), LIMITS.keyRecordBytes, signal)
    if (stored === null) return
    try {
      names.set(principal, readableRecord(stored.bytes, id).name)
    } catch (error) {
      if (!isVergeError(error, 'invalid_request')) throw error
    }
  }
  const keys = principals.filter((principal) => principal.startsWith(KEY_PRINCIPAL))
  await inParallel(keys, LIMITS.parallelFetches, read, signal)
  return names
}
