/**
 * Vocabularies as large as real ones, of words that nobody has: for tests and benches of tokenizers, because no large real
 * tokenizer may be carried along. The same numbers make the same file, byte for byte.
 */

export type VocabularyKind = 'Unigram' | 'WordPiece' | 'BPE' | 'BPE with bytes' | 'WordLevel'

export const VOCABULARY_KINDS: readonly VocabularyKind[] = [
  'Unigram',
  'WordPiece',
  'BPE',
  'BPE with bytes',
  'WordLevel',
]

/** Random numbers below a bound, always the same ones. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 8) % below
  }
}

const range = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => String.fromCodePoint(from + i))

/** What syllables of some scripts begin and go on with; the Latin ones come as often as all others. */
const SCRIPTS: readonly (readonly [readonly string[], readonly string[]])[] = [
  [
    [...'bcdfghklmnprstvwz', 'ch', 'st', 'br', 'sch'],
    [...'aeiouy', 'ee', 'ai', '\u00e9', '\u00fc', 'er', 'on'],
  ],
  [
    [...'\u0431\u0432\u0433\u0434\u0437\u043a\u043b\u043c\u043d\u043f\u0440\u0441\u0442'],
    [...'\u0430\u0435\u0438\u043e\u0443\u044b\u044f'],
  ],
  [
    [...'\u03b2\u03b3\u03b4\u03ba\u03bb\u03bc\u03bd\u03c0\u03c1\u03c3\u03c4'],
    [...'\u03b1\u03b5\u03b9\u03bf\u03c5\u03ae'],
  ],
  [range(0x628, 0x63b), ['', '\u0627', '\u0648', '\u064a']],
  [range(0x915, 0x930), ['', '\u093e', '\u093f', '\u0947', '\u094b']],
  [range(0xe01, 0xe20), ['\u0e32', '\u0e34', '\u0e38', '']],
  [range(0x3042, 0x3080), ['', '\u3093']],
  [range(0x4e00, 0x5600), ['']],
  [range(0xac00, 0xb400), ['']],
]

/** @param count of words, none of them twice */
export function inventedWords(count: number, seed = 1): string[] {
  const random = randomOf(seed)
  const words = new Set<string>()
  while (words.size < count) {
    const [first, second] = SCRIPTS[random(2) === 0 ? 0 : random(SCRIPTS.length)] ?? [[], []]
    let word = ''
    for (let syllables = 1 + random(4); syllables > 0; syllables--) {
      word += `${first[random(first.length)]}${second[random(second.length)]}`
    }
    words.add(word)
  }
  return [...words]
}

/** Characters of many kinds, all of which Unicode has had for so long that every library knows what they are. */
const CHARACTERS: readonly (readonly [number, number])[] = [
  ...([
    [0, 0x80],
    [0xa0, 0x370],
    [0x391, 0x3a2],
    [0x400, 0x482],
    [0x5d0, 0x5eb],
    [0x660, 0x66a],
  ] as const),
  ...([
    [0x905, 0x93a],
    [0xe01, 0xe3b],
    [0x10a0, 0x10c6],
    [0x1e00, 0x1f00],
    [0x2000, 0x2065],
    [0x20a0, 0x20b6],
  ] as const),
  ...([
    [0x2100, 0x214f],
    [0x2190, 0x2400],
    [0x2460, 0x2500],
    [0x3000, 0x3040],
    [0x3041, 0x3097],
    [0x30a1, 0x30fb],
  ] as const),
  ...([
    [0x4e00, 0x9fa6],
    [0xac00, 0xd7a4],
    [0xfb00, 0xfb07],
    [0xff01, 0xff5f],
    [0xff66, 0xffa0],
  ] as const),
  ...([
    [0x1d400, 0x1d455],
    [0x1f1e6, 0x1f200],
    [0x1f300, 0x1f600],
    [0x20000, 0x2a6d7],
  ] as const),
]

/** Sentences of a vocabulary's words: common, misspelt and unknown ones, numbers, signs, and characters of many scripts. */
export function inventedTexts(words: readonly string[], count: number, seed = 2): string[] {
  const random = randomOf(seed)
  const word = (): string => {
    const known = words[random(random(4) === 0 ? words.length : Math.min(words.length, 2_000))] ?? ''
    switch (random(16)) {
      case 0:
        return known.slice(0, 1).toUpperCase() + known.slice(1)
      case 1:
        return known.slice(0, -1) + String.fromCodePoint(0x61 + random(26))
      case 2:
        return known + (words[random(words.length)] ?? '')
      case 3:
        return String(random(100_000))
      case 4:
        return Array.from({ length: 1 + random(4) }, () => anyCharacter(random)).join('')
      default:
        return known
    }
  }
  return Array.from({ length: count }, () => {
    const length = 1 + random(40)
    return Array.from({ length }, () => `${word()}${['', '', '', ',', '.', '!\n', '  ', '\u3000'][random(8)]}`).join(
      ' ',
    )
  })
}

function anyCharacter(random: (below: number) => number): string {
  const [from, to] = CHARACTERS[random(CHARACTERS.length)] ?? [0x20, 0x7f]
  return String.fromCodePoint(from + random(to - from))
}

/** A `tokenizer.json` of a kind with `count` pieces. */
export function inventedTokenizer(kind: VocabularyKind, count: number): object {
  switch (kind) {
    case 'Unigram':
      return unigram(count)
    case 'WordPiece':
      return wordPiece(count)
    case 'BPE':
      return byteLevel(count)
    case 'BPE with bytes':
      return withBytes(count)
    case 'WordLevel':
      return file(model('WordLevel', { unk_token: '[UNK]', vocab: numbered(['[UNK]', ...inventedWords(count - 1)]) }), {
        pre_tokenizer: { type: 'Whitespace' },
      })
  }
}

