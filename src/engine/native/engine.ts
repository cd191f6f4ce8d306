import { throwIfAborted, VergeError } from '../../core/errors.ts'
import { type Clock, type Logger, silentLogger } from '../../core/runtime.ts'
import { sessionFootprint } from '../costs.ts'
import type { ArtifactInfo, ByteSource, Engine, EngineHealth, LoadContext, Support } from '../engine.ts'
import { RunQueue } from '../run-queue.ts'
import { chooseProvider, LOG_FATAL, type ProviderChoice } from './provider.ts'
import { runtimeReason } from './reason.ts'
import { InferenceSession } from './runtime.ts'
import { NativeSession } from './session.ts'
import { NATIVE_VERSION, type NativeLimits, nativeSupport, type Provider } from './support.ts'

export type Optimization = 'disabled' | 'basic' | 'extended' | 'all'

export interface NativeEngineOptions extends NativeLimits {
  readonly clock: Clock
  /** Threads within one operator; all cores if left out. One makes results comparable with the edge's. */
  readonly threads?: number
  /** A place in the queue that is not taken up within this time is dropped. */
  readonly turnLeaseMs: number
  /**
   * `all` if left out. `disabled` runs graphs node by node as they are written; those that ONNX Runtime refuses in that
   * way are run at `basic`.
   */
  readonly optimization?: Optimization
  /** In order of preference; the first that really runs is used, the processor if none does or none is named. */
  readonly providers?: readonly Provider[]
  readonly logger?: Logger
  /** Told which provider is tried next, and null when the trial is over: a driver may end the process. */
  readonly onTrial?: (provider: Provider | null) => void
}

/** How onnxruntime-node begins to say that it cannot describe a model's input or output. */
const FOREIGN_TYPE = 'Unsupported data type'

/** ONNX Runtime's native build, for Node: the reference in tests, and the engine of an origin. */
export class NativeEngine implements Engine {
  readonly name = 'native'
  readonly #options: NativeEngineOptions
  readonly #logger: Logger
  readonly #runQueue: RunQueue
  #choice: Promise<ProviderChoice> | undefined
  /** Bytes that sessions hold, those being loaded included. */
  #heldBytes = 0

  constructor(options: NativeEngineOptions) {
    this.#options = options
    this.#logger = options.logger ?? silentLogger
    this.#runQueue = new RunQueue({ clock: turning(options.clock), leaseMs: options.turnLeaseMs })
  }

