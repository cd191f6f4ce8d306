import { describe, expect, it } from 'vitest'
import { alignedOf, sourceOf } from '../../../src/media/text/aligned.ts'
import { normalizerOf } from '../../../src/media/text/normalize.ts'
import { codePointPositions } from '../../../src/media/text/positions.ts'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import { cutPair } from '../../../src/media/text/truncate.ts'
import { toBase64 } from '../../fixtures/base64.ts'
import { codeOf } from '../../fixtures/http.ts'
import { idOf, wordPieceTokenizer } from '../../fixtures/text-models.ts'

const bert = JSON.parse(new TextDecoder().decode(wordPieceTokenizer()))
const parse = (changes: object): TextTokenizer =>
  TextTokenizer.parse(new TextEncoder().encode(JSON.stringify({ ...bert, ...changes })))
const [CLS, SEP] = [idOf('[CLS]'), idOf('[SEP]')]
const ids = (...words: Parameters<typeof idOf>[0][]): number[] => words.map(idOf)

describe('pairs', () => {
  const tokenizer = parse({})

  it('stand in the frame of their tokenizer', () => {
    const pair = tokenizer.encodePair('Who wrote?', 'Ada', 100)
    expect(pair.ids).toEqual([CLS, ...ids('who', 'wrote', '?'), SEP, ...ids('ada'), SEP])
    expect(pair.typeIds).toEqual([0, 0, 0, 0, 0, 1, 1])
    expect(pair.texts).toEqual([-1, 0, 0, 0, -1, 1, -1])
    expect(pair.tokens[5]).toEqual({ id: idOf('ada'), start: 0, end: 3, word: 0 })
    expect(tokenizer.encodePair('Ada', '', 100).ids).toEqual([CLS, idOf('ada'), SEP, SEP])
  })

  it("give RoBERTa's second text type 0 and two marks between", () => {
    const roberta = parse({ post_processor: { ...bert.post_processor, type: 'RobertaProcessing' } })
    const pair = roberta.encodePair('Ada', 'wrote', 100)
    expect(pair.ids).toEqual([CLS, idOf('ada'), SEP, SEP, idOf('wrote'), SEP])
    expect(pair.typeIds).toEqual([0, 0, 0, 0, 0, 0])
  })

  it('follow a template, in its order and with its types', () => {
    const post_processor = {
      type: 'TemplateProcessing',
      single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '[SEP]', type_id: 0 } }],
      pair: [
        { Sequence: { id: 'B', type_id: 4 } },
        { SpecialToken: { id: '[SEP]', type_id: 3 } },
        { Sequence: { id: 'A', type_id: 1 } },
      ],
      special_tokens: { '[SEP]': { id: '[SEP]', ids: [SEP, CLS], tokens: ['[SEP]', '[CLS]'] } },
    }
    const pair = parse({ post_processor }).encodePair('Ada', 'wrote', 100)
    expect(pair.ids).toEqual([idOf('wrote'), SEP, CLS, idOf('ada')])
    expect(pair.typeIds).toEqual([4, 3, 3, 1])
    const lone = parse({ post_processor: { ...post_processor, pair: [] } })
    expect(lone.encode('Ada', 9).ids).toEqual([idOf('ada'), SEP, CLS])
    expect(codeOf(() => lone.encodePair('Ada', 'wrote', 9))).toBe('manifest_invalid')
    expect(
      codeOf(() =>
        parse({
          post_processor: { ...post_processor, special_tokens: {}, single: [{ SpecialToken: { id: '[NONE]' } }] },
        }),
      ),
    ).toBe('manifest_invalid')
  })

  it.each([
    // What Hugging Face's truncation answers for these lengths; by hand.
    ['longest_first', 10, 4, 8, [4, 4]],
    ['longest_first', 4, 10, 9, [4, 5]],
    ['longest_first', 10, 10, 9, [4, 5]],
    ['longest_first', 2, 10, 9, [2, 7]],
    ['longest_first', 10, 2, 9, [7, 2]],
    ['only_first', 10, 4, 8, [4, 4]],
    ['only_first', 10, 9, 8, [0, 8]],
    ['only_second', 3, 10, 8, [3, 5]],
    ['only_second', 10, 10, 8, [8, 0]],
    ['only_second', 3, 4, 8, [3, 4]],
    ['longest_first', 5, 5, 0, [0, 0]],
  ] as const)('are cut %s: %i and %i to %i', (cut, first, second, room, kept) => {
    expect(cutPair(first, second, room, cut)).toEqual(kept)
  })

  it('are cut with their frame kept', () => {
    const words = 'ada wrote to charles in london'
    for (const cut of ['longest_first', 'only_first', 'only_second'] as const) {
      for (let most = 3; most < 18; most++) {
        const pair = tokenizer.encodePair(words, words, most, cut)
        expect(pair.ids).toHaveLength(Math.min(most, 15))
        expect(pair.ids.filter((id) => id === SEP || id === CLS)).toEqual([CLS, SEP, SEP])
      }
    }
  })
})

