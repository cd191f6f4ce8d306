import { VergeError } from '../core/errors.ts'
import { type Decoder, decoderOf } from '../media/text/decode.ts'
import type { TextTokenizer } from '../media/text/tokenizer.ts'

/** Tokens to text, one by one. */
export class Detokenizer {
  readonly #tokenizer: TextTokenizer
  readonly #decoder: Decoder
  // A character may be spread over several tokens; its first bytes wait for the others.
  readonly #utf8 = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })
  #first: boolean

  /**
   * @param continues whether a text stands before: then its first word keeps the space in front of it
   * @throws manifest_invalid for a decoder that is not known
   */
  constructor(tokenizer: TextTokenizer, continues: boolean) {
    this.#tokenizer = tokenizer
    this.#first = !continues
    try {
      this.#decoder = decoderOf(tokenizer.decoder)
    } catch (cause) {
      throw new VergeError(
        'manifest_invalid',
        "The model's tokenizer.json has an unsupported decoder, so the model cannot write text. Push the model again with another tokenizer.",
        { cause },
      )
    }
  }

  /**
   * What a token adds to the text: nothing while a character is not complete, and for tokens that are for the model
   * alone. What is no UTF-8 becomes U+FFFD once that is certain; a character that is never completed is left out.
   */
  push(id: number): string {
    if (this.#tokenizer.special.has(id)) return ''
    const token = this.#tokenizer.tokenText(id)
    if (token === '') return ''
    const bytes = this.#decoder(token, this.#first)
    this.#first = false
    return this.#utf8.decode(bytes, { stream: true })
  }
}
