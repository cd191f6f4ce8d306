import { describe, expect, it } from 'vitest'
import { compileTokenizer } from '../../../src/media/text/compiled/compile.ts'
import { inventedTokenizer, VOCABULARY_KINDS } from '../../../synthetic/vocabularies.ts'
import { expectRustTokens } from '../../fixtures/large-tokenizers.ts'

describe.each(VOCABULARY_KINDS)('%s with 3,000 pieces', (kind) => {
  it("has the Rust library's tokens", () => {
    expectRustTokens(kind, 3_000)
  })

  it('is compiled to the same bytes again', () => {
    const file = inventedTokenizer(kind, 3_000)
    expect(compileTokenizer(file)).toEqual(compileTokenizer(structuredClone(file)))
  })
})
