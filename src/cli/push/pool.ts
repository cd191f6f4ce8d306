import { throwIfAborted } from '../../core/errors.ts'

/**
 * Works on items, at most `limit` at once. After a failure, or when the signal fires, no further item is begun; those
 * that are under way are waited for, so that nothing goes on behind the caller's back.
 * @throws what the first item to fail threw, or what the signal says
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
