import { VergeError } from '../../core/errors.ts'
import { type Signature, selectInputs, selectOutputs, type Tensors } from '../../core/tensors.ts'
import type { GenerateOptions, RunOptions, Session } from '../engine.ts'
import { CausalDecoder, decodeTokens, type StepOptions } from '../generate.ts'
import { runReason } from '../ort/reason.ts'
import type { RunQueue } from '../run-queue.ts'
import { LOG_FATAL } from './provider.ts'
import { messageOf } from './reason.ts'
import type { InferenceSession, Tensor as OrtTensor } from './runtime.ts'
import { fromOrt, specOf, toOrt } from './values.ts'

export class NativeSession implements Session {
  readonly signature: Signature
  readonly bytes: number
  readonly #session: InferenceSession
  readonly #runQueue: RunQueue
  readonly #onDispose: () => void
  #alive = true

  constructor(session: InferenceSession, runQueue: RunQueue, bytes: number, onDispose: () => void) {
    this.#session = session
    this.#runQueue = runQueue
    this.bytes = bytes
    this.#onDispose = onDispose
    this.signature = {
      inputs: session.inputMetadata.map(specOf),
      outputs: session.outputMetadata.map(specOf),
    }
  }

  get alive(): boolean {
    return this.#alive
  }

  async run(inputs: Tensors, options: RunOptions): Promise<Tensors> {
    const feeds = Object.fromEntries(
      selectInputs(this.signature, inputs).map(({ spec, value }) => [spec.name, toOrt(spec.name, value)]),
    )
    const fetches = selectOutputs(this.signature, options.outputs).map((spec) => spec.name)
    // onnxruntime-node takes an empty list of outputs for "all of them".
    const values = await this.#turn(options, fetches.length === 0 ? undefined : () => this.#run(feeds, fetches))
    return new Map(fetches.map((name) => [name, fromOrt(name, values?.[name] as OrtTensor | undefined)]))
  }

  /** A sequence whose cache stays in values of the runtime. @throws engine_unsupported */
  decoder(): CausalDecoder<OrtTensor> {
    return new CausalDecoder<OrtTensor>(this.signature, {
      toValue: toOrt,
      fromValue: fromOrt,
      run: async (inputs, outputs, options) => {
        const values = await this.#turn(options, () => this.#run(Object.fromEntries(inputs), outputs))
        return new Map(outputs.map((name) => [name, returnable(name, values?.[name] as OrtTensor | undefined)]))
      },
    })
  }

  async *generate(prompt: readonly number[], options: GenerateOptions): AsyncGenerator<number, void, undefined> {
    const decoder = this.decoder()
    yield* decodeTokens(decoder.layout, (tokens, step) => decoder.feed(tokens, step), prompt, options)
  }

  dispose(): void {
    if (!this.#alive) return
    this.#alive = false
    // The release is not awaited. A session that cannot be released is collected with its object.
    this.#session.release().catch(() => {})
    this.#onDispose()
  }

  async #turn<T>(options: StepOptions, work: (() => Promise<T>) | undefined): Promise<T | undefined> {
    return this.#runQueue.run(options.signal, async () => {
      if (!this.#alive) {
        throw new VergeError('session_lost', 'The model was unloaded while the request waited. Send the request again.')
      }
      options.onTurn?.()
      return work?.()
    })
  }

  async #run(
    feeds: InferenceSession.OnnxValueMapType,
    fetches: readonly string[],
  ): Promise<InferenceSession.OnnxValueMapType> {
    try {
      return await this.#session.run(feeds, fetches, { logSeverityLevel: LOG_FATAL })
    } catch (error) {
      if (!this.#alive)
        throw new VergeError('session_lost', 'The model was unloaded during the run. Send the request again.')
      throw new VergeError('run_rejected', `The model could not run on these inputs: ${runReason(messageOf(error))}`, {
        cause: error,
      })
    }
  }
}

/** An output that can be an input again: half floats come in an array that the binding does not take back. */
function returnable(name: string, value: OrtTensor | undefined): OrtTensor {
  return value?.type === 'float32' ? value : toOrt(name, fromOrt(name, value))
}
