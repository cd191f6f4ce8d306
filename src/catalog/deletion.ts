import * as z from 'zod'
import { throwIfAborted, VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Clock } from '../core/runtime.ts'
import type { Store } from '../weights/store.ts'
import { canonicalBytes } from './canonical-json.ts'
import { readStored, type StoredRecord } from './change-record.ts'
import { equal } from './copies.ts'

/**
 * R2 has no conditional deletion. Commands that delete chunks announce them in this one record, by a conditional write,
 * and only then look whether a manifest names them. Commands that publish store their manifest, and only then read this
 * record. So at least one of the two sees the other, in whatever order their steps come (decision 24).
 */
export const DELETION_KEY = 'deleting/chunks'

const SCHEMA = 1

const announcementSchema = z.looseObject({
  schema: z.literal(SCHEMA),
  /** Of the command that deletes. */
  id: z.string().min(1).max(64),
  /** Counts the batches of one command, so that no two announcements are equal. */
  batch: z.number().int().nonnegative(),
  /** Digests; empty if nothing is being deleted. */
  digests: z.array(z.string().max(64)),
})

export type DeletionLimits = Pick<
  Limits,
  'deletionAbandonedMs' | 'deletionMs' | 'deletionPollMs' | 'deletionRecordBytes'
>

export interface DeletionOptions {
  readonly clock: Clock
  readonly limits: DeletionLimits
  readonly signal?: AbortSignal | undefined
}

interface Announcement {
  readonly stored: StoredRecord | null
  /** Null if the record cannot be read: it may name anything. */
  readonly digests: ReadonlySet<string> | null
}

/**
 * Waits until no command deletes one of these chunks. Called between storing a manifest and checking that its chunks are
 * there. The announcement of a command that was killed is withdrawn after `deletionAbandonedMs`.
 * @throws store_unavailable, the signal's reason
 */
export async function untilNotDeleted(
  truth: Store,
  digests: ReadonlySet<string>,
  options: DeletionOptions,
): Promise<void> {
  const concerns = (announced: Announcement['digests']): boolean =>
    announced === null || [...announced].some((digest) => digests.has(digest))
  await untilFree(truth, concerns, options, async ({ etag = '' }) => {
    const nothing = canonicalBytes({ schema: SCHEMA, id: 'abandoned', batch: 0, digests: [] })
    return (await truth.put(DELETION_KEY, nothing, { onlyIf: { etag }, signal: options.signal })) !== null
  })
}

/**
 * How many chunks a command announces to delete now, or announced before it was killed; null if the record cannot be read.
 * @throws store_unavailable
 */
export async function chunksBeingDeleted(truth: Store, limits: DeletionLimits): Promise<number | null> {
  return (await readAnnouncement(truth, limits, undefined)).digests?.size ?? null
}

/** Announces what a command deletes, batch by batch. Only one command at a time has an announcement. */
export class Deletion {
  readonly #truth: Store
  readonly #id: string
  readonly #options: DeletionOptions
  #batch = 0
  #etag: string | undefined
  #announcedAt = 0

  /** @param id no other command has it */
  constructor(truth: Store, id: string, options: DeletionOptions) {
    this.#truth = truth
    this.#id = id
    this.#options = options
  }

  /**
   * Announces chunks in place of those before, which are deleted or left by now. Afterwards the caller reads the manifests
   * again, and deletes what none of them names.
   * @throws conflict if another command took over, store_unavailable, the signal's reason
   */
  async announce(digests: readonly string[]): Promise<void> {
    if (this.#etag !== undefined) {
      if (await this.#write(digests, { etag: this.#etag })) return
      throw takenOver()
    }
    for (;;) {
      const concerns = (announced: Announcement['digests']): boolean => announced === null || announced.size > 0
      const { stored } = await untilFree(this.#truth, concerns, this.#options, async () => true)
      const { etag = '' } = stored ?? {}
      if (await this.#write(digests, stored === null ? 'absent' : { etag })) return
    }
  }

  /**
   * To be called before each deletion. Another command may take over the announcement of one that has not changed it for
   * long, so a deletion must not begin late.
   * @throws conflict
   */
  assertInTime(): void {
    const { clock, limits } = this.#options
    if (clock.now() - this.#announcedAt >= limits.deletionMs) throw takenOver()
  }

  /**
   * Announces that nothing is deleted any more. Not to be called while a deletion may still arrive: the announcement is then
   * left, and others wait until it counts as abandoned.
   * @throws store_unavailable
   */
  async end(): Promise<void> {
    if (this.#etag === undefined) return
    await this.#write([], { etag: this.#etag })
    this.#etag = undefined
  }

  async #write(digests: readonly string[], onlyIf: { readonly etag: string } | 'absent'): Promise<boolean> {
    const bytes = canonicalBytes({ schema: SCHEMA, id: this.#id, batch: this.#batch++, digests })
    // before the write: others count from when they see it
    const announcedAt = this.#options.clock.now()
    const put = await this.#truth.put(DELETION_KEY, bytes, { onlyIf })
    const etag = put?.etag ?? (await this.#etagIfOwn(bytes))
    if (etag === undefined) return false
    this.#etag = etag
    this.#announcedAt = announcedAt
    return true
  }

  /** A client that loses the answer to a conditional write sends the write again, and is refused because of the first. */
  async #etagIfOwn(bytes: Uint8Array): Promise<string | undefined> {
    const stored = await readStored(this.#truth, DELETION_KEY, this.#options.limits.deletionRecordBytes)
    return stored !== null && equal(stored.bytes, bytes) ? stored.etag : undefined
  }
}

/**
 * Reads the record until it does not concern the caller, or until `takeOver` has dealt with one that was abandoned.
 * @returns the record as it was read last
 */
async function untilFree(
  truth: Store,
  concerns: (digests: Announcement['digests']) => boolean,
  { clock, limits, signal }: DeletionOptions,
  takeOver: (stored: StoredRecord) => Promise<boolean>,
): Promise<Announcement> {
  let seen: string | undefined
  let since = clock.now()
  for (;;) {
    throwIfAborted(signal)
    const found = await readAnnouncement(truth, limits, signal)
    if (found.stored === null || !concerns(found.digests)) return found
    // by the clock of this command alone, from when it saw the record: no two clocks are compared
    if (found.stored.etag !== seen) {
      seen = found.stored.etag
      since = clock.now()
    }
    if (clock.now() - since >= limits.deletionAbandonedMs && (await takeOver(found.stored))) return found
    await clock.sleep(limits.deletionPollMs, signal)
  }
}

async function readAnnouncement(
  truth: Store,
  { deletionRecordBytes }: DeletionLimits,
  signal: AbortSignal | undefined,
): Promise<Announcement> {
  const stored = await readStored(truth, DELETION_KEY, deletionRecordBytes, signal)
  if (stored === null) return { stored, digests: new Set() }
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(stored.bytes ?? new Uint8Array(0)))
    const parsed = announcementSchema.safeParse(json)
    return { stored, digests: parsed.success ? new Set(parsed.data.digests) : null }
  } catch {
    return { stored, digests: null }
  }
}

function takenOver(): VergeError {
  return new VergeError(
    'conflict',
    'The deletion took too long, so it was stopped: another command may rely on the remaining weights. Run ' +
      'the command again.',
  )
}
