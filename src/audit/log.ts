import { canonicalBytes } from '../catalog/canonical-json.ts'
import type { Change, ChangeLog, RecordedChange } from '../catalog/change-log.ts'
import { isVergeError, VergeError } from '../core/errors.ts'
import type { Clock, Logger, Sha256Factory } from '../core/runtime.ts'
import { sha256Hex } from '../core/sha256.ts'
import type { Store } from '../weights/store.ts'
import { AUDIT_PREFIX, AUDIT_SCHEMA, auditKey, HEAD_KEY, hashOf, NO_HASH, seqOf } from './entry.ts'
import { type AuditLimits, type Head, readEntry, readHead, type StoredEntry } from './read.ts'

export interface AuditLogOptions {
  /** Who makes the changes. */
  readonly by: string
  readonly sha256: Sha256Factory
  /** Counts from 1970. */
  readonly clock: Pick<Clock, 'now'>
  readonly logger?: Logger
  readonly limits: AuditLimits
}

/** What an entry says, before it has a place in the chain. */
type Content = Change & { readonly withdraws?: number }

/**
 * The audit log of a bucket: entries that are only ever added, each with the hash of the one before. Several commands
 * may write at once: an entry is put only where there is none, so that one of them gets each number.
 */
export class AuditLog implements ChangeLog {
  readonly #store: Store
  readonly #options: AuditLogOptions

  /** @param store the source of truth; the log has no copies */
  constructor(store: Store, options: AuditLogOptions) {
    this.#store = store
    this.#options = options
  }

  async record(change: Change): Promise<RecordedChange> {
    const { subject } = change
    const withdraws = await this.#append(change)
    const withdrawn = { action: 'withdrawn', subject, before: null, after: null, withdraws }
    return { withdraw: async () => void (await this.#append(withdrawn)) }
  }

  /** @returns the number of the entry */
  async #append(content: Content): Promise<number> {
    const { limits, sha256, by, clock } = this.#options
    const noted = await readHead(this.#store, limits)
    let last = await newestAfter(this.#store, noted.head, this.#options)
    for (let attempt = 0; attempt < limits.auditAppendAttempts; attempt++) {
      const seq = last.seq + 1
      const at = new Date(clock.now()).toISOString()
      const entry = { schema: AUDIT_SCHEMA, seq, at, by, ...content, previous: last.hash }
      const hash = await hashOf(entry, sha256)
      const bytes = canonicalBytes({ ...entry, hash })
      if (bytes.length > limits.auditEntryBytes) throw tooLarge(content.subject, limits)
      if (
        (await this.#store.put(auditKey(seq), bytes, { onlyIf: 'absent' })) !== null ||
        (await this.#isOwn(seq, hash))
      ) {
        await this.#noteHead({ seq, hash }, noted.etag)
        return seq
      }
      last = await newestAfter(this.#store, last, this.#options)
    }
    throw new VergeError('conflict', 'Other commands keep writing the audit log. Nothing was changed. Try again.', {
      retryAfter: 1,
    })
  }

  /** A client that loses the answer to a write sends it again, and is refused because of the first. */
  async #isOwn(seq: number, hash: string): Promise<boolean> {
    return (await readEntry(this.#store, seq, this.#options.limits))?.entry?.hash === hash
  }

  /** A head that is not noted lags behind, and the next command reads forward from it. */
  async #noteHead(head: Head, etag: string | undefined): Promise<void> {
    const bytes = canonicalBytes({ schema: AUDIT_SCHEMA, ...head })
    try {
      await this.#store.put(HEAD_KEY, bytes, { onlyIf: etag === undefined ? 'absent' : { etag } })
    } catch (error) {
      if (!isVergeError(error, 'store_unavailable')) throw error
      this.#options.logger?.warn('audit_head_not_noted', { error })
    }
  }
}

/** What the log is read with. */
export type ChainReading = Pick<AuditLogOptions, 'sha256' | 'limits'>

/** The newest entry; number 0 if there is none. @throws store_unavailable */
export async function newestEntry(store: Store, options: ChainReading): Promise<Head> {
  return newestAfter(store, (await readHead(store, options.limits)).head, options)
}

/** The newest entry, from the noted one forward; by a list of the keys if none is noted, or it lags far behind. */
async function newestAfter(store: Store, noted: Head | undefined, options: ChainReading): Promise<Head> {
  let last = noted ?? (await newestListed(store, options))
  for (let steps = 0; steps < options.limits.auditReadsForward; steps++) {
    const next = await readEntry(store, last.seq + 1, options.limits)
    if (next === undefined) return last
    last = { seq: next.seq, hash: await chainHash(next, options.sha256) }
  }
  return newestListed(store, options)
}

async function newestListed(store: Store, { sha256, limits }: ChainReading): Promise<Head> {
  let newest = 0
  let cursor: string | undefined
  do {
    const page = await store.list(AUDIT_PREFIX, { cursor })
    for (const key of page.keys) newest = Math.max(newest, seqOf(key) ?? 0)
    cursor = page.cursor
  } while (cursor !== undefined)
  const entry = newest === 0 ? undefined : await readEntry(store, newest, limits)
  return { seq: newest, hash: entry === undefined ? NO_HASH : await chainHash(entry, sha256) }
}

/**
 * What the next entry gives as `previous`. An entry that cannot be read counts by its bytes: the log continues after it,
 * because a lost key has to be revoked all the same, and verification reports the entry.
 */
export async function chainHash({ entry, bytes }: StoredEntry, sha256: Sha256Factory): Promise<string> {
  return entry?.hash ?? (await sha256Hex(sha256, bytes ?? new Uint8Array(0)))
}

function tooLarge(subject: string, { auditEntryBytes }: AuditLimits): VergeError {
  return new VergeError(
    'conflict',
    `The change of ${subject} does not fit an entry of the audit log, which has at most ${auditEntryBytes} bytes. ` +
      'Nothing was changed. Remove versions that are not live.',
  )
}
