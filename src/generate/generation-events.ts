import type { TextTokenizer } from '../media/text/tokenizer.ts'
import { Detokenizer } from './detokenizer.ts'
import { StopStrings } from './stop.ts'

/** Why a text ended: by itself or a stop string, or because it had reached its length. */
export type Finish = 'stop' | 'length'

/** What comes of a text that is being written: parts of it, and at last why it ended and how many tokens it took. */
export type GenerationEvent =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'end'
      readonly finish: Finish
      readonly tokens: number
      /** The stop string that ended it, if one did. */
      readonly stopString?: string
    }

export interface GenerationEventOptions {
  readonly tokenizer: TextTokenizer
  /** Whether the text goes on where its prompt ends, and so keeps a space in front. */
  readonly continues: boolean
  /** Strings that end the text; neither they nor a part of them are in it. */
  readonly stop: readonly string[]
  readonly maxNewTokens: number
}

/**
 * Tokens as text, a part for every token that completes a character. Ending the iteration ends that of the tokens.
 * @throws manifest_invalid, and what the tokens throw
 */
export async function* generationEvents(
  tokens: AsyncIterable<number>,
  options: GenerationEventOptions,
): AsyncGenerator<GenerationEvent, void> {
  const { continues, maxNewTokens, stop, tokenizer } = options
  const detokenizer = new Detokenizer(tokenizer, continues)
  const strings = new StopStrings(stop)
  let count = 0
  for await (const token of tokens) {
    count++
    const { text, stopped } = strings.push(detokenizer.push(token))
    if (text !== '') yield { kind: 'text', text }
    if (stopped !== undefined) {
      yield { kind: 'end', finish: 'stop', tokens: count, stopString: stopped }
      return
    }
  }
  const held = strings.end()
  if (held !== '') yield { kind: 'text', text: held }
  yield { kind: 'end', finish: count >= maxNewTokens ? 'length' : 'stop', tokens: count }
}
