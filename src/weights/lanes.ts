import { abortError, throwIfAborted } from '../core/errors.ts'
import { onAbort } from '../core/runtime.ts'

/**
 * Works on items in their order, at most `count` at once. The first failure raises the signal of the others. Resolves or
 * rejects only when none works any more: what they write to may be given back then.
 * @throws the first failure, or the outer signal's reason
 */
export async function inLanes<T>(
  items: readonly T[],
  count: number,
  work: (item: T, signal: AbortSignal) => Promise<void>,
  outer?: AbortSignal,
): Promise<void> {
  throwIfAborted(outer)
  const all = new AbortController()
  const release = onAbort(outer, () => {
    if (outer !== undefined) all.abort(abortError(outer))
  })
  const waiting = items.values()
  const workInTurn = async (): Promise<void> => {
    try {
      for (const item of waiting) {
        throwIfAborted(all.signal)
        await work(item, all.signal)
      }
    } catch (error) {
      all.abort(error)
      throw error
    }
  }
  try {
    const lanes = Array.from({ length: Math.min(count, items.length) }, workInTurn)
    const outcomes = await Promise.allSettled(lanes)
    if (outcomes.some((outcome) => outcome.status === 'rejected')) throw all.signal.reason
  } finally {
    release()
  }
}
