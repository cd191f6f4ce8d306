import type { env, InferenceSession, Tensor } from 'onnxruntime-web'
import { throwIfAborted, VergeError } from '../../core/errors.ts'
import type { Clock, Logger, RunCounter } from '../../core/runtime.ts'
import { sessionFootprint } from '../costs.ts'
import type { ArtifactInfo, ByteSource, Engine, EngineHealth, LoadContext, Support } from '../engine.ts'
import { cleanMessage, heapFull, isOutOfMemory } from '../ort/marshal.ts'
import { RunQueue } from '../run-queue.ts'
import { WebGpuSession } from './session.ts'

/** As much of onnxruntime-web's API as the engine uses. */
export interface OrtLibrary {
  readonly InferenceSession: { create: typeof InferenceSession.create }
  readonly Tensor: typeof Tensor
  readonly env: typeof env
}

export interface WebGpuEngineOptions {
  /** onnxruntime-web with the device set; its WebAssembly is downloaded with the first session. */
  readonly ort: OrtLibrary
  readonly version: string
  readonly device: GPUDevice
  /** Bytes that the sessions may hold together. */
  readonly memoryLimitBytes: number
  readonly turnLeaseMs: number
  readonly runs: RunCounter
  readonly clock: Clock
  readonly logger: Logger
}

/** ONNX Runtime on a browser's graphics processor. What has no kernel there runs on the processor, by WebAssembly. */
export class WebGpuEngine implements Engine {
  readonly name = 'webgpu'
  readonly #options: WebGpuEngineOptions
  readonly #runQueue: RunQueue
  /** Rejects when the device is lost, and never resolves. */
  readonly #lost: Promise<never>
  #isLost = false
  #heldBytes = 0

  constructor(options: WebGpuEngineOptions) {
    const { device, logger } = options
    this.#options = options
    this.#runQueue = new RunQueue({ ...options, leaseMs: options.turnLeaseMs })
    this.#lost = device.lost.then(({ message, reason }) => {
      this.#isLost = true
      logger.error('device_lost', { reason, message })
      throw deviceLost()
    })
    // It may be lost while nobody waits for it.
    this.#lost.catch(() => {})
  }

  supports(artifact: ArtifactInfo): Support {
    if (artifact.format !== 'onnx') {
      const reason =
        artifact.format === 'verge'
          ? "is compiled for Verge's own engine"
          : 'is in ORT format, which is fixed to the kernels of another processor'
      return { ok: false, code: 'engine_unsupported', reason }
    }
    const needed = sessionFootprint(artifact)
    const { memoryLimitBytes } = this.#options
    if (needed <= memoryLimitBytes) return { ok: true }
    return {
      ok: false,
      code: 'model_too_large',
      reason: `needs about ${needed} bytes of memory; the limit of the engine is ${memoryLimitBytes}`,
    }
  }

  async load(artifact: ArtifactInfo, source: ByteSource, { signal }: LoadContext): Promise<WebGpuSession> {
    throwIfAborted(signal)
    const support = this.supports(artifact)
    if (!support.ok) throw new VergeError(support.code, `The model ${support.reason}.`)
    if (this.#isLost) throw deviceLost()
    const bytes = memoryOf(artifact.bytes)
    await source.deliver((offset, data) => {
      if (offset < 0 || offset + data.length > bytes.length) {
        throw new VergeError(
          'weights_corrupt',
          'The weights are longer than the manifest declares. Push the model again.',
        )
      }
      bytes.set(data, offset)
    }, signal)
    throwIfAborted(signal)
    const held = sessionFootprint(artifact)
    const { memoryLimitBytes, ort } = this.#options
    if (this.#heldBytes + held > memoryLimitBytes) throw heapFull()
    this.#heldBytes += held
    const release = (): void => {
      this.#heldBytes -= held
    }
    try {
      const session = await this.#runQueue.runWithPauses(signal, () => this.#create(bytes))
      return new WebGpuSession({
        session,
        Tensor: ort.Tensor,
        runQueue: this.#runQueue,
        lost: this.#lost,
        isLost: () => this.#isLost,
        bytes: held,
        onDispose: release,
      })
    } catch (error) {
      release()
      throw error
    }
  }

  async health(): Promise<EngineHealth> {
    const { memoryLimitBytes, version } = this.#options
    return {
      ok: !this.#isLost,
      engine: this.name,
      version,
      provider: 'webgpu',
      heapBytes: this.#heldBytes,
      heapLimitBytes: memoryLimitBytes,
      ...(this.#isLost && { detail: 'the graphics processor was lost' }),
    }
  }

  async #create(bytes: Uint8Array): Promise<InferenceSession> {
    const creating = this.#options.ort.InferenceSession.create(bytes, {
      executionProviders: ['webgpu'],
      graphOptimizationLevel: 'all',
      logSeverityLevel: LOG_FATAL,
      extra: { session: { load_model_format: 'ONNX' } },
    })
    try {
      return await Promise.race([creating, this.#lost])
    } catch (error) {
      if (error instanceof VergeError) throw error
      const reason = cleanMessage(error instanceof Error ? error.message : String(error))
      if (isOutOfMemory(reason)) throw heapFull(error)
      const [, operator] = NO_KERNEL.exec(reason) ?? []
      if (operator !== undefined) {
        throw new VergeError(
          'engine_unsupported',
          `The model has an operator that ONNX Runtime on WebGPU does not have in this form: ${operator}. Use the processor instead.`,
          { cause: error },
        )
      }
      throw new VergeError('model_invalid', `The model could not be loaded: ${reason}`, { cause: error })
    }
  }
}

/** What ONNX Runtime says of an operator that neither the graphics processor nor the WebAssembly beside it has. */
const NO_KERNEL = /(?:Provider type for|Could not find an implementation for) (\w+)/

/** Everything below it is also an error with a message, and would be printed besides. */
const LOG_FATAL = 4

/** @throws engine_full where the browser has none left */
function memoryOf(bytes: number): Uint8Array {
  try {
    return new Uint8Array(bytes)
  } catch (error) {
    throw heapFull(error)
  }
}

function deviceLost(): VergeError {
  return new VergeError(
    'session_lost',
    'The graphics processor was lost: its driver restarted, or the system took it away. Load the page again, or use the processor.',
  )
}
