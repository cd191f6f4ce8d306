import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import type { SessionRequest } from '../../src/sessions/use.ts'
import { settle, testContext } from '../fixtures/clock.ts'
import { BareSession, sessionCache } from '../fixtures/sessions.ts'

function setup(budgetBytes = 100) {
  const { cache, clock } = sessionCache(budgetBytes)
  const loads: string[] = []
  /** Loads that have begun, each to be ended. */
  const open: { end: (failure?: unknown) => void }[] = []
  const request = (key: string, bytes = 40): SessionRequest => ({
    key,
    bytes,
    pinned: false,
    load() {
      loads.push(key)
      return new Promise((resolve, reject) =>
        open.push({ end: (failure) => (failure === undefined ? resolve(new BareSession(bytes)) : reject(failure)) }),
      )
    },
  })
  const end = async (failure?: unknown): Promise<void> => {
    await settle()
    for (const each of open.splice(0)) each.end(failure)
    await settle()
  }
  const use = (key: string, context = testContext(), bytes = 40) =>
    cache.use(request(key, bytes), context, async (_, { start }) => start)
  return { cache, clock, end, loads, request, use }
}

describe('a session that is loaded ahead', () => {
  it('is there for its request, which counts as cold, once', async () => {
    const { cache, end, loads, request, use } = setup()
    const context = testContext()
    cache.prefetch(request('a'), context)
    await end()
    expect(cache.has('a')).toBe(true)
    expect([await use('a', context), await use('a', context)]).toEqual(['cold', 'warm'])
    expect(loads).toEqual(['a'])
  })

  it('is waited for by its request without a look at the clock, and by others by theirs', async () => {
    const { cache, clock, end, loads, request, use } = setup()
    const context = testContext()
    cache.prefetch(request('a'), context)
    const answers: string[] = []
    const own = use('a', context).then((start) => answers.push(`own ${start}`))
    const other = use('a').then((start) => answers.push(`other ${start}`))
    await end()
    await own
    expect(answers).toEqual(['own cold'])
    await clock.advance(10)
    await other
    expect([answers, loads]).toEqual([['own cold', 'other cold'], ['a']])
  })

  it('says to the run of its request how long it took, whatever the request did meanwhile', async () => {
    const { cache, clock, end, request } = setup()
    const [first, second] = [testContext(), testContext()]
    const run = async (key: string, context = first) =>
      (await cache.run(request(key), context, new Map(), undefined)).timings.loadMs
    cache.prefetch(request('a'), first)
    await clock.advance(30)
    await end()
    await clock.advance(500)
    expect([await run('a'), await run('a')]).toEqual([30, 0])
    // Where the run waits for the rest of it as well.
    cache.prefetch(request('b'), second)
    await clock.advance(30)
    const waited = run('b', second)
    await clock.advance(20)
    await end()
    expect(await waited).toBe(50)
  })

  it('is warm for another request that comes first', async () => {
    const { cache, end, request, use } = setup()
    const context = testContext()
    cache.prefetch(request('a'), context)
    await end()
    expect([await use('a'), await use('a', context)]).toEqual(['warm', 'warm'])
  })

  it('goes on when its request leaves', async () => {
    const { cache, end, request } = setup()
    const context = testContext()
    cache.prefetch(request('a'), context)
    context.abort()
    await settle()
    await end()
    expect(cache.has('a')).toBe(true)
    expect(context.kept).toHaveLength(1)
  })

  it('has no other one leave, used or not', async () => {
    const { cache, end, loads, request, use } = setup(100)
    for (const key of ['a', 'b']) {
      const used = use(key)
      await end()
      await used
    }
    cache.prefetch(request('c'), testContext())
    await settle()
    expect([loads, cache.has('a'), cache.has('b')]).toEqual([['a', 'b'], true, true])
    // A request that has been read has them leave, as ever.
    const used = use('c')
    await settle()
    await end()
    expect([await used, cache.has('a')]).toEqual(['cold', false])
  })

  it('counts what other loads have been promised', async () => {
    const { cache, end, loads, request } = setup(100)
    cache.prefetch(request('a', 60), testContext())
    cache.prefetch(request('b', 60), testContext())
    cache.prefetch(request('c', 40), testContext())
    await end()
    expect(loads).toEqual(['a', 'c'])
  })

  it('is not loaded where it is there, or on its way', async () => {
    const { cache, end, loads, request } = setup()
    const contexts = [testContext(), testContext(), testContext()] as const
    cache.prefetch(request('a'), contexts[0])
    cache.prefetch(request('a'), contexts[1])
    await end()
    cache.prefetch(request('a'), contexts[2])
    await end()
    expect(loads).toEqual(['a'])
    // Nothing waits for the load of the others' either.
    expect(contexts.map(({ kept }) => kept.length)).toEqual([1, 0, 0])
  })

  it('that cannot be loaded fails the request that waits for it, with the same error', async () => {
    const { cache, end, loads, request, use } = setup()
    const context = testContext()
    cache.prefetch(request('a'), context)
    const used = use('a', context).catch((error: unknown) => error)
    const failure = new VergeError('weights_corrupt', 'damaged')
    await end(failure)
    expect([await used, loads]).toEqual([failure, ['a']])
  })

  it('that cannot be loaded disturbs nobody, and is tried again by who asks later', async () => {
    const { cache, end, loads, request, use } = setup()
    const context = testContext()
    cache.prefetch(request('a'), context)
    await end(new VergeError('weights_unavailable', 'gone'))
    const used = use('a', context)
    await settle()
    await end()
    expect([await used, loads, cache.size]).toEqual(['cold', ['a', 'a'], 1])
  })

  it('holds nothing: another load may have it leave', async () => {
    const { cache, end, request, use } = setup(100)
    cache.prefetch(request('a', 80), testContext())
    await end()
    const used = use('b', testContext(), 80)
    await settle()
    await end()
    expect([await used, cache.has('a')]).toEqual(['cold', false])
  })

  it('is loaded by another request when its own was killed', async () => {
    const { cache, clock, end, loads, request, use } = setup()
    cache.prefetch(request('a'), testContext())
    await clock.advance(5001)
    const used = use('a')
    await settle()
    await end()
    await clock.advance(10)
    expect([await used, loads]).toEqual(['cold', ['a', 'a']])
  })
})
