import type { KeyReader } from '../access/keys/reader.ts'
import type { Config } from '../config/config.ts'
import { isVergeError } from '../core/errors.ts'
import { strictest } from '../metering/limits-of.ts'
import { RecentChanges } from '../operations/changes.ts'
import type { Watched } from '../operations/models.ts'
import { Operations } from '../operations/operations.ts'
import { originStates } from '../operations/origins.ts'
import { type KnownKey, readSpending } from '../operations/spending.ts'
import type { Serving } from '../serving/serving.ts'
import { VERSION } from '../version.ts'
import type { Canaries } from './canaries.ts'
import type { Env } from './env.ts'
import type { Metrics } from './metrics.ts'
import type { Origins } from './origins.ts'
import type { Shared } from './shared.ts'
import type { Stores } from './stores.ts'

/** What an operator is told of all isolates, from where each part is kept. */
export function operationsOf(
  env: Env,
  config: Config,
  { truth }: Stores,
  keys: KeyReader,
  serving: Serving,
  remote: Origins | undefined,
  metrics: Metrics | undefined,
  canaries: Canaries | undefined,
  shared: Shared,
): Operations {
  const { clock, limits, runs } = shared
  const changes = new RecentChanges({ ...shared, store: truth })
  const spending = {
    store: truth,
    limits,
    keyOf: (id: string, signal: AbortSignal) => knownKey(keys, config, id, signal),
  }
  return new Operations({
    ...shared,
    version: VERSION,
    ...(metrics && { traffic: ({ signal }) => metrics.reader.read(signal) }),
    models: async (context) => {
      const scope = { tree: 'all', sees: () => true } as const
      const query = { scope, limit: limits.modelsPerList, manifests: false }
      return (await serving.list(query, { ...context, runsBefore: runs.finished })).entries
    },
    alias: (model, context) => serving.alias(model, { ...context, runsBefore: runs.finished }),
    ...(canaries && { watched: ({ generation, model }, { signal }) => watched(canaries, model, generation, signal) }),
    changes: ({ signal }) => changes.read(signal),
    ...(env.LEDGER && { spending: ({ signal }) => readSpending(spending, clock.now(), signal) }),
    ...(remote && { origins: (context) => originStates(remote.originPool, remote.health, context) }),
  })
}

async function watched(
  { reader }: Canaries,
  model: string,
  generation: number,
  signal: AbortSignal,
): Promise<Watched | undefined> {
  const state = await reader.state(model, signal)
  if (state?.generation !== generation) return undefined
  const { counts, reason, verdict } = state
  return { verdict: reason === undefined ? verdict : `${verdict}: ${reason}`, requests: counts.canary.requests }
}

/** A key that cannot be read has no name: that is no reason to leave out what its caller has used. */
async function knownKey(
  keys: KeyReader,
  { plans }: Config,
  id: string,
  signal: AbortSignal,
): Promise<KnownKey | undefined> {
  try {
    const record = await keys.record(id, signal)
    if (record === null) return undefined
    const { limits, plan } = record.grant
    const named = plan === undefined ? undefined : plans.get(plan)
    const { budgets } = strictest([limits, named].filter((each) => each !== undefined))
    return { name: record.name, budgets }
  } catch (error) {
    if (isVergeError(error, 'store_unavailable')) return undefined
    throw error
  }
}
