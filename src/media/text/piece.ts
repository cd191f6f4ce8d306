/** A token within a word. */
export interface Piece {
  /** Undefined where the vocabulary has no token for what it does not know. */
  readonly id: number | undefined
  /** UTF-16 units [start, end) of the word. */
  readonly start: number
  readonly end: number
}

/** One word (what a pre-tokenizer made) to tokens that cover it from its beginning to its end. */
export type WordModel = (word: string) => readonly Piece[]

/** Counts the steps of the models' inner loops, so that a test can show how they grow with a text. */
export interface StepCounter {
  steps: number
}

const utf8 = new TextEncoder()

/** Ids of the tokens that write a text byte by byte ("<0x0A>"); undefined if one of them is missing. */
export function byteTokens(text: string, idOf: (token: string) => number | undefined): number[] | undefined {
  const ids: number[] = []
  for (const byte of utf8.encode(text)) {
    const id = idOf(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
    if (id === undefined) return undefined
    ids.push(id)
  }
  return ids
}
