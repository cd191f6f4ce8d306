import type { InferenceSession } from 'onnxruntime-node'
import { VergeError } from '../../core/errors.ts'
import type { Signature, TensorSpec, Tensors } from '../../core/tensors.ts'
import type { RunOptions, Session } from '../engine.ts'
import { selectInputs, selectOutputs } from '../selection.ts'
import type { Turnstile } from '../turnstile.ts'
import { runtimeReason } from './reason.ts'
import { datatypeOf, fromOrt, toOrt } from './values.ts'

/** Fatal only: what fails is thrown to the caller, and need not be printed beside. */
export const LOG_FATAL = 4

export class NativeSession implements Session {
  readonly signature: Signature
  readonly bytes: number
  readonly #session: InferenceSession
  readonly #turnstile: Turnstile
  #alive = true

  constructor(session: InferenceSession, turnstile: Turnstile, bytes: number) {
    this.#session = session
    this.#turnstile = turnstile
    this.bytes = bytes
    this.signature = {
      inputs: session.inputMetadata.map(toSpec),
      outputs: session.outputMetadata.map(toSpec),
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
    return this.#turnstile.turn(options.signal, async () => {
      if (!this.#alive) {
        throw new VergeError('session_lost', 'The model was unloaded while the request waited; ask again.')
      }
      options.onTurn?.()
      // onnxruntime-node takes an empty list of outputs for "all of them".
      const values = fetches.length === 0 ? {} : await this.#run(feeds, fetches)
      return new Map(fetches.map((name) => [name, fromOrt(name, values[name] as Parameters<typeof fromOrt>[1])]))
    })
  }

  dispose(): void {
    if (!this.#alive) return
    this.#alive = false
    // Nobody waits for the release, and a session that cannot be released is collected with its object.
    this.#session.release().catch(() => {})
  }

  async #run(
    feeds: InferenceSession.OnnxValueMapType,
    fetches: readonly string[],
  ): Promise<InferenceSession.OnnxValueMapType> {
    try {
      return await this.#session.run(feeds, fetches, { logSeverityLevel: LOG_FATAL })
    } catch (error) {
      if (!this.#alive) throw new VergeError('session_lost', 'The model was unloaded during the run; ask again.')
      throw new VergeError('run_rejected', `The model could not run on these inputs: ${runtimeReason(error)}`, {
        cause: error,
      })
    }
  }
}

function toSpec(metadata: InferenceSession.ValueMetadata): TensorSpec {
  if (!metadata.isTensor) return { name: metadata.name, datatype: null, shape: [] }
  return {
    name: metadata.name,
    datatype: datatypeOf(metadata.type),
    shape: metadata.shape.map((dimension) => (dimension === '' ? -1 : dimension)),
  }
}
