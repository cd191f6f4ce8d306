import type { Artifact } from '../../catalog/manifest.ts'
import type { Limits } from '../../core/limits.ts'
import { type Clock, type Logger, type Sha256Factory, untilLate } from '../../core/runtime.ts'
import type { Tensors } from '../../core/tensors.ts'
import type { CacheOutcome } from '../ledger.ts'
import type { CacheMode, ResolvedModel, RunContext, RunResult } from '../serving.ts'
import { entryOf, readEntry, sealEntry } from './entry.ts'
import { keyOf } from './key.ts'
import type { ResultStore } from './store.ts'

export interface RunCacheOptions {
  /** Absent where the platform has none: every run is then made. */
  readonly store?: ResultStore | undefined
  /** Name and version of the engine that results come from. */
  readonly engine: string
  readonly limits: Pick<
    Limits,
    'resultTtlSeconds' | 'resultBytes' | 'resultLookups' | 'resultLookupMs' | 'resultMinCost'
  >
  readonly sha256: Sha256Factory
  readonly clock: Clock
  readonly logger: Logger
}

export interface CachedRun {
  readonly model: ResolvedModel
  readonly artifact: Artifact
  readonly inputs: Tensors
  readonly outputs: readonly string[] | undefined
  /** Of the run, in a manifest's units. */
  readonly cost: number
}

/**
 * Answers a repeated run from the cache. Called after authorization, before any load or wait. It never fails a request:
 * an unreadable entry causes a run, and a result that cannot be stored is not cached.
 */
export class RunCache {
  readonly #options: RunCacheOptions

  constructor(options: RunCacheOptions) {
    this.#options = options
  }

  async through(run: CachedRun, context: RunContext, compute: () => Promise<RunResult>): Promise<RunResult> {
    const { store } = this.#options
    const ttlSeconds = this.#ttlOf(run)
    const scope = scopeOf(run.model, context)
    const mode = this.#modeFor(context)
    if (store === undefined || ttlSeconds === 0 || scope === undefined || mode === 'off') {
      note(context, 'bypass')
      return compute()
    }
    if (context.ledger !== undefined) context.ledger.lookups++
    const key = await keyOf(this.#options.sha256, {
      engine: this.#options.engine,
      artifact: run.artifact.sha256,
      manifest: run.model.digest,
      scope,
      inputs: run.inputs,
      outputs: run.outputs,
    })
    const kept = mode === 'use' ? await this.#lookUp(store, key, context) : undefined
    if (kept !== undefined) {
      note(context, 'hit')
      return {
        outputs: kept,
        artifact: run.artifact,
        start: 'cached',
        timings: { loadMs: 0, queueMs: 0, runMs: 0 },
      }
    }
    note(context, mode === 'use' ? 'miss' : 'bypass')
    const result = await compute()
    if (result.degraded !== true) this.#keep(store, key, result.outputs, ttlSeconds, context)
    return result
  }

  #modeFor({ cache, ledger }: RunContext): CacheMode {
    const many = ledger !== undefined && ledger.lookups >= this.#options.limits.resultLookups
    return many ? 'off' : (cache?.mode ?? 'off')
  }

  /** 0: not at all. */
  #ttlOf({ model, cost }: CachedRun): number {
    const { resultTtlSeconds, resultMinCost } = this.#options.limits
    const { cache } = model.manifest
    if (resultTtlSeconds === 0 || cache === false) return 0
    if (cache !== undefined) return cache.ttlSeconds
    return cost < resultMinCost ? 0 : resultTtlSeconds
  }

  async #lookUp(store: ResultStore, key: string, context: RunContext): Promise<Tensors | undefined> {
    const { clock, limits, logger, sha256 } = this.#options
    try {
      const found = store.get(key, limits.resultBytes)
      const entry = await untilLate(found, limits.resultLookupMs, clock, () => undefined)
      if (entry === undefined) return undefined
      const outputs = await readEntry(sha256, key, entry)
      if (outputs === undefined) logger.warn('result_damaged', { requestId: context.requestId, key })
      return outputs
    } catch (error) {
      logger.warn('result_unreadable', { requestId: context.requestId, key, reason: String(error) })
      return undefined
    }
  }

  /** The outputs are copied at once, because their owner may change them; the rest happens after the answer. */
  #keep(store: ResultStore, key: string, outputs: Tensors, ttlSeconds: number, context: RunContext): void {
    const { limits, logger, sha256 } = this.#options
    const entry = entryOf(key, outputs, limits.resultBytes)
    if (entry === undefined) return
    const work = async (): Promise<void> => {
      await sealEntry(sha256, entry)
      await store.put(key, entry, ttlSeconds)
    }
    context.waitUntil(
      work().catch((error: unknown) =>
        logger.warn('result_not_kept', { requestId: context.requestId, key, reason: String(error) }),
      ),
    )
  }
}

/** Scope of the results: shared for a public model, per caller for a private one. */
function scopeOf({ alias }: ResolvedModel, { cache }: RunContext): string | undefined {
  if (alias.visibility === 'public') return ''
  return cache?.scope === undefined || cache.scope === '' ? undefined : cache.scope
}

const WORST_FIRST = ['miss', 'bypass', 'hit'] as const

/** A request of several runs is a hit only if all of them were. */
function note({ ledger }: RunContext, outcome: CacheOutcome): void {
  if (ledger === undefined) return
  const both = [ledger.cache, outcome]
  ledger.cache = WORST_FIRST.find((candidate) => both.includes(candidate))
}
