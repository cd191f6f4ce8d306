import { describe, expect, it } from 'vitest'
import { evidenceFor } from '../../../src/cli/trim/evidence.ts'
import { alphabetOf } from '../../../src/cli/trim/languages.ts'
import { readVocabulary } from '../../../src/cli/trim/vocabulary.ts'
import { wantedIds } from '../../../src/cli/trim/wanted.ts'
import { inventedTokenizer } from '../../../synthetic/vocabularies.ts'

const vocabulary = readVocabulary({
  model: { type: 'BPE', vocab: { a: 0 }, merges: [] },
  pre_tokenizer: { type: 'Metaspace' },
})
const evidenceOf = (language: string, of = vocabulary) => evidenceFor([language], alphabetOf([language]), of)

describe('evidence of a language', () => {
  it.each([
    ['de', ['▁Freiheit', '▁zwischen', 'schaft', '▁Größe'], ['▁through', '▁vous', 'ción', '▁jest']],
    ['fr', ['▁aujourd', '▁quelque', 'ement', '▁liberté'], ['▁zwischen', '▁which', '▁czy', 'ijk']],
    ['pl', ['▁przez', '▁wszyst', 'ości', '▁może'], ['▁the', '▁und', '▁della', 'ción']],
    ['en', ['▁whether', '▁thought', '▁which', 'ing'], ['▁zwischen', '▁może', '▁være', 'ção']],
    ['ru', ['▁который', '▁чтобы'], ['▁який', '▁ўсё']],
  ])('%s is greater for its own pieces', async (language, own, others) => {
    const evidence = await evidenceOf(language)
    if (evidence === undefined) throw new Error('no evidence')
    const least = Math.min(...own.map(evidence))
    for (const piece of others) expect(evidence(piece), piece).toBeLessThan(least)
    expect(evidence('▁2027')).toBe(0)
  })

  it('is the same for a word in any form of vocabulary', async () => {
    const wordPiece = readVocabulary({ model: { type: 'WordPiece', vocab: { a: 0 } } })
    const bytes = readVocabulary(inventedTokenizer('BPE', 300))
    const [mark, word, byte] = [
      await evidenceOf('de'),
      await evidenceOf('de', wordPiece),
      await evidenceOf('de', bytes),
    ]
    const expected = mark?.('▁größe')
    expect(word?.('größe')).toBe(expected)
    expect(byte?.('ĠgrÃ¶ÃŁe')).toBe(expected)
    expect(word?.('##schaft')).toBe(mark?.('schaft'))
    // Half of a letter says nothing.
    expect(byte?.('Ã')).toBe(0)
  })

  it('needs texts of the language, and others with its letters', async () => {
    expect(await evidenceOf('ksb')).toBeUndefined()
    expect(await evidenceOf('ka')).toBeUndefined()
  })

  it('puts pieces of the language first where there is room for some', async () => {
    const pieces = ['▁the', '▁through', '▁zwischen', '▁Freiheit', '▁żółw']
    const vocab = Object.fromEntries(pieces.map((piece, id) => [piece, id]))
    const of = readVocabulary({ model: { type: 'BPE', vocab, merges: [] } })
    const german = { corpus: undefined, languages: ['de'] }
    const order = (await wantedIds(of, { ...german, bounded: true })).map((id) => pieces[id])
    expect(order.indexOf('▁Freiheit')).toBeLessThan(order.indexOf('▁through'))
    expect(order).not.toContain('▁żółw')
    expect(await wantedIds(of, { ...german, bounded: false })).toEqual([0, 1, 2, 3])
    const corpus = new Map([
      [4, 1],
      [1, 5],
    ])
    expect((await wantedIds(of, { corpus, languages: ['de'], bounded: true })).slice(0, 2)).toEqual([1, 4])
  })
})
