import type { ReleaseKey } from '../catalog/signing/public-keys.ts'
import type { Provider } from '../engine/native/support.ts'
import type { Store } from '../weights/store.ts'
import type { LogLevel } from './logger.ts'
import type { OriginTraces } from './traces.ts'

/** All that an operator can set; `src/origin/command/main.ts` documents it. */
export interface OriginSettings {
  /** Catalogue and weights. */
  readonly source: Store
  /** The only models that are served; all of the catalogue if left out. */
  readonly models?: ReadonlySet<string>
  /** Models that are in memory before the origin is ready. */
  readonly preload: readonly string[]
  /** Public keys that releases must be signed with; empty where they need no signature. */
  readonly releaseKeys: readonly ReleaseKey[]
  /** Secrets that requests may be signed with. */
  readonly keys: readonly string[]
  readonly host: string
  readonly port: number
  readonly adminHost: string
  readonly adminPort: number
  readonly cacheFolder: string
  readonly cacheBytes: number
  /** Of all loaded models together. */
  readonly memoryBytes: number
  readonly maxBatch: number
  readonly maxWaitMs: number
  readonly maxQueue: number
  /** Units that the runs of one request may cost together; texts are bounded by their model's context. */
  readonly maxCost: number
  readonly providers: readonly Provider[]
  /** Within one operator; all cores if left out. */
  readonly threads?: number
  readonly drainMs: number
  /** Absent: traces of Workers are not continued. */
  readonly traces?: OriginTraces
  readonly logLevel: LogLevel
}
