import { expect, it } from 'vitest'
import { percentage } from '../../../page/media/percentage.ts'

it.each([
  [1, '100 %'],
  [0.99999, '100 %'],
  [0.973, '97.3 %'],
  [0.0004, '0.04 %'],
  [0, '0 %'],
])('%d', (value, words) => {
  expect(percentage(value)).toBe(words)
})
