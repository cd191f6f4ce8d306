import { describe, expect, it } from 'vitest'
import { FILE_EXAMPLES, partsOf } from '../../../page/media/file-parts.ts'

describe('partsOf', () => {
  it('is the whole file, or its beginning and its end', () => {
    expect(partsOf(100, 100)).toEqual([[0, 100]])
    expect(partsOf(1000, 100)).toEqual([
      [0, 50],
      [950, 1000],
    ])
  })
})

it('has examples with different names that are long enough to tell', () => {
  expect(new Set(FILE_EXAMPLES.map(({ name }) => name)).size).toBe(FILE_EXAMPLES.length)
  expect(FILE_EXAMPLES.every(({ text }) => text.length > 100)).toBe(true)
})
