import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Tokenizer } from '@huggingface/tokenizers'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../../src/cli/files/project.ts'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import { haveRealModels, REAL_MODELS, SKIP_REASON } from '../../fixtures/node/real-models.ts'

const golden = JSON.parse(readFileSync(join(ROOT, 'test/fixtures/tokenizations.json'), 'utf8'))
const texts: string[] = golden.texts
const long = Array.from({ length: 80 }, () => texts)
  .flat()
  .slice(0, 2600)
  .join(' ')

describe('tokenizers of real models', () => {
  it('give the shipped review model what its training gave it', () => {
    const tokenizer = TextTokenizer.parse(readFileSync(join(ROOT, 'models/reviews/tokenizer.json')))
    expect(texts.map((text) => tokenizer.encode(text, Number.POSITIVE_INFINITY).ids)).toEqual(golden.reviews.ids)
    const { ids } = tokenizer.encode(long, Number.POSITIVE_INFINITY)
    expect(ids.reduce((value, id) => (value * 31 + id + 1) % 1_000_003, 0)).toBe(golden.reviews.long)
  })

  describe.skipIf(!haveRealModels)(
    `m2v, a Unigram tokenizer of 29,524 pieces (skipped only where ${SKIP_REASON})`,
    () => {
      const bytes = haveRealModels
        ? readFileSync(join(REAL_MODELS, 'm2v-bge64-converted/tokenizer.json'))
        : new Uint8Array()

      it('agrees with the library', () => {
        const tokenizer = TextTokenizer.parse(bytes)
        const library = new Tokenizer(JSON.parse(new TextDecoder().decode(bytes)), {})
        // The library leaves signs beyond U+FFFF together, and takes a sigma's place in its word into account.
        const alike = texts.filter((text) => !/[\u{20000}\u03a3]/u.test(text))
        expect(alike.length).toBeGreaterThan(30)
        for (const text of alike) {
          const ids = library.encode(text, { add_special_tokens: false }).ids
          expect(
            tokenizer.tokens(text).map(({ id }) => id),
            JSON.stringify(text),
          ).toEqual(ids)
        }
      })

      it('finds what it took where it says', () => {
        const tokenizer = TextTokenizer.parse(bytes)
        const text = 'The cat — a Café cat — sat.'
        const found = tokenizer.tokens(text).map(({ start, end }) => text.slice(start, end))
        expect(found.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''))
        expect(found).toContain(' Café')
      })
    },
  )
})
