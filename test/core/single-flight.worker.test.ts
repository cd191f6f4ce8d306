import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { type Flight, SingleFlight } from '../../src/core/single-flight.ts'
import { ManualClock, settle, testContext } from '../fixtures/clock.ts'

function setup() {
  const clock = new ManualClock()
  return { clock, singleFlight: new SingleFlight<string>({ clock, staleMs: 5000, pollMs: 10 }) }
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

describe('a single flight', () => {
  it('does the work once for all who want it', async () => {
    const { clock, singleFlight } = setup()
    const work = gate()
    let begun = 0
    const join = () =>
      singleFlight.run(
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
    expect(singleFlight.size).toBe(0)
  })

  it('does the work again after it has failed, having told everyone why', async () => {
    const { clock, singleFlight } = setup()
    const work = gate()
    const outcomes = [1, 2].map(() => singleFlight.run('a', () => work.promise, testContext()).catch((error) => error))
    await settle()
    const reason = new VergeError('weights_unavailable', 'gone')
    work.fail(reason)
    await clock.advance(100)
    expect(await Promise.all(outcomes)).toEqual([reason, reason])
    expect(await singleFlight.run('a', async () => 'second', testContext())).toBe('second')
  })

  it('goes on for the others when the first of three waiters leaves midway', async () => {
    const { clock, singleFlight } = setup()
    const work = gate()
    const first = testContext('first')
    const left = singleFlight.run('a', () => work.promise, first).catch((error) => error.code)
    const others = [testContext(), testContext()].map((context) =>
      singleFlight.run('a', () => Promise.reject(new Error('must not be begun')), context),
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
    const { clock, singleFlight } = setup()
    void singleFlight.run('a', () => new Promise<never>(() => {}), testContext('killed'))
    let takeovers = 0
    const others = [1, 2].map(() =>
      singleFlight.run(
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

  it('stays with an owner that asks again, however long its work was silent', async () => {
    const { clock, singleFlight } = setup()
    const work = gate()
    const owner = testContext('owner')
    const begun = singleFlight.run('a', () => work.promise, owner)
    await clock.advance(6000)
    let again = 0
    const asked = singleFlight.run('a', async () => `again ${++again}`, owner)
    await settle()
    work.open('value')
    expect([await begun, await asked, again]).toEqual(['value', 'value', 0])
  })

  it('leaves slow work with its owner as long as it beats', async () => {
    const { clock, singleFlight } = setup()
    const slow = singleFlight.run(
      'a',
      async (flight: Flight) => {
        for (let step = 0; step < 10; step++) {
          await clock.sleep(3000)
          flight.heartbeat()
        }
        return 'slow'
      },
      testContext(),
    )
    const waiter = singleFlight.run('a', () => Promise.reject(new Error('must not be begun')), testContext())
    await clock.advance(31_000)
    expect(await slow).toBe('slow')
    expect(await waiter).toBe('slow')
  })

  it('stops an owner that comes back to life after it was replaced', async () => {
    const { clock, singleFlight } = setup()
    const stuck = gate()
    const revived = singleFlight
      .run(
        'a',
        async (flight) => {
          await stuck.promise
          flight.heartbeat()
          return 'first'
        },
        testContext(),
      )
      .catch((error) => error.code)
    const second = gate()
    const waiter = singleFlight.run('a', () => second.promise, testContext())
    await clock.advance(5100)
    stuck.open('')
    expect(await revived).toBe('session_lost')
    second.open('second')
    await clock.advance(50)
    expect(await waiter).toBe('second')
    expect(singleFlight.size).toBe(0)
  })

  it('lets a waiter leave without touching the work', async () => {
    const { clock, singleFlight } = setup()
    const work = gate()
    const owner = singleFlight.run('a', () => work.promise, testContext())
    const waiter = testContext()
    const left = singleFlight.run('a', async () => 'x', waiter).catch((error) => error.code)
    await clock.advance(20)
    waiter.abort(new VergeError('deadline_exceeded', 'late'))
    expect(await left).toBe('deadline_exceeded')
    work.open('value')
    expect(await owner).toBe('value')
  })

  it('lets its owner, and nobody else, wait on its promise: the owner has its own work back without a look at the clock', async () => {
    const { clock, singleFlight } = setup()
    const work = gate()
    const owner = testContext('one')
    // A caller may give its request another one's id, and is another request still.
    const other = testContext('one')
    const begun = singleFlight.run('a', () => work.promise, owner)
    const answers: string[] = []
    const again = singleFlight.run('a', never, { ...owner, signal: other.signal }).then((value) => answers.push(value))
    const others = singleFlight.run('a', never, other).then((value) => answers.push(`${value} for the other`))
    expect(singleFlight.isUnderWay('a')).toBe(true)
    work.open('value')
    await again
    expect(answers).toEqual(['value'])
    expect(singleFlight.isUnderWay('a')).toBe(false)
    await clock.advance(10)
    await others
    expect([await begun, ...answers]).toEqual(['value', 'value', 'value for the other'])
  })

  it('lets its owner leave a wait for its own work, which goes on', async () => {
    const { singleFlight } = setup()
    const work = gate()
    const owner = testContext()
    const begun = singleFlight.run('a', () => work.promise, owner)
    const within = testContext()
    const again = singleFlight.run('a', never, { ...owner, signal: within.signal }).catch((error) => error.code)
    within.abort()
    expect(await again).toBe('cancelled')
    work.open('value')
    expect(await begun).toBe('value')
  })

  it('is not under way when its owner gives no sign of life', async () => {
    const { clock, singleFlight } = setup()
    singleFlight.run('a', () => new Promise(() => {}), testContext()).catch(() => {})
    await clock.advance(5000)
    expect(singleFlight.isUnderWay('a')).toBe(true)
    await clock.advance(1)
    expect(singleFlight.isUnderWay('a')).toBe(false)
  })
})

function never(): Promise<string> {
  throw new Error('the work was done twice')
}
