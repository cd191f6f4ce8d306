import { VergeError } from '../../core/errors.ts'
import { type Signature, selectInputs, selectOutputs, type Tensors } from '../../core/tensors.ts'
import { causalLayout } from '../causal.ts'
import type { GenerateOptions, RunOptions, Session } from '../engine.ts'
import { decodeTokens, type StepOptions } from '../generate.ts'
import type { EngineChild } from './child-process.ts'
import type { Answers, Request } from './protocol.ts'

let sequences = 0

/** A session in the child process; it lives as long as that process. */
export class ProcessSession implements Session {
  readonly signature: Signature
  readonly bytes: number
  readonly #child: EngineChild
  readonly #number: number
  #disposed = false
  #executing = false

  /** @param number by which the child knows the session */
  constructor(child: EngineChild, number: number, opened: Answers['open']) {
    this.#child = child
    this.#number = number
    this.signature = opened.signature
    this.bytes = opened.bytes
  }

  get alive(): boolean {
    return !this.#disposed && this.#child.alive
  }

  async run(inputs: Tensors, options: RunOptions): Promise<Tensors> {
    const feeds = selectInputs(this.signature, inputs)
    const outputs = selectOutputs(this.signature, options.outputs).map(({ name }) => name)
    const request = {
      kind: 'run',
      session: this.#number,
      inputs: new Map(feeds.map(({ spec, value }) => [spec.name, value])),
      outputs,
    } as const
    return this.#work(request, options)
  }

  /**
   * The cache stays in the child; the logits come here at every step, because `choose` is a function. For 50,000 entries
   * of a vocabulary that is half a millisecond a token.
   */
  async *generate(prompt: readonly number[], options: GenerateOptions): AsyncGenerator<number, void, undefined> {
    const layout = causalLayout(this.signature)
    const sequence = ++sequences
    const feed = (tokens: readonly number[], step: StepOptions): Promise<Float32Array> => {
      return this.#work({ kind: 'feed', session: this.#number, sequence, tokens }, step)
    }
    const disengage = this.#child.engage()
    const end = (): void => {
      this.#child.tell({ kind: 'end', sequence })
      disengage()
    }
    // Who leaves may never ask for another token, and the cache is not to wait for that.
    options.signal.addEventListener('abort', end, { once: true })
    try {
      yield* decodeTokens(layout, feed, prompt, options)
    } finally {
      options.signal.removeEventListener('abort', end)
      end()
    }
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    if (!this.#executing) this.#close()
  }

  /** Work that has begun is seen to its end, whatever becomes of the session meanwhile. */
  #work<K extends 'run' | 'feed'>(
    request: Extract<Request, { kind: K }>,
    { signal, onTurn }: StepOptions,
  ): Promise<Answers[K]> {
    const begin = (): void => {
      if (this.#disposed) {
        throw new VergeError('session_lost', 'The model was unloaded while the request waited. Send the request again.')
      }
      onTurn?.()
      this.#executing = true
    }
    const done = (): void => {
      this.#executing = false
      if (this.#disposed) this.#close()
    }
    return this.#child.work<K>(this, request, signal, begin, done)
  }

  #close(): void {
    this.#child.tell({ kind: 'close', session: this.#number })
  }
}
