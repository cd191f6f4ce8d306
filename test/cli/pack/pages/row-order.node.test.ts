import { describe, expect, it } from 'vitest'
import { type RowOrderOptions, rowOrder } from '../../../../src/cli/pack/pages/row-order.ts'
import { readVocabulary } from '../../../../src/cli/pack/pages/vocabulary.ts'
import { TextTokenizer } from '../../../../src/media/text/tokenizer.ts'
import { inventedTokenizer, inventedWords } from '../../../../synthetic/vocabularies.ts'

const PIECES = 6_000
const FILE = new TextEncoder().encode(JSON.stringify(inventedTokenizer('Unigram', PIECES)))
const VOCABULARY = readVocabulary(FILE)
const tokenizer = TextTokenizer.parse(FILE)

function ordered(options: Partial<RowOrderOptions> = {}): number[] {
  return [...rowOrder({ rows: PIECES, hot: 500, always: [], counts: new Map(), vocabulary: VOCABULARY, ...options })]
}

/** Pages of 64 rows that a text needs. */
function pagesOf(order: readonly number[], hot: number, text: string): number {
  const places = new Map(order.map((id, place) => [id, place]))
  const cold = tokenizer.tokens(text).map(({ id }) => (places.get(id) ?? 0) - hot)
  return new Set(cold.filter((place) => place >= 0).map((place) => Math.floor(place / 64))).size
}

describe('the order of rows', () => {
  it('has every row once', () => {
    expect(ordered().sort((a, b) => a - b)).toEqual(Array.from({ length: PIECES }, (_, id) => id))
  })

  it('begins with the rows that every text needs, then with those that came most often, then with those that are expected', () => {
    const counts = new Map([
      [5_000, 3],
      [4_000, 9],
    ])
    const order = ordered({ always: [5_999, 0, 77_777, -1], counts })
    expect(order.slice(0, 4)).toEqual([0, 5_999, 4_000, 5_000])
    const expected = [...VOCABULARY.ranks.keys()].sort(
      (a, b) => (VOCABULARY.ranks[a] ?? 0) - (VOCABULARY.ranks[b] ?? 0) || a - b,
    )
    const named = new Set(order.slice(0, 4))
    expect(order.slice(4, 500)).toEqual(expected.filter((id) => !named.has(id)).slice(0, 496))
  })

  it('puts rows that have no token behind all others of their group, and is by number without a vocabulary', () => {
    expect(ordered({ rows: PIECES + 3 }).slice(-3)).toEqual([PIECES, PIECES + 1, PIECES + 2])
    expect(ordered({ vocabulary: undefined, rows: 10, hot: 2, always: [7] })).toEqual([7, 0, 1, 2, 3, 4, 5, 6, 8, 9])
  })

  it('lets a text in one script touch a part of the pages that it touches where rows are by expectation alone', () => {
    const hot = 500
    const grouped = ordered()
    const alone = ordered({ hot: PIECES })
    const texts = ['Cyrillic', 'Greek', 'Arabic', 'Thai', 'Hangul'].map((script) => {
      const words = inventedWords(PIECES).filter((word) => new RegExp(`^\\p{Script=${script}}+$`, 'u').test(word))
      return words.slice(-60).join(' ')
    })
    const touched = (order: readonly number[]): number =>
      texts.reduce((sum, text) => sum + pagesOf(order, hot, text), 0)
    expect(touched(grouped)).toBeGreaterThan(0)
    expect(touched(grouped)).toBeLessThan(touched(alone) / 3)
  })
})
