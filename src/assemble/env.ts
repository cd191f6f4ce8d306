import type { LedgerObject } from '../metering/ledger/durable.ts'
import type { ReleaseGuardObject } from '../releases/guard.ts'
import type { CanaryWatchObject } from '../releases/watch/durable.ts'
import type { MetricShardObject } from '../telemetry/metrics/shard.ts'

/** What is bound to a Worker. `config/variables.ts` checks that what is needed is there. */
export interface Env {
  /** The truth: manifests, aliases and weights. */
  readonly BUCKET: R2Bucket
  /** Copies near the reader. */
  readonly KV: KVNamespace
  /** Where streams live. Optional: without it there are none. */
  readonly STREAMS?: DurableObjectNamespace
  /** What callers have used. Optional: without it budgets are refused, and each isolate counts rates by itself. */
  readonly LEDGER?: DurableObjectNamespace<LedgerObject>
  /** Where the generations of signed releases are kept. Optional: without it each isolate knows only what it has read. */
  readonly RELEASES?: DurableObjectNamespace<ReleaseGuardObject>
  /** What all isolates have counted. Optional: without it there are no metrics. */
  readonly METRICS?: DurableObjectNamespace<MetricShardObject>
  /** Where each inference leaves a data point. Optional. */
  readonly ANALYTICS?: AnalyticsEngineDataset
  /** What watches canaries. Optional: without it none goes back by itself. */
  readonly CANARIES?: DurableObjectNamespace<CanaryWatchObject>
  /** Limits of the platform, in front of that: for addresses, and for keys. Optional. */
  readonly ADDRESS_RATE?: RateLimit
  readonly KEY_RATE?: RateLimit
  /** The files that the playground consists of. Optional: without it there is no page. */
  readonly ASSETS?: Fetcher
  /** Variables and secrets, parsed by `config/` and documented in docs/configuration.md. */
  readonly [variable: string]: unknown
}
