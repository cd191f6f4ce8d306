import type { ArtifactInfo, ByteSource, Engine, EngineHealth, LoadContext, Session, Support } from '../engine.ts'
import { FairShare } from './fair-share.ts'
import { signatureRefusal } from './merge.ts'
import { MergeRule, Suspensions } from './merge-rule.ts'
import { BatchingSession } from './session.ts'
import type { BatchingOptions, BatchingStats, ModelLoad } from './types.ts'

/** One turn at a time where `concurrency` is left out. */
export type BatchingEngineOptions = Omit<BatchingOptions, 'concurrency'> & Partial<BatchingOptions>

/**
 * Adds a queue to every session of another engine, gives turns to the models in rotation, and merges runs of one model
 * into batches.
 *
 * A model's runs are merged if the first dimension of all inputs and outputs is dynamic (`signatureRefusal`), the
 * artifact allows it (`ArtifactInfo.batchable`), and its first batch, of two different runs, gave the results of single
 * runs. Merged runs may differ only in the first dimension and the values. The engine determines the length of a turn;
 * turns are not weighted.
 *
 * For servers only: one caller's turn settles promises of others, which Workers do not allow between requests.
 */
export class BatchingEngine implements Engine {
  readonly name: string
  readonly #engine: Engine
  readonly #options: BatchingOptions
  readonly #share: FairShare
  readonly #suspensions = new Suspensions()
  readonly #sessions = new Set<BatchingSession>()

  constructor(engine: Engine, options: BatchingEngineOptions) {
    this.name = engine.name
    this.#engine = engine
    this.#options = { concurrency: 1, ...options }
    this.#share = new FairShare(this.#options.concurrency)
  }

  supports(artifact: ArtifactInfo): Support {
    return this.#engine.supports(artifact)
  }

  async load(artifact: ArtifactInfo, source: ByteSource, context: LoadContext): Promise<Session> {
    // A session that was lost with its engine is dropped by its users without a word.
    for (const other of this.#sessions) if (!other.alive) other.dispose()
    const session = await this.#engine.load(artifact, source, context)
    const { logger, maxBatch } = this.#options
    const refusal = artifact.batchable === false ? 'its artifact is not to be' : signatureRefusal(session.signature)
    if (refusal !== null) logger.info('batching_impossible', { key: artifact.sha256, reason: refusal })
    const rule = new MergeRule(artifact.sha256, refusal === null ? maxBatch : 1, this.#suspensions, logger)
    const batching = new BatchingSession(session, rule, this.#share, this.#options, (disposed) =>
      this.#sessions.delete(disposed),
    )
    this.#sessions.add(batching)
    return batching
  }

  health(): Promise<EngineHealth> {
    return this.#engine.health()
  }

  /** What waits and what runs at this moment. */
  stats(): BatchingStats {
    const perModel = new Map<string, ModelLoad>()
    let queued = 0
    let running = 0
    for (const { key, load } of this.#sessions) {
      queued += load.queued
      running += load.running
      const other = perModel.get(key)
      perModel.set(key, {
        queued: load.queued + (other?.queued ?? 0),
        running: load.running + (other?.running ?? 0),
        batching: load.batching,
      })
    }
    return { queued, running, perModel }
  }
}
