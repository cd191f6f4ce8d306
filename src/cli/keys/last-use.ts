import { readStored } from '../../catalog/change-record.ts'
import { LIMITS } from '../../core/limits.ts'
import { readSnapshot, snapshotNamed, snapshotsOf } from '../../metering/usage/snapshot.ts'
import type { Store } from '../../weights/store.ts'
import { inParallel } from '../push/pool.ts'
import { allKeys } from '../push/references.ts'

const PRINCIPAL = 'key:'
/** A month of a key that uses hundreds of models daily. */
const MOST_BYTES = 8 * 1024 * 1024

/**
 * When keys were used last, in milliseconds since 1970, by their ids. The ledger notes it every few minutes; a key without
 * a note was not used, or not where a ledger counts.
 * @throws store_unavailable, the signal's reason
 */
export async function lastUses(
  truth: Store,
  id: string | undefined,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const newest = new Map<string, string>()
  const prefix = id === undefined ? snapshotsOf() + PRINCIPAL : snapshotsOf(PRINCIPAL + id)
  for (const key of await allKeys(truth, prefix, signal)) {
    const principal = snapshotNamed(key)?.principal
    // lists are in the order of the months
    if (principal !== undefined) newest.set(principal.slice(PRINCIPAL.length), key)
  }
  const uses = new Map<string, number>()
  const read = async ([of, key]: readonly [string, string]): Promise<void> => {
    const stored = await readStored(truth, key, MOST_BYTES, signal)
    const snapshot = stored?.bytes ? readSnapshot(stored.bytes) : undefined
    if (snapshot !== undefined) uses.set(of, snapshot.lastUsedAt)
  }
  await inParallel([...newest], LIMITS.parallelFetches, read, signal)
  return uses
}
