import { describe, expect, it } from 'vitest'
import { isVergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { LeaseBook, type LeaseBookOptions, type Principal } from '../../src/metering/leases.ts'
import type { Quantities } from '../../src/metering/ledger/quantities.ts'
import { ManualClock, settle, testContext } from '../fixtures/clock.ts'
import { TestLedgers } from '../fixtures/ledgers.ts'

const CLOSED = { rates: 'open', budgets: 'closed' } as const

function bookOf(options: Partial<LeaseBookOptions> = {}) {
  const clock = new ManualClock()
  const ledgers = new TestLedgers(clock)
  let ids = 0
  const book = new LeaseBook({
    ledger: ledgers,
    whenUnavailable: CLOSED,
    clock,
    logger: silentLogger,
    randomId: () => `id-${++ids}`,
    limits: LIMITS,
    ...options,
  })
  return { book, clock, ledgers }
}

function withTokens(day: number, name = 'key:a'): Principal {
  return { name, limits: { rates: [], budgets: { day: { tokens: day } } } }
}

function withRate(requests: number, seconds: number): Principal {
  return { name: 'key:a', limits: { rates: [{ requests, seconds }], budgets: {} } }
}

/** The code that taking ends with; `taken` if it does not fail. Moves the clock until it has ended. */
async function outcome(clock: ManualClock, taking: Promise<void> | undefined): Promise<string> {
  let ended: string | undefined
  Promise.resolve(taking).then(
    () => (ended = 'taken'),
    (error: unknown) => (ended = isVergeError(error) ? error.code : String(error)),
  )
  for (let step = 0; step < 2_000 && ended === undefined; step++) await clock.advance(10)
  return ended ?? 'pending'
}

describe('taking', () => {
  it('what is not limited needs nobody', () => {
    const { book, ledgers } = bookOf()
    expect(book.take(withTokens(5), { rate: 1, requests: 1, milliUnits: 100 }, testContext())).toBeUndefined()
    expect(ledgers.calls).toEqual([])
  })

  it('leases a block, and then does not wait', async () => {
    const { book, clock, ledgers } = bookOf()
    const principal = withTokens(1000)
    expect(await outcome(clock, book.take(principal, { tokens: 1 }, testContext()))).toBe('taken')
    for (let i = 0; i < 7; i++) expect(book.take(principal, { tokens: 1 }, testContext())).toBeUndefined()
    expect(ledgers.calls).toHaveLength(1)
  })

  it('is one call for all that wait for it', async () => {
    const { book, clock, ledgers } = bookOf()
    const principal = withTokens(1000)
    const all = Array.from({ length: 50 }, () => book.take(principal, { tokens: 4 }, testContext()))
    const outcomes = Promise.all(all.map((taking) => outcome(clock, taking)))
    expect(new Set(await outcomes)).toEqual(new Set(['taken']))
    // The first asks for itself, and the second for all who wait meanwhile.
    expect(ledgers.calls.length).toBeLessThanOrEqual(3)
    expect(ledgers.remaining(principal.name, principal, 'day-tokens')).toBeLessThanOrEqual(800)
  })

  it('leases more where requests come quickly: one call in a hundred, and less', async () => {
    const { book, clock, ledgers } = bookOf()
    const principal = withTokens(10_000_000)
    const many = async (requests: number): Promise<void> => {
      for (let i = 0; i < requests; i++) {
        const taking = book.take(principal, { tokens: 10 }, testContext())
        if (taking !== undefined) expect(await outcome(clock, taking)).toBe('taken')
        await clock.advance(10)
      }
    }
    await many(500)
    const before = ledgers.calls.length
    await many(3_000)
    expect(ledgers.calls.length - before).toBeLessThanOrEqual(15)
  })

  it('asks for the next block before the last one is used up', async () => {
    const { book, clock } = bookOf()
    const principal = withTokens(1_000_000)
    let waited = 0
    for (let i = 0; i < 2_000; i++) {
      const taking = book.take(principal, { tokens: 1 }, testContext())
      if (taking !== undefined) {
        waited++
        await outcome(clock, taking)
      }
      await clock.advance(5)
    }
    expect(waited).toBeLessThan(10)
  })
})

describe('a refusal', () => {
  it('says which budget is spent, and when it begins again', async () => {
    const { book, clock } = bookOf()
    const principal = withTokens(10)
    await outcome(clock, book.take(principal, { tokens: 8 }, testContext()))
    const failed = book.take(principal, { tokens: 3 }, testContext())?.catch((e: unknown) => e)
    await clock.advance(100)
    expect(await failed).toMatchObject({
      code: 'budget_spent',
      details: { budget: 'tokens', period: 'day', quota: 10, resets_at: '1970-01-02T00:00:00Z' },
    })
  })

  it('is believed for a second, however many ask', async () => {
    const { book, clock, ledgers } = bookOf()
    const principal = withRate(4, 60)
    for (let i = 0; i < 4; i++) await outcome(clock, book.take(principal, { rate: 1 }, testContext()))
    expect(await outcome(clock, book.take(principal, { rate: 1 }, testContext()))).toBe('rate_limited')
    const before = ledgers.calls.length
    for (let i = 0; i < 90; i++) {
      const refused = await Promise.resolve(book.take(principal, { rate: 1 }, testContext())).catch((e: unknown) => e)
      expect(refused).toMatchObject({ code: 'rate_limited', retryAfter: expect.toBeOneOf([59, 60]) })
      await clock.advance(10)
    }
    expect(ledgers.calls.length).toBe(before)
    await clock.advance(60_000)
    expect(await outcome(clock, book.take(principal, { rate: 1 }, testContext()))).toBe('taken')
  })

  it('of much is none of little', async () => {
    const { book, clock } = bookOf()
    const principal = withTokens(10)
    expect(await outcome(clock, book.take(principal, { tokens: 11 }, testContext()))).toBe('budget_spent')
    expect(await outcome(clock, book.take(principal, { tokens: 10 }, testContext()))).toBe('taken')
  })
})

describe('a call to the ledger', () => {
  it('that got no answer is repeated, and nothing is taken twice', async () => {
    const { book, clock, ledgers } = bookOf({ whenUnavailable: { rates: 'open', budgets: 'closed' } })
    const principal = withTokens(1000)
    const fates = ['unanswered', 'lost', 'well'] as const
    let calls = 0
    ledgers.fate = () => fates[calls++] ?? 'well'
    expect(await outcome(clock, book.take(principal, { tokens: 10 }, testContext()))).toBe('limits_unavailable')
    await clock.advance(1_000)
    expect(await outcome(clock, book.take(principal, { tokens: 10 }, testContext()))).toBe('limits_unavailable')
    await clock.advance(2_000)
    expect(await outcome(clock, book.take(principal, { tokens: 10 }, testContext()))).toBe('taken')
    expect(new Set(ledgers.calls.map(({ request }) => request.id)).size).toBe(1)
    expect(ledgers.remaining(principal.name, principal, 'day-tokens')).toBe(1000 - 80)
  })

  it('whose request was killed is repeated by another that waits', async () => {
    const { book, clock, ledgers } = bookOf()
    const principal = withTokens(1000)
    // In workerd the promises of a killed request never settle, those of its timers included.
    const killed = { ...testContext(), waitUntil: () => {} }
    const never = new Promise<never>(() => {})
    const { lease } = ledgers
    ledgers.lease = (name, request) => {
      ledgers.answer(name, request)
      return never
    }
    const after = clock.after.bind(clock)
    clock.after = () => () => {}
    void book.take(principal, { tokens: 10 }, killed)
    await settle()
    clock.after = after
    ledgers.lease = lease
    expect(await outcome(clock, book.take(principal, { tokens: 10 }, testContext()))).toBe('taken')
    expect(ledgers.remaining(principal.name, principal, 'day-tokens')).toBe(1000 - 80)
  })

  it('that hangs is given up, and the ledger rests', async () => {
    const { book, clock, ledgers } = bookOf()
    ledgers.fate = () => 'never'
    const principal = withTokens(1000)
    const before = clock.now()
    expect(await outcome(clock, book.take(principal, { tokens: 1 }, testContext()))).toBe('limits_unavailable')
    expect(clock.now() - before).toBeLessThan(2_500)
    const rested = clock.now()
    expect(await outcome(clock, book.take(principal, { tokens: 1 }, testContext()))).toBe('limits_unavailable')
    expect(clock.now() - rested).toBeLessThan(100)
    expect(ledgers.calls).toHaveLength(1)
  })
})

describe('while the ledger is away', () => {
  it('the log says whose it is, and no address', async () => {
    const logged: unknown[] = []
    const logger = { ...silentLogger, warn: (event: string, fields?: object) => logged.push([event, fields]) }
    const ledger = { lease: () => Promise.reject(new Error('away')) }
    for (const name of ['key:a', 'address:192.0.2.1', 'address:2001:db8:0:1::/64']) {
      const { book, clock } = bookOf({ ledger, logger })
      await outcome(clock, book.take({ ...withRate(5, 60), name }, { rate: 1 }, testContext()))
    }
    expect(logged).toEqual(
      ['key:a', 'address', 'address'].map((principal) => [
        'ledger_unavailable',
        { principal, error: expect.objectContaining({ message: 'away' }) },
      ]),
    )
  })

  it.each([
    ['open', 'open', 'taken', 'taken'],
    ['open', 'closed', 'taken', 'limits_unavailable'],
    ['closed', 'open', 'limits_unavailable', 'taken'],
  ] as const)('rates %s, budgets %s', async (rates, budgets, rate, budget) => {
    for (const ledger of [undefined, { lease: () => Promise.reject(new Error('away')) }]) {
      const { book, clock } = bookOf({ ledger, whenUnavailable: { rates, budgets } })
      expect(await outcome(clock, book.take(withRate(5, 60), { rate: 1 }, testContext()))).toBe(rate)
      expect(await outcome(clock, book.take(withTokens(5, 'key:b'), { tokens: 1 }, testContext()))).toBe(budget)
    }
  })

  it('rates hold in the isolate', async () => {
    const { book, clock } = bookOf({ ledger: undefined })
    const principal = withRate(3, 60)
    const outcomes = []
    for (let i = 0; i < 4; i++) outcomes.push(await outcome(clock, book.take(principal, { rate: 1 }, testContext())))
    expect(outcomes).toEqual(['taken', 'taken', 'taken', 'rate_limited'])
    await clock.advance(60_000)
    expect(await outcome(clock, book.take(principal, { rate: 1 }, testContext()))).toBe('taken')
  })

  it('what is used of open budgets is booked afterwards', async () => {
    const { book, clock, ledgers } = bookOf({ whenUnavailable: { rates: 'open', budgets: 'open' } })
    const principal = withTokens(100)
    ledgers.fate = () => 'lost'
    for (let i = 0; i < 5; i++)
      expect(await outcome(clock, book.take(principal, { tokens: 30 }, testContext()))).toBe('taken')
    ledgers.fate = () => 'well'
    await clock.advance(60_000)
    expect(await outcome(clock, book.take(principal, { tokens: 1 }, testContext()))).toBe('budget_spent')
    expect(ledgers.remaining(principal.name, principal, 'day-tokens')).toBe(0)
  })
})

describe('what is idle', () => {
  const leased = async (need: Quantities, principal: Principal) => {
    const made = bookOf()
    expect(await outcome(made.clock, made.book.take(principal, need, testContext()))).toBe('taken')
    return made
  }

  it('goes back to the ledger', async () => {
    const principal = withTokens(1000)
    const { clock, ledgers } = await leased({ tokens: 10 }, principal)
    expect(ledgers.remaining(principal.name, principal, 'day-tokens')).toBe(920)
    await clock.advance(6_000)
    expect(ledgers.remaining(principal.name, principal, 'day-tokens')).toBe(990)
    const calls = ledgers.calls.length
    await clock.advance(600_000)
    expect(ledgers.calls.length).toBe(calls)
  })

  it('needs no call where it is requests of a rate, which are gone with their window', async () => {
    const { clock, ledgers } = await leased({ rate: 1 }, withRate(100, 60))
    await clock.advance(600_000)
    expect(ledgers.calls).toHaveLength(1)
  })

  it('stays while requests come', async () => {
    const principal = withTokens(100_000)
    const { book, clock, ledgers } = await leased({ tokens: 10 }, principal)
    for (let i = 0; i < 60; i++) {
      await outcome(clock, book.take(principal, { tokens: 1 }, testContext()))
      await clock.advance(490)
    }
    const { length } = ledgers.calls.filter(({ request }) => request.need.tokens === undefined)
    expect(length).toBeLessThan(4)
  })

  it('goes back at once where its principal makes room for another', async () => {
    const principal = withTokens(1000)
    const { book, clock, ledgers } = await leased({ tokens: 10 }, principal)
    for (let i = 0; i < LIMITS.leasePrincipals; i++) {
      book.owe(withTokens(1000, `key:${i}`), { tokens: 1 }, testContext())
    }
    await clock.advance(100)
    expect(ledgers.remaining(principal.name, principal, 'day-tokens')).toBe(990)
  })

  it('goes back of a principal that has made room meanwhile', async () => {
    const principal = withTokens(1000)
    const { book, clock, ledgers } = await leased({ tokens: 200 }, principal)
    for (let i = 0; i < LIMITS.leasePrincipals; i++) {
      book.owe(withTokens(1000, `key:${i}`), { tokens: 1 }, testContext())
    }
    await clock.advance(10_000)
    book.giveBack(principal, { tokens: 150 }, testContext())
    await clock.advance(10_000)
    expect(ledgers.remaining(principal.name, principal, 'day-tokens')).toBe(950)
  })

  it('goes back of a request that gave back more than its lease had left to end', async () => {
    const principal = withTokens(1000)
    const { book, clock, ledgers } = await leased({ tokens: 200 }, principal)
    await clock.advance(120_000)
    book.giveBack(principal, { tokens: 150 }, testContext())
    await clock.advance(10_000)
    expect(ledgers.remaining(principal.name, principal, 'day-tokens')).toBe(950)
  })
})

it('a principal whose key was revoked gets nothing, and its key is read again', async () => {
  const forgotten: string[] = []
  const { book, clock, ledgers } = bookOf({ onRevoked: (name) => forgotten.push(name) })
  const principal = withTokens(1000)
  await outcome(clock, book.take(principal, { tokens: 10 }, testContext()))
  ledgers.revoked.set(principal.name, 'The key "a" was revoked on 2026-11-30.')
  const refused = book.take(principal, { tokens: 500 }, testContext())?.catch((error: unknown) => error)
  await clock.advance(100)
  expect(await refused).toMatchObject({ code: 'unauthorized', message: 'The key "a" was revoked on 2026-11-30.' })
  expect(forgotten).toEqual([principal.name])
})

describe('what was counted of a principal', () => {
  const block = { source: 'isolate', seq: 7, lastUsedAt: 5, rows: [] }

  it('goes with what is asked for it, until it has arrived', async () => {
    const carried: number[] = []
    const usage = {
      carry: (principal: string) => (principal === 'key:a' && carried.length === 0 ? block : undefined),
      carried: (_: string, { seq }: { readonly seq: number }) => void carried.push(seq),
    }
    const { book, clock, ledgers } = bookOf({ usage })
    ledgers.fate = () => 'lost'
    expect(await outcome(clock, book.take(withTokens(1000), { tokens: 10 }, testContext()))).toBe('limits_unavailable')
    expect(carried).toEqual([])
    ledgers.fate = () => 'well'
    await clock.advance(2_000)
    for (const need of [10, 500]) await outcome(clock, book.take(withTokens(1000), { tokens: need }, testContext()))
    expect(carried).toEqual([7])
    expect(ledgers.calls.map(({ request }) => request.usage?.seq)).toEqual([7, 7, undefined])
  })
})

it('a clock that goes back holds nothing closed for longer', async () => {
  const { book, clock } = bookOf()
  const principal = withRate(4, 60)
  const now = clock.now.bind(clock)
  const DAYS = 10 * 86_400_000
  clock.now = () => now() + DAYS
  for (let i = 0; i < 4; i++) await outcome(clock, book.take(principal, { rate: 1 }, testContext()))
  expect(await outcome(clock, book.take(principal, { rate: 1 }, testContext()))).toBe('rate_limited')
  clock.now = now
  expect(await outcome(clock, book.take(principal, { rate: 1 }, testContext()))).toBe('taken')
})
