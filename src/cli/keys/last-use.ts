import { readStored } from '../../catalog/change-record.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Store } from '../../weights/store.ts'
import { inParallel } from '../push/pool.ts'
import { allKeys } from '../push/references.ts'

/** Where the ledger notes the usage of keys: a file a month, `usage/key:<id>/2026-11.json`. */
const PREFIX = 'usage/key:'
const NOTE = /^usage\/key:([0-9a-z]+)\/\d{4}-\d{2}\.json$/
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
  for (const key of await allKeys(truth, id === undefined ? PREFIX : `${PREFIX}${id}/`, signal)) {
    // lists are in the order of the months
    const of = NOTE.exec(key)?.[1]
    if (of !== undefined) newest.set(of, key)
  }
  const uses = new Map<string, number>()
  const read = async ([of, key]: readonly [string, string]): Promise<void> => {
    const stored = await readStored(truth, key, MOST_BYTES, signal)
    const at = lastUseIn(stored?.bytes ?? null)
    if (at !== undefined) uses.set(of, at)
  }
  await inParallel([...newest], LIMITS.parallelFetches, read, signal)
  return uses
}

function lastUseIn(bytes: Uint8Array | null): number | undefined {
  if (bytes === null) return undefined
  try {
    const at = Date.parse(String((JSON.parse(new TextDecoder().decode(bytes)) as { lastUsedAt?: unknown }).lastUsedAt))
    return Number.isNaN(at) ? undefined : at
  } catch {
    return undefined
  }
}