describe('added tokens', () => {
  const token = (id: number, content: string, more: object = {}) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
    ...more,
  })
  const tokens = (added: object[], text: string) =>
    parse({ added_tokens: added })
      .tokens(text)
      .map(({ id, start, end }) => [id, start, end])

  it('stand in a text as they are written, longest first', () => {
    const added = [token(90, '[M]'), token(91, '[M][M]')]
    expect(tokens(added, 'ada[M] [M][M]wrote [m]').slice(0, 4)).toEqual([
      [idOf('ada'), 0, 3],
      [90, 3, 6],
      [91, 7, 13],
      [idOf('wrote'), 13, 18],
    ])
  })

  it('take the space beside them, stand for whole words, or are normalized', () => {
    expect(tokens([token(90, '<m>', { lstrip: true, rstrip: true })], 'ada <m>  wrote')).toEqual([
      [idOf('ada'), 0, 3],
      [90, 3, 9],
      [idOf('wrote'), 9, 14],
    ])
    const single = [token(90, 'in', { single_word: true })]
    expect(tokens(single, 'in inn').map(([id]) => id)).toEqual([90, idOf('[UNK]')])
    const normal = [token(90, 'CAFÉ', { normalized: true, special: false })]
    expect(tokens(normal, 'Café ada')).toEqual([
      [90, 0, 4],
      [idOf('ada'), 5, 8],
    ])
  })
})

