import type { Tracer } from '../core/tracing.ts'
import { tracedStore } from '../telemetry/traces/traced-store.ts'
import { KvStore } from '../weights/kv.ts'
import { ObservedStore } from '../weights/observed-store.ts'
import { R2Store } from '../weights/r2.ts'
import type { Store } from '../weights/store.ts'
import type { Env } from './env.ts'
import type { Metrics } from './metrics.ts'

/** Where records and weights are: copies near the reader, and the truth behind them. */
export interface Stores {
  readonly copies: Store
  readonly truth: Store
  /** Both once more, for chunks that are passed on to browsers as they come. No reads of an isolate's own, they are not counted. */
  readonly passed: { readonly copies: KvStore; readonly truth: R2Store }
}

/** Reads of both are counted and traced, as far as there is who counts and traces. */
export function storesOf({ BUCKET, KV }: Env, metrics: Metrics | undefined, tracer: Tracer | undefined): Stores {
  const passed = { copies: new KvStore(KV), truth: new R2Store(BUCKET) }
  const watched = (store: Store, layer: 'kv' | 'r2'): Store => {
    const counted = metrics === undefined ? store : new ObservedStore(store, metrics.storeRead(layer))
    return tracer === undefined ? counted : tracedStore(counted, layer, tracer)
  }
  return { copies: watched(passed.copies, 'kv'), truth: watched(passed.truth, 'r2'), passed }
}
