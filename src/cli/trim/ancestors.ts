import type { Merge, Vocabulary } from './vocabulary.ts'

/** The pieces that have to stay for a piece to be made as before, itself among them. */
export type Ancestors = (id: number) => readonly number[]

/**
 * What each piece is made of.
 *
 * Trimming keeps a set of pieces and, of a BPE model, the merges whose two parts and whole are all in the set, in their
 * order. A text whose tokens t1 ... tn are in the set, with their ancestors, has the same tokens afterwards:
 *
 * 1. BPE merges the pair of the lowest rank, and of equal ranks the leftmost, until no pair merges. No merge reaches over
 *    the ends of a final token, else the token would be longer. Of the steps that a text takes, those inside of one token
 *    are therefore the steps that the token's own characters take alone: the pair that is chosen from all pairs is the one
 *    that is chosen from the pairs inside of the token. So the symbols that a text goes through are those that
 *    its tokens go through alone, which are their ancestors: `trace` takes these steps.
 * 2. By induction over the steps, the trimmed model goes through the same symbols. The first are characters (or bytes) of
 *    the tokens, which are ancestors. At each step the pairs that merge are some of those that merged before, in the same
 *    order, and the one that was chosen is among them, because its parts and its whole are kept. So it is chosen again.
 * 3. In the end no pair merges, because none did before.
 *
 * A piece that its own characters do not lead to (some files have such) is no token of any text by merges. Its parts by the
 * first merge that makes it are kept all the same.
 *
 * Pieces of other models are their own only ancestors. Unigram chooses the path of the highest score: without pieces that
 * are not on it, it is still the highest, and of equal paths the same is found first. What is unknown costs a fixed amount
 * below the lowest score of all, so the piece of the lowest score stays (`requiredIds`), and a character that lost its
 * piece costs more than before. WordPiece takes the longest piece at each place: the longest of fewer pieces is the same,
 * where that stays. But a word with an unknown part is unknown as a whole, and can become known where a longer piece in
 * front of that part is gone: only texts without the unknown token are sure to stay as they are. WordLevel looks whole
 * words up.
 */
export function ancestorsIn(vocabulary: Vocabulary): Ancestors {
  if (vocabulary.kind !== 'BPE') return (id) => [id]
  const { idOf, merges, texts } = vocabulary
  const ranks = new Map<number, number>()
  const first = new Map<number, Merge>()
  const key = (left: number, right: number): number => left * texts.length + right
  for (const [rank, merge] of merges.entries()) {
    if (merge.left < 0 || merge.right < 0) continue
    // Of two merges of one pair the last counts, as in the compiled table.
    ranks.set(key(merge.left, merge.right), rank)
    if (!first.has(merge.whole)) first.set(merge.whole, merge)
  }

  /** The symbols on the way from a piece's characters to the piece; undefined if it is not where they lead. */
  const trace = (id: number, written: readonly string[]): readonly number[] | undefined => {
    const symbols = written.map((text) => idOf.get(text) ?? -1)
    if (symbols.includes(-1)) return undefined
    const seen = [...symbols]
    while (symbols.length > 1) {
      let [lowest, place] = [Number.POSITIVE_INFINITY, -1]
      for (let at = 0; at + 1 < symbols.length; at++) {
        const rank = ranks.get(key(symbols[at] ?? -1, symbols[at + 1] ?? -1)) ?? Number.POSITIVE_INFINITY
        if (rank >= lowest) continue
        lowest = rank
        place = at
      }
      const whole = merges[lowest]?.whole
      if (whole === undefined) return undefined
      symbols.splice(place, 2, whole)
      seen.push(whole)
    }
    return symbols[0] === id ? seen : undefined
  }

  const found = new Map<number, readonly number[]>()
  const ancestors: Ancestors = (id) => {
    const known = found.get(id)
    if (known !== undefined) return known
    // Against pieces that are made of themselves, in a damaged file.
    found.set(id, [id])
    const { left, right } = first.get(id) ?? {}
    const text = texts[id] ?? ''
    // A character that the vocabulary lacks is written in bytes, which merge as well.
    const inBytes = BYTE.test(text) ? trace(id, text.match(BYTE_OR_CHARACTER) ?? []) : undefined
    const traced = trace(id, symbolsOf(text, vocabulary)) ?? inBytes
    const made = traced === undefined || inBytes === undefined ? traced : [...traced, ...inBytes]
    const parts = made ?? (left === undefined || right === undefined ? [] : [...ancestors(left), ...ancestors(right)])
    const all = [...new Set([...parts, id])]
    found.set(id, all)
    return all
  }
  return ancestors
}

const BYTE = /<0x[0-9A-F]{2}>/
const BYTE_OR_CHARACTER = /<0x[0-9A-F]{2}>|./gsu

/** The symbols that a BPE model begins a piece with: its characters, with what marks a word's inside and end. */
function symbolsOf(text: string, { prefix, suffix }: Vocabulary): string[] {
  const inside = prefix !== '' && text.startsWith(prefix)
  const ends = suffix !== '' && text.endsWith(suffix)
  const characters = [...text.slice(inside ? prefix.length : 0, ends ? text.length - suffix.length : text.length)]
  return characters.map((character, place) => {
    const before = place > 0 || inside ? prefix : ''
    return `${before}${character}${ends && place === characters.length - 1 ? suffix : ''}`
  })
}
