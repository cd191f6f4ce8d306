import type { Sha256Factory } from '../core/runtime.ts'
import { sha256Hex } from '../core/sha256.ts'
import { readAtMost } from '../weights/body.ts'
import type { Store } from '../weights/store.ts'
import type { ChangeLog, RecordedState } from './change-log.ts'
import { equal } from './copies.ts'

/** A record as a store has it. */
export interface StoredRecord {
  /** Null where they are longer than anything that is written. */
  readonly bytes: Uint8Array | null
  /** Undefined where the store has no conditional writes. */
  readonly etag: string | undefined
}

/** @throws store_unavailable, the signal's reason */
export async function readStored(
  store: Store,
  key: string,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<StoredRecord | null> {
  const found = await store.get(key, { signal })
  return found && { bytes: await readAtMost(found.body, maxBytes, signal), etag: found.etag }
}

/** A record's way from one state to the next. */
export interface RecordChange {
  readonly key: string
  readonly maxBytes: number
  /** What the audit log calls it. */
  readonly action: string
  /** As it was read; null if there was none. */
  readonly before: StoredRecord | null
  /** Null removes the record, whatever it has become. */
  readonly after: Uint8Array | null
}

export interface ChangeOptions {
  readonly sha256: Sha256Factory
  readonly audit: ChangeLog | undefined
  /** A record's contents as the audit log shows them, without secrets. All of it if left out. */
  readonly shown?: (value: unknown) => unknown
}

/**
 * Records a change in the audit log, then makes it by a conditional write. A change that was not made is recorded as
 * withdrawn. Not cancelled by any signal once it has begun.
 * @returns false if another command has changed the record
 * @throws store_unavailable; conflict if other commands keep writing the audit log
 */
export async function changeRecord(truth: Store, change: RecordChange, options: ChangeOptions): Promise<boolean> {
  const { key, maxBytes, action, before, after } = change
  const entry = await options.audit?.record({
    action,
    subject: key,
    before: await stateOf(before?.bytes ?? null, options),
    after: await stateOf(after, options),
  })
  // A client that loses the answer to a conditional write sends the write again, and is refused because of the first.
  const isMade = async (): Promise<boolean> => equal((await readStored(truth, key, maxBytes))?.bytes ?? null, after)
  try {
    if ((await write(truth, change)) || (await isMade())) return true
  } catch (error) {
    // Where the store does not tell, the entry stays; verification compares it with the record.
    const withdrawn = async (): Promise<void> => void ((await isMade()) || (await entry?.withdraw()))
    await withdrawn().catch(() => {})
    throw error
  }
  await entry?.withdraw()
  return false
}

async function write(truth: Store, { key, before, after }: RecordChange): Promise<boolean> {
  if (after === null) {
    await truth.delete(key)
    return true
  }
  const onlyIf = before === null ? 'absent' : { etag: before.etag ?? '' }
  return (await truth.put(key, after, { onlyIf })) !== null
}

async function stateOf(bytes: Uint8Array | null, { sha256, shown }: ChangeOptions): Promise<RecordedState | null> {
  if (bytes === null) return null
  const digest = await sha256Hex(sha256, bytes)
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return { sha256: digest, value: shown === undefined ? value : shown(value) }
  } catch {
    return { sha256: digest }
  }
}