describe('other tokenizers', () => {
  it('know a word or do not (WordLevel)', () => {
    const model = { type: 'WordLevel', unk_token: '[UNK]', vocab: { '[UNK]': 0, ada: 1 } }
    const tokenizer = parse({ model, normalizer: null, pre_tokenizer: { type: 'Whitespace' }, post_processor: null })
    expect(tokenizer.tokens('ada über').map(({ id, end }) => [id, end])).toEqual([
      [1, 3],
      [0, 8],
    ])
  })

  it('write the unknown in bytes (BPE with byte fallback)', () => {
    const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`)
    const vocab = Object.fromEntries(['<unk>', 'a', 'b', 'ab', ...bytes].map((piece, i) => [piece, i]))
    const model = { type: 'BPE', vocab, merges: [['a', 'b']], byte_fallback: true, unk_token: '<unk>', fuse_unk: true }
    const tokenizer = parse({ model, normalizer: null, pre_tokenizer: null, post_processor: null })
    expect(tokenizer.tokens('abé').map(({ id, start, end }) => [id, start, end])).toEqual([
      [3, 0, 2],
      [4 + 0xc3, 2, 3],
      [4 + 0xa9, 2, 3],
    ])
  })

  it.each([
    // The expected splits are those of the Rust library's own tests (pre_tokenizers/split.rs, punctuation.rs, digits.rs).
    [{ type: 'Split', pattern: { String: '-' }, behavior: 'Removed' }, ['the', 'final', 'countdown']],
    [{ type: 'Split', pattern: { String: '-' }, behavior: 'Isolated' }, ['the', '-', 'final', '-', '-', 'countdown']],
    [{ type: 'Split', pattern: { String: '-' }, behavior: 'MergedWithPrevious' }, ['the-', 'final-', '-', 'countdown']],
    [{ type: 'Split', pattern: { String: '-' }, behavior: 'MergedWithNext' }, ['the', '-final', '-', '-countdown']],
    [{ type: 'Split', pattern: { String: '-' }, behavior: 'Contiguous' }, ['the', '-', 'final', '--', 'countdown']],
    [{ type: 'Punctuation' }, ['the', '-', 'final', '-', '-', 'countdown']],
  ])('split as %o', (pre_tokenizer, words) => {
    const vocab = Object.fromEntries(['[UNK]', ...new Set(words)].map((word, i) => [word, i]))
    const model = { type: 'WordLevel', unk_token: '[UNK]', vocab }
    const tokenizer = parse({ model, normalizer: null, pre_tokenizer, post_processor: null })
    const text = 'the-final--countdown'
    expect(tokenizer.tokens(text).map(({ start, end }) => text.slice(start, end))).toEqual(words)
  })
})

/** Rules as SentencePiece stores them: a double array with 256 places for the children of each node. */
function charsmapOf(rules: Readonly<Record<string, string>>): string {
  const utf8 = new TextEncoder()
  const units = new Uint32Array(256 * 64)
  const values: number[] = []
  let blocks = 1
  const block = new Map([['', 256]])
  // What leads to a node's children is the difference between its place and theirs.
  units[0] = 256 << 10
  for (const [key, replacement] of Object.entries(rules)) {
    let [path, base, place] = ['', 256, 0]
    for (const byte of utf8.encode(key)) {
      place = base + byte
      path += `,${byte}`
      if (!block.has(path)) block.set(path, 256 * ++blocks)
      base = block.get(path) ?? 0
      units[place] = (((place ^ base) << 10) | ((units[place] ?? 0) & 0x100) | byte) >>> 0
    }
    units[place] = ((units[place] ?? 0) | 0x100) >>> 0
    units[base] = (0x8000_0000 | values.length) >>> 0
    values.push(...utf8.encode(replacement), 0)
  }
  const bytes = new Uint8Array(4 + units.byteLength + values.length)
  new DataView(bytes.buffer).setUint32(0, units.byteLength, true)
  units.forEach((unit, i) => {
    new DataView(bytes.buffer).setUint32(4 + 4 * i, unit, true)
  })
  bytes.set(values, 4 + units.byteLength)
  return toBase64(bytes)
}

describe("SentencePiece's own normalization", () => {
  const precompiled_charsmap = charsmapOf({
    '①': '1',
    '\u00a0': ' ',
    ﬁ: 'fi',
    'e\u0301': 'é',
    '\u0001': '',
    '㍿': '株式会社',
  })
  const vocab = [...'▁1fiénxr株式会社a'].map((piece, i) => [piece, -i - 1])
  const tokenizer = parse({
    model: { type: 'Unigram', unk_id: 0, vocab: [['<unk>', 0], ...vocab] },
    normalizer: { type: 'Precompiled', precompiled_charsmap },
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'never' },
    post_processor: null,
  })
  const pieces = (text: string) =>
    tokenizer.tokens(text).map(({ id, start, end }) => [tokenizer.tokenText(id), text.slice(start, end)])

  it('replaces what its rules say, and keeps the places', () => {
    expect(pieces('a①\u00a0ﬁn')).toEqual([
      ['a', 'a'],
      ['1', '①'],
      ['▁', '\u00a0'],
      ['f', 'ﬁ'],
      ['i', 'ﬁ'],
      ['n', 'n'],
    ])
    expect(pieces('xe\u0301r\u0001a')).toEqual([
      ['x', 'x'],
      ['é', 'e\u0301'],
      ['r', 'r'],
      ['a', 'a'],
    ])
    expect(pieces('㍿').map(([piece]) => piece)).toEqual(['株', '式', '会', '社'])
  })

  it.each([
    ['no base64', '%%%'],
    ['too short', 'AAAA'],
    ['longer than it is', btoa('\u00ff\u00ff\u00ff\u007f0000')],
  ])('refuses rules that are %s', (_, charsmap) => {
    const normalizer = { type: 'Precompiled', precompiled_charsmap: charsmap }
    expect(codeOf(() => parse({ normalizer }))).toBe('manifest_invalid')
  })
})

describe("Unicode's normal forms", () => {
  // As in tokenizers 0.23.2, but for the last: there a mark that is joined with a letter is in no token's place.
  it.each([
    ['NFKC', '\u0e19\u0e33\u0e01', ['\u0e19', '\u0e33', '\u0e33', '\u0e01']],
    ['NFC', '(\u0344x', ['(', '\u0344', '\u0344', 'x']],
    ['NFKD', '\u0e19\u0e33\u0344', ['\u0e19', '\u0e33', '\u0e33', '\u0344', '\u0344']],
    ['NFC', 'e\u0301a', ['e\u0301', 'a']],
  ])('%s of %j keeps the place of each character that is not joined with another', (type, text, places) => {
    const changed = normalizerOf({ type }, [])(alignedOf(text))
    const placeOf = (i: number): string => text.slice(...sourceOf(changed, i, i + 1))
    expect(Array.from({ length: changed.text.length }, (_, i) => placeOf(i))).toEqual(places)
  })
})

it('counts characters as Python does', () => {
  const at = codePointPositions('a👍🏽b')
  expect([0, 1, 2, 3, 5, 6].map(at)).toEqual([0, 1, 1, 2, 3, 4])
  expect(codePointPositions('abc')(2)).toBe(2)
})
