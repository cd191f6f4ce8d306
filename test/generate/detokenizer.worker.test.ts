import { Tokenizer } from '@huggingface/tokenizers'
import { describe, expect, it } from 'vitest'
import { Detokenizer } from '../../src/generate/detokenizer.ts'
import { seededRandom } from '../../src/generate/random.ts'
import { TextTokenizer } from '../../src/media/text/tokenizer.ts'
import { codeOf } from '../fixtures/http.ts'
import { LETTERS } from '../fixtures/language.ts'

const BYTES = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)

/** A tokenizer with these tokens, numbered in order, and one that is for the model alone. */
function file(vocabulary: readonly string[], decoder: unknown, type = 'BPE') {
  const tokens = ['<s>', '<tool>', ...vocabulary]
  const added = (id: number, special: boolean) => ({
    id,
    content: tokens[id],
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special,
  })
  return {
    version: '1.0',
    added_tokens: [added(0, true), added(1, false)],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder,
    model: {
      type,
      vocab: Object.fromEntries(tokens.map((token, i) => [token, i])),
      merges: [],
      ...(type === 'WordPiece' && { unk_token: '<s>', continuing_subword_prefix: '##', max_input_chars_per_word: 9 }),
    },
  }
}

const LLAMA = {
  type: 'Sequence',
  decoders: [
    { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    { type: 'Strip', content: ' ', start: 1, stop: 0 },
  ],
}
const GEMMA = { type: 'Sequence', decoders: LLAMA.decoders.slice(0, 3) }
const PIECES = ['\u2581The', '\u2581', 'cat', '\u2581\u2581s', 'at', '\u00e9\u4f60', '.', '\u2581,']

/** By the library, whose decoders read the whole text at once. */
function whole(tokens: object, ids: readonly number[]): string {
  const library = new Tokenizer(tokens, {})
  const texts = ids.filter((id) => id !== 0).map((id) => library.id_to_token(id) ?? '')
  return library.decoder?.decode(texts) ?? texts.join(' ')
}

function oneByOne(tokens: object, ids: readonly number[], continues = false): string[] {
  const tokenizer = TextTokenizer.parse(new TextEncoder().encode(JSON.stringify(tokens)))
  const detokenizer = new Detokenizer(tokenizer, continues)
  return ids.map((id) => detokenizer.push(id))
}

/** Ids of a text's UTF-8, by tokens that begin at `first`. */
const utf8Ids = (text: string, first: number): number[] =>
  [...new TextEncoder().encode(text)].map((byte) => first + byte)

describe('decoders, token by token', () => {
  const kinds = {
    'ByteLevel of GPT-2': { tokens: file(LETTERS, { type: 'ByteLevel' }), bytes: 2, first: 2 },
    'byte fallback of Llama': { tokens: file([...BYTES, ...PIECES], LLAMA), bytes: 2, first: 2 + 256 },
    'byte fallback of Gemma': { tokens: file([...BYTES, ...PIECES], GEMMA), bytes: 2, first: 2 + 256 },
    Metaspace: { tokens: file(PIECES, { type: 'Metaspace', replacement: '\u2581' }), bytes: undefined, first: 2 },
    WordPiece: {
      tokens: file(
        ['the', 'cat', '##s', '.', ',', '##ing', "'"],
        { type: 'WordPiece', prefix: '##', cleanup: false },
        'WordPiece',
      ),
      bytes: undefined,
      first: 2,
    },
    BPEDecoder: {
      tokens: file(['the</w>', 'c', 'at</w>', 's', '.</w>'], { type: 'BPEDecoder', suffix: '</w>' }),
      bytes: undefined,
      first: 2,
    },
  }

  it.each(Object.entries(kinds))(
    'give the text that the library gives for all of them: %s',
    (_, { bytes, first, tokens }) => {
      const random = seededRandom(5)
      const size = Object.keys(tokens.model.vocab).length
      for (let round = 0; round < 60; round++) {
        const ids: number[] = []
        while (ids.length < 12) {
          const pick = random()
          if (pick < 0.1) ids.push(0)
          else if (bytes !== undefined && pick < 0.5) {
            // Whole characters: what is no UTF-8 has a test of its own.
            const text = ['a', ' ', '\u00e9', '\u4f60', '\u{1f600}', 'e\u0301'][Math.floor(random() * 6)] ?? ''
            ids.push(...utf8Ids(text, bytes))
          } else if (first < size && bytes !== first) ids.push(first + Math.floor(random() * (size - first)))
        }
        // The library takes the mark of a last word's end off; here it is not known to be the last.
        const parts = oneByOne(tokens, ids)
        expect(parts.join('')).toBe(whole(tokens, ids))
        expect(parts.join('')).not.toContain('\ufffd')
        for (const part of parts) expect(part.isWellFormed()).toBe(true)
      }
    },
  )

  it('keep a text\u2019s first space where it goes on', () => {
    const { first, tokens } = kinds['byte fallback of Llama']
    expect(oneByOne(tokens, [first, first]).join('')).toBe('The The')
    expect(oneByOne(tokens, [first, first], true).join('')).toBe(' The The')
  })

  it('hold a character back until it is whole, and leave out what never is', () => {
    const tokens = file(LETTERS, { type: 'ByteLevel' })
    const smile = utf8Ids('\u{1f600}', 2)
    expect(oneByOne(tokens, [...smile, ...smile.slice(0, 3)])).toEqual(['', '', '', '\u{1f600}', '', '', ''])
    // What cannot be UTF-8 any more is said so.
    expect(oneByOne(tokens, [...smile.slice(0, 2), 2 + 0x61]).join('')).toBe('\ufffda')
  })

  it('write added tokens as they are, but for those that are for the model alone', () => {
    expect(oneByOne(file(LETTERS, { type: 'ByteLevel' }), [0, 1, 2 + 0x61])).toEqual(['', '<tool>', 'a'])
  })

  it('put English together as the Rust library does', () => {
    const tokens = file(
      ['do', "n't", ',', 'it', "'s", '!'],
      { type: 'WordPiece', prefix: '##', cleanup: true },
      'WordPiece',
    )
    expect(oneByOne(tokens, [2, 3, 4, 5, 6, 7]).join('')).toBe("don't, it's!")
  })

  it('join with spaces where there is none', () => {
    expect(oneByOne(file(['a', 'b'], null), [2, 3]).join('')).toBe('a b')
  })

  it('refuse a kind that is not known', () => {
    expect(codeOf(() => oneByOne(file(['a'], { type: 'CTC' }), [2]))).toBe('manifest_invalid')
    expect(
      codeOf(() =>
        oneByOne(
          file(['a'], {
            type: 'Sequence',
            decoders: [{ type: 'Fuse' }, { type: 'Strip', content: ' ', start: 0, stop: 1 }],
          }),
          [2],
        ),
      ),
    ).toBe('manifest_invalid')
  })
})
