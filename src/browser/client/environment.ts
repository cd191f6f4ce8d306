import { VergeError } from '../../client/error.ts'
import type { Environment } from './client.ts'
import type { DeviceRefusal } from './decide.ts'
import { BROWSER_LIMITS } from './limits.ts'
import { howToAllow, spawnWorker, type WorkerScope } from './spawn.ts'

/** As much of a page as is used. Each part is missing in some browser, or in pages without TLS. */
interface PageScope {
  readonly Worker?: NonNullable<WorkerScope['Worker']>
  readonly location?: { readonly origin: string }
  readonly navigator?: {
    readonly deviceMemory?: number
    readonly connection?: { readonly saveData?: boolean; readonly effectiveType?: string; readonly downlink?: number }
    readonly locks?: {
      request(name: string, options: { readonly signal: AbortSignal }, work: () => void): Promise<void>
    }
  }
}

/** Written in by `npm run build:browser`: the path of the web worker's script from that of this module. */
declare const VERGE_WORKER_SCRIPT: string | undefined

/** Networks that need a minute for a small model. */
const SLOW: readonly (string | undefined)[] = ['slow-2g', '2g']

/** Address of the web worker's script, of the release that this module is of; undefined where it was not built with one. */
export const WORKER_SCRIPT: string | undefined =
  typeof VERGE_WORKER_SCRIPT === 'string' ? new URL(VERGE_WORKER_SCRIPT, import.meta.url).href : undefined

/** What this browser has. */
export function browserEnvironment(): Environment {
  const scope = globalThis as unknown as PageScope
  const { Worker, location, navigator } = scope
  const locks = navigator?.locks
  return {
    spawn: (script) =>
      spawnWorker(script, {
        Worker,
        origin: location?.origin ?? '',
        scriptAddress: (text) => URL.createObjectURL(new Blob([text], { type: 'text/javascript' })),
      }),
    notStarted: howToAllow,
    script: async (base) => WORKER_SCRIPT ?? scriptOf(base),
    device: () => refusalOf(navigator),
    bytesPerSecond: () => {
      const megabits = navigator?.connection?.downlink
      return megabits === undefined || megabits <= 0 ? undefined : (megabits * 1_000_000) / 8
    },
    ...(locks && { ended: (lock: string, signal: AbortSignal) => locks.request(lock, { signal }, () => {}) }),
    randomId: () => crypto.getRandomValues(new Uint32Array(4)).join('-'),
  }
}

function refusalOf(navigator: PageScope['navigator']): DeviceRefusal | undefined {
  const { connection, deviceMemory } = navigator ?? {}
  if (connection?.saveData === true) return 'save-data'
  if (SLOW.includes(connection?.effectiveType)) return 'slow-network'
  if (deviceMemory !== undefined && deviceMemory < BROWSER_LIMITS.leastMemoryGb) return 'little-memory'
  return undefined
}

/** The package's client asks the server for the script of its release. */
async function scriptOf(base: string): Promise<string> {
  const module = `${base}/browser.js`
  try {
    const { WORKER_SCRIPT: script } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ module)) as {
      readonly WORKER_SCRIPT?: unknown
    }
    if (typeof script === 'string') return script
  } catch (cause) {
    throw new VergeError('engine_unsupported', howToAllow(module), { cause })
  }
  throw new VergeError('engine_unsupported', `${module} has no web worker. Update the server.`)
}
