import { describe, expect, it } from 'vitest'
import { readParent } from '../../../src/telemetry/traces/propagation.ts'
import { Sampling } from '../../../src/telemetry/traces/sampling.ts'

const parentOf = (flag: string) => readParent(`00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-${flag}`, undefined)

function samplingOf(options: { rate?: number; askedPerMinute?: number; draws?: number[] } = {}) {
  const clock = { at: 1_000, now: () => clock.at }
  const draws = [...(options.draws ?? [])]
  const sampling = new Sampling({
    rate: options.rate ?? 0,
    askedPerMinute: options.askedPerMinute ?? 2,
    refusedPerMinute: 2,
    clock,
    random: () => draws.shift() ?? 0.5,
  })
  return { clock, sampling }
}

describe('Sampling', () => {
  it('draws where no caller says', () => {
    const { sampling } = samplingOf({ rate: 0.01, draws: [0.009, 0.01, 0.99] })
    expect([undefined, undefined, undefined].map((parent) => sampling.records(parent))).toEqual([true, false, false])
  })

  it('goes by the flag of a caller, and does not draw then', () => {
    const { sampling } = samplingOf({ rate: 1 })
    expect(sampling.records(parentOf('00'))).toBe(false)
    expect(sampling.records(parentOf('01'))).toBe(true)
  })

  it('draws what was refused before its caller was known, and so much of it in a minute', () => {
    const { clock, sampling } = samplingOf({ rate: 0.1, draws: [0.5, 0, 0.5, 0, 0, 0, 0] })
    const refused = () => sampling.recordsRefused()
    expect([refused(), refused(), refused(), refused(), refused()]).toEqual([false, true, false, true, false])
    // Others have their own bound.
    expect(sampling.records(undefined)).toBe(true)
    clock.at += 60_000
    expect(refused()).toBe(true)
  })

  it('follows so many flags in a minute', () => {
    const { clock, sampling } = samplingOf()
    const ask = () => sampling.records(parentOf('01'))
    expect([ask(), ask(), ask()]).toEqual([true, true, false])
    clock.at += 59_999
    expect(ask()).toBe(false)
    clock.at += 1
    expect(ask()).toBe(true)
  })

  it('begins a minute where the clock goes back', () => {
    const { clock, sampling } = samplingOf({ askedPerMinute: 1 })
    expect(sampling.records(parentOf('01'))).toBe(true)
    clock.at = 0
    expect(sampling.records(parentOf('01'))).toBe(true)
  })

  it('follows every flag where there is no bound', () => {
    const { sampling } = samplingOf({ askedPerMinute: Number.POSITIVE_INFINITY })
    for (let i = 0; i < 1_000; i++) expect(sampling.records(parentOf('01'))).toBe(true)
  })
})
