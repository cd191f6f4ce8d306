import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { heldByOthers } from '../../src/engine/heap-budget.ts'
import type { SessionRequest } from '../../src/sessions/use.ts'
import { settle, testContext } from '../fixtures/clock.ts'
import { BareSession, sessionCache } from '../fixtures/sessions.ts'

function setup(budgetBytes = 100, roomBytes?: number) {
  const { cache, clock } = sessionCache(budgetBytes)
  const loads: string[] = []
  const sessions = new Map<string, BareSession>()
  const request = (key: string, bytes: number, pinned = false): SessionRequest => ({
    key,
    bytes,
    ...(roomBytes !== undefined && { roomBytes }),
    pinned,
    async load() {
      loads.push(key)
      const session = new BareSession(bytes)
      sessions.set(key, session)
      return session
    },
  })
  const use = async (key: string, bytes: number, pinned = false) => {
    const used = cache.use(request(key, bytes, pinned), testContext(), async (_, { start }) => start)
    await clock.advance(50)
    return used
  }
  return { clock, cache, loads, sessions, request, use }
}

describe('session cache', () => {
  it('gives a load up at its deadline by the clock, and not before', async () => {
    const { cache, clock, request, use } = setup()
    const load: SessionRequest['load'] = ({ signal, onProgress }) => {
      // Something arrives every second, and never the last of it.
      const arrive = (): void => {
        if (signal.aborted) return
        onProgress()
        clock.after(1000, arrive)
      }
      arrive()
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    let outcome: unknown
    cache
      .use({ ...request('slow', 10), load }, testContext(), async () => 'loaded')
      .then(
        (value) => {
          outcome = value
        },
        (error: unknown) => {
          outcome = error
        },
      )
    await clock.advance(59_999)
    expect(outcome).toBeUndefined()
    await clock.advance(1)
    expect(outcome).toMatchObject({ code: 'deadline_exceeded', retryAfter: 5 })
    expect(await use('slow', 10)).toBe('cold')
  })

  it('loads once and then answers warm', async () => {
    const { use, loads } = setup()
    expect([await use('a', 40), await use('a', 40)]).toEqual(['cold', 'warm'])
    expect(loads).toEqual(['a'])
  })

  it('evicts the least recently used under its budget', async () => {
    const { cache, use, sessions } = setup(100)
    await use('a', 40)
    await use('b', 40)
    await use('a', 40)
    await use('c', 40)
    expect([cache.has('a'), cache.has('b'), cache.has('c')]).toEqual([true, false, true])
    expect(sessions.get('b')?.alive).toBe(false)
    expect(cache.bytes).toBe(80)
  })

  it('keeps what is pinned later, until it is pinned no more', async () => {
    const { cache, use } = setup(100)
    await use('a', 60)
    cache.pin('a', true)
    await expect(use('b', 60)).rejects.toMatchObject({ code: 'model_too_large' })
    cache.pin('a', false)
    expect(await use('b', 60)).toBe('cold')
    expect([cache.has('a'), cache.has('b')]).toEqual([false, true])
    // What is not loaded cannot be kept.
    cache.pin('a', true)
    expect(cache.has('a')).toBe(false)
  })

  it('lets a session go by hand, as soon as nothing uses it', async () => {
    const { cache, clock, request, sessions, use } = setup()
    await use('a', 40)
    cache.evict('a')
    expect(sessions.get('a')?.alive).toBe(false)
    let leave = () => {}
    const held = cache.use(request('b', 40), testContext(), () => new Promise<void>((resolve) => (leave = resolve)))
    await clock.advance(50)
    cache.evict('b')
    expect([cache.has('b'), sessions.get('b')?.alive]).toEqual([false, true])
    leave()
    await held
    expect(sessions.get('b')?.alive).toBe(false)
    cache.evict('never loaded')
    expect(await use('a', 40)).toBe('cold')
  })

  it('never evicts what is pinned, and says when nothing is left', async () => {
    const { cache, use } = setup(100)
    await use('pinned', 60, true)
    await use('b', 40)
    await use('c', 40)
    expect([cache.has('pinned'), cache.has('b'), cache.has('c')]).toEqual([true, false, true])
    await expect(use('d', 50)).rejects.toMatchObject({ code: 'model_too_large' })
    expect(cache.has('c')).toBe(true)
  })

  it('waits for a session in use instead of pulling it away', async () => {
    const { clock, cache, request, sessions } = setup(100)
    let finish = (): void => {}
    const using = cache.use(
      request('a', 80),
      testContext(),
      () =>
        new Promise<string>((resolve) => {
          finish = () => resolve('a done')
        }),
    )
    await clock.advance(50)
    const other = cache.use(request('b', 80), testContext(), async () => 'b done')
    await clock.advance(500)
    expect(sessions.get('a')?.alive).toBe(true)
    expect(cache.has('b')).toBe(false)
    finish()
    expect(await using).toBe('a done')
    await clock.advance(50)
    expect(await other).toBe('b done')
    expect(sessions.get('a')?.alive).toBe(false)
  })

  it('gives up a hold whose request was killed', async () => {
    const { clock, cache, request, sessions } = setup(100)
    void cache.use(request('a', 80), testContext('killed'), () => new Promise<never>(() => {}))
    await clock.advance(50)
    const other = cache.use(request('b', 80), testContext(), async () => 'b done')
    await clock.advance(50_000)
    expect(sessions.get('a')?.alive).toBe(true)
    await clock.advance(11_000)
    expect(await other).toBe('b done')
  })

  it('does not starve a newcomer while the others keep their session busy', async () => {
    const { clock, cache, request } = setup(100)
    const done: string[] = []
    const busy = async () => {
      await cache.use(request('a', 80), testContext(), async () => clock.sleep(40))
      done.push('a')
    }
    const stream = [busy()]
    await clock.advance(20)
    const newcomer = cache.use(request('b', 80), testContext(), async () => done.push('b'))
    for (let round = 0; round < 5; round++) {
      stream.push(busy())
      await clock.advance(20)
    }
    await clock.advance(2000)
    await Promise.all([...stream, newcomer])
    expect(done.indexOf('b')).toBeLessThanOrEqual(1)
    expect(done.filter((name) => name === 'a')).toHaveLength(6)
  })

  it('loads again what its engine lost, and retries a use that found it lost', async () => {
    const { clock, cache, request, sessions, use, loads } = setup()
    await use('a', 40)
    const lost = sessions.get('a')
    if (lost) lost.alive = false
    expect(cache.has('a')).toBe(false)
    expect(await use('a', 40)).toBe('cold')
    let attempts = 0
    const used = cache.use(request('a', 40), testContext(), async (session) => {
      attempts++
      if (attempts > 1) return 'answered'
      ;(session as BareSession).alive = false
      throw new VergeError('session_lost', 'the engine was restarted')
    })
    await clock.advance(50)
    expect(await used).toBe('answered')
    expect(loads).toEqual(['a', 'a', 'a'])
  })

  it('gives up a use that finds its session lost for the third time', async () => {
    const { clock, cache, request, loads } = setup()
    let attempts = 0
    const used = cache.use(request('a', 40), testContext(), async (session) => {
      attempts++
      ;(session as BareSession).alive = false
      throw new VergeError('session_lost', 'the engine was restarted')
    })
    const outcome = used.catch((error: unknown) => error)
    await clock.advance(100)
    expect(await outcome).toMatchObject({ code: 'session_lost' })
    expect(attempts).toBe(3)
    expect(loads).toEqual(['a', 'a', 'a'])
  })

  it('drops the session of a load that was silent for so long that another request loaded it', async () => {
    const { clock, cache, request } = setup()
    const loaded: BareSession[] = []
    let end = (_session: BareSession): void => {}
    const silent = new Promise<BareSession>((resolve) => {
      end = resolve
    })
    const load = async (session: BareSession | Promise<BareSession>) => {
      loaded.push(await session)
      return session
    }
    const first = cache.use(
      { ...request('a', 40), load: () => load(silent) },
      testContext(),
      async (session) => session,
    )
    await clock.advance(6000)
    const second = cache.use(
      { ...request('a', 40), load: () => load(new BareSession(40)) },
      testContext(),
      async (session) => session,
    )
    await clock.advance(10)
    const kept = await second
    end(new BareSession(40))
    await clock.advance(10)
    expect(await first).toBe(kept)
    expect(loaded.map((session) => [session === kept, session.alive])).toEqual([
      [true, true],
      [false, false],
    ])
    expect(cache.bytes).toBe(40)
  })

  const full = () => new VergeError('engine_full', 'no room', { retryAfter: 1 })

  it('evicts what is idle when the engine has no room for a load after all', async () => {
    const { clock, cache, request, use, sessions } = setup(100)
    await use('a', 30)
    let tries = 0
    const used = cache.use(
      {
        ...request('b', 30),
        async load() {
          tries++
          if (sessions.get('a')?.alive) throw full()
          return new BareSession(30)
        },
      },
      testContext(),
      async () => 'b done',
    )
    await clock.advance(100)
    expect(await used).toBe('b done')
    expect(tries).toBe(2)
  })

  it('tries a load again where there is nothing left to evict: the engine rebuilds its heap for it', async () => {
    const { clock, cache, request } = setup(100)
    let tries = 0
    const used = cache.use(
      {
        ...request('a', 30),
        async load() {
          if (++tries === 1) throw full()
          return new BareSession(30)
        },
      },
      testContext(),
      async () => 'done',
    )
    await clock.advance(100)
    expect(await used).toBe('done')
    expect(tries).toBe(2)
  })

  it('evicts nothing where the memory is that of another engine: it would not come back', async () => {
    const { clock, cache, request, use, sessions, loads } = setup(100)
    await use('a', 30)
    await use('b', 30)
    const used = cache
      .use(request('b', 30), testContext(), async () => {
        throw heldByOthers(40)
      })
      .catch((error: unknown) => error)
    await clock.advance(100)
    expect(await used).toMatchObject({ code: 'engine_full', retryAfter: 1, details: { bytes_needed: 40 } })
    expect([sessions.get('a')?.alive, sessions.get('b')?.alive]).toEqual([true, true])
    expect(loads).toEqual(['a', 'b'])
  })

  it('evicts what is idle for a run that finds no room, then everything, and then gives up for now', async () => {
    const { clock, cache, request, use, sessions, loads } = setup(100)
    await use('pinned', 10, true)
    await use('a', 30)
    await use('b', 30)
    const seen: string[] = []
    const used = cache
      .use(request('b', 30), testContext(), async () => {
        seen.push(['pinned', 'a', 'b'].filter((key) => sessions.get(key)?.alive).join(' '))
        throw full()
      })
      .catch((error: unknown) => error)
    await clock.advance(100)
    expect(await used).toMatchObject({ code: 'engine_full', retryAfter: 1 })
    // Last, its own session is loaded again as well: in a heap without holes.
    expect(seen).toEqual(['pinned a b', 'pinned b', 'b'])
    expect(loads).toEqual(['pinned', 'a', 'b', 'b'])
    expect(await use('a', 30)).toBe('cold')
  })

  it('runs again with the session that is there after room was made', async () => {
    const { clock, cache, request, use } = setup(100)
    await use('a', 40)
    await use('b', 40)
    const used = cache.use(request('b', 40), testContext(), async (session) => {
      if (cache.has('a')) throw full()
      return session
    })
    await clock.advance(100)
    expect((await used).alive).toBe(true)
    expect(cache.size).toBe(1)
  })

  it('makes room in the middle of a use, between two of its steps', async () => {
    const { clock, cache, request, use } = setup(100)
    await use('a', 40)
    const used = cache.use(request('b', 40), testContext(), async (first, { attempt }) => {
      const again = await attempt(async (session) => {
        if (cache.has('a')) throw full()
        return session
      }, 0)
      return again === first
    })
    await clock.advance(100)
    expect(await used).toBe(true)
    expect(cache.has('b')).toBe(true)
  })

  it('evicts idle sessions for what a run takes beside its own', async () => {
    const { clock, cache, request, use } = setup(100, 120)
    await use('a', 40)
    await use('b', 40)
    const run = async (runBytes: number) => {
      const used = cache.use({ ...request('b', 40), runBytes }, testContext(), async () => cache.has('a'))
      await clock.advance(50)
      return used
    }
    expect(await run(40)).toBe(true)
    expect(await run(41)).toBe(false)
  })

  it('lets nobody load anything between the eviction for a run and the run', async () => {
    const { clock, cache, request, use, loads } = setup(100)
    await use('a', 40)
    let finish = (): void => {}
    const heavy = cache.use(request('b', 40), testContext(), () => {
      if (cache.has('a')) throw full()
      return new Promise<string>((resolve) => {
        finish = () => resolve('b done')
      })
    })
    await clock.advance(100)
    const other = cache.use(request('a', 40), testContext(), async () => 'a done')
    await clock.advance(1000)
    expect(loads).toEqual(['a', 'b'])
    finish()
    expect(await heavy).toBe('b done')
    await clock.advance(50)
    expect(await other).toBe('a done')
  })

  it('does not wait for ever for one who made room and was killed', async () => {
    const { clock, cache, request, use } = setup(100)
    await use('a', 40)
    void cache.use(request('b', 40), testContext('killed'), () => {
      if (cache.has('a')) throw full()
      return new Promise<never>(() => {})
    })
    await clock.advance(100)
    const other = cache.use(request('a', 40), testContext(), async () => 'a done')
    await clock.advance(5_200)
    expect(await other).toBe('a done')
  })

  it('waits a while for sessions in use before it gives up, and leaves them to their users', async () => {
    const { clock, cache, request, sessions } = setup(100)
    let finish = (): void => {}
    const busy = cache.use(
      request('a', 40),
      testContext(),
      () =>
        new Promise<string>((resolve) => {
          finish = () => resolve('a done')
        }),
    )
    await clock.advance(50)
    const used = cache
      .use(request('b', 40), testContext(), () => Promise.reject(full()))
      .catch((error: unknown) => error)
    await clock.advance(2_500)
    expect(await used).toMatchObject({ code: 'engine_full' })
    expect(sessions.get('a')?.alive).toBe(true)
    finish()
    expect(await busy).toBe('a done')
    expect(cache.has('a')).toBe(true)
  })

  it('leaves nothing behind after a failed load', async () => {
    const { clock, cache, request, use } = setup(100)
    const failed = cache
      .use(
        { ...request('a', 90), load: () => Promise.reject(new VergeError('weights_unavailable', 'gone')) },
        testContext(),
        async () => 'never',
      )
      .catch((error) => error.code)
    await clock.advance(50)
    expect(await failed).toBe('weights_unavailable')
    expect(cache.bytes).toBe(0)
    expect(await use('b', 90)).toBe('cold')
  })

  it('shares one load among three, the first of whom leaves midway', async () => {
    const { clock, cache, request } = setup()
    let finish = (): void => {}
    let loads = 0
    const slow: SessionRequest = {
      ...request('a', 40),
      load: () => {
        loads++
        return new Promise((resolve) => {
          finish = () => resolve(new BareSession(40))
        })
      },
    }
    const first = testContext('first')
    const left = cache.use(slow, first, async () => 'never').catch((error) => error.code)
    const others = [1, 2].map(() => cache.use(slow, testContext(), async (_, { start }) => start))
    await clock.advance(30)
    first.abort()
    expect(await left).toBe('cancelled')
    await settle()
    finish()
    await clock.advance(50)
    expect(await Promise.all(others)).toEqual(['cold', 'cold'])
    expect(loads).toBe(1)
  })
})
