import { describe, expect, it } from 'vitest'
import {
  clockSeconds,
  clockTime,
  marks,
  placeSpan,
  segmentAt,
  speechTotal,
  spokenTime,
} from '../../../page/media/timeline.ts'

describe('times', () => {
  it.each([
    [0, '0:00.0', '0 seconds'],
    [3.24, '0:03.2', '3.2 seconds'],
    [1, '0:01.0', '1 second'],
    [59.97, '1:00.0', '1 minute'],
    [121, '2:01.0', '2 minutes 1 second'],
    [65, '1:05.0', '1 minute 5 seconds'],
    [240, '4:00.0', '4 minutes'],
  ])('%d seconds', (seconds, clock, spoken) => {
    expect([clockTime(seconds), spokenTime(seconds)]).toEqual([clock, spoken])
  })
})

it('leaves out tenths that say nothing', () => {
  expect([clockSeconds(3), clockSeconds(0.5)]).toEqual(['0:03', '0:00.5'])
})

describe('placeSpan', () => {
  it('is in percent, and stays on the timeline', () => {
    expect(placeSpan({ start: 1, end: 3 }, 4)).toEqual({ left: 25, width: 50 })
    expect(placeSpan({ start: 3, end: 9 }, 4)).toEqual({ left: 75, width: 25 })
    expect(placeSpan({ start: 1, end: 3 }, 0)).toEqual({ left: 0, width: 0 })
  })
})

describe('marks', () => {
  it.each([
    [4.4, [0, 1, 2, 3, 4]],
    [0.5, [0, 0.1, 0.2, 0.3, 0.4, 0.5]],
    [61, [0, 15, 30, 45, 60]],
    [240, [0, 60, 120, 180, 240]],
  ])('of %d seconds are round', (duration, times) => {
    expect(marks(duration, 6)).toEqual(times)
  })
})

describe('segments', () => {
  const segments = [
    { start: 1, end: 2, score: 0.9 },
    { start: 3, end: 3.5, score: 0.8 },
  ]

  it('are found by a time', () => {
    expect([0.5, 1, 1.99, 2, 3.2].map((time) => segmentAt(segments, time))).toEqual([-1, 0, 0, -1, 1])
  })

  it('add up', () => {
    expect(speechTotal(segments, 6)).toEqual({ seconds: 1.5, share: 0.25 })
    expect(speechTotal([], 0)).toEqual({ seconds: 0, share: 0 })
  })
})
