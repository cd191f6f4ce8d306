import { describe, expect, it } from 'vitest'
import { bars, HEIGHT, WIDTH } from '../../../page/operate/chart-bars.ts'
import { isOld, OLD_MS, pauseAfter, REFRESH_MS } from '../../../page/operate/refresh.ts'
import { count, counted, originState, share, span, time, usd, versions } from '../../../page/operate/words.ts'

describe('the figures of the page for operators', () => {
  it('are short, and never say that something is nothing', () => {
    expect([0, 999, 9_999, 12_345, 999_999, 4.5e6, 2e9].map(count)).toEqual([
      '0',
      '999',
      '9,999',
      '12.3k',
      '1000k',
      '4.5M',
      '2.0G',
    ])
    expect([counted(1, 'request'), counted(0, 'request')]).toEqual(['1 request', '0 requests'])
    expect([0, 0.000_001, 0.0123, 0.5, 12.3].map(usd)).toEqual([
      '$0.00',
      'below $0.0001',
      '$0.0123',
      '$0.5000',
      '$12.30',
    ])
    expect([share(0, 0), share(0, 5), share(1, 10_000), share(1, 20), share(13, 200), share(1, 2)]).toEqual([
      '–',
      '0 %',
      'below 0.1 %',
      '5 %',
      '6.5 %',
      '50 %',
    ])
    expect([0.04, 9.96, 12.4, 1_300].map(time)).toEqual(['0.0 ms', '10.0 ms', '12 ms', '1.3 s'])
    expect([-5, 1_000, 119_000, 7_200_000, 400_000_000].map(span)).toEqual([
      '0 seconds',
      '1 second',
      '1 minute',
      '2 hours',
      '4 days',
    ])
  })

  it('name live versions with their shares where there are several', () => {
    expect(versions([])).toBe('none live')
    expect(versions([{ version: '7', weight: 100 }])).toBe('7')
    expect(
      versions([
        { version: '2', weight: 190 },
        { version: '3', weight: 10 },
      ]),
    ).toBe('2 (95 %), 3 (5 %)')
  })

  it('say of an origin what is known, and of one that nothing probes what its requests found', () => {
    expect(originState({ up: true, here: 'up', answered: true })).toBe('up')
    expect(originState({ up: false, here: 'down', answered: false })).toBe('down')
    expect(originState({ up: false, here: 'up', answered: true })).toBe('down; in use, for one isolate')
    expect(originState({ up: true, here: 'half-open', answered: true })).toBe(
      'up; on trial after failures, for one isolate',
    )
    expect(originState({ up: null, here: 'up', answered: true })).toBe('answers requests')
    expect(originState({ up: null, here: 'up', answered: false })).toBe('not asked yet')
    expect(originState({ up: null, here: 'down', answered: true })).toBe('avoided after failures, for one isolate')
    expect(originState({ up: null, here: 'up' })).toBe('not probed')
  })
})

it('bars are as high as their part of the largest, and what is there is seen', () => {
  const found = bars([0, 1, 1_000, 500])
  expect(found.map(({ height }) => height)).toEqual([0, 2, HEIGHT, HEIGHT / 2])
  expect(found.map(({ height, y }) => height + y)).toEqual([HEIGHT, HEIGHT, HEIGHT, HEIGHT])
  expect((found.at(-1)?.x ?? 0) + (found.at(-1)?.width ?? 0)).toBeLessThanOrEqual(WIDTH)
  expect(bars([0, 0]).map(({ height }) => height)).toEqual([0, 0])
  expect(bars([])).toEqual([])
})

it('pauses grow while requests fail, and figures are old when three refreshes did not come', () => {
  expect([0, 1, 2, 9].map(pauseAfter)).toEqual([REFRESH_MS, 2 * REFRESH_MS, 4 * REFRESH_MS, 240_000])
  expect([OLD_MS, OLD_MS + 1].map(isOld)).toEqual([false, true])
})
