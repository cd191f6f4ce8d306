import { describe, expect, it } from 'vitest'
import type { ModelInfo } from '../../../../page/models.ts'
import {
  exampleBeginnings,
  exampleList,
  exampleQuestions,
  exampleText,
  exampleTexts,
} from '../../../../page/panels/text/examples.ts'

const model = (name: string, inputs?: unknown): ModelInfo => ({
  name,
  version: '1',
  visibility: 'public',
  bytes: 1,
  places: ['edge'],
  inputs: [],
  outputs: [],
  artifacts: [],
  ...(inputs !== undefined && { example: { inputs } }),
})

describe('examples', () => {
  it('of shipped models are about what these can do', () => {
    expect(exampleTexts(model('reviews')).join(' ')).toContain('film')
    expect(exampleQuestions(model('abacus'))[0]).toBe('What is 27 plus 58?')
    expect(exampleBeginnings(model('abacus'))[0]).toBe('27 plus 58 is')
  })

  it("of other models are the task's own", () => {
    expect(exampleTexts(model('mine', 'A text.'))).toEqual(['A text.'])
    expect(exampleText(model('mine', { question: 'Who?' }), 'question', 'x')).toBe('Who?')
    expect(exampleList(model('mine', { sentences: ['a', 'b', 3] }), 'sentences', [])).toEqual(['a', 'b'])
    expect(exampleList(model('mine', ['a']), undefined, [])).toEqual(['a'])
  })

  it('are there where the task has none, too', () => {
    for (const inputs of [undefined, null, 7, {}, [], { question: 7 }]) {
      expect(exampleTexts(model('mine', inputs))[0]).not.toBe('')
      expect(exampleText(model('mine', inputs), 'question', 'otherwise')).toBe('otherwise')
      expect(exampleList(model('mine', inputs), 'question', ['otherwise'])).toEqual(['otherwise'])
    }
    expect(exampleQuestions(model('mine')).length).toBeGreaterThan(1)
  })
})
