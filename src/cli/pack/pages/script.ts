/**
 * Scripts that have pages of their own, by Unicode's name; Han, kana and Hangul among them. The other ones, and what has
 * no letter, share theirs.
 */
const SCRIPTS = [
  'Latin',
  'Cyrillic',
  'Greek',
  'Arabic',
  'Hebrew',
  'Devanagari',
  'Bengali',
  'Gurmukhi',
  'Gujarati',
  'Tamil',
  'Telugu',
  'Kannada',
  'Malayalam',
  'Sinhala',
  'Thai',
  'Lao',
  'Myanmar',
  'Khmer',
  'Georgian',
  'Armenian',
  'Ethiopic',
  'Hangul',
  'Hiragana',
  'Katakana',
  'Han',
] as const

const PATTERNS = SCRIPTS.map((script) => new RegExp(`\\p{Script=${script}}`, 'u'))
const LETTER = /\p{L}|\p{M}/u
const ASCII_LETTER = /[A-Za-z]/

/** A group of tokens that a text in one language has of: a number, the same for tokens of the same script. */
export const OTHER_LETTERS = SCRIPTS.length
/** Numbers, signs, spaces, and bytes. */
export const NO_LETTERS = SCRIPTS.length + 1

/** The script of a token's first letter. @param text without marks for spaces and parts of words */
export function scriptOf(text: string): number {
  // Nearly all tokens of most vocabularies are Latin.
  if (ASCII_LETTER.test(text)) return 0
  for (const character of text) {
    if (!LETTER.test(character)) continue
    const found = PATTERNS.findIndex((pattern) => pattern.test(character))
    if (found !== -1) return found
  }
  return LETTER.test(text) ? OTHER_LETTERS : NO_LETTERS
}
