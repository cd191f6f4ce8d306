import { describe, expect, it } from 'vitest'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import { codeOf } from '../../fixtures/http.ts'
import { bareTokenizer, bertTokenizer } from '../../fixtures/http-tokenizer.ts'

describe('tokenizing', () => {
  const tokenizer = TextTokenizer.parse(bertTokenizer())
  const ids = (text: string, most = 100) => tokenizer.encode(text, most).ids

  it('puts the special tokens around a text', () => {
    expect(ids('A good film.')).toEqual([2, 4, 5, 7, 9, 3])
    expect(ids('films')).toEqual([2, 7, 8, 3])
    expect(ids('GOOD unheard-of')).toEqual([2, 5, 1, 1, 1, 3])
    expect(tokenizer.encode('a', 100).typeIds).toEqual([0, 0, 0])
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
    expect(bare.encode('a good bad film', 100).ids).toEqual([4, 5, 6, 7])
    expect(bare.encode('a good bad film', 3).ids).toEqual([4, 5, 6])
    expect(bare.encode('   ', 100).ids).toEqual([])
  })

  it('gives the same for the beginning of a long text as for all of it', () => {
    const words = ['a', 'good', 'bad', 'films.', 'unknown', '...', '  ', 'good'.repeat(30)]
    let seed = 5
    const text = Array.from({ length: 20_000 }, () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return words[(seed >>> 16) % words.length]
    }).join(' ')
    const whole = ids(text, Number.POSITIVE_INFINITY)
    expect(whole.length).toBeGreaterThan(20_000)
    for (const most of [3, 10, 255, 4000]) {
      expect(ids(text, most)).toEqual([...whole.slice(0, most - 1), 3])
    }
  })

  it.each([
    ['one letter', 'x'.repeat(200_000)],
    ['signs that are words of their own', '\u65e5'.repeat(200_000)],
    ['full stops', '.'.repeat(200_000)],
    ['halves of characters', '\ud83d'.repeat(200_000)],
    ['what is dropped, then words', '\u0001'.repeat(100_000) + ' good'.repeat(20_000)],
  ])('copes with an enormous text of %s', (_, text) => {
    const out = ids(text, 64)
    expect(out.length).toBeLessThanOrEqual(64)
    expect([out.at(0), out.at(-1)]).toEqual([2, 3])
  })

  it.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['no tokenizer', '{}'],
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
