import { isConfig, isTokenId, type TokenizerConfig } from './config.ts'

/** The tokens of a model, by their texts and by their numbers. */
export class Vocabulary {
  readonly #ids: ReadonlyMap<string, number>
  readonly #texts: readonly string[]

  /** @throws Error if there is no token, or one without a number */
  constructor(entries: Iterable<readonly [string, unknown]>) {
    const ids = new Map<string, number>()
    const texts: string[] = []
    for (const [text, id] of entries) {
      if (!isTokenId(id)) throw new Error(`the vocabulary has no number for ${JSON.stringify(text).slice(0, 80)}`)
      ids.set(text, id)
      texts[id] = text
    }
    if (ids.size === 0) throw new Error('the vocabulary is empty')
    this.#ids = ids
    this.#texts = texts
  }

  idOf(text: string): number | undefined {
    return this.#ids.get(text)
  }

  textOf(id: number): string | undefined {
    return this.#texts[id]
  }

  get entries(): Iterable<readonly [string, number]> {
    return this.#ids
  }
}

/** The vocabulary of a `model`: an object of numbers by texts, or, of a Unigram model, a list of [text, score]. */
export function vocabularyOf({ vocab }: TokenizerConfig): Vocabulary {
  if (isConfig(vocab)) return new Vocabulary(Object.entries(vocab))
  if (!Array.isArray(vocab)) throw new Error('the model has no vocabulary')
  return new Vocabulary(vocab.map((entry: unknown, id) => [textIn(entry), id]))
}

function textIn(entry: unknown): string {
  const text: unknown = Array.isArray(entry) ? entry[0] : undefined
  if (typeof text !== 'string') throw new Error('the vocabulary has an entry without a text')
  return text
}
