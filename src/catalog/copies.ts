import { isVergeError, VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Clock, Logger } from '../core/runtime.ts'
import { readAtMost } from '../weights/body.ts'
import type { Store } from '../weights/store.ts'

/** A record that every copy has whole: an alias, or a key of a caller. */
export interface CopiedRecord {
  readonly key: string
  /** For a person: `alias of model "digits"`. */
  readonly name: string
  /** Longer ones count as damaged. */
  readonly maxBytes: number
}

export interface CopyOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Pick<Limits, 'aliasWriteAttempts' | 'kvWritePauseMs'>
  /** Write only where a copy differs. Not worth asking after a change, and reading would keep the old copy in KV's cache. */
  readonly compare: boolean
}

/**
 * Updates the copies of a record from the source of truth. Writers race, and copies have no conditional writes. Each
 * writer therefore reads the source again after its write, so that the last writer has written the newest record.
 * @returns how many writes it took
 * @throws store_unavailable if a copy may have been left out of date
 */
export async function refreshCopies(
  truth: Store,
  copies: readonly Store[],
  record: CopiedRecord,
  options: CopyOptions,
): Promise<number> {
  const counts = await Promise.all(copies.map((copy) => refresh(truth, copy, record, options)))
  return counts.reduce((sum, count) => sum + count, 0)
}

async function refresh(truth: Store, copy: Store, record: CopiedRecord, options: CopyOptions): Promise<number> {
  const { key, maxBytes } = record
  const { aliasWriteAttempts } = options.limits
  const read = async (store: Store): Promise<Uint8Array | null> => {
    const found = await store.get(key)
    return found && readAtMost(found.body, maxBytes)
  }
  let writes = 0
  let wanted = await read(truth)
  if (options.compare && (await holds(() => read(copy), wanted))) return writes
  for (let attempt = 0; attempt < aliasWriteAttempts; attempt++) {
    const value = wanted
    await persistently(record, copy, options, () => (value === null ? copy.delete(key) : copy.put(key, value)))
    writes++
    wanted = await read(truth)
    if (equal(value, wanted)) return writes
  }
  throw outOfDate(record, copy, 'it keeps changing')
}

async function holds(read: () => Promise<Uint8Array | null>, wanted: Uint8Array | null): Promise<boolean> {
  try {
    return equal(await read(), wanted)
  } catch (error) {
    if (isVergeError(error, 'store_unavailable')) return false
    throw error
  }
}

/** KV refuses a second write of one key within a second, so a refusal is worth one more try. */
async function persistently(
  record: CopiedRecord,
  copy: Store,
  options: CopyOptions,
  write: () => Promise<unknown>,
): Promise<void> {
  try {
    await write()
  } catch (error) {
    if (!isVergeError(error, 'store_unavailable')) throw error
    options.logger.warn('copy_refused', { store: copy.name, key: record.key, error })
    await options.clock.sleep(options.limits.kvWritePauseMs)
    try {
      await write()
    } catch (again) {
      throw outOfDate(record, copy, again)
    }
  }
}

function outOfDate({ key, name }: CopiedRecord, copy: Store, cause: unknown): VergeError {
  return new VergeError(
    'store_unavailable',
    `The ${name} was written, but its copy in ${copy.name} may be out of date. Run the command again ` +
      'to refresh it.',
    { cause, details: { key, store: copy.name }, retryAfter: 1 },
  )
}

export function equal(a: Uint8Array | null, b: Uint8Array | null): boolean {
  if (a === null || b === null) return a === b
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
