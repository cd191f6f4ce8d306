import type { OpenSpan, Tracer } from '../core/tracing.ts'

/** A text that is about to be written. */
export interface TextFacts {
  /** Tokens of the prompt. */
  readonly prompt: number
  /** Of the artifact that writes it. */
  readonly format: string
  /** Raised when the reader leaves, or the time is over. */
  readonly signal: AbortSignal
}

/** The span `run` of a text that is written token by token: from when its session is there until its tokens end. */
export class TextSpan {
  readonly #span: OpenSpan
  readonly #tracer: Tracer
  readonly #signal: AbortSignal
  /** When the first token was asked for. */
  #asked: number | undefined
  #written = 0

  private constructor(span: OpenSpan, tracer: Tracer, signal: AbortSignal) {
    this.#span = span
    this.#tracer = tracer
    this.#signal = signal
  }

  /** Undefined where the request is not recorded. */
  static open(tracer: Tracer | undefined, { format, prompt, signal }: TextFacts): TextSpan | undefined {
    const span = tracer?.open('run', { 'verge.artifact.format': format, 'gen_ai.usage.input_tokens': prompt })
    return tracer && span && new TextSpan(span, tracer, signal)
  }

  /** The wait for the engine is over. */
  turned(): void {
    if (this.#asked !== undefined) this.#span.part('queue', {}, this.#asked, this.#tracer.now())
  }

  /** The same tokens. Those who read them may be called from anywhere: each step is done in this span. */
  around(tokens: AsyncIterableIterator<number, undefined>): AsyncIterableIterator<number, undefined> {
    return {
      [Symbol.asyncIterator]() {
        return this
      },
      next: async () => {
        this.#asked ??= this.#tracer.now()
        try {
          const step = await this.#span.step(() => tokens.next())
          if (step.done) this.#end()
          else if (this.#written++ === 0) this.#span.event('first_token')
          return step
        } catch (error) {
          this.#end(error)
          throw error
        }
      },
      // Where a stop string ended the text, or its reader left.
      return: async () => {
        try {
          return (await tokens.return?.()) ?? { done: true, value: undefined }
        } finally {
          if (this.#signal.aborted) this.#span.set({ 'error.type': 'cancelled' })
          this.#end()
        }
      },
    }
  }

  #end(error?: unknown): void {
    this.#span.set({ 'gen_ai.usage.output_tokens': this.#written })
    this.#span.end(error)
  }
}
