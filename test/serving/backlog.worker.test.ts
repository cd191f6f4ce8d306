import { describe, expect, it } from 'vitest'
import { Backlog } from '../../src/serving/backlog.ts'
import { never } from '../../synthetic/source.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { codeOf } from '../fixtures/http.ts'

function setup(cost = 100, bytes = 1000) {
  const clock = new ManualClock()
  const backlog = new Backlog({ cost, bytes, idleMs: 5000, renewMs: 1000, clock })
  /** A run that goes on until it is ended. */
  const begin = (units: number, size = 0, request = never()) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const outcome = backlog.run(request, units, size, () => promise).catch((error: { code: string }) => error.code)
    return { outcome, end: () => resolve('done'), fail: () => reject({ code: 'failed' }) }
  }
  return { backlog, clock, begin }
}

describe('backlog', () => {
  it('takes on as many small runs as cost what a few large ones do, and refuses what would wait too long', async () => {
    const { backlog, begin } = setup()
    const small = Array.from({ length: 99 }, () => begin(1))
    expect(backlog.full).toBe(false)
    const last = begin(1)
    expect(backlog.full).toBe(true)
    expect(await begin(1).outcome).toBe('overloaded')
    last.end()
    expect(await last.outcome).toBe('done')
    const next = begin(1)
    for (const { end } of [...small, next]) end()
    expect(await Promise.all(small.map(({ outcome }) => outcome))).toEqual(new Array(99).fill('done'))
    expect(await next.outcome).toBe('done')
    expect(backlog.cost).toBe(0)
  })

  it('says how long the queue takes, from one second to ten', async () => {
    const { backlog } = setup(200_000)
    backlog.plan(never(), 120_000)
    const refusal = (): unknown => {
      try {
        return backlog.plan(never(), 90_000)
      } catch (error) {
        return error
      }
    }
    expect(refusal()).toMatchObject({ code: 'overloaded', retryAfter: 9 })
  })

  it('takes on one request alone, whatever it costs', async () => {
    const { begin } = setup()
    const huge = begin(5000, 5000)
    expect(await begin(1).outcome).toBe('overloaded')
    huge.end()
    expect(await huge.outcome).toBe('done')
    const next = begin(1)
    next.end()
    expect(await next.outcome).toBe('done')
  })

  it('keeps nothing of a request whose runs are done, though fractions do not add up', async () => {
    const { backlog, begin } = setup()
    const request = never()
    const costs = [0.1, 0.2, 0.3]
    backlog.plan(
      request,
      costs.reduce((sum, cost) => sum + cost, 0),
    )
    for (const cost of costs) {
      const run = begin(cost, 0, request)
      run.end()
      expect(await run.outcome).toBe('done')
    }
    expect(backlog.cost).toBe(0)
    const alone = begin(5000)
    alone.end()
    expect(await alone.outcome).toBe('done')
  })

  it('bounds the bytes of the inputs that wait', async () => {
    const { begin } = setup()
    const first = begin(1, 900)
    expect(await begin(1, 101).outcome).toBe('overloaded')
    const second = begin(1, 100)
    first.end()
    second.end()
    await first.outcome
    const third = begin(1, 1000)
    third.end()
    expect(await third.outcome).toBe('done')
  })

  it('counts what a request has planned until it is done, or fails', async () => {
    const { backlog, begin } = setup()
    const request = never()
    backlog.plan(request, 80)
    expect(codeOf(() => backlog.plan(never(), 30))).toBe('overloaded')
    const window = begin(10, 0, request)
    expect(backlog.cost).toBe(80)
    window.end()
    await window.outcome
    backlog.spend(request, 10)
    expect(backlog.cost).toBe(60)
    const failing = begin(10, 0, request)
    failing.fail()
    expect(await failing.outcome).toBe('failed')
    expect(backlog.cost).toBe(0)
  })

  it('does not count a plan whose request has stopped, until it goes on', async () => {
    const { backlog, clock, begin } = setup()
    const slow = never()
    backlog.plan(slow, 100)
    expect(await begin(1).outcome).toBe('overloaded')
    await clock.advance(5001)
    const other = begin(1)
    const again = begin(10, 0, slow)
    expect(await again.outcome).toBe('overloaded')
    other.end()
    await other.outcome
    const last = begin(10, 0, slow)
    last.end()
    expect(await last.outcome).toBe('done')
  })

  it('counts a run that waits for long, and forgets one whose request was killed, with its timers', async () => {
    const { backlog, clock, begin } = setup()
    const long = begin(100)
    await clock.advance(60_000)
    expect(await begin(1).outcome).toBe('overloaded')
    long.end()
    await long.outcome
    expect(backlog.cost).toBe(0)
    clock.after = () => () => {}
    begin(100)
    await clock.advance(5000)
    expect(await begin(1).outcome).toBe('overloaded')
    await clock.advance(1)
    const next = begin(1)
    next.end()
    expect(await next.outcome).toBe('done')
  })
})