  supports(artifact: ArtifactInfo): Support {
    return nativeSupport(artifact, this.#options)
  }

  async load(artifact: ArtifactInfo, source: ByteSource, context: LoadContext): Promise<NativeSession> {
    throwIfAborted(context.signal)
    const support = this.supports(artifact)
    if (!support.ok) throw new VergeError(support.code, `The model ${support.reason}.`)
    if (source.file !== undefined) return this.open(artifact, source.file)
    const bytes = new Uint8Array(artifact.bytes)
    await source.deliver((offset, data) => {
      if (offset < 0 || offset + data.length > bytes.length) {
        throw new VergeError(
          'weights_corrupt',
          'The weights are longer than the manifest declares. Push the model again.',
        )
      }
      bytes.set(data, offset)
    }, context.signal)
    throwIfAborted(context.signal)
    return this.open(artifact, bytes)
  }

  /**
   * Loads an artifact whose bytes are complete and verified.
   * @param weights the bytes, or the path of a file that holds them
   * @throws model_invalid, model_too_large, engine_unsupported
   */
  async open(artifact: ArtifactInfo, weights: Uint8Array | string): Promise<NativeSession> {
    const bytes = sessionFootprint(artifact)
    const { memoryLimitBytes = Number.POSITIVE_INFINITY } = this.#options
    if (this.#heldBytes + bytes > memoryLimitBytes) {
      throw new VergeError(
        'model_too_large',
        `The model needs about ${bytes} bytes of memory; ${memoryLimitBytes - this.#heldBytes} are free beside the loaded models.`,
        { details: { bytes_needed: bytes, bytes_available: Math.max(0, memoryLimitBytes - this.#heldBytes) } },
      )
    }
    this.#heldBytes += bytes
    const release = (): void => {
      this.#heldBytes -= bytes
    }
    try {
      return new NativeSession(await this.#create(artifact, weights), this.#runQueue, bytes, release)
    } catch (error) {
      release()
      throw error
    }
  }

  async health(): Promise<EngineHealth> {
    const { provider, refused } = await this.#chosen()
    return {
      ok: true,
      engine: this.name,
      version: NATIVE_VERSION,
      provider,
      ...(refused.length > 0 && {
        detail: refused.map((other) => `${other.provider} does not run here: ${other.reason}`).join('; '),
      }),
    }
  }

  #chosen(): Promise<ProviderChoice> {
    this.#choice ??= chooseProvider(this.#options.providers ?? ['cpu'], this.#options.onTrial).then((choice) => {
      for (const { provider, reason } of choice.refused) this.#logger.info('provider_refused', { provider, reason })
      return choice
    })
    return this.#choice
  }

  /** On the chosen provider; on the CPU if the model needs something that the GPU lacks. */
  async #create(artifact: ArtifactInfo, weights: Uint8Array | string): Promise<InferenceSession> {
    const { provider } = await this.#chosen()
    if (provider !== 'cpu') {
      try {
        return await this.#createOn(provider, artifact, weights)
      } catch (error) {
        this.#logger.warn('provider_fallback', {
          sha256: artifact.sha256,
          provider,
          reason: runtimeReason(error),
        })
      }
    }
    try {
      return await this.#createOn('cpu', artifact, weights)
    } catch (error) {
      if (error instanceof Error && error.message.startsWith(FOREIGN_TYPE)) {
        throw new VergeError(
          'engine_unsupported',
          'The model has an input or output of a tensor type that onnxruntime-node does not support, such as bfloat16.',
          { cause: error },
        )
      }
      throw new VergeError('model_invalid', `The model could not be loaded: ${runtimeReason(error)}`, { cause: error })
    }
  }

  async #createOn(provider: Provider, artifact: ArtifactInfo, weights: Uint8Array | string): Promise<InferenceSession> {
    const { optimization = 'all' } = this.#options
    try {
      return await this.#createAt(optimization, provider, artifact, weights)
    } catch (error) {
      if (optimization !== 'disabled' || artifact.format === 'ort') throw error
      // ONNX Runtime 1.30 trips over its own casts around a Cast of halves to halves, which `basic` takes away.
      return this.#createAt('basic', provider, artifact, weights).catch(() => {
        throw error
      })
    }
  }

  #createAt(
    graphOptimizationLevel: Optimization,
    provider: Provider,
    artifact: ArtifactInfo,
    weights: Uint8Array | string,
  ): Promise<InferenceSession> {
    const { threads } = this.#options
    const options: InferenceSession.SessionOptions = {
      executionProviders: [provider],
      ...(threads === undefined ? {} : { intraOpNumThreads: threads, interOpNumThreads: 1 }),
      graphOptimizationLevel,
      logSeverityLevel: LOG_FATAL,
      extra: { session: { load_model_format: artifact.format === 'ort' ? 'ORT' : 'ONNX' } },
    }
    return typeof weights === 'string'
      ? InferenceSession.create(weights, options)
      : InferenceSession.create(weights, options)
  }
}

/** Yields without a timer, whose minimum of a millisecond is as long as a small model's run. */
function turning(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    after: (ms, callback) => clock.after(ms, callback),
    sleep: async (ms, signal) => {
      if (ms > 0) return clock.sleep(ms, signal)
      throwIfAborted(signal)
      await new Promise((resolve) => setImmediate(resolve))
      throwIfAborted(signal)
    },
  }
}
