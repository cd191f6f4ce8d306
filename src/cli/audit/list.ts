import type { AuditEntry } from '../../audit/entry.ts'
import { newestEntry } from '../../audit/log.ts'
import { downFrom, entryPages } from '../../audit/read.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Store } from '../../weights/store.ts'
import { nodeSha256 } from '../pack/bytes.ts'

export interface ListedEntries {
  /** Newest first. */
  readonly entries: readonly AuditEntry[]
  /** Whether older entries match, too. */
  readonly more: boolean
  /** Entries that cannot be read, a line each. */
  readonly faults: readonly string[]
}

export interface EntryFilter {
  /** Key of the record: `alias/digits`. */
  readonly subject?: string | undefined
  /** Milliseconds since 1970. */
  readonly since?: number | undefined
  readonly limit: number
}

/** The newest entries that match, read from the end backwards. @throws store_unavailable, the signal's reason */
export async function listEntries(store: Store, filter: EntryFilter, signal: AbortSignal): Promise<ListedEntries> {
  const { subject, since, limit } = filter
  const entries: AuditEntry[] = []
  const faults: string[] = []
  const last = await newestEntry(store, { sha256: nodeSha256, limits: LIMITS })
  for await (const page of entryPages(store, downFrom(last.seq), LIMITS, signal)) {
    for (const { seq, entry, fault } of page) {
      if (entry === undefined) {
        faults.push(`Entry ${seq} ${fault}.`)
        continue
      }
      // Clocks of several machines differ, so that an entry may be older than the one before it.
      if (since !== undefined && Date.parse(entry.at) < since) continue
      if (subject !== undefined && entry.subject !== subject) continue
      if (entries.length === limit) return { entries, more: true, faults }
      entries.push(entry)
    }
    const oldest = page.at(-1)?.entry
    if (since !== undefined && oldest !== undefined && Date.parse(oldest.at) < since - CLOCKS_APART_MS) break
  }
  return { entries, more: false, faults }
}

/** No two operators' clocks differ by more, it is hoped. */
const CLOCKS_APART_MS = 86_400_000
