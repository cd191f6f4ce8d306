import { throwIfAborted } from '../core/errors.ts'
import type { Clock, Logger } from '../core/runtime.ts'
import type { RunContext, Serving } from '../serving/serving.ts'
import { warmUp } from './warm-up.ts'

export interface ReadinessOptions {
  readonly serving: Serving
  /** Models that have to be in memory first. */
  readonly preload: readonly string[]
  readonly clock: Clock
  readonly logger: Logger
}

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 15_000

/** Missing conditions for readiness: the catalogue, read once, and the models to preload. */
export class OriginReadiness {
  readonly #options: ReadinessOptions
  #catalogue = false
  readonly #cold: Set<string>

  constructor(options: ReadinessOptions) {
    this.#options = options
    this.#cold = new Set(options.preload)
  }

  /** Missing conditions, for an operator; empty: ready. */
  get missing(): readonly string[] {
    return [...(this.#catalogue ? [] : ['catalogue']), ...Array.from(this.#cold, (model) => `model ${model}`)]
  }

  /** Tries until everything is there; what fails is tried again, more and more rarely. */
  async prepare(signal: AbortSignal): Promise<void> {
    const { logger, preload, serving } = this.#options
    await this.#untilDone('catalogue_unread', {}, signal, async (context) => {
      const scope = { tree: 'all', sees: () => true } as const
      const { entries } = await serving.list({ scope, limit: Number.POSITIVE_INFINITY, manifests: false }, context)
      logger.info('catalogue_read', { models: entries.length })
      this.#catalogue = true
    })
    for (const model of preload) {
      await this.#untilDone('preload_failed', { model }, signal, async (context) => {
        await warmUp(serving, model, context)
        this.#cold.delete(model)
        logger.info('preloaded', { model })
      })
    }
  }

  async #untilDone(
    event: string,
    fields: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
    work: (context: RunContext) => Promise<void>,
  ): Promise<void> {
    const { clock, logger } = this.#options
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * pauseMs)) {
      throwIfAborted(signal)
      try {
        return await work({ requestId: 'start', signal, runsBefore: -1, waitUntil() {} })
      } catch (error) {
        throwIfAborted(signal)
        logger.error(event, { ...fields, error })
      }
      await clock.sleep(pauseMs, signal)
    }
  }
}
