import type { Finish } from '../../generate/generation-events.ts'
import type { PreparedPrompt, TextGenerator } from '../../generate/text-generator.ts'
import type { TokenCounts } from './writer.ts'

/** What comes of the texts of an answer, one text after the other, and at last how many tokens they took. */
export type AnswerEvent =
  | { readonly kind: 'text'; readonly index: number; readonly text: string }
  | { readonly kind: 'end'; readonly index: number; readonly finish: Finish; readonly stopString?: string }
  | { readonly kind: 'counts'; readonly counts: TokenCounts }

/** Where texts come from: a model here, or an origin. */
export interface TextSource {
  /** How many texts there are. */
  readonly texts: number
  /** Undefined where only the origin knows. */
  readonly promptTokens: number | undefined
  /** Ending the iteration, or the signal, ends the work behind it. */
  events(signal: AbortSignal): AsyncGenerator<AnswerEvent, void>
}

/** Texts that a model writes here. */
export class GeneratedTexts implements TextSource {
  readonly promptTokens: number
  readonly texts: number
  readonly #generator: TextGenerator
  readonly #prompts: readonly PreparedPrompt[]

  constructor(generator: TextGenerator, prompts: readonly PreparedPrompt[]) {
    this.#generator = generator
    this.#prompts = prompts
    this.texts = prompts.length
    this.promptTokens = prompts.reduce((sum, { ids }) => sum + ids.length, 0)
  }

  async *events(signal: AbortSignal): AsyncGenerator<AnswerEvent, void> {
    let completion = 0
    for (const [index, prompt] of this.#prompts.entries()) {
      for await (const event of await this.#generator.generate(prompt, index, signal)) {
        if (event.kind === 'text') yield { kind: 'text', index, text: event.text }
        else {
          const { finish, stopString, tokens } = event
          completion += tokens
          yield { kind: 'end', index, finish, ...(stopString !== undefined && { stopString }) }
        }
      }
    }
    yield { kind: 'counts', counts: { prompt: this.promptTokens, completion } }
  }
}
