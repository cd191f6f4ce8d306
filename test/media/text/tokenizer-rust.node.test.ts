import { describe, expect, it } from 'vitest'
import { FOLLOWING } from '../../../src/media/text/normal-form.ts'
import { normalized, normalizerOf } from '../../../src/media/text/normalize.ts'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import golden from '../../fixtures/tokenizers-rust.json'

/** Tokens as Hugging Face's Rust library makes them: test/fixtures/tokenizers-rust.py. */
describe.each(Object.entries(golden.cases))('%s', (_, { file, ids, decoded }) => {
  const tokenizer = TextTokenizer.parse(new TextEncoder().encode(JSON.stringify(file)))

  it("has the Rust library's tokens", () => {
    const own = golden.texts.map((text) => tokenizer.tokens(text).map(({ id }) => id))
    for (const [i, text] of golden.texts.entries()) expect(own[i], JSON.stringify(text)).toEqual(ids[i])
  })

  if (decoded === null) return
  it('joins tokens as its decoder does', () => {
    const own = ids.map((each) => tokenizer.join(each.map((id) => tokenizer.tokenText(id))))
    expect(own).toEqual(decoded)
  })
})

describe("spaces at the ends of a byte-level model's tokens", () => {
  const letters = ['\u0120', '\u010a', 'a', 'b', '\u00c2', '\u0142', '\u0120a', '\u0120\u0120']
  const places = (text: string, add_prefix_space: boolean) => {
    const tokenizer = TextTokenizer.parse(
      new TextEncoder().encode(
        JSON.stringify({
          pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
          post_processor: { type: 'ByteLevel', add_prefix_space, trim_offsets: true },
          model: {
            ...{ type: 'BPE', vocab: Object.fromEntries(letters.map((letter, id) => [letter, id])) },
            merges: ['\u0120 a', '\u0120 \u0120'],
          },
        }),
      ),
    )
    return tokenizer.tokens(text).map(({ start, end }) => [start, end])
  }

  // As tokenizers 0.23.2 has them.
  it.each([
    [
      true,
      ' a a',
      [
        [0, 2],
        [3, 4],
      ],
    ],
    [
      true,
      '   a',
      [
        [2, 2],
        [3, 4],
      ],
    ],
    [true, ' ', [[0, 0]]],
    [
      true,
      'a\n b \u00a0',
      [
        [0, 1],
        [1, 2],
        [3, 3],
        [3, 4],
        [5, 5],
        [5, 6],
        [5, 6],
      ],
    ],
    [
      false,
      ' a a',
      [
        [1, 2],
        [3, 4],
      ],
    ],
    [
      false,
      '   a',
      [
        [2, 2],
        [3, 4],
      ],
    ],
    [false, ' ', [[1, 1]]],
  ] as const)('are no part of their places (add_prefix_space %s, %j)', (adds, text, wanted) => {
    expect(places(text, adds)).toEqual(wanted)
  })
})

describe('normal forms', () => {
  const FORMS = ['NFC', 'NFD', 'NFKC', 'NFKD'] as const
  const all = Array.from({ length: 0x110000 }, (_, code) => code)
    .filter((code) => code < 0xd800 || code > 0xdfff)
    .map((code) => String.fromCodePoint(code))

  it('change nothing across the ends of the groups that they are taken in, in all of Unicode', () => {
    const following = new RegExp(`^[${FOLLOWING}]$`, 'u')
    // What composes with the character in front of it: the ends of composed characters, vowels and consonants of Hangul.
    const composes = new Set(
      all.flatMap((each) => (each.normalize('NFC') === each ? [...each.normalize('NFD')].slice(1) : [])),
    )
    const joins = (first: string): boolean => composes.has(first) || /\p{M}/u.test(first)
    const missed = all.filter((each) => joins([...each.normalize('NFKD')][0] ?? '') && !following.test(each))
    expect(missed).toEqual([])
    expect(composes.size).toBeGreaterThan(100)
  })

  it('are those of the whole text where no run of marks is longer than 30', () => {
    const marks = all.filter((each) => /\p{M}/u.test(each))
    const bases = [...'aeoAx か가ᄒ', ...all.filter((each) => each.normalize('NFKD') !== each)]
    let seed = 3
    const random = <T>(list: readonly T[]): T => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return list[(seed >>> 8) % list.length] as T
    }
    for (let i = 0; i < 2_000; i++) {
      const run = (): string => Array.from({ length: (i * 7) % 14 }, () => random(marks)).join('')
      const text = `${random(bases)}${run()}${random(bases)}${random(bases)}${run()}`
      for (const form of FORMS) {
        expect(normalized(normalizerOf({ type: form }, []), text), `${form} of ${JSON.stringify(text)}`).toBe(
          text.normalize(form),
        )
      }
    }
  })
})
