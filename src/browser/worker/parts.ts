import { toHex } from '../../core/bytes.ts'
import { systemClock } from '../../core/runtime.ts'
import type { StartOptions } from '../messages.ts'
import { deviceRuntime } from '../runtime/device.ts'
import { cacheFiles } from '../weights/cache-files.ts'
import type { KeptFiles } from '../weights/kept.ts'
import { WEIGHTS_LIMITS } from '../weights/limits.ts'
import { usableLocks } from '../weights/locks.ts'
import { memoryFiles } from '../weights/memory.ts'
import { opfsFiles } from '../weights/opfs.ts'
import { BrowserWeights } from '../weights/weights.ts'
import type { HostedParts, Listeners } from './host.ts'

/** Of the folder, and of the cache. */
const NAME = 'verge-weights'

/** What this browser has for the options of a page. */
export async function browserParts(options: StartOptions, listeners: Listeners): Promise<HostedParts> {
  const { locks, storage } = navigator as Partial<Pick<WorkerNavigator, 'locks' | 'storage'>>
  const { subtle } = crypto as Partial<Pick<Crypto, 'subtle'>>
  const files = await filesOf(storage)
  const asked = options.quotaBytes ?? WEIGHTS_LIMITS.quotaBytes
  const weights = new BrowserWeights({
    base: options.base,
    credentials: listeners.credentials,
    quotaBytes: files.kind === 'memory' ? Math.min(asked, WEIGHTS_LIMITS.memoryBytes) : asked,
    fetch: (url, init) => fetch(url, init),
    files,
    locks: await usableLocks(locks, options.lifeLock),
    clock: systemClock,
    random: Math.random,
    limits: WEIGHTS_LIMITS,
    digest: subtle && (async (bytes) => toHex(new Uint8Array(await subtle.digest('SHA-256', bytes)))),
    ...(storage?.estimate !== undefined && { estimate: () => storage.estimate() }),
    onEvent: listeners.onEvent,
    onBytes: (_, bytes, from) => {
      if (from === 'network') listeners.onNetworkBytes(bytes)
    },
  })
  const runtime = deviceRuntime({
    weights: () => ({ source: (blob) => weights.source(blob), pages: (file) => weights.pages(file) }),
  })
  return { runtime, weights }
}

/** The best storage that the browser has and lets the page use: private windows and blocked cookies take it away. */
async function filesOf(storage: StorageManager | undefined): Promise<KeptFiles> {
  try {
    if (storage !== undefined && 'createSyncAccessHandle' in FileSystemFileHandle.prototype) {
      const root = await storage.getDirectory()
      return opfsFiles(await root.getDirectoryHandle(NAME, { create: true }))
    }
  } catch {}
  try {
    return cacheFiles(await caches.open(NAME))
  } catch {}
  return memoryFiles()
}
