import { Deletion, type DeletionLimits } from '../../catalog/deletion.ts'
import { blobKey } from '../../catalog/keys.ts'
import { throwIfAborted } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Clock } from '../../core/runtime.ts'
import { dropKeys } from './page-copies.ts'
import { inParallel } from './pool.ts'
import type { PushTarget } from './push.ts'
import type { References } from './references.ts'

const CONCURRENCY = 8

export interface DeleteOptions {
  /** No other command has it. */
  readonly id: string
  /** Refreshed before each batch. */
  readonly references: References
  /** Ends the work between two chunks. Requests that were sent are waited for. */
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly limits: DeletionLimits & Pick<Limits, 'deletionBatch'>
  /** Called with the number of chunks that were looked at and deleted or left. */
  readonly done?: (chunks: number) => void
  /** Called with the chunks that have gone, batch by batch. */
  readonly after?: (digests: readonly string[]) => Promise<void>
}

/**
 * Deletes chunks that no manifest names, from the copies and then from the truth. Of a version that is published
 * meanwhile, no chunk goes: see `Deletion` for the protocol. Nothing goes while a manifest cannot be read.
 * @returns digests of those that went
 * @throws conflict if another command took over, store_unavailable, the signal's reason
 */
export async function deleteChunks(
  { writer }: PushTarget,
  digests: readonly string[],
  options: DeleteOptions,
): Promise<string[]> {
  const { id, references, signal, clock, limits } = options
  // the writer's stores are not cancelled by a signal: a deletion that was sent is waited for, so that its end is known
  const { truth, copies } = writer.stores
  const deletion = new Deletion(truth, id, { clock, limits, signal })
  const deleted: string[] = []
  let unanswered = 0
  const drop = async (digest: string): Promise<void> => {
    deletion.assertInTime()
    unanswered++
    await truth.delete(blobKey(digest))
    unanswered--
  }
  try {
    for (let at = 0; at < digests.length; at += limits.deletionBatch) {
      const batch = digests.slice(at, at + limits.deletionBatch)
      throwIfAborted(signal)
      await deletion.announce(batch)
      // only now: a manifest that is stored later belongs to a push that reads the announcement
      await references.refresh()
      const free = batch.filter((digest) => references.holders(digest).length === 0)
      const keys = free.map(blobKey)
      for (const copy of copies) await dropKeys(copy, keys)
      await inParallel(free, CONCURRENCY, drop, signal)
      deleted.push(...free)
      await options.after?.(free)
      options.done?.(batch.length)
    }
  } catch (error) {
    // one that failed may still arrive: then the announcement stays, until others count it as abandoned
    if (unanswered === 0) await deletion.end().catch(() => {})
    throw error
  }
  await deletion.end()
  return deleted
}
