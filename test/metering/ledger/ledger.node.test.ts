import { describe, expect, it } from 'vitest'
import type { LeaseAnswer, LeaseRequest, LedgerLimits } from '../../../src/metering/ledger/lease.ts'
import { PrincipalLedger } from '../../../src/metering/ledger/ledger.ts'
import { MemoryLedgerStore } from '../../../src/metering/ledger/store.ts'

const NOON = Date.UTC(2026, 10, 30, 12)
const DAY = 86_400_000
const HOUR = 3_600_000
const OPTIONS = { leaseMs: 60_000, leaseKeptMs: HOUR, leasesKept: 8 }

/** A ledger whose isolates ask by a few words. */
class Asked {
  readonly store = new MemoryLedgerStore()
  readonly limits: LedgerLimits
  now = NOON
  ids = 0
  #ledger: PrincipalLedger

  constructor(limits: Partial<LedgerLimits>) {
    this.limits = { rates: [], budgets: {}, ...limits }
    this.#ledger = this.#made()
  }

  ask(request: Partial<LeaseRequest>): LeaseAnswer & { readonly id: string } {
    const id = request.id ?? `lease-${++this.ids}`
    const whole: LeaseRequest = {
      holder: 'a',
      limits: this.limits,
      need: {},
      waiting: {},
      wish: {},
      ended: [],
      owed: {},
      ...request,
      id,
    }
    return { id, ...this.#ledger.lease(whole, this.now) }
  }

  /** The object was reset: its storage is what is left. */
  reset(): void {
    this.#ledger = this.#made()
  }

  left(name: string): number | undefined {
    return this.ask({}).lines.find((line) => line.name === name)?.remaining
  }

  #made(): PrincipalLedger {
    return new PrincipalLedger({ store: this.store, ...OPTIONS })
  }
}

const tokens = (day: number): Partial<LedgerLimits> => ({ budgets: { day: { tokens: day } } })

describe('what a lease has', () => {
  it('is what is wished for, up to a quarter of what is left', () => {
    const ledger = new Asked(tokens(1000))
    expect(ledger.ask({ need: { tokens: 1 }, wish: { tokens: 40 } }).amounts).toEqual({ tokens: 40 })
    expect(ledger.ask({ need: { tokens: 1 }, wish: { tokens: 5000 } }).amounts).toEqual({ tokens: 240 })
    expect(ledger.left('day-tokens')).toBe(720)
  })

  it('is what is needed, however little is left', () => {
    const ledger = new Asked(tokens(10))
    expect(ledger.ask({ need: { tokens: 7 }, wish: { tokens: 100 } }).amounts).toEqual({ tokens: 7 })
    expect(ledger.ask({ need: { tokens: 3 } }).amounts).toEqual({ tokens: 3 })
    const { amounts, refused } = ledger.ask({ need: { tokens: 1 } })
    expect({ amounts, refused }).toEqual({
      amounts: {},
      refused: { line: 'day-tokens', kind: 'tokens', retryMs: 12 * HOUR },
    })
  })

  it('is less where more isolates lease, so that together they hold half at most', () => {
    const ledger = new Asked(tokens(16_000))
    let held = 0
    for (let i = 0; i < 8; i++) {
      held += ledger.ask({ holder: `isolate-${i}`, need: { tokens: 1 }, wish: { tokens: 16_000 } }).amounts.tokens ?? 0
      // The shares of the first few are of a quarter each, because nobody else had asked.
      if (i === 7) expect(held).toBeLessThan(16_000 * 0.85)
    }
    const before = ledger.left('day-tokens') ?? 0
    const second = ledger.ask({ holder: 'isolate-0', need: { tokens: 1 }, wish: { tokens: 16_000 } }).amounts.tokens
    expect(second).toBe(Math.floor(before / 16))
  })

  it('is all that is needed or nothing', () => {
    const ledger = new Asked({
      rates: [{ requests: 10, seconds: 60 }],
      budgets: { day: { tokens: 5 }, month: { requests: 100 } },
    })
    const { amounts, refused } = ledger.ask({ need: { rate: 1, requests: 1, tokens: 6 } })
    expect(amounts).toEqual({})
    expect(refused?.line).toBe('day-tokens')
    expect(ledger.left('rate')).toBe(10)
    expect(ledger.left('month-requests')).toBe(100)
  })

  it('leaves out what is not limited', () => {
    const ledger = new Asked(tokens(100))
    expect(ledger.ask({ need: { rate: 1, requests: 1, tokens: 1 } }).amounts).toEqual({ tokens: 1 })
  })

  it('counts for the day and for the month', () => {
    const ledger = new Asked({ budgets: { day: { tokens: 100 }, month: { tokens: 150 }, total: { tokens: 170 } } })
    ledger.ask({ need: { tokens: 90 } })
    ledger.now += -DAY * 12
    expect(ledger.ask({ need: { tokens: 61 } }).refused?.line).toBe('month-tokens')
    ledger.ask({ need: { tokens: 60 } })
    ledger.now += 2 * DAY
    expect(ledger.ask({ need: { tokens: 1 } }).refused?.line).toBe('month-tokens')
    ledger.now = Date.UTC(2026, 11, 5)
    expect(ledger.ask({ need: { tokens: 21 } }).refused).toMatchObject({ line: 'total-tokens' })
    expect(ledger.ask({ need: { tokens: 20 } }).amounts).toEqual({ tokens: 20 })
  })

  it('may be used until its window ends', () => {
    const ledger = new Asked({ rates: [{ requests: 10, seconds: 60 }], ...tokens(100) })
    ledger.now = NOON + 45_000
    expect(ledger.ask({ need: { rate: 1, tokens: 1 } })).toMatchObject({ rateMs: 15_000, budgetMs: 60_000 })
    ledger.now = Date.UTC(2026, 10, 30, 23, 59, 50)
    expect(ledger.ask({ need: { rate: 1, tokens: 1 } })).toMatchObject({ rateMs: 10_000, budgetMs: 10_000 })
  })
})

