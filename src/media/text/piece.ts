import type { Pieces } from './compiled/pieces.ts'

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

/** Finds the tokens that write a text byte by byte ("<0x0A>"); undefined if one of them is missing. */
export function byteWriter(pieces: Pieces): (text: string) => readonly number[] | undefined {
  const ids: (number | undefined)[] = []
  const idOf = (byte: number): number | undefined => {
    if (!(byte in ids)) ids[byte] = pieces.idOf(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
    return ids[byte]
  }
  return (text) => {
    const written: number[] = []
    for (const byte of utf8.encode(text)) {
      const id = idOf(byte)
      if (id === undefined) return undefined
      written.push(id)
    }
    return written
  }
}
