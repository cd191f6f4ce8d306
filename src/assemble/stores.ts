import type { Tracer } from '../core/tracing.ts'
import { tracedStore } from '../telemetry/traces/traced-store.ts'
import { KvStore } from '../weights/kv.ts'
import type { RawCopies, RawTruth } from '../weights/passage.ts'
import { R2Store } from '../weights/r2.ts'
import type { Store } from '../weights/store.ts'
import type { Env } from './env.ts'

/** Where records and weights are: copies near the reader, and the truth behind them. */
export interface Stores {
  readonly copies: Store & RawCopies
  readonly truth: Store & RawTruth
}

/** @param tracer absent where no traces are recorded */
export function storesOf({ BUCKET, KV }: Env, tracer: Tracer | undefined): Stores {
  const [copies, truth] = [new KvStore(KV), new R2Store(BUCKET)]
  if (tracer === undefined) return { copies, truth }
  return {
    copies: { ...tracedStore(copies, 'kv', tracer), raw: copies.raw.bind(copies) },
    truth: { ...tracedStore(truth, 'r2', tracer), raw: truth.raw.bind(truth) },
  }
}