describe('a request that is sent again', () => {
  it('gets the same lease, also from a ledger that was reset', () => {
    const ledger = new Asked(tokens(100))
    const request = { id: 'one', need: { tokens: 3 }, wish: { tokens: 10 }, owed: { tokens: 4 } }
    const { amounts } = ledger.ask(request)
    ledger.reset()
    ledger.now += 20_000
    const again = ledger.ask(request)
    expect(again.amounts).toEqual(amounts)
    expect(again.budgetMs).toBe(40_000)
    expect(ledger.left('day-tokens')).toBe(100 - 10 - 4)
  })

  it('is refused again where it said what was used', () => {
    const ledger = new Asked(tokens(10))
    const request = { id: 'one', need: { tokens: 8 }, owed: { tokens: 5 } }
    expect(ledger.ask(request).refused?.line).toBe('day-tokens')
    expect(ledger.ask(request).refused?.line).toBe('day-tokens')
    expect(ledger.left('day-tokens')).toBe(5)
  })

  it('books what comes with it in the same transaction, once', () => {
    const ledger = new PrincipalLedger({ store: new MemoryLedgerStore(), ...OPTIONS })
    const request: LeaseRequest = {
      id: 'one',
      holder: 'a',
      limits: { rates: [], budgets: {} },
      need: {},
      waiting: {},
      wish: {},
      ended: [],
      owed: {},
    }
    let booked = 0
    for (let i = 0; i < 3; i++) ledger.lease(request, NOON, () => booked++)
    expect(booked).toBe(1)
  })
})

describe('what was not used', () => {
  it('is credited once', () => {
    const ledger = new Asked({ rates: [{ requests: 100, seconds: 60 }], ...tokens(1000) })
    const { id } = ledger.ask({ need: { rate: 1, tokens: 1 }, wish: { rate: 20, tokens: 100 } })
    const ended = [{ id, unused: { rate: 15, tokens: 60 } }]
    ledger.ask({ ended })
    ledger.ask({ ended })
    expect([ledger.left('rate'), ledger.left('day-tokens')]).toEqual([95, 960])
  })

  it('is never more than the lease had', () => {
    const ledger = new Asked(tokens(1000))
    ledger.ask({ need: { tokens: 500 } })
    const { id } = ledger.ask({ need: { tokens: 10 } })
    ledger.ask({ ended: [{ id, unused: { tokens: 300, requests: 5 } }] })
    ledger.ask({ ended: [{ id: 'unknown', unused: { tokens: 300 } }] })
    const other = ledger.ask({ need: { tokens: 10 } })
    ledger.ask({ ended: [{ id: other.id, unused: { tokens: -300 } }] })
    expect(ledger.left('day-tokens')).toBe(490)
  })

  it('goes back to the day that it was taken from', () => {
    const ledger = new Asked({ budgets: { day: { tokens: 1000 }, month: { tokens: 9000 } } })
    const { id } = ledger.ask({ need: { tokens: 100 } })
    ledger.now = Date.UTC(2026, 11, 1, 0, 10)
    ledger.ask({ need: { tokens: 7 } })
    ledger.now -= 20 * 60_000
    ledger.ask({ ended: [{ id, unused: { tokens: 100 } }] })
    expect([ledger.left('day-tokens'), ledger.left('month-tokens')]).toEqual([993, 8993])
  })

  it('stays spent where the lease is too old, or one of too many', () => {
    const ledger = new Asked(tokens(1000))
    const old = ledger.ask({ need: { tokens: 10 } })
    ledger.now += HOUR
    for (let i = 0; i < 9; i++) ledger.ask({ need: { tokens: 1 } })
    const [first, second] = ['lease-2', 'lease-3'].map((id) => ({ id, unused: { tokens: 1 } }))
    ledger.ask({ ended: [{ id: old.id, unused: { tokens: 10 } }, ...(first ? [first] : [])] })
    expect(ledger.left('day-tokens')).toBe(981)
    ledger.ask({ ended: second ? [second] : [] })
    expect(ledger.left('day-tokens')).toBe(982)
  })
})

