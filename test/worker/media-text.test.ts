import { describe, expect, it } from 'vitest'
import { TextTokenizer } from '../../src/media/text/tokenizer.ts'
import { codeOf } from '../fixtures/http.ts'
import { bareTokenizer, bertTokenizer } from '../fixtures/http-tokenizer.ts'

describe('tokenising', () => {
  const tokenizer = TextTokenizer.parse(bertTokenizer())
  const ids = (text: string, most?: number) => tokenizer.encode(text, most).ids

  it('puts the special tokens around a text', () => {
    expect(ids('A good film.')).toEqual([2, 4, 5, 7, 9, 3])
    expect(ids('films')).toEqual([2, 7, 8, 3])
    expect(ids('GOOD unheard-of')).toEqual([2, 5, 1, 1, 1, 3])
    expect(tokenizer.encode('a').typeIds).toEqual([0, 0, 0])
    expect(tokenizer.padId).toBe(0)
  })

  it('cuts the text and keeps them', () => {
    expect(ids('a good bad film', 6)).toEqual([2, 4, 5, 6, 7, 3])
    expect(ids('a good bad film', 5)).toEqual([2, 4, 5, 6, 3])
    expect(ids('a good bad film', 3)).toEqual([2, 4, 3])
    expect(ids('a good bad film', 2)).toEqual([2, 3])
    expect(tokenizer.encode('a good bad film', 4).typeIds).toEqual([0, 0, 0, 0])
  })

  it('cuts from the end where there are none', () => {
    const bare = TextTokenizer.parse(bareTokenizer())
    expect(bare.encode('a good bad film').ids).toEqual([4, 5, 6, 7])
    expect(bare.encode('a good bad film', 3).ids).toEqual([4, 5, 6])
    expect(bare.encode('   ').ids).toEqual([])
  })

  it('does not take long over a long text', () => {
    const text = 'a good film. '.repeat(15_000)
    expect(ids(text, 256)).toHaveLength(256)
  })

  it.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['no tokeniser', '{}'],
    ['null', 'null'],
    [
      'a vocabulary that is a number',
      new TextDecoder().decode(bertTokenizer()).replace(/"vocab":\{[^}]*\}/, '"vocab":5'),
    ],
    [
      'a vocabulary that is none',
      '{"model":{"type":"WordPiece"},"decoder":null,"post_processor":null,"pre_tokenizer":null,"normalizer":null,"added_tokens":[]}',
    ],
  ])('refuses a file that is damaged: %s', (_, text) => {
    expect(codeOf(() => TextTokenizer.parse(new TextEncoder().encode(text)))).toBe('manifest_invalid')
  })

  it('refuses a file that is no text', () => {
    expect(codeOf(() => TextTokenizer.parse(Uint8Array.of(0xff, 0xfe, 0x00)))).toBe('manifest_invalid')
  })
})
