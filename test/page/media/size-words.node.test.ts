import { expect, it } from 'vitest'
import { sizeInWords } from '../../../page/media/size-words.ts'

it.each([
  [0, '0 bytes'],
  [1, '1 byte'],
  [812, '812 bytes'],
  [3480, '3.4 KiB'],
  [508_000, '496 KiB'],
  [9 * 2 ** 20, '9 MiB'],
  [10_460_000, '10 MiB'],
  [20 * 2 ** 20, '20 MiB'],
])('%d', (bytes, words) => {
  expect(sizeInWords(bytes)).toBe(words)
})
