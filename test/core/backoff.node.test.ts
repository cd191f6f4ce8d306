import { expect, it } from 'vitest'
import { doublingPauseMs } from '../../src/core/backoff.ts'

it('pauses double, between half and one and a half of their length', () => {
  const pauses = (random: number): number[] => [1, 2, 3, 4].map((attempt) => doublingPauseMs(attempt, 100, random))
  expect(pauses(0)).toEqual([50, 100, 200, 400])
  expect(pauses(0.5)).toEqual([100, 200, 400, 800])
  expect(pauses(1)).toEqual([150, 300, 600, 1200])
})
