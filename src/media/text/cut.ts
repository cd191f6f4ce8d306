import type { TextToken } from './tokenizer.ts'

/** Which end of a text that is too long loses tokens. */
export type CutSide = 'right' | 'left'

/** Tokens near a cut may be others than in the whole text. */
const MARGIN_TOKENS = 32
/** More than in any language's usual text, so that one attempt is enough. */
const UNITS_PER_TOKEN = 8
/** A word is cut in two only if it is longer. */
const LONGEST_WORD = 200

/** UTF-16 units of a text that are read first for `most` tokens. */
export function firstReading(most: number): number {
  return (most + MARGIN_TOKENS) * UNITS_PER_TOKEN
}

/** About the first `length` units of a text, to the end of a word if one is near. */
export function beginning(text: string, length: number): string {
  for (let at = length - 1; at >= Math.max(1, length - 1 - LONGEST_WORD); at--) {
    if (/\s/.test(text[at] ?? '')) return text.slice(0, at)
  }
  return text.slice(0, /[\ud800-\udbff]/.test(text[length - 1] ?? '') ? length - 1 : length)
}

/** About the last `length` units of a text, from the beginning of a word if one is near. */
export function ending(text: string, length: number): string {
  const from = text.length - length
  for (let at = from; at <= Math.min(text.length - 1, from + LONGEST_WORD); at++) {
    // With its space, which is part of the word to many tokenizers.
    if (/\s/.test(text[at] ?? '')) return text.slice(at)
  }
  return text.slice(/[\udc00-\udfff]/.test(text[from] ?? '') ? from + 1 : from)
}

/**
 * The `most` tokens of a text that is read in part, if that part shows them as the whole text would: those next to the
 * cut do not count, nor do those of a word that the cut may go through.
 */
export function keptTokens(
  tokens: readonly TextToken[],
  part: string,
  most: number,
  side: CutSide,
): TextToken[] | undefined {
  const right = side === 'right'
  const word = (right ? tokens.at(-1) : tokens[0])?.word
  const atCut = tokens.filter((token) => token.word === word)
  const [first, last] = [atCut[0], atCut.at(-1)]
  if (first === undefined || last === undefined) return undefined
  const units = right ? part.length - first.start : last.end
  // The pieces of a longer word depend on what is near them alone.
  const lost = Math.max(MARGIN_TOKENS, units > 2 * LONGEST_WORD ? 0 : atCut.length)
  if (tokens.length - lost < most) return undefined
  return right ? tokens.slice(0, most) : tokens.slice(tokens.length - most)
}
