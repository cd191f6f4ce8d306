import { throwIfAborted } from '../../core/errors.ts'

/** As much of the Web Locks API as is used. */
export interface LockManagerLike {
  request<T>(name: string, options: { readonly signal?: AbortSignal }, work: () => Promise<T>): Promise<T>
}

/** Work that one tab does at a time. */
export interface Locks {
  /** @throws what the work throws; the signal's reason while it waits */
  alone<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T>
}

const PREFIX = 'verge-weights/'

/** A lock that the browser takes from a tab that is closed. */
function webLocks(manager: LockManagerLike): Locks {
  return {
    async alone(name, work, signal) {
      throwIfAborted(signal)
      // The signal ends the waiting alone: what works on has a signal of its own.
      return manager.request(PREFIX + name, signal === undefined ? {} : { signal }, work)
    },
  }
}

/**
 * The browser's locks, if it has them and lets the page use them: blocked cookies take them away, with the storage.
 * @param lifeLock is held until the tab or the web worker ends
 */
export async function usableLocks(manager: LockManagerLike | undefined, lifeLock: string | undefined): Promise<Locks> {
  if (manager === undefined) return tabLocks()
  try {
    if (lifeLock !== undefined) await hold(manager, lifeLock)
    return webLocks(manager)
  } catch {
    return tabLocks()
  }
}

/** Resolves once the lock is held. */
function hold(manager: LockManagerLike, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const forever = (): Promise<never> => {
      resolve()
      return new Promise(() => {})
    }
    manager.request(name, {}, forever).catch(reject)
  })
}

/** For browsers without locks, and for files that no other tab sees: one after the other in this tab. */
export function tabLocks(): Locks {
  const last = new Map<string, Promise<unknown>>()
  return {
    async alone(name, work, signal) {
      const before = last.get(name) ?? Promise.resolve()
      const turn = before.then(() => {
        throwIfAborted(signal)
        return work()
      })
      const settled = turn.catch(() => {})
      last.set(name, settled)
      try {
        return await turn
      } finally {
        if (last.get(name) === settled) last.delete(name)
      }
    },
  }
}
