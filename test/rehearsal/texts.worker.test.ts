import { describe, expect, it } from 'vitest'
import { rehearseTexts } from '../../src/rehearsal/texts.ts'

describe("the rehearsal's texts", () => {
  it('are read by tokenizers that are valid', () => {
    expect(rehearseTexts).not.toThrow()
  })
})
