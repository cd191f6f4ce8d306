import { throwIfAborted } from '../../core/errors.ts'

/**
 * Works on items, at most `limit` at once. After a failure, or when the signal fires, it starts no further item and
 * waits for those in progress, so that no work continues after it returns.
 * @throws the error of the first failed item, or the signal's reason
 */
export async function inParallel<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const failures: unknown[] = []
  let next = 0
  const takeInTurn = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const item = items[next++] as T
      try {
        throwIfAborted(signal)
        await work(item)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, takeInTurn))
  if (failures.length > 0) throw failures[0]
}
