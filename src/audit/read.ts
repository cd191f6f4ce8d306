import type { Limits } from '../core/limits.ts'
import { readAtMost } from '../weights/body.ts'
import type { Store } from '../weights/store.ts'
import { auditKey, HEAD_KEY, headSchema, type ParsedEntry, parseEntry } from './entry.ts'

export type AuditLimits = Pick<Limits, 'auditEntryBytes' | 'auditPage' | 'auditReadsForward' | 'auditAppendAttempts'>

/** An entry as it is stored: with its bytes, and what they state. */
export type StoredEntry = ParsedEntry & {
  readonly seq: number
  /** Null if they are longer than any entry. */
  readonly bytes: Uint8Array | null
}

export interface Head {
  readonly seq: number
  readonly hash: string
}

/** A stored record of the log; undefined if there is none, null bytes if it is longer than any. */
async function readRecord(
  store: Store,
  key: string,
  limits: AuditLimits,
  signal?: AbortSignal,
): Promise<{ readonly bytes: Uint8Array | null; readonly etag: string | undefined } | undefined> {
  const found = await store.get(key, { signal })
  if (found === null) return undefined
  return { bytes: await readAtMost(found.body, limits.auditEntryBytes, signal), etag: found.etag }
}

/** @throws store_unavailable, the signal's reason */
export async function readEntry(
  store: Store,
  seq: number,
  limits: AuditLimits,
  signal?: AbortSignal,
): Promise<StoredEntry | undefined> {
  const found = await readRecord(store, auditKey(seq), limits, signal)
  return found && { ...parseEntry(found.bytes), seq, bytes: found.bytes }
}

/** The head as it is noted; undefined if it is missing or cannot be read. */
export async function readHead(
  store: Store,
  limits: AuditLimits,
  signal?: AbortSignal,
): Promise<{ readonly head: Head | undefined; readonly etag: string | undefined }> {
  const found = await readRecord(store, HEAD_KEY, limits, signal)
  return { head: headIn(found?.bytes ?? null), etag: found?.etag }
}

function headIn(bytes: Uint8Array | null): Head | undefined {
  if (bytes === null) return undefined
  try {
    return headSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes))).data
  } catch {
    return undefined
  }
}

/** Entries by their numbers, a page at a time, in the order that is asked for. Entries that are missing are left out. */
export async function* entryPages(
  store: Store,
  seqs: Iterable<number>,
  limits: AuditLimits,
  signal?: AbortSignal,
): AsyncGenerator<readonly StoredEntry[]> {
  const read = async (page: readonly number[]): Promise<readonly StoredEntry[]> => {
    const found = await Promise.all(page.map((seq) => readEntry(store, seq, limits, signal)))
    return found.flatMap((entry) => entry ?? [])
  }
  let page: number[] = []
  for (const seq of seqs) {
    page.push(seq)
    if (page.length < limits.auditPage) continue
    yield await read(page)
    page = []
  }
  if (page.length > 0) yield await read(page)
}

/** Numbers from `from` down to 1. */
export function* downFrom(from: number): Generator<number> {
  for (let seq = from; seq > 0; seq--) yield seq
}
