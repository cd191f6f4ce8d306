import { expect, it } from 'vitest'
import { placeWords, taskWords } from '../../../page/shell/words.ts'
import { TASKS } from '../../../src/catalog/manifest.ts'

it('every task has words of its own', () => {
  const words = TASKS.map(taskWords)
  expect(new Set(words).size).toBe(TASKS.length)
  for (const [i, task] of TASKS.entries()) expect(words[i]).not.toBe(task)
  expect(taskWords(undefined)).toBe('takes and gives tensors')
  expect(taskWords('a-task-of-later')).toBe('a-task-of-later')
})

it('places read as a person would say them', () => {
  expect(placeWords(['edge'])).toBe('at the edge')
  expect(placeWords(['edge', 'origin', 'browser'])).toBe('at the edge, at an origin or in this browser')
  expect(placeWords([])).toBe('nowhere at the moment')
})
