import { describeChange } from '../audit/describe.ts'
import { newestEntry } from '../audit/log.ts'
import { type AuditLimits, entryPages, type StoredEntry } from '../audit/read.ts'
import type { Limits } from '../core/limits.ts'
import type { Sha256Factory } from '../core/runtime.ts'
import type { OperationsChange } from '../protocols/verge/operations.ts'
import type { Store } from '../weights/store.ts'

export interface RecentChangesOptions {
  /** R2. */
  readonly store: Store
  readonly sha256: Sha256Factory
  readonly limits: AuditLimits & Pick<Limits, 'operationsChanges'>
}

/**
 * The newest entries of the audit log. Entries never change, so an isolate reads each once: a look at a log without news
 * takes two reads, of the head and of the entry that may follow.
 */
export class RecentChanges {
  readonly #options: RecentChangesOptions
  /** Newest first. */
  #known: OperationsChange[] = []

  constructor(options: RecentChangesOptions) {
    this.#options = options
  }

  /** @throws store_unavailable, the signal's reason */
  async read(signal: AbortSignal): Promise<OperationsChange[]> {
    const { limits, sha256, store } = this.#options
    const { operationsChanges: most } = limits
    const { seq: newest } = await newestEntry(store, { sha256, limits })
    const known = this.#known
    const last = known[0]?.seq ?? 0
    // A bucket that was emptied begins to count again.
    const kept = last <= newest ? known : []
    const wanted = Math.min(most, kept === known ? newest - last : newest)
    const seqs = Array.from({ length: wanted }, (_, index) => newest - index)
    const read: OperationsChange[] = []
    for await (const page of entryPages(store, seqs, limits, signal)) read.push(...page.flatMap(changeOf))
    this.#known = [...read, ...kept].slice(0, most)
    return this.#known
  }
}

/** Entries that cannot be read are for `verge audit --verify` to report. */
function changeOf({ entry }: StoredEntry): OperationsChange[] {
  if (entry === undefined) return []
  const { action, at, by, seq, subject } = entry
  return [{ seq, at, by, action, subject, change: shortened(describeChange(entry)) }]
}

/** A release that adds a hundred versions names each. */
const MOST_LETTERS = 300

function shortened(text: string): string {
  return text.length <= MOST_LETTERS ? text : `${text.slice(0, MOST_LETTERS - 1)}…`
}