describe('what requests took beyond their leases', () => {
  it('is booked, even beyond the budget', () => {
    const ledger = new Asked(tokens(10))
    ledger.ask({ owed: { tokens: 25 } })
    expect(ledger.left('day-tokens')).toBe(0)
    ledger.now += DAY
    expect(ledger.left('day-tokens')).toBe(10)
  })
})

describe('a clock', () => {
  it('that goes back over midnight opens no day again', () => {
    const ledger = new Asked(tokens(100))
    ledger.now = Date.UTC(2026, 10, 30, 23, 59)
    ledger.ask({ need: { tokens: 10 } })
    ledger.now += 5 * 60_000
    ledger.ask({ need: { tokens: 60 } })
    ledger.now -= 5 * 60_000
    expect(ledger.left('day-tokens')).toBe(40)
    expect(ledger.ask({ need: { tokens: 41 } }).refused?.line).toBe('day-tokens')
  })

  it('that was years ahead, and is right again, finds what was spent and grants nothing twice', () => {
    const ledger = new Asked(tokens(100))
    ledger.ask({ need: { tokens: 70 } })
    ledger.now = Date.UTC(2031, 0, 1)
    ledger.ask({ need: { tokens: 100 } })
    ledger.now = NOON
    expect(ledger.left('day-tokens')).toBe(30)
    ledger.now += DAY
    expect(ledger.left('day-tokens')).toBe(100)
  })

  it('that goes back to days which are not kept any more finds them closed', () => {
    const ledger = new Asked(tokens(100))
    for (let day = 0; day < 8; day++) {
      ledger.now = NOON + day * DAY
      ledger.ask({ need: { tokens: 100 } })
    }
    for (let day = 6; day >= 0; day--) {
      ledger.now = NOON + day * DAY
      expect(ledger.ask({ need: { tokens: 1 } }).refused, `day ${day}`).toBeDefined()
    }
  })

  it('that wanders grants no day more than its budget', () => {
    const ledger = new Asked(tokens(100))
    const granted = new Map<string, number>()
    let random = 7
    for (let i = 0; i < 3000; i++) {
      random = (random * 48_271) % 2_147_483_647
      ledger.now += (random % (4 * DAY)) - 1.9 * DAY
      const { amounts } = ledger.ask({ need: { tokens: 1 + (random % 30) } })
      // By the ledger's own time, which is what the sum is about: it may lag behind this clock by a day.
      const saved = ledger.store.get('state') as { readonly periods: { readonly mark: number } }
      const day = new Date(saved.periods.mark).toISOString().slice(0, 10)
      granted.set(day, (granted.get(day) ?? 0) + (amounts.tokens ?? 0))
    }
    expect(Math.max(...granted.values())).toBe(100)
    expect(granted.size).toBeGreaterThan(50)
  })
})

describe('a rate', () => {
  const rates = [
    { requests: 10, seconds: 1 },
    { requests: 15, seconds: 60 },
  ]

  it('holds in each window, and each of several holds', () => {
    const ledger = new Asked({ rates })
    expect(ledger.ask({ need: { rate: 10 } }).amounts).toEqual({ rate: 10 })
    expect(ledger.ask({ need: { rate: 1 } }).refused).toEqual({ line: 'rate', kind: 'rate', retryMs: 1000 })
    ledger.now += 1000
    expect(ledger.ask({ need: { rate: 6 } }).refused).toEqual({ line: 'rate', kind: 'rate', retryMs: 59_000 })
    expect(ledger.ask({ need: { rate: 5 } }).amounts).toEqual({ rate: 5 })
    ledger.now += 59_000
    expect(ledger.ask({ need: { rate: 10 } }).amounts).toEqual({ rate: 10 })
  })

  it('gives nothing back to a window that is over', () => {
    const ledger = new Asked({ rates: [{ requests: 10, seconds: 1 }] })
    const { id } = ledger.ask({ need: { rate: 10 } })
    ledger.now += 1000
    ledger.ask({ need: { rate: 10 } })
    ledger.ask({ ended: [{ id, unused: { rate: 10 } }] })
    expect(ledger.ask({ need: { rate: 1 } }).refused).toBeDefined()
  })

  it('is not frozen by a clock that goes back', () => {
    const ledger = new Asked({ rates: [{ requests: 10, seconds: 60 }] })
    ledger.ask({ need: { rate: 10 } })
    ledger.now -= 60_000
    ledger.ask({ need: { rate: 10 } })
    ledger.now += 60_000
    expect(ledger.ask({ need: { rate: 1 } }).refused).toBeDefined()
    ledger.now -= HOUR
    expect(ledger.ask({ need: { rate: 10 } }).amounts).toEqual({ rate: 10 })
  })
})

it('a flood of refusals writes nothing', () => {
  const ledger = new Asked(tokens(10))
  ledger.ask({ need: { tokens: 10 } })
  const { set } = ledger.store
  let writes = 0
  ledger.store.set = (...entry) => {
    writes++
    set.apply(ledger.store, entry)
  }
  for (let i = 0; i < 100; i++) expect(ledger.ask({ need: { tokens: 1 } }).refused).toBeDefined()
  expect(writes).toBe(0)
  ledger.ask({ owed: { tokens: 1 } })
  expect(writes).toBeGreaterThan(0)
})
