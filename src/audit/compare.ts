import type { Sha256Factory } from '../core/runtime.ts'
import { forEachPiece } from '../weights/body.ts'
import type { Store } from '../weights/store.ts'
import type { AuditLimits } from './read.ts'
import type { Recorded } from './verify.ts'

/** A record that is not what the log says. */
export interface Difference {
  readonly subject: string
  /**
   * `unrecorded`: the log has no entry about it. `as-before`: it is as it was before the last entry, so that a command was
   * interrupted, or somebody has put an old record back. `changed`: it is neither. `missing`, `present`: there is no
   * record, or there is one, against the last entry.
   */
  readonly kind: 'unrecorded' | 'as-before' | 'changed' | 'missing' | 'present'
  /** The last entry about it. */
  readonly seq?: number
  /** SHA-256 of the record; null if there is none. */
  readonly sha256: string | null
}

export interface CompareOptions {
  /** What the keys of records that the log is about begin with: `alias/`. */
  readonly prefixes: readonly string[]
  readonly sha256: Sha256Factory
  readonly limits: Pick<AuditLimits, 'auditPage'>
  readonly signal?: AbortSignal | undefined
}

/** Compares records with what the log says about them last. @throws store_unavailable, the signal's reason */
export async function compareRecords(
  store: Store,
  recorded: ReadonlyMap<string, Recorded>,
  { prefixes, sha256, limits, signal }: CompareOptions,
): Promise<{ readonly records: number; readonly differences: readonly Difference[] }> {
  const keys = new Set<string>()
  for (const prefix of prefixes) {
    let cursor: string | undefined
    do {
      const page = await store.list(prefix, { cursor, signal })
      for (const key of page.keys) keys.add(key)
      cursor = page.cursor
    } while (cursor !== undefined)
  }
  const records = keys.size
  for (const subject of recorded.keys()) keys.add(subject)
  const subjects = [...keys].sort()
  const differences: Difference[] = []
  for (let at = 0; at < subjects.length; at += limits.auditPage) {
    const compared = subjects.slice(at, at + limits.auditPage).map(async (subject) => {
      const present = await digestOf(store, subject, sha256, signal)
      return differenceOf(subject, present, recorded.get(subject))
    })
    for (const difference of await Promise.all(compared)) if (difference !== undefined) differences.push(difference)
  }
  return { records, differences }
}

function differenceOf(subject: string, sha256: string | null, last: Recorded | undefined): Difference | undefined {
  if (last === undefined) return { subject, kind: 'unrecorded', sha256 }
  if (last.after === sha256) return undefined
  const { seq } = last
  if (last.before === sha256) return { subject, kind: 'as-before', seq, sha256 }
  const kind = sha256 === null ? 'missing' : last.after === null ? 'present' : 'changed'
  return { subject, kind, seq, sha256 }
}

/** SHA-256 of a record, whatever its length; null if there is none. */
async function digestOf(
  store: Store,
  key: string,
  sha256: Sha256Factory,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  const found = await store.get(key, { signal })
  if (found === null) return null
  const digest = sha256()
  await forEachPiece(found.body, (piece) => digest.update(piece), signal)
  return digest.hex()
}
