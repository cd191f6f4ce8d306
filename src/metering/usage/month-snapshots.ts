import { readAtMost } from '../../weights/body.ts'
import type { Store } from '../../weights/store.ts'
import { readSnapshot, snapshotNamed, snapshotsOf, type UsageSnapshot } from './snapshot.ts'

export interface MonthRequest {
  /** `2026-11` */
  readonly month: string
  /** Left out: all. */
  readonly principal?: string | undefined
  /** Most snapshots, and most pages of the list of all months' snapshots, that are looked through for them. */
  readonly most: number
  readonly pages?: number
}

/** Where the snapshots of a month are. `truncated`: there may be more. @throws store_unavailable, the signal's reason */
export async function monthSnapshotKeys(
  store: Pick<Store, 'list'>,
  { month, most, pages = Number.POSITIVE_INFINITY, principal }: MonthRequest,
  signal: AbortSignal,
): Promise<{ readonly keys: readonly string[]; readonly truncated: boolean }> {
  const keys: string[] = []
  let cursor: string | undefined
  for (let page = 0; page < pages; page++) {
    const listed = await store.list(snapshotsOf(principal), { cursor, signal })
    keys.push(...listed.keys.filter((key) => snapshotNamed(key)?.month === month))
    cursor = listed.cursor
    if (cursor === undefined || keys.length > most) break
  }
  return { keys: keys.slice(0, most), truncated: cursor !== undefined || keys.length > most }
}

/** A stored snapshot; undefined if there is none that this version of Verge can read. */
export async function snapshotAt(
  store: Pick<Store, 'get'>,
  key: string,
  mostBytes: number,
  signal: AbortSignal,
): Promise<UsageSnapshot | undefined> {
  const found = await store.get(key, { signal })
  const bytes = found && (await readAtMost(found.body, mostBytes, signal))
  return bytes ? readSnapshot(bytes) : undefined
}
