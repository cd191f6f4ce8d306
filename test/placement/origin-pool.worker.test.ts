import { describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { type LogFields, silentLogger } from '../../src/core/runtime.ts'
import { RetryBudget } from '../../src/placement/breaker.ts'
import { type HealthRecord, HealthView } from '../../src/placement/health.ts'
import { type Origin, OriginFault, type OriginFaultKind } from '../../src/placement/origin.ts'
import { type AttemptOptions, OriginPool } from '../../src/placement/origin-pool.ts'
import { ManualClock, type TestContext, testContext } from '../fixtures/clock.ts'

const PLACES = {
  fra: { latitude: 50.11, longitude: 8.68 },
  ams: { latitude: 52.37, longitude: 4.9 },
  nyc: { latitude: 40.71, longitude: -74.01 },
  syd: { latitude: -33.87, longitude: 151.21 },
}
const PARIS = { latitude: 48.86, longitude: 2.35 }

function originOf(name: keyof typeof PLACES, models?: ReadonlyMap<string, string>): Origin {
  return {
    name,
    kind: 'verge',
    url: `https://${name}.example.com`,
    at: PLACES[name],
    weight: 1,
    ...(models && { models }),
    timeouts: { headersMs: 10_000, idleMs: 15_000, totalMs: 300_000 },
    fetch: () => Promise.reject(new Error('nothing here sends')),
    auth: { headers: async () => ({}) },
  }
}

interface Bench {
  readonly clock: ManualClock
  readonly pool: OriginPool
  readonly origins: readonly Origin[]
  readonly context: TestContext
  /** `fra:1` for each try, in order. */
  readonly tried: string[]
  readonly logged: { readonly level: string; readonly event: string; readonly fields: LogFields | undefined }[]
  /** Runs `attempt`, moving the clock on as long as it waits; each origin answers as told, again and again. */
  attempt(answers: Readonly<Record<string, Answer>>, options?: AttemptOptions): Promise<string>
  order(model?: string): string
  told(record: HealthRecord): Promise<void>
}

type Answer = 'ok' | OriginFaultKind | VergeError | { readonly kind: OriginFaultKind; readonly retryAfterMs: number }

function bench(names: readonly (keyof typeof PLACES)[], models?: ReadonlyMap<string, string>): Bench {
  const clock = new ManualClock()
  let record: HealthRecord | null = null
  const health = new HealthView(
    { read: async () => record, write: async () => {} },
    { clock, limits: LIMITS, logger: silentLogger },
  )
  const logged: Bench['logged'] = []
  const log = (level: string) => (event: string, fields?: LogFields) => void logged.push({ level, event, fields })
  const logger = { ...silentLogger, info: log('info'), warn: log('warn') }
  const origins = names.map((name) => originOf(name, name === 'nyc' ? models : undefined))
  const pool = new OriginPool(origins, { clock, random: () => 0, health, limits: LIMITS, logger })
  const context = testContext()
  const tried: string[] = []
  return {
    clock,
    pool,
    origins,
    context,
    tried,
    logged,
    attempt: async (answers, options) => {
      const working = pool.attempt(
        origins,
        context,
        async ({ name }, attempt) => {
          tried.push(`${name}:${attempt}`)
          const answer = answers[name] ?? 'ok'
          if (answer === 'ok') return name
          if (answer instanceof VergeError) throw answer
          const { kind, ...rest } = typeof answer === 'string' ? { kind: answer } : answer
          throw new OriginFault(kind, `it was ${kind}`, { origin: name, ...rest })
        },
        options,
      )
      const outcome = working.then(
        ({ attempts, value }) => ({ ok: true as const, value: `${value} ${attempts}` }),
        (error: unknown) => ({ ok: false as const, error }),
      )
      await clock.advance(400)
      const settled = await outcome
      if (!settled.ok) throw settled.error
      return settled.value
    },
    order: (model) =>
      pool
        .candidates(model, PARIS)
        .map(({ origin, state }) => `${origin.name} ${state}`)
        .join(', '),
    told: async (next) => {
      record = next
      await clock.advance(30_000)
      await health.refresh(testContext())
    },
  }
}

const seen = (at: number, oks: Readonly<Record<string, boolean>>): HealthRecord => ({
  schema: 1,
  at,
  origins: Object.fromEntries(
    Object.entries(oks).map(([name, ok]) => [name, { ok, latencyMs: 1, checkedAt: at, failures: ok ? 0 : 2 }]),
  ),
})

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('candidates', () => {
  it('are the nearest first, of those that have the model', () => {
    const { order } = bench(['syd', 'nyc', 'ams', 'fra'], new Map([['digits', 'Digits']]))
    expect(order('digits')).toBe('ams up, fra up, nyc up, syd up')
    expect(order('reviews')).toBe('ams up, fra up, syd up')
    expect(order()).toBe('ams up, fra up, nyc up, syd up')
  })

  it('go behind while they are full, and last while they are down', async () => {
    const { attempt, clock, order } = bench(['nyc', 'ams', 'syd'])
    await attempt({ nyc: { kind: 'overloaded', retryAfterMs: 5_000 } })
    expect(order()).toBe('ams up, syd up, nyc up')
    await clock.advance(5_000)
    expect(order()).toBe('ams up, nyc up, syd up')
    for (let i = 0; i < 3; i++) await attempt({ nyc: 'cut' })
    expect(order()).toBe('ams up, syd up, nyc down')
    await clock.advance(5_000)
    // Back in its place, or nobody would ever find out that it is well again.
    expect(order()).toBe('ams up, nyc half-open, syd up')
    await attempt({ nyc: { kind: 'overloaded', retryAfterMs: 9_000 } })
    expect(order()).toBe('ams up, syd up, nyc up')
  })

  it('go by the shared record where this isolate knows no better', async () => {
    const { attempt, clock, order, told } = bench(['fra', 'nyc'])
    await told(seen(0, { fra: false, nyc: true }))
    expect(order()).toBe('nyc up, fra down')
    await attempt({})
    // it has answered since it was looked at
    expect(order()).toBe('fra up, nyc up')
    await told(seen(clock.now(), { fra: false, nyc: true }))
    expect(order()).toBe('nyc up, fra down')
    await clock.advance(181_000)
    expect(order()).toBe('fra up, nyc up')
  })

  it('that may be tried again, but whom the shared record calls down, come after those that are up', async () => {
    const { attempt, clock, order, told } = bench(['fra', 'nyc'])
    for (let i = 0; i < 3; i++) await attempt({ fra: 'cut' })
    await clock.advance(5_000)
    expect(order()).toBe('fra half-open, nyc up')
    await told(seen(clock.now(), { fra: false, nyc: true }))
    expect(order()).toBe('nyc up, fra half-open')
    await clock.advance(30_000)
    await told(seen(clock.now(), { fra: true, nyc: true }))
    expect(order()).toBe('fra half-open, nyc up')
    await attempt({})
    expect(order()).toBe('fra up, nyc up')
  })

  it('are tried one request at a time where the shared record calls all of them down', async () => {
    const { attempt, clock, context, order, origins, pool, told, tried } = bench(['fra', 'nyc'])
    await told(seen(0, { fra: false, nyc: false }))
    expect(order()).toBe('fra half-open, nyc half-open')
    expect(await errorOf(attempt({ fra: 'refused', nyc: 'refused' }))).toMatchObject({ code: 'origin_unavailable' })
    // one failure is enough, as of any probe
    expect(order()).toBe('fra down, nyc down')
    expect(await errorOf(attempt({}))).toMatchObject({ details: { reason: 'breaker-open' } })
    expect(tried).toEqual(['fra:1', 'nyc:2'])
    await clock.advance(5_000)
    const { promise, resolve } = Promise.withResolvers<string>()
    const probing = pool.attempt(origins.slice(0, 1), context, () => promise)
    expect(order()).toBe('nyc half-open, fra down')
    resolve('it lives')
    expect((await probing).value).toBe('it lives')
    expect(order()).toBe('fra up, nyc half-open')
  })

  it('that are only doubtful are let in one by one', async () => {
    const { context, order, origins, pool, told } = bench(['fra'])
    await told(seen(0, { fra: false }))
    const { promise, resolve } = Promise.withResolvers<string>()
    const first = pool.attempt(origins, context, () => promise)
    expect(order()).toBe('fra down')
    expect(await errorOf(pool.attempt(origins, context, async () => 'sent'))).toMatchObject({
      code: 'origin_unavailable',
    })
    resolve('it lives')
    await first
    expect(order()).toBe('fra up')
  })
})

describe('attempt', () => {
  it('takes the first answer', async () => {
    const { attempt, tried } = bench(['fra', 'nyc'])
    expect(await attempt({})).toBe('fra 1')
    expect(tried).toEqual(['fra:1'])
  })

  it.each<OriginFaultKind>([
    'refused',
    'headers-timeout',
    'idle-timeout',
    'cut',
    'error-status',
    'overloaded',
    'unable',
    'unauthorized',
    'garbage',
  ])('goes on to the next origin: %s', async (kind) => {
    const { attempt, clock, tried } = bench(['fra', 'nyc'])
    expect(await attempt({ fra: kind })).toBe('nyc 2')
    expect(tried).toEqual(['fra:1', 'nyc:2'])
    expect(clock.now()).toBeGreaterThan(0)
  })

  it('does not repeat what ended an engine', async () => {
    const { attempt, order, tried } = bench(['fra', 'nyc'])
    for (let i = 0; i < 5; i++) {
      expect(await errorOf(attempt({ fra: 'engine-crash' }))).toMatchObject({
        code: 'origin_failed',
        details: { origins: ['fra'], reason: 'engine-crash' },
      })
    }
    expect(tried).toEqual(['fra:1', 'fra:1', 'fra:1', 'fra:1', 'fra:1'])
    expect(order()).toBe('fra up, nyc up')
  })

  it('tries three origins and no more', async () => {
    const { attempt, tried } = bench(['fra', 'ams', 'nyc', 'syd'])
    expect(await errorOf(attempt({ fra: 'cut', ams: 'refused', nyc: 'error-status' }))).toMatchObject({
      code: 'origin_unavailable',
      retryAfter: 1,
      details: { origins: ['fra', 'ams', 'nyc'], reason: 'error-status' },
    })
    expect(tried).toEqual(['fra:1', 'ams:2', 'nyc:3'])
  })

  it.each<[OriginFaultKind, number]>([
    ['refused', 2],
    ['cut', 2],
    ['error-status', 2],
    ['headers-timeout', 1],
    ['idle-timeout', 1],
    ['overloaded', 1],
    ['unable', 1],
    ['unauthorized', 1],
    ['garbage', 1],
    ['engine-crash', 1],
  ])('asks an only origin again where a moment can help: %s', async (kind, tries) => {
    const { attempt, tried } = bench(['fra'])
    await errorOf(attempt({ fra: kind }))
    expect(tried).toHaveLength(tries)
  })

  it('sends what cannot be repeated again only where nothing of it was read', async () => {
    const { attempt, tried } = bench(['fra', 'nyc', 'syd'])
    expect(await attempt({ fra: 'refused' }, { replayable: false })).toBe('nyc 2')
    await errorOf(attempt({ fra: 'cut' }, { replayable: false }))
    await errorOf(attempt({ fra: 'overloaded' }, { replayable: false }))
    expect(tried).toEqual(['fra:1', 'nyc:2', 'fra:1', 'fra:1'])
  })

  it('asks nobody else where an origin has refused what it had begun to read', async () => {
    const { attempt, tried } = bench(['fra', 'nyc'])
    await errorOf(attempt({ fra: 'refused' }, { replayable: false, untouched: () => false }))
    expect(tried).toEqual(['fra:1'])
  })

  it('leaves out an origin whose breaker is open, until a probe succeeds', async () => {
    const { attempt, clock, logged, tried } = bench(['fra', 'nyc'])
    for (let i = 0; i < 3; i++) await attempt({ fra: 'cut' })
    tried.length = 0
    expect(await attempt({ fra: 'cut' })).toBe('nyc 1')
    await clock.advance(5_000)
    expect(await attempt({ fra: 'cut' })).toBe('nyc 2')
    expect(await attempt({ fra: 'cut' })).toBe('nyc 1')
    await clock.advance(10_000)
    expect(await attempt({})).toBe('fra 1')
    expect(tried).toEqual(['nyc:1', 'fra:1', 'nyc:2', 'nyc:1', 'fra:1'])
    expect(logged.filter(({ event }) => event === 'origin_breaker').map(({ fields }) => fields)).toEqual([
      { origin: 'fra', state: 'open', open_ms: 5_000 },
      { origin: 'fra', state: 'open', open_ms: 10_000 },
      { origin: 'fra', state: 'closed' },
    ])
  })

  it('tries an origin at once that has said that it is ready, and says of none that it is up before it has answered', async () => {
    const { attempt, logged, pool } = bench(['fra'])
    const state = () => pool.candidates(undefined, undefined).map(({ state: each, answered }) => `${each} ${answered}`)
    expect(state()).toEqual(['up false'])
    for (let i = 0; i < 3; i++) await errorOf(attempt({ fra: 'refused' }))
    expect(state()).toEqual(['down false'])
    pool.originReady()
    expect(state()).toEqual(['half-open false'])
    expect(await attempt({})).toBe('fra 1')
    expect(state()).toEqual(['up true'])
    const levels = logged
      .filter(({ event }) => event === 'origin_breaker')
      .map(({ level, fields }) => `${level} ${fields?.state}`)
    expect(levels).toEqual(['warn open', 'info closed'])
  })

  it('says when to come back if no origin may be asked', async () => {
    const { attempt, clock, pool, tried } = bench(['fra', 'nyc'])
    for (let i = 0; i < 3; i++) await errorOf(attempt({ fra: 'cut', nyc: 'garbage' }))
    tried.length = 0
    await clock.advance(1_000)
    expect(await errorOf(attempt({}))).toMatchObject({
      code: 'origin_unavailable',
      retryAfter: 4,
      details: { origins: [], reason: 'breaker-open' },
    })
    expect(tried).toEqual([])
    expect(pool.retryAfter('digits')).toBe(4)
  })

  it('says that all are full only if all are', async () => {
    const { attempt } = bench(['fra', 'nyc'])
    const full = (retryAfterMs: number): Answer => ({ kind: 'overloaded', retryAfterMs })
    expect(await errorOf(attempt({ fra: full(8_000), nyc: full(2_500) }))).toMatchObject({
      code: 'overloaded',
      retryAfter: 3,
      details: { origins: ['fra', 'nyc'], reason: 'overloaded' },
    })
    expect(await errorOf(attempt({ fra: 'cut', nyc: full(2_500) }))).toMatchObject({ code: 'origin_unavailable' })
  })

  it('tells an unusable answer from none', async () => {
    const { attempt } = bench(['fra', 'nyc'])
    expect(await errorOf(attempt({ fra: 'cut', nyc: 'garbage' }))).toMatchObject({ code: 'origin_failed' })
    expect(await errorOf(attempt({ fra: 'garbage', nyc: 'unauthorized' }))).toMatchObject({
      code: 'origin_unavailable',
      details: { reason: 'unauthorized' },
    })
  })

  it('does not hold against an origin that it cannot run a model', async () => {
    const { attempt, order } = bench(['fra', 'nyc'])
    for (let i = 0; i < 5; i++) expect(await attempt({ fra: 'unable' })).toBe('nyc 2')
    expect(order()).toBe('fra up, nyc up')
    expect(await errorOf(attempt({ fra: 'unable', nyc: 'unable' }))).toMatchObject({
      code: 'origin_failed',
      details: { origins: ['fra', 'nyc'], reason: 'unable' },
    })
  })

  it('passes on what is not the origin’s fault, and holds it against nobody', async () => {
    const { attempt, order, tried } = bench(['fra', 'nyc'])
    const error = new VergeError('invalid_tensor', 'No such shape.')
    for (let i = 0; i < 4; i++) expect(await errorOf(attempt({ fra: error }))).toBe(error)
    expect(tried).toEqual(['fra:1', 'fra:1', 'fra:1', 'fra:1'])
    expect(order()).toBe('fra up, nyc up')
  })

  it('takes what an origin finds wrong with the inputs for a sign of good health', async () => {
    const { attempt, clock, order } = bench(['fra'])
    for (let i = 0; i < 2; i++) await errorOf(attempt({ fra: 'cut' }))
    await clock.advance(5_000)
    expect(order()).toBe('fra half-open')
    await errorOf(attempt({ fra: new VergeError('run_rejected', 'No such shape.') }))
    expect(order()).toBe('fra up')
  })

  it('stops when the caller leaves, and holds the broken connection against nobody', async () => {
    const { clock, context, order, origins, pool, tried } = bench(['fra', 'nyc'])
    const late = new VergeError('deadline_exceeded', 'It is late.')
    for (let i = 0; i < 4; i++) {
      const leaving = testContext()
      const failed = errorOf(
        pool.attempt(origins, leaving, async ({ name }) => {
          tried.push(name)
          leaving.abort(late)
          throw new OriginFault('cut', 'it was cut', { origin: name })
        }),
      )
      expect(await failed).toBe(late)
    }
    expect(tried).toEqual(['fra', 'fra', 'fra', 'fra'])
    expect(order()).toBe('fra up, nyc up')

    const waiting = errorOf(
      pool.attempt(origins, context, async ({ name }) => {
        tried.push(name)
        throw new OriginFault('cut', 'it was cut', { origin: name })
      }),
    )
    await clock.advance(24)
    context.abort(late)
    expect(await waiting).toBe(late)
    expect(tried).toHaveLength(5)
    expect(await errorOf(pool.attempt(origins, context, async () => 'sent'))).toBe(late)
  })

  it('gives a probe back when its caller leaves', async () => {
    const { attempt, clock, order, origins, pool } = bench(['fra'])
    for (let i = 0; i < 2; i++) await errorOf(attempt({ fra: 'cut' }))
    await clock.advance(5_000)
    expect(order()).toBe('fra half-open')
    const leaving = testContext()
    await errorOf(
      pool.attempt(origins, leaving, async () => {
        expect(order()).toBe('fra down')
        leaving.abort()
        throw new Error('aborted')
      }),
    )
    expect(order()).toBe('fra half-open')
  })

  it('does not begin what cannot end in time', async () => {
    const { attempt, clock, tried } = bench(['fra', 'nyc'])
    expect(await errorOf(attempt({ fra: 'cut' }, { deadline: clock.now() + 274 }))).toMatchObject({
      code: 'origin_unavailable',
    })
    expect(await attempt({ fra: 'cut' }, { deadline: clock.now() + 275 })).toBe('nyc 2')
    expect(tried).toEqual(['fra:1', 'fra:1', 'nyc:2'])
  })

  it('gives the next origin’s probe back when it does not come to that', async () => {
    const { attempt, clock, order, origins, pool } = bench(['fra', 'nyc'])
    for (let i = 0; i < 3; i++) await errorOf(attempt({ fra: 'overloaded', nyc: 'cut' }))
    await clock.advance(5_000)
    expect(order()).toBe('fra up, nyc half-open')
    await errorOf(attempt({ fra: 'cut' }, { deadline: clock.now() + 100 }))
    expect(order()).toBe('fra up, nyc half-open')
    const leaving = testContext()
    const left = errorOf(
      pool.attempt(origins, leaving, async ({ name }) => {
        throw new OriginFault('cut', 'it was cut', { origin: name })
      }),
    )
    await clock.advance(10)
    expect(order()).toBe('fra up, nyc down')
    leaving.abort()
    expect(await left).toMatchObject({ code: 'cancelled' })
    expect(order()).toBe('fra up, nyc half-open')
  })

  it('does not multiply the load of a region that is full', async () => {
    const { clock, context, origins, pool, tried } = bench(['fra', 'nyc'])
    const wave = async (requests: number): Promise<number> => {
      tried.length = 0
      const ended = Array.from({ length: requests }, () =>
        errorOf(
          pool.attempt(origins, context, async ({ name }) => {
            tried.push(name)
            throw new OriginFault('overloaded', 'it is full', { origin: name })
          }),
        ),
      )
      // the retries wait for their moment
      expect(tried.length).toBe(requests)
      await clock.advance(200)
      await Promise.all(ended)
      return tried.length - requests
    }
    // what is saved up; then a fifth of what comes in
    expect(await wave(200)).toBe(32)
    expect(await wave(102)).toBe(20)
  })

  it('does not take an origin for dead over requests that were slow while it answered others', async () => {
    const { clock, context, order, origins, pool } = bench(['fra', 'nyc'])
    const [fra] = origins
    if (fra === undefined) throw new Error('there is one')
    const slow = (kind: OriginFaultKind) =>
      errorOf(
        pool.attempt([fra], context, async () => {
          await clock.sleep(10_000)
          throw new OriginFault(kind, 'it was late', { origin: 'fra' })
        }),
      )
    const answered = async () => {
      await clock.advance(1_000)
      await pool.attempt([fra], context, async () => 'fine')
    }
    const late = Array.from({ length: 3 }, () => slow('headers-timeout'))
    await answered()
    await clock.advance(10_000)
    await Promise.all(late)
    expect(order()).toBe('fra up, nyc up')
    // of a connection that broke, or where nobody else was answered, it is not the request that is to blame
    const cut = Array.from({ length: 3 }, () => slow('cut'))
    await answered()
    await clock.advance(30_000)
    await Promise.all(cut)
    expect(order()).not.toContain('fra up')
    const alone = bench(['fra', 'nyc'])
    for (let i = 0; i < 3; i++) await errorOf(alone.attempt({ fra: 'headers-timeout', nyc: 'headers-timeout' }))
    expect(alone.order()).toBe('fra down, nyc down')
  })

  it('tries no origin with what cannot be sent again while another is up', async () => {
    const { attempt, clock, order, tried } = bench(['fra', 'nyc'])
    for (let i = 0; i < 3; i++) await attempt({ fra: 'cut' })
    await clock.advance(5_000)
    tried.length = 0
    expect(await attempt({}, { replayable: false })).toBe('nyc 1')
    expect(order()).toBe('fra half-open, nyc up')
    expect(await attempt({})).toBe('fra 1')
    expect(tried).toEqual(['nyc:1', 'fra:1'])
  })

  it('hears of answers that break off later', async () => {
    const { logged, order, origins, pool } = bench(['fra', 'nyc'])
    const [fra] = origins
    if (fra === undefined) throw new Error('there is one')
    for (let i = 0; i < 5; i++) pool.recordStreamFailure(fra, new OriginFault('overloaded', 'full', { origin: 'fra' }))
    expect(order()).toBe('fra up, nyc up')
    for (let i = 0; i < 3; i++) pool.recordStreamFailure(fra, new OriginFault('cut', 'it was cut', { origin: 'fra' }))
    expect(order()).toBe('nyc up, fra down')
    expect(logged.filter(({ event }) => event === 'origin_fault')).toHaveLength(8)
  })
})

describe('retry budget', () => {
  it('is a fifth of the requests, one a second, and what was saved up', async () => {
    const clock = new ManualClock()
    const budget = new RetryBudget(clock)
    const spend = (): number => {
      let spent = 0
      while (budget.spend()) spent++
      return spent
    }
    expect(spend()).toBe(32)
    for (let i = 0; i < 51; i++) budget.earn()
    expect(spend()).toBe(10)
    await clock.advance(3_000)
    expect(spend()).toBe(3)
    await clock.advance(3_600_000)
    expect(spend()).toBe(32)
  })
})