/** A `tokenizer.json` of few pieces that are so long that it takes as many bytes as one of many, made in no time. */
export function tokenizerOfLongWords(count: number, length: number): object {
  const words = Array.from({ length: count - 1 }, (_, i) => `w${i}`.padEnd(length, 'x'))
  return file(model('WordLevel', { unk_token: '[UNK]', vocab: numbered(['[UNK]', ...words]) }), {
    pre_tokenizer: { type: 'Whitespace' },
  })
}

function file(
  own: object,
  more: object = {},
  special: readonly string[] = [],
  vocab: Record<string, number> = {},
): object {
  const added_tokens = special.map((content) => ({
    ...{
      id: vocab[content],
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    },
  }))
  const nothing = { truncation: null, padding: null, normalizer: null, pre_tokenizer: null, post_processor: null }
  return { version: '1.0', ...nothing, decoder: null, added_tokens, ...more, model: own }
}

const model = (type: string, settings: object): object => ({ type, ...settings })

function numbered(texts: Iterable<string>): Record<string, number> {
  return Object.fromEntries([...new Set(texts)].map((text, id) => [text, id]))
}

/** All characters of some words, and a sign or two. */
function lettersOf(words: readonly string[]): string[] {
  return [...new Set([...words.join(''), ...'0123456789.,!?-'])]
}

/** In the form of XLM-RoBERTa's: pieces with and without a mark for the space, scores of 32 bits. */
function unigram(count: number): object {
  const special = ['<s>', '<pad>', '</s>', '<unk>']
  const words = inventedWords(count)
  const pieces = new Set([...special, '\u2581', ...lettersOf(words)])
  for (const [i, word] of words.entries()) {
    if (pieces.size >= count) break
    pieces.add(i % 3 === 0 ? word : `\u2581${word}`)
  }
  const vocab = [...pieces].slice(0, count).map((piece, i) => [piece, i < 4 ? 0 : -Math.fround(3 + 2 * Math.log(i))])
  return file(
    model('Unigram', { unk_id: 3, vocab }),
    {
      normalizer: {
        type: 'Sequence',
        normalizers: [{ type: 'NFKC' }, { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' }],
      },
      pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, metaspace] },
      decoder: metaspace,
    },
    special,
    Object.fromEntries(special.map((text, id) => [text, id])),
  )
}

const metaspace = { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always', split: true }

/** In the form of BERT's. */
function wordPiece(count: number): object {
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
  const words = inventedWords(count)
  const letters = lettersOf(words)
  const pieces = new Set([...special, ...letters, ...letters.map((letter) => `##${letter}`)])
  for (const [i, word] of words.entries()) {
    if (pieces.size >= count) break
    pieces.add(i % 4 === 0 ? `##${word}` : word)
  }
  const vocab = numbered([...pieces].slice(0, count))
  const settings = { unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab }
  const bert = {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  }
  return file(
    model('WordPiece', settings),
    {
      normalizer: bert,
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    },
    special,
    vocab,
  )
}

const SETTINGS = { dropout: null, continuing_subword_prefix: null, end_of_word_suffix: null, ignore_merges: false }

/** In the form of GPT-2's. */
function byteLevel(count: number): object {
  const seen = [...range(0x21, 0x7f), ...range(0xa1, 0xad), ...range(0xae, 0x100)]
  const unseen = range(0x100, 0x144)
  const utf8 = new TextEncoder()
  let next = 0
  const letters = Array.from({ length: 256 }, (_, byte) =>
    seen.includes(String.fromCharCode(byte)) ? String.fromCharCode(byte) : (unseen[next++] ?? ''),
  )
  const written = (word: string): string[] => Array.from(utf8.encode(word), (byte) => letters[byte] ?? '')
  const { merges, tokens } = merged(letters, count, (word, i) => written(i % 3 === 0 ? word : ` ${word}`))
  const settings = { ...SETTINGS, unk_token: null, fuse_unk: false, byte_fallback: false }
  return file(model('BPE', { ...settings, vocab: numbered(tokens), merges }), {
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  })
}

/** In the form of Gemma's: the whole text is one word, and what is unknown is written in bytes. */
function withBytes(count: number): object {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
  const special = ['<pad>', '<eos>', '<bos>', '<unk>']
  const begun = [...special, ...bytes, '\u2581', ...lettersOf(inventedWords(count))]
  const { merges, tokens } = merged(begun, count, (word, i) => [...(i % 3 === 0 ? word : `\u2581${word}`)])
  const vocab = numbered(tokens)
  const settings = { ...SETTINGS, unk_token: '<unk>', fuse_unk: true, byte_fallback: true, vocab, merges }
  return file(
    model('BPE', settings),
    {
      normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' },
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
        ],
      },
    },
    special,
    vocab,
  )
}

/** Tokens, and the merges that make them, as if they had been learned: each word from left to right. */
function merged(begun: readonly string[], count: number, lettersIn: (word: string, i: number) => string[]) {
  const tokens = new Set(begun)
  const merges: [string, string][] = []
  const known = new Set<string>()
  for (const [i, word] of inventedWords(count).entries()) {
    const letters = lettersIn(word, i)
    for (let at = 1, left = letters[0] ?? ''; at < letters.length && tokens.size < count; at++) {
      const right = letters[at] ?? ''
      if (!known.has(`${left} ${right}`)) {
        known.add(`${left} ${right}`)
        merges.push([left, right])
      }
      left += right
      tokens.add(left)
    }
  }
  return { tokens, merges }
}
