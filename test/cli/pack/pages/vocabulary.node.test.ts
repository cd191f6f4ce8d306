import { describe, expect, it } from 'vitest'
import { readVocabulary, type Vocabulary } from '../../../../src/cli/pack/pages/vocabulary.ts'
import { inventedTokenizer } from '../../../../synthetic/vocabularies.ts'

const read = (file: object): Vocabulary => readVocabulary(new TextEncoder().encode(JSON.stringify(file)))

/** Numbers of tokens, the most expected first. */
function byRank({ ranks }: Vocabulary): number[] {
  return [...ranks.keys()].sort((a, b) => (ranks[a] ?? 0) - (ranks[b] ?? 0) || a - b)
}

describe('what a tokenizer expects most', () => {
  it('is, of a Unigram model, what has the highest score', () => {
    const vocab = [
      ['<unk>', 0],
      ['\u2581rare', -12.5],
      ['\u2581the', -3.25],
      ['\u2581cat', -9],
    ]
    const vocabulary = read({ model: { type: 'Unigram', unk_id: 0, vocab } })
    expect(byRank(vocabulary)).toEqual([0, 2, 3, 1])
    expect(vocabulary.texts).toEqual(['<unk>', 'rare', 'the', 'cat'])
  })

  it('is, of a BPE model, letters, then what the first merges make, however merges are written', () => {
    const vocab = { ab: 0, abc: 1, a: 2, b: 3, c: 4, bc: 5 }
    for (const merges of [
      ['b c', 'a b', 'ab c'],
      [
        ['b', 'c'],
        ['a', 'b'],
        ['ab', 'c'],
      ],
    ]) {
      expect(byRank(read({ model: { type: 'BPE', vocab, merges } }))).toEqual([2, 3, 4, 5, 0, 1])
    }
  })

  it('is, of a BPE model with thousands of characters, a mix of what merges make and of characters', () => {
    const characters = Array.from({ length: 2_512 }, (_, i) => String.fromCodePoint(0x4e00 + i))
    const merged = Array.from({ length: 1_000 }, (_, i) => [characters[i] ?? '', characters[i + 1] ?? ''] as const)
    const texts = [...merged.map((pair) => pair.join('')), ...characters]
    const vocab = Object.fromEntries(texts.map((text, id) => [text, id]))
    const order = byRank(read({ model: { type: 'BPE', vocab, merges: merged } }))
    expect(order.slice(0, 512).every((id) => id >= 1_000 && id < 1_512)).toBe(true)
    const next = order.slice(512, 1_012).filter((id) => id < 1_000).length
    expect(next).toBeGreaterThan(100)
    expect(next).toBeLessThan(200)
  })

  it('is, without scores and merges, what has the lowest number', () => {
    expect(byRank(read({ model: { type: 'WordPiece', vocab: { '[PAD]': 0, the: 1, '##s': 2 } } }))).toEqual([0, 1, 2])
  })
})

describe('the texts of tokens', () => {
  it('are without marks of words and parts of words, and undefined where a number has no token', () => {
    const { texts } = read({ model: { type: 'WordPiece', vocab: { '##\u0436': 0, the: 2 } } })
    expect(texts).toEqual(['\u0436', undefined, 'the'])
  })

  it('are characters where the vocabulary writes bytes', () => {
    const file = inventedTokenizer('BPE', 3_000) as { model: { vocab: Record<string, number> } }
    const { texts } = read(file)
    expect(texts[file.model.vocab['\u0120'] ?? -1]).toBe(' ')
    const cyrillic = texts.filter((text) => text !== undefined && /^ ?\p{Script=Cyrillic}+$/u.test(text))
    expect(cyrillic.length).toBeGreaterThan(20)
    expect(texts.some((text) => text?.includes('\ufffd'))).toBe(false)
  })
})

it('refuses what is no JSON', () => {
  expect(() => readVocabulary(new TextEncoder().encode('{'))).toThrow('tokenizer.json is not JSON')
})
