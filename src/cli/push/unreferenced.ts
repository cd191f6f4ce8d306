import type { Store } from '../../weights/store.ts'
import { inParallel } from './pool.ts'
import { eachKey } from './references.ts'

/**
 * Marks: since when a digest was found to be named by no manifest. The time is in the key, so that one list tells it for a
 * thousand of them: `unreferenced/<sha256>.<seconds since 1970>`, without contents.
 */
const PREFIX = 'unreferenced/'

const CONCURRENCY = 8

/** A digest's marks: their keys, and the oldest time. */
export interface Mark {
  readonly keys: readonly string[]
  /** Seconds since 1970. */
  readonly at: number
}

/** Every mark, by its digest. Keys of another form are left alone. @throws store_unavailable, the signal's reason */
export async function readMarks(truth: Store, signal: AbortSignal): Promise<Map<string, Mark>> {
  const marks = new Map<string, Mark>()
  for await (const { key } of eachKey(truth, PREFIX, signal)) addMark(marks, key)
  return marks
}

/** The first of them, as many as one list has. @throws store_unavailable */
export async function firstMarks(
  truth: Store,
): Promise<{ readonly marks: ReadonlyMap<string, Mark>; readonly more: boolean }> {
  const { cursor, keys } = await truth.list(PREFIX)
  const marks = new Map<string, Mark>()
  for (const key of keys) addMark(marks, key)
  return { marks, more: cursor !== undefined }
}

function addMark(marks: Map<string, Mark>, key: string): void {
  const [, digest, seconds] = /^unreferenced\/([0-9a-f]{64})\.(\d{1,12})$/.exec(key) ?? []
  if (digest === undefined) return
  const known = marks.get(digest)
  // two sweeps may have marked it at the same time
  const at = Math.min(Number(seconds), known?.at ?? Number.POSITIVE_INFINITY)
  marks.set(digest, { keys: [...(known?.keys ?? []), key], at })
}

/** @param at seconds since 1970 */
export async function mark(truth: Store, digests: readonly string[], at: number, signal: AbortSignal): Promise<void> {
  const put = async (digest: string): Promise<void> =>
    void (await truth.put(`${PREFIX}${digest}.${at}`, new Uint8Array(0), { signal }))
  await inParallel(digests, CONCURRENCY, put, signal)
}

/** Takes marks away; no error for digests that have none. */
export async function unmark(truth: Store, digests: readonly string[], signal: AbortSignal): Promise<void> {
  await dropMarks(truth, await readMarks(truth, signal), digests, signal)
}

export async function dropMarks(
  truth: Store,
  marks: ReadonlyMap<string, Mark>,
  digests: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const keys = digests.flatMap((digest) => marks.get(digest)?.keys ?? [])
  await inParallel(keys, CONCURRENCY, (key) => truth.delete(key, { signal }), signal)
}
