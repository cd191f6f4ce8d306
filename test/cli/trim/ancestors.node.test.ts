import { describe, expect, it } from 'vitest'
import { ancestorsIn } from '../../../src/cli/trim/ancestors.ts'
import { readVocabulary } from '../../../src/cli/trim/vocabulary.ts'

function ancestorsOf(pieces: readonly string[], merges: readonly string[], settings: object = {}) {
  const vocab = Object.fromEntries(pieces.map((piece, id) => [piece, id]))
  const vocabulary = readVocabulary({ model: { type: 'BPE', vocab, merges, ...settings } })
  const ancestors = ancestorsIn(vocabulary)
  return (piece: string): string[] => ancestors(pieces.indexOf(piece)).map((id) => pieces[id] ?? '')
}

describe('ancestors of pieces', () => {
  it('are those on the way that merges take, of several that make the piece', () => {
    const of = ancestorsOf(
      ['a', 'b', 'c', 'ab', 'bc', 'abc'],
      // The merge of "ab" comes first, so that "abc" is made of "ab" and "c", though "a bc" has the lower rank.
      ['a b', 'a bc', 'b c', 'ab c'],
    )
    expect(of('abc')).toEqual(['a', 'b', 'c', 'ab', 'abc'])
    expect(of('bc')).toEqual(['b', 'c', 'bc'])
    expect(of('a')).toEqual(['a'])
  })

  it('follow equal pairs from the left', () => {
    const of = ancestorsOf(['a', 'aa', 'aaa', 'aaaa'], ['a a', 'aa a', 'aa aa'])
    expect(of('aaa')).toEqual(['a', 'aa', 'aaa'])
    expect(of('aaaa')).toEqual(['a', 'aa', 'aaaa'])
  })

  it('of a piece that its characters do not lead to are its parts', () => {
    const of = ancestorsOf(['a', 'b', 'c', 'ab', 'bc', 'abc'], ['a b', 'b c', 'a bc'])
    expect(new Set(of('abc'))).toEqual(new Set(['abc', 'a', 'b', 'c', 'bc']))
  })

  it('know what marks the inside and the end of a word', () => {
    const inside = ancestorsOf(['a', '##b', '##c', '##bc', 'abc'], ['##b ##c', 'a ##bc'], {
      continuing_subword_prefix: '##',
    })
    expect(inside('abc')).toEqual(['a', '##b', '##c', '##bc', 'abc'])
    expect(inside('##bc')).toEqual(['##b', '##c', '##bc'])
    const ends = ancestorsOf(['a', 'b', 'b</w>', 'ab</w>', 'ab'], ['a b</w>', 'a b'], { end_of_word_suffix: '</w>' })
    expect(ends('ab</w>')).toEqual(['a', 'b</w>', 'ab</w>'])
  })

  it('are bytes of a character that the vocabulary lacks', () => {
    const of = ancestorsOf(['<0xC3>', '<0xA9>', '<0xC3><0xA9>', 'x'], ['<0xC3> <0xA9>'], { byte_fallback: true })
    expect(new Set(of('<0xC3><0xA9>'))).toEqual(new Set(['<0xC3>', '<0xA9>', '<0xC3><0xA9>']))
  })

  it('come to an end in a damaged file', () => {
    const of = ancestorsOf(['a', 'ab', ''], ['ab ', ' ab', 'a b'])
    expect(of('ab')).toContain('ab')
  })
})
