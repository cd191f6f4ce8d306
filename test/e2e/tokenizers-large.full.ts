import { describe, it } from 'vitest'
import { VOCABULARY_KINDS } from '../../synthetic/vocabularies.ts'
import { expectRustTokens } from '../fixtures/large-tokenizers.ts'

describe.each(VOCABULARY_KINDS)('%s with 250,000 pieces', (kind) => {
  it("has the Rust library's tokens", () => {
    expectRustTokens(kind, 250_000)
  })
})
