import { describe, expect, it } from 'vitest'
import { hourOf, type MinuteOfVersion } from '../../src/operations/traffic.ts'

const NOW = Date.UTC(2026, 10, 30, 12, 0, 30)
const CURRENT = Math.floor(NOW / 60_000)

const minute = (ago: number, some: Partial<MinuteOfVersion> = {}): MinuteOfVersion => ({
  minute: CURRENT - ago,
  model: 'digits',
  version: '1',
  requests: 1,
  errors: 0,
  units: 2,
  tokens: 3,
  ...some,
})

describe('an hour of traffic', () => {
  it('counts the current minute and the five before as the last five, and sixty as the hour', () => {
    const { totals } = hourOf([minute(-1), minute(0), minute(5), minute(6), minute(59), minute(60)], NOW)
    expect(totals.last5m).toEqual({ requests: 2, errors: 0, units: 4, tokens: 6 })
    expect(totals.lastHour.requests).toBe(4)
  })

  it('is by model and version, the largest first', () => {
    const { models, totals } = hourOf(
      [
        minute(1),
        minute(1, { version: '2', requests: 5, errors: 4 }),
        minute(9, { version: '2' }),
        minute(1, { model: '', version: '', requests: 7, errors: 0 }),
      ],
      NOW,
    )
    expect([...models.keys()]).toEqual(['digits'])
    const digits = models.get('digits')
    expect(digits?.last5m).toMatchObject({ requests: 6, errors: 4 })
    expect(digits?.versions.map(({ version, lastHour }) => [version, lastHour.requests])).toEqual([
      ['2', 6],
      ['1', 1],
    ])
    // What was refused before its model was known is a request all the same.
    expect(totals.lastHour.requests).toBe(14)
  })

  it('has sixty minutes without gaps, oldest first', () => {
    const { minutes } = hourOf([minute(0, { requests: 3, errors: 1 }), minute(59)], NOW)
    expect(minutes).toHaveLength(60)
    expect(minutes[0]).toEqual({ at: '2026-11-30T11:01:00.000Z', requests: 1, errors: 0 })
    expect(minutes[30]).toMatchObject({ requests: 0 })
    expect(minutes[59]).toEqual({ at: '2026-11-30T12:00:00.000Z', requests: 3, errors: 1 })
  })
})
