import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { type Flight, Flights } from '../../src/sessions/flights.ts'
import { ManualClock, settle, testContext } from '../fixtures/clock.ts'

function setup() {
  const clock = new ManualClock()
  return { clock, flights: new Flights<string>({ clock, staleMs: 5000, pollMs: 10 }) }
}

function gate() {
  let open = (_value: string): void => {}
  let fail = (_error: unknown): void => {}
  const promise = new Promise<string>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  return { promise, open, fail }
}

describe('flights', () => {
  it('does the work once for all who want it', async () => {
    const { clock, flights } = setup()
    const work = gate()
    let begun = 0
    const join = () =>
      flights.join(
        'a',
        () => {
          begun++
          return work.promise
        },
        testContext(),
      )
    const all = Promise.all([join(), join(), join()])
    await clock.advance(100)
    work.open('value')
    await clock.advance(100)
    expect(await all).toEqual(['value', 'value', 'value'])
    expect(begun).toBe(1)
    expect(flights.size).toBe(0)
  })

  it('does the work again after it has failed, having told everyone why', async () => {
    const { clock, flights } = setup()
    const work = gate()
    const outcomes = [1, 2].map(() => flights.join('a', () => work.promise, testContext()).catch((error) => error))
    await settle()
    const reason = new VergeError('weights_unavailable', 'gone')
    work.fail(reason)
    await clock.advance(100)
    expect(await Promise.all(outcomes)).toEqual([reason, reason])
    expect(await flights.join('a', async () => 'second', testContext())).toBe('second')
  })

  it('goes on for the others when the first of three waiters leaves midway', async () => {
    const { clock, flights } = setup()
    const work = gate()
    const first = testContext('first')
    const left = flights.join('a', () => work.promise, first).catch((error) => error.code)
    const others = [testContext(), testContext()].map((context) =>
      flights.join('a', () => Promise.reject(new Error('must not be begun')), context),
    )
    await clock.advance(50)
    first.abort()
    expect(await left).toBe('cancelled')
    expect(first.kept).toHaveLength(1)
    work.open('value')
    await clock.advance(50)
    expect(await Promise.all(others)).toEqual(['value', 'value'])
  })

  it('is taken over by one waiter when its owner is killed', async () => {
    const { clock, flights } = setup()
    void flights.join('a', () => new Promise<never>(() => {}), testContext('killed'))
    let takeovers = 0
    const others = [1, 2].map(() =>
      flights.join(
        'a',
        async () => {
          takeovers++
          return 'taken over'
        },
        testContext(),
      ),
    )
    await clock.advance(4900)
    expect(takeovers).toBe(0)
    await clock.advance(200)
    expect(await Promise.all(others)).toEqual(['taken over', 'taken over'])
    expect(takeovers).toBe(1)
  })

  it('leaves slow work with its owner as long as it beats', async () => {
    const { clock, flights } = setup()
    const slow = flights.join(
      'a',
      async (flight: Flight) => {
        for (let step = 0; step < 10; step++) {
          await clock.sleep(3000)
          flight.beat()
        }
        return 'slow'
      },
      testContext(),
    )
    const waiter = flights.join('a', () => Promise.reject(new Error('must not be begun')), testContext())
    await clock.advance(31_000)
    expect(await slow).toBe('slow')
    expect(await waiter).toBe('slow')
  })

  it('stops an owner that comes back to life after it was replaced', async () => {
    const { clock, flights } = setup()
    const stuck = gate()
    const revived = flights
      .join(
        'a',
        async (flight) => {
          await stuck.promise
          flight.beat()
          return 'first'
        },
        testContext(),
      )
      .catch((error) => error.code)
    const second = gate()
    const waiter = flights.join('a', () => second.promise, testContext())
    await clock.advance(5100)
    stuck.open('')
    expect(await revived).toBe('session_lost')
    second.open('second')
    await clock.advance(50)
    expect(await waiter).toBe('second')
    expect(flights.size).toBe(0)
  })

  it('lets a waiter leave without touching the work', async () => {
    const { clock, flights } = setup()
    const work = gate()
    const owner = flights.join('a', () => work.promise, testContext())
    const waiter = testContext()
    const left = flights.join('a', async () => 'x', waiter).catch((error) => error.code)
    await clock.advance(20)
    waiter.abort(new VergeError('deadline_exceeded', 'late'))
    expect(await left).toBe('deadline_exceeded')
    work.open('value')
    expect(await owner).toBe('value')
  })
})
