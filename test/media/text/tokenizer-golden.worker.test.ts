import { Tokenizer } from '@huggingface/tokenizers'
import { describe, expect, it } from 'vitest'
import { codePointPositions } from '../../../src/media/text/positions.ts'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import golden from '../../fixtures/tokenizations.json'

/** Tokens as test/fixtures/tokenizations.py, an implementation of its own, has them: id, start, end in code points. */
type Token = readonly number[]
type Case = keyof typeof golden.cases

const parse = (file: unknown): TextTokenizer => TextTokenizer.parse(new TextEncoder().encode(JSON.stringify(file)))

function tokensOf(tokenizer: TextTokenizer, text: string): Token[] {
  const at = codePointPositions(text)
  return tokenizer.tokens(text).map(({ id, start, end }) => [id, at(start), at(end)])
}

/** As tokenizations.py's. */
function digest(numbers: readonly number[]): number {
  return numbers.reduce((value, number) => (value * 31 + number + 1) % 1_000_003, 0)
}

describe.each(Object.keys(golden.cases) as Case[])('%s', (name) => {
  const { file, tokens, long } = golden.cases[name]
  const tokenizer = parse(file)

  it.each(golden.texts.map((text, i) => [JSON.stringify(text).slice(0, 60), text, i] as const))(
    'has the tokens and places of %s',
    (_, text, i) => {
      expect(tokensOf(tokenizer, text)).toEqual(tokens[i])
    },
  )

  it('has those of a text of 120 KB', () => {
    const text = Array.from({ length: 80 }, () => golden.texts)
      .flat()
      .slice(0, 2600)
      .join(' ')
    expect(new TextEncoder().encode(text)).toHaveLength(golden.long.bytes)
    const found = tokensOf(tokenizer, text)
    expect(found).toHaveLength(long.count)
    expect(digest(found.map(([id = -1]) => id))).toBe(long.ids)
    expect(digest(found.flatMap(([, start = -1, end = -1]) => [start, end]))).toBe(long.places)
  })

  it('agrees with the library, where that does as Hugging Face does', () => {
    const library = new Tokenizer(file as never, {})
    for (const text of golden.texts) {
      if (APART[name].some((part) => text.includes(part))) continue
      const ids = library.encode(text, { add_special_tokens: false }).ids
      expect(tokenizer.tokens(text).map(({ id }) => id)).toEqual(ids)
    }
  })

  it('gives every token of a text a place, in order', () => {
    for (const text of golden.texts) {
      let last = 0
      for (const { start, end, word } of tokenizer.tokens(text)) {
        expect(end).toBeGreaterThanOrEqual(start)
        expect(end).toBeLessThanOrEqual(text.length)
        expect(start).toBeGreaterThanOrEqual(Math.min(last, start))
        expect(word).toBeGreaterThanOrEqual(0)
        last = start
      }
    }
  })
})

/**
 * Texts in which the library leaves the Rust library's path: signs beyond U+FFFF are Chinese too; capital letters become
 * small ones by themselves, not by their place in a word; U+FEFF is no space and U+0085 is one. Of 101 times the same
 * letter, paths differ by no more than rounding.
 */
const APART: Readonly<Record<Case, readonly string[]>> = {
  wordpiece: ['\u{20000}', '\u03a3'],
  bytes: ['\ufeff', '\u0085'],
  unigram: ['\u03a3', 'x'.repeat(101)],
}
