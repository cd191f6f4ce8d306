import { describe, expect, it } from 'vitest'
import { addCounts, countsFrom, NO_COUNTS } from '../../../src/metering/usage/counts.ts'

describe('counts', () => {
  it('are added one by one', () => {
    const sum = addCounts(countsFrom({ requests: 2, nanoUsd: 5 }), countsFrom({ requests: 1, errors: 1 }))
    expect(sum).toEqual({ ...NO_COUNTS, requests: 3, errors: 1, nanoUsd: 5 })
  })

  it('that are missing or no counts are nothing', () => {
    const read = countsFrom({
      requests: 1,
      errors: -1,
      cached: 0.5,
      units: 3,
      inputTokens: '7',
      originMs: 2 ** 60,
    } as never)
    expect(read).toEqual({ ...NO_COUNTS, requests: 1 })
  })
})
