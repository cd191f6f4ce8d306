import { createRequire } from 'node:module'
import { InferenceSession } from 'onnxruntime-node'
import { throwIfAborted, VergeError } from '../../core/errors.ts'
import type { Clock } from '../../core/runtime.ts'
import type { ArtifactInfo, ByteSource, Engine, EngineHealth, LoadContext, Support } from '../engine.ts'
import { sessionFootprint } from '../footprint.ts'
import { Turnstile } from '../turnstile.ts'
import { runtimeReason } from './reason.ts'
import { LOG_FATAL, NativeSession } from './session.ts'

export interface NativeEngineOptions {
  readonly clock: Clock
  /** Threads within one operator; all cores if left out. One makes results comparable with the edge's. */
  readonly threads?: number
  /** Artifacts above this are refused: protobuf, and so ONNX in one piece, ends at 2 GiB. */
  readonly maxArtifactBytes: number
  /** A place in the queue that is not taken up within this time is dropped. */
  readonly turnLeaseMs: number
  readonly optimisation?: 'disabled' | 'basic' | 'extended' | 'all'
}

/** Version of onnxruntime-node, which writes ORT-format files of the same version. */
export const NATIVE_VERSION = (
  createRequire(import.meta.url)('onnxruntime-node/package.json') as { readonly version: string }
).version

/** How onnxruntime-node begins to say that it cannot describe a model's input or output. */
const FOREIGN_TYPE = 'Unsupported data type'

/** ONNX Runtime's native build, for Node: the reference in tests, and the engine of an origin. */
export class NativeEngine implements Engine {
  readonly name = 'native'
  readonly #options: NativeEngineOptions
  readonly #turnstile: Turnstile

  constructor(options: NativeEngineOptions) {
    this.#options = options
    this.#turnstile = new Turnstile({ clock: options.clock, leaseMs: options.turnLeaseMs })
  }

  supports(artifact: ArtifactInfo): Support {
    if (artifact.bytes > this.#options.maxArtifactBytes) {
      return {
        ok: false,
        code: 'model_too_large',
        reason: `is ${artifact.bytes} bytes; the engine takes ${this.#options.maxArtifactBytes}`,
      }
    }
    return { ok: true }
  }

  async load(artifact: ArtifactInfo, source: ByteSource, context: LoadContext): Promise<NativeSession> {
    throwIfAborted(context.signal)
    const support = this.supports(artifact)
    if (!support.ok) throw new VergeError(support.code, `The model ${support.reason}.`)
    const bytes = new Uint8Array(artifact.bytes)
    await source.deliver((offset, data) => {
      if (offset < 0 || offset + data.length > bytes.length) {
        throw new VergeError('weights_corrupt', 'The weights are longer than the manifest says; push the model again.')
      }
      bytes.set(data, offset)
    }, context.signal)
    throwIfAborted(context.signal)
    return new NativeSession(await this.#create(artifact, bytes), this.#turnstile, sessionFootprint(artifact))
  }

  async health(): Promise<EngineHealth> {
    return { ok: true, engine: this.name, version: NATIVE_VERSION }
  }

  async #create(artifact: ArtifactInfo, bytes: Uint8Array): Promise<InferenceSession> {
    const { threads, optimisation } = this.#options
    try {
      return await InferenceSession.create(bytes, {
        ...(threads === undefined ? {} : { intraOpNumThreads: threads, interOpNumThreads: 1 }),
        graphOptimizationLevel: optimisation ?? 'all',
        logSeverityLevel: LOG_FATAL,
        extra: { session: { load_model_format: artifact.format === 'ort' ? 'ORT' : 'ONNX' } },
      })
    } catch (error) {
      if (error instanceof Error && error.message.startsWith(FOREIGN_TYPE)) {
        throw new VergeError(
          'engine_unsupported',
          'The model has an input or output of a tensor type that onnxruntime-node does not know, such as bfloat16.',
          { cause: error },
        )
      }
      throw new VergeError('model_invalid', `The model could not be loaded: ${runtimeReason(error)}`, { cause: error })
    }
  }
}
