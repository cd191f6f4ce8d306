import { describe, expect, it } from 'vitest'
import { RunQueue } from '../../src/engine/run-queue.ts'
import { ManualClock, settle, testContext } from '../fixtures/clock.ts'

describe('a run queue', () => {
  it('lets work through one at a time, in order of arrival', async () => {
    const clock = new ManualClock()
    const queue = new RunQueue({ clock, leaseMs: 1000 })
    const order: number[] = []
    const all = Promise.all([1, 2, 3, 4].map((n) => queue.run(testContext().signal, () => order.push(n))))
    await settle()
    expect(order).toEqual([])
    await clock.advance(200)
    await all
    expect(order).toEqual([1, 2, 3, 4])
    expect(queue.waiting).toBe(0)
  })

  it('goes on when work throws', async () => {
    const clock = new ManualClock()
    const queue = new RunQueue({ clock, leaseMs: 1000 })
    const failing = queue.run(testContext().signal, () => {
      throw new Error('no')
    })
    const outcome = expect(failing).rejects.toThrow('no')
    const next = queue.run(testContext().signal, () => 'done')
    await clock.advance(200)
    await outcome
    expect(await next).toBe('done')
  })

  it('lets go of a waiter whose signal fires, first in the queue or not', async () => {
    const clock = new ManualClock()
    const queue = new RunQueue({ clock, leaseMs: 1000 })
    const contexts = [testContext(), testContext(), testContext()]
    const outcomes = contexts.map((context, index) => queue.run(context.signal, () => index).catch((e) => e.code))
    await settle()
    contexts[0]?.abort()
    contexts[1]?.abort()
    await settle()
    expect(queue.waiting).toBe(1)
    await clock.advance(100)
    expect(await Promise.all(outcomes)).toEqual(['cancelled', 'cancelled', 2])
  })

  it('keeps the turn of work that pauses, whatever its rank, and lets the event loop turn', async () => {
    const clock = new ManualClock()
    const queue = new RunQueue({ clock, leaseMs: 1000 })
    const order: string[] = []
    const dear = testContext().signal
    // This request has had more than its share: any other that comes goes before what it asks for next.
    const spent = queue.run(dear, () => 'spent', { cost: 1_000, request: dear })
    const beside = queue.run(testContext().signal, () => 'beside', { cost: 1 })
    await clock.advance(300)
    await Promise.all([spent, beside])
    const other = testContext().signal
    let next: Promise<number> | undefined
    const long = queue.runWithPauses(
      dear,
      async (pause) => {
        for (const part of ['a', 'b', 'c']) {
          order.push(part)
          next ??= queue.run(other, () => order.push('next'), { cost: 1, request: other })
          await pause()
        }
        return 'long'
      },
      { cost: 10, request: dear },
    )
    await clock.advance(300)
    expect(await long).toBe('long')
    await next
    expect(order).toEqual(['a', 'b', 'c', 'next'])
    expect(queue.waiting).toBe(0)
  })

  it('gives the turn of work that was killed in a pause to the next, and tells work that comes back too late', async () => {
    const clock = new ManualClock()
    let held: (() => void) | undefined
    const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
      held === undefined ? clock.sleep(ms, signal) : new Promise((resolve) => (held = resolve))
    const queue = new RunQueue({
      clock: { ...clock, now: () => clock.now(), sleep, after: clock.after.bind(clock) },
      leaseMs: 1000,
    })
    const late = queue.runWithPauses(testContext().signal, async (pause) => {
      held = () => {}
      await pause()
    })
    const outcome = late.catch((error) => error.code)
    await clock.advance(10)
    const resume = held as unknown as () => void
    held = undefined
    const next = queue.run(testContext().signal, () => 'next')
    await clock.advance(2_000)
    expect(await next).toBe('next')
    resume()
    expect(await outcome).toBe('session_lost')
    expect(queue.waiting).toBe(0)
  })

  it('passes over a request that was killed while it waited for its turn', async () => {
    const clock = new ManualClock()
    // The killed request's timers never fire; everyone else's do.
    const never = () => () => {}
    const dead = { now: () => clock.now(), sleep: () => new Promise<void>(() => {}), after: never }
    let clockInUse: typeof dead | ManualClock = dead
    const queue = new RunQueue({
      clock: { ...dead, sleep: (ms, signal) => clockInUse.sleep(ms, signal) },
      leaseMs: 1000,
    })
    let deadRan = false
    void queue.run(testContext().signal, () => {
      deadRan = true
    })
    await settle()
    clockInUse = clock
    const alive = queue.run(testContext().signal, () => 'alive')
    await clock.advance(900)
    expect(queue.waiting).toBe(2)
    await clock.advance(500)
    expect(await alive).toBe('alive')
    expect(deadRan).toBe(false)
    expect(queue.waiting).toBe(0)
  })

  it('lets work of little cost through without a yield, and yields when enough has come together', async () => {
    const clock = new ManualClock()
    const queue = new RunQueue({ clock, leaseMs: 1000, costBetweenYields: 10 })
    const order: string[] = []
    const turn = (name: string, cost: number) => queue.run(testContext().signal, () => order.push(name), { cost })
    await Promise.all([turn('a', 4), turn('b', 4)])
    expect(order).toEqual(['a', 'b'])
    const third = turn('c', 4)
    await settle()
    expect(order).toEqual(['a', 'b'])
    await clock.advance(0)
    await third
    const heavy = turn('d', 1000)
    await settle()
    expect(order).toEqual(['a', 'b', 'c'])
    await clock.advance(0)
    await heavy
    const light = turn('e', 1)
    await settle()
    expect(order).toEqual(['a', 'b', 'c', 'd'])
    await clock.advance(0)
    await light
    expect(order).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('does not wait for a request that came in after the last run, and does for one that was there before', async () => {
    const clock = new ManualClock()
    const runs = { finished: 0 }
    const queue = new RunQueue({ clock, leaseMs: 1000, runs })
    const order: string[] = []
    const turn = (name: string, runsBefore: number) =>
      queue.run(testContext().signal, () => order.push(name), { runsBefore })
    await turn('first', runs.finished)
    await turn('next', runs.finished)
    expect(order).toEqual(['first', 'next'])
    const waited = turn('there before', 1)
    await settle()
    expect(order).toHaveLength(2)
    await clock.advance(0)
    await waited
    expect(order).toEqual(['first', 'next', 'there before'])
    expect(runs.finished).toBe(3)
  })

  /** How many runs of others are made until a request of many small runs is through them. */
  async function othersRuns(windows: number, windowCost: number, others: number, otherCost: number): Promise<number> {
    const clock = new ManualClock()
    const queue = new RunQueue({ clock, leaseMs: 1000 })
    let made = 0
    let through = false
    // Each caller asks again as soon as it has its answer, each time with a request of its own.
    const loops = Array.from({ length: others }, async () => {
      while (!through) {
        const { signal } = testContext()
        await queue.run(signal, () => made++, { cost: otherCost, request: signal })
      }
    })
    const sound = (async () => {
      const { signal } = testContext()
      for (let window = 0; window < windows; window++) {
        await queue.run(signal, () => {}, { cost: windowCost, request: signal })
      }
      through = true
    })()
    while (!through) await clock.advance(1)
    await Promise.all([sound, ...loops.map((loop) => Promise.race([loop, clock.advance(1000)]))])
    return made
  }

  it('gives a request of many small runs several turns for one of the others, by cost', async () => {
    // 343 windows of 3 units are a share of one in sixteen of some 16,500 units, or 13 runs of 1,300.
    const made = await othersRuns(343, 3, 15, 1300)
    expect(made).toBeGreaterThanOrEqual(13)
    expect(made).toBeLessThan(60)
    expect(await othersRuns(686, 3, 15, 1300)).toBeLessThan(2 * 60)
  })

  it('does not let a request of many runs keep the others waiting for all of them', async () => {
    const clock = new ManualClock()
    const queue = new RunQueue({ clock, leaseMs: 1000, costBetweenYields: 1e9 })
    const order: string[] = []
    const { signal } = testContext()
    const many = (async () => {
      for (let run = 0; run < 20; run++) {
        await queue.run(signal, () => order.push('many'), { cost: 10, request: signal })
      }
    })()
    const others = Array.from({ length: 3 }, () => {
      const context = testContext()
      return queue.run(context.signal, () => order.push('one'), { cost: 10, request: context.signal })
    })
    await clock.advance(1000)
    await Promise.all([many, ...others])
    expect(order.lastIndexOf('one')).toBeLessThan(8)
  })

  it('keeps the order of arrival among requests of one run each', async () => {
    const clock = new ManualClock()
    const queue = new RunQueue({ clock, leaseMs: 1000 })
    const order: number[] = []
    const all = [5, 900, 1, 40, 7].map((cost, index) => {
      const { signal } = testContext()
      return queue.run(signal, () => order.push(index), { cost, request: signal })
    })
    await clock.advance(1000)
    await Promise.all(all)
    expect(order).toEqual([0, 1, 2, 3, 4])
  })
})
