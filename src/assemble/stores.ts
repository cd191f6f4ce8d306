import { KvStore } from '../weights/kv.ts'
import { R2Store } from '../weights/r2.ts'
import type { Env } from './env.ts'

/** Where records and weights are: copies near the reader, and the truth behind them. */
export interface Stores {
  readonly copies: KvStore
  readonly truth: R2Store
}

export function storesOf({ BUCKET, KV }: Env): Stores {
  return { copies: new KvStore(KV), truth: new R2Store(BUCKET) }
}
