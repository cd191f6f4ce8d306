import { AuditLog } from '../audit/log.ts'
import { stopCanary } from '../catalog/alias-stop.ts'
import type { Limits } from '../core/limits.ts'
import { sha256Factory } from '../core/sha256.ts'
import type { CanaryWatchDeps } from '../releases/watch/durable.ts'
import { KvStore } from '../weights/kv.ts'
import { R2Store } from '../weights/r2.ts'
import type { Env } from './env.ts'
import type { Platform } from './shared.ts'

/** Who takes canaries out, in the audit log. */
const BY = 'canary watch'

/** How the object of a canary writes the alias. */
export function stopOf(env: Env, platform: Platform, limits: Limits): CanaryWatchDeps['stop'] {
  const [truth, copies] = [new R2Store(env.BUCKET), new KvStore(env.KV)]
  const options = { ...platform, limits, sha256: sha256Factory() }
  const audit = new AuditLog(truth, { ...options, by: BY })
  return (model, stop) => stopCanary(truth, [copies], { model, stop }, { ...options, audit })
}
