import { describe, expect, it } from 'vitest'
import { Breaker, type Permit } from '../../src/placement/breaker.ts'
import { ManualClock } from '../fixtures/clock.ts'

interface Bench {
  readonly clock: ManualClock
  readonly breaker: Breaker
  readonly changes: string[]
}

function bench(random = 0): Bench {
  const clock = new ManualClock()
  const changes: string[] = []
  const onChange = (state: string, openMs: number): void => {
    changes.push(`${state} ${openMs}`)
  }
  return { clock, changes, breaker: new Breaker({ clock, random: () => random, leaseMs: 25_000, onChange }) }
}

function permitOf(breaker: Breaker): Permit {
  const permit = breaker.enter()
  if (permit === null) throw new Error('no request may pass')
  return permit
}

const fail = (breaker: Breaker, times = 1): void => {
  for (let i = 0; i < times; i++) permitOf(breaker).failed()
}
const succeed = (breaker: Breaker, times = 1): void => {
  for (let i = 0; i < times; i++) permitOf(breaker).succeeded()
}

describe('breaker', () => {
  it('opens after three failures in a row, and not before', () => {
    const { breaker } = bench()
    fail(breaker, 2)
    succeed(breaker)
    fail(breaker, 2)
    expect(breaker.state).toBe('closed')
    fail(breaker)
    expect(breaker.state).toBe('open')
    expect(breaker.enter()).toBeNull()
    expect(breaker.waitMs).toBe(5_000)
  })

  it('opens when half of at least ten outcomes failed', () => {
    const { breaker } = bench()
    for (let i = 0; i < 4; i++) {
      succeed(breaker)
      fail(breaker)
    }
    succeed(breaker)
    expect(breaker.state).toBe('closed')
    fail(breaker)
    expect(breaker.state).toBe('open')
  })

  it('looks at the last twenty outcomes alone', () => {
    const { breaker } = bench()
    succeed(breaker, 60)
    for (let i = 0; i < 9; i++) {
      fail(breaker)
      succeed(breaker)
    }
    expect(breaker.state).toBe('closed')
    fail(breaker)
    expect(breaker.state).toBe('open')
  })

  it('forgets failures of more than ten seconds ago', async () => {
    const { breaker, clock } = bench()
    for (let i = 0; i < 4; i++) {
      succeed(breaker)
      fail(breaker)
    }
    await clock.advance(10_001)
    succeed(breaker)
    fail(breaker)
    expect(breaker.state).toBe('closed')
  })

  it('lets one request through as a probe, and closes when it succeeds', async () => {
    const { breaker, changes, clock } = bench()
    fail(breaker, 3)
    await clock.advance(4_999)
    expect(breaker.enter()).toBeNull()
    await clock.advance(1)
    expect(breaker.state).toBe('half-open')
    const probe = permitOf(breaker)
    expect(breaker.enter()).toBeNull()
    probe.succeeded()
    expect(breaker.state).toBe('closed')
    succeed(breaker, 2)
    expect(changes).toEqual(['open 5000', 'closed 0'])
  })

  it('lets a probe through at once when the origin has said that it is ready', async () => {
    const { breaker, clock } = bench()
    breaker.originReady()
    expect(breaker.state).toBe('closed')
    fail(breaker, 3)
    expect(breaker.enter()).toBeNull()
    breaker.originReady()
    expect(breaker.state).toBe('half-open')
    const probe = permitOf(breaker)
    // one probe at a time, however often it says so
    breaker.originReady()
    expect(breaker.enter()).toBeNull()
    probe.failed()
    expect(breaker.waitMs).toBe(10_000)
    breaker.originReady()
    permitOf(breaker).succeeded()
    expect(breaker.state).toBe('closed')
    await clock.advance(0)
  })

  it('doubles its wait with each failed probe up to a minute, and begins anew once it has closed', async () => {
    const { breaker, changes, clock } = bench()
    fail(breaker, 3)
    for (let i = 0; i < 5; i++) {
      await clock.advance(breaker.waitMs)
      fail(breaker)
    }
    await clock.advance(breaker.waitMs)
    succeed(breaker)
    fail(breaker, 3)
    expect(changes).toEqual([
      'open 5000',
      'open 10000',
      'open 20000',
      'open 40000',
      'open 60000',
      'open 60000',
      'closed 0',
      'open 5000',
    ])
  })

  it('waits up to a fifth longer at random', () => {
    const { breaker } = bench(0.5)
    fail(breaker, 3)
    expect(breaker.waitMs).toBe(5_500)
  })

  it('lets another request probe when the first was killed', async () => {
    const { breaker, clock } = bench()
    fail(breaker, 3)
    await clock.advance(5_000)
    const killed = permitOf(breaker)
    await clock.advance(24_999)
    expect(breaker.enter()).toBeNull()
    await clock.advance(1)
    const next = permitOf(breaker)
    // it was not killed after all: it says nothing of the second probe
    killed.failed()
    expect(breaker.state).toBe('half-open')
    next.succeeded()
    expect(breaker.state).toBe('closed')
  })

  it('lets another request probe when the first was given up', async () => {
    const { breaker, clock } = bench()
    fail(breaker, 3)
    await clock.advance(5_000)
    const left = permitOf(breaker)
    left.abandoned()
    left.failed()
    expect(breaker.state).toBe('half-open')
    succeed(breaker)
    expect(breaker.state).toBe('closed')
  })

  it('does not take outcomes of requests sent before it opened', async () => {
    const { breaker, clock } = bench()
    const [early, late] = [permitOf(breaker), permitOf(breaker)]
    fail(breaker, 3)
    early.succeeded()
    expect(breaker.state).toBe('open')
    await clock.advance(5_000)
    late.failed()
    expect(breaker.state).toBe('half-open')
  })

  it('asks for a probe when it is doubted, and takes nothing from requests sent before', () => {
    const { breaker, changes } = bench()
    const [early, late] = [permitOf(breaker), permitOf(breaker)]
    breaker.forceHalfOpen()
    expect(breaker.state).toBe('half-open')
    early.succeeded()
    const probe = permitOf(breaker)
    breaker.forceHalfOpen()
    expect(breaker.enter()).toBeNull()
    late.failed()
    probe.failed()
    expect(changes).toEqual(['open 5000'])
    breaker.forceHalfOpen()
    expect(breaker.waitMs).toBe(5_000)
  })

  it('works where the clock stands still', () => {
    const { breaker } = bench()
    fail(breaker, 3)
    for (let i = 0; i < 100; i++) expect(breaker.enter()).toBeNull()
    expect(breaker.state).toBe('open')
  })

  it('does not take a lack of room for a failure, and remembers it for a while', async () => {
    const { breaker, clock } = bench()
    for (let i = 0; i < 20; i++) permitOf(breaker).overloaded(60_000)
    expect(breaker.state).toBe('closed')
    expect(breaker.busy).toBe(true)
    await clock.advance(9_999)
    expect(breaker.busy).toBe(true)
    await clock.advance(1)
    expect(breaker.busy).toBe(false)
    permitOf(breaker).overloaded(undefined)
    await clock.advance(999)
    expect(breaker.busy).toBe(true)
    await clock.advance(1)
    expect(breaker.busy).toBe(false)
  })

  it('closes when the probe finds it alive and full', async () => {
    const { breaker, clock } = bench()
    fail(breaker, 3)
    await clock.advance(5_000)
    permitOf(breaker).overloaded(2_000)
    expect(breaker.state).toBe('closed')
    expect(breaker.busy).toBe(true)
  })

  it('counts answers that break off after they had begun well', () => {
    const { breaker } = bench()
    for (let i = 0; i < 2; i++) breaker.recordStreamFailure()
    expect(breaker.state).toBe('closed')
    breaker.recordStreamFailure()
    expect(breaker.state).toBe('open')
    breaker.recordStreamFailure()
    expect(breaker.waitMs).toBe(5_000)
  })

  it('opens over answers all of which begin well and break off', () => {
    const { breaker } = bench()
    const breakOff = () => {
      permitOf(breaker).succeeded()
      breaker.recordStreamFailure()
    }
    breakOff()
    breakOff()
    // One that came to its end speaks for it.
    permitOf(breaker).succeeded()
    breakOff()
    breakOff()
    expect(breaker.state).toBe('closed')
    breakOff()
    expect(breaker.state).toBe('open')
  })
})
