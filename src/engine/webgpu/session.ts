import type { InferenceSession, Tensor } from 'onnxruntime-web'
import { isVergeError, VergeError } from '../../core/errors.ts'
import { type Signature, selectInputs, selectOutputs, type Tensors } from '../../core/tensors.ts'
import type { RunOptions, Session } from '../engine.ts'
import { heapFull, isOutOfMemory } from '../ort/marshal.ts'
import { runReason } from '../ort/reason.ts'
import { fromValue, specOf, toValue } from '../ort/values.ts'
import type { RunQueue } from '../run-queue.ts'

export interface WebGpuSessionOptions {
  readonly session: InferenceSession
  readonly Tensor: typeof Tensor
  readonly runQueue: RunQueue
  /** Rejects when the device is lost, and never resolves. */
  readonly lost: Promise<never>
  readonly isLost: () => boolean
  readonly bytes: number
  readonly onDispose: () => void
}

/** A session on a graphics processor. It continues no texts: a browser leaves that to Workers and origins. */
export class WebGpuSession implements Session {
  readonly signature: Signature
  readonly bytes: number
  readonly #options: WebGpuSessionOptions
  #disposed = false

  constructor(options: WebGpuSessionOptions) {
    const { bytes, session } = options
    this.#options = options
    this.bytes = bytes
    this.signature = { inputs: session.inputMetadata.map(specOf), outputs: session.outputMetadata.map(specOf) }
  }

  get alive(): boolean {
    return !this.#disposed && !this.#options.isLost()
  }

  async run(inputs: Tensors, options: RunOptions): Promise<Tensors> {
    const { Tensor } = this.#options
    const feeds = selectInputs(this.signature, inputs).map(
      ({ spec, value }) => [spec.name, toValue(Tensor, spec.name, value)] as const,
    )
    const fetches = selectOutputs(this.signature, options.outputs).map(({ name }) => name)
    return this.#options.runQueue.runWithPauses(
      options.signal,
      async () => {
        if (this.#disposed) {
          throw new VergeError(
            'session_lost',
            'The model was unloaded while the request waited. Send the request again.',
          )
        }
        options.onTurn?.()
        const values = await this.#run(Object.fromEntries(feeds), fetches)
        return new Map(fetches.map((name) => [name, fromValue(name, values[name])]))
      },
      { runsBefore: options.runsBefore, request: options.signal },
    )
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    // The release is not awaited. What is on a lost device is gone.
    this.#options.session.release().catch(() => {})
    this.#options.onDispose()
  }

  async #run(feeds: InferenceSession.FeedsType, fetches: readonly string[]): Promise<Record<string, Tensor>> {
    const { isLost, lost, session } = this.#options
    if (isLost()) await lost
    if (fetches.length === 0) return {}
    try {
      return (await Promise.race([session.run(feeds, fetches), lost])) as Record<string, Tensor>
    } catch (error) {
      if (isVergeError(error)) throw error
      // The reason comes a moment after the first call that fails.
      if (isLost()) await lost
      const message = error instanceof Error ? error.message : String(error)
      if (isOutOfMemory(message)) throw heapFull(error)
      throw new VergeError('run_rejected', `The model could not run on these inputs: ${runReason(message)}`, {
        cause: error,
      })
    }
  }
}
