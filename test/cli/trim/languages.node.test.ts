import { describe, expect, it } from 'vitest'
import { alphabetOf, piecesOf } from '../../../src/cli/trim/languages.ts'
import { readVocabulary } from '../../../src/cli/trim/vocabulary.ts'
import { inventedTokenizer } from '../../../synthetic/vocabularies.ts'

const writes = (languages: string[], text: string): boolean => [...text].every(alphabetOf(languages))

describe('alphabets', () => {
  it.each([
    ['de', 'Größe "Maß" 12 €', 'ÁŁ'.slice(1)],
    ['fr', 'Œuvre naïve, ça va', 'ж'],
    ['ru', 'Ёлка и щука: 3 %', 'q'],
    ['el', 'Ο Οδυσσεύς γύρισε', 'я'],
    ['ja', 'ひらがなカタカナー漢字、鷗', '한'],
    ['zh-Hant', '繁體中文㐂', 'ひ'],
    ['ko', '대한민국', 'ひ'],
    ['ar', 'السلام عليكم', 'ש'],
    ['hi', 'नमस्ते', 'ব'],
    ['vi', 'Tiếng Việt', 'ж'],
    ['tr', 'İstanbul ılık', 'ж'],
  ])('%s', (language, own, other) => {
    expect(writes([language], own)).toBe(true)
    expect(writes([language], other)).toBe(false)
  })

  it('have the digits, marks and signs of their script', () => {
    expect(writes(['hi'], '१२३ ।')).toBe(true)
    expect(writes(['ur'], '۱۲ ہے۔ جائے، کیا؟')).toBe(true)
    expect(writes(['hy'], 'ազատություն։ Ի՞նչ')).toBe(true)
    expect(writes(['am'], 'ነጻነት። ፩፪')).toBe(true)
    // A letter with a mark, and the same in one character.
    expect(writes(['hi'], '\u095b\u091c\u093c')).toBe(true)
  })

  it('of several languages are one', () => {
    expect(writes(['de', 'ru'], 'Straße и улица')).toBe(true)
    expect(writes(['de'], 'и')).toBe(false)
  })

  it('have what all languages share', () => {
    expect(writes(['el'], '2027 + 5 = \u{1f600}\u200d\u2640\ufe0f\u0301')).toBe(true)
  })

  it('are found by a region, and by any case', () => {
    expect(writes(['de-AT', 'PT_br', 'ZH-hant-TW'], 'ßã體')).toBe(true)
  })

  it('are of languages that are known', () => {
    expect(() => alphabetOf(['en', 'klingon'])).toThrow('--languages does not know "klingon"')
    expect(() => alphabetOf(['__proto__'])).toThrow('does not know')
  })
})

describe('pieces of languages', () => {
  it('are told by their letters, without what marks their place', () => {
    const vocabulary = readVocabulary({ model: { type: 'WordPiece', vocab: { a: 0 } } })
    const isGreek = piecesOf(alphabetOf(['el']), vocabulary)
    expect(['##λόγος', 'λόγος', '12', '##!'].map(isGreek)).toEqual([true, true, true, true])
    expect(['##log', 'лог'].map(isGreek)).toEqual([false, false])
  })

  it('are told by bytes, whole or in part', () => {
    const vocabulary = readVocabulary(inventedTokenizer('BPE', 3_000))
    expect(vocabulary.byteLevel).toBe(true)
    const isGreek = piecesOf(alphabetOf(['el']), vocabulary)
    const written = (bytes: readonly number[]): string => vocabularyText(bytes)
    // λ is CE BB, л is D0 BB, 漢 is E6 BC A2.
    expect(isGreek(written([0x20, 0xce, 0xbb]))).toBe(true)
    expect(isGreek(written([0xce]))).toBe(true)
    expect(isGreek(written([0xbb, 0xce, 0xbb, 0xce]))).toBe(true)
    expect(isGreek(written([0xd0, 0xbb]))).toBe(false)
    expect(isGreek(written([0xd0]))).toBe(false)
    expect(isGreek(written([0xe6, 0xbc]))).toBe(false)
    expect(isGreek(written([0x61]))).toBe(false)
    expect(isGreek(written([0xce, 0x61]))).toBe(false)
  })
})

/** As GPT-2 writes bytes: those without a sign of their own from U+0100 on. */
function vocabularyText(bytes: readonly number[]): string {
  const signs: number[] = []
  for (let byte = 0, next = 0x100; byte < 256; byte++) {
    const own = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
    signs.push(own ? byte : next++)
  }
  return String.fromCodePoint(...bytes.map((byte) => signs[byte] ?? 0))
}
