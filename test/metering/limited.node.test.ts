import { describe, expect, it } from 'vitest'
import type { Caller, GrantedCaller } from '../../src/access/authorize.ts'
import { floodGuard } from '../../src/access/flood.ts'
import { type Grant, grantSchema } from '../../src/access/grant.ts'
import { type Plan, planSchema } from '../../src/access/plan.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { LeaseBook } from '../../src/metering/leases.ts'
import { LimitedMetering, type LimitedOptions } from '../../src/metering/limited.ts'
import type { CallerFacts, Permit, RequestUsage } from '../../src/metering/metering.ts'
import { Slots } from '../../src/metering/slots.ts'
import { ManualClock, testContext } from '../fixtures/clock.ts'
import { TestLedgers } from '../fixtures/ledgers.ts'

const USED: RequestUsage = { status: 200, inputTokens: 0, outputTokens: 0, units: 0, originMs: 0, cached: false }
const refusing = floodGuard({ limit: async () => ({ success: false }) }, silentLogger)
const plan = (text: unknown): Plan => planSchema.parse(text)

class Limited {
  readonly clock = new ManualClock()
  readonly ledgers = new TestLedgers(this.clock)
  readonly metering: LimitedMetering

  constructor(options: Partial<LimitedOptions> = {}) {
    this.ledgers.latencyMs = 0
    let ids = 0
    this.metering = new LimitedMetering({
      book: new LeaseBook({
        ledger: this.ledgers,
        whenUnavailable: { rates: 'open', budgets: 'closed' },
        clock: this.clock,
        logger: silentLogger,
        randomId: () => `id-${++ids}`,
        limits: LIMITS,
      }),
      slots: new Slots({ clock: this.clock, leaseMs: 5_000, beatMs: 1_000, mostMs: 300_000 }),
      plans: new Map(),
      modelLimits: new Map(),
      ...options,
    })
  }

  admit(caller: Caller, facts: CallerFacts = { address: '192.0.2.1' }): Promise<Permit> {
    return this.done(this.metering.admit(caller, facts, testContext()))
  }

  /** Moves the clock until something has ended. */
  async done<T>(work: Promise<T> | undefined): Promise<T> {
    let ended = false
    const end = (): void => {
      ended = true
    }
    work?.then(end, end)
    for (let step = 0; step < 50 && !ended && work !== undefined; step++) await this.clock.advance(1)
    return work as Promise<T>
  }

  /** How many requests of so many are admitted. */
  async admitted(caller: Caller, requests: number, facts?: CallerFacts): Promise<number> {
    let count = 0
    for (let i = 0; i < requests; i++) {
      const permit = await this.admit(caller, facts).catch(() => undefined)
      permit?.finish(USED)
      if (permit !== undefined) count++
    }
    return count
  }
}

const grantOf = (limits?: unknown, name?: string): Grant =>
  grantSchema.parse({
    models: ['*'],
    ...(limits !== undefined && { limits }),
    ...(name !== undefined && { plan: name }),
  })

function keyOf(limits?: unknown, name?: string): GrantedCaller {
  return { kind: 'granted', by: 'key', principal: 'key:a', name: 'a', grant: grantOf(limits, name) }
}

describe('the plan of a caller', () => {
  it('is the strictest of the named one and its own', async () => {
    const limited = new Limited({
      plans: new Map([
        ['pro', plan({ rate: '5/1m', concurrency: 2, maxTokens: 100, budgets: { day: { tokens: 9, usd: 1 } } })],
      ]),
    })
    const { plan: strict } = await limited.admit(
      keyOf({ rate: '100/1h', concurrency: 8, batch: 4, budgets: { day: { tokens: 50 }, month: { units: 7 } } }, 'pro'),
    )
    expect(strict).toEqual({
      rate: { requests: 100, seconds: 3600 },
      concurrency: 2,
      batch: 4,
      maxTokens: 100,
      budgets: { day: { tokens: 9, usd: 1 }, month: { units: 7 } },
    })
  })

  it('has each of its rates', async () => {
    const limited = new Limited({ plans: new Map([['pro', plan({ rate: '5/1m' })]]) })
    const caller = keyOf({ rate: '8/1h' }, 'pro')
    expect(await limited.admitted(caller, 7)).toBe(5)
    await limited.clock.advance(60_000)
    expect(await limited.admitted(caller, 7)).toBe(3)
  })

  it('that is not configured is a refusal', async () => {
    await expect(new Limited().admit(keyOf({}, 'gone'))).rejects.toMatchObject({
      code: 'limits_unavailable',
      message: expect.stringMatching(/"gone" is not configured/),
    })
  })

  it('is one for all who sign in: a rule gives them the same grant, and nothing is kept of each', async () => {
    const lookUps: string[] = []
    class Plans extends Map<string, Plan> {
      override get(name: string): Plan | undefined {
        lookUps.push(name)
        return super.get(name)
      }
    }
    const plans = new Plans([['staff', plan({ bodyBytes: 100 })]])
    const limited = new Limited({ plans })
    const grant = grantOf(undefined, 'staff')
    for (const who of ['a', 'a', 'b', 'c', 'c', 'a']) {
      await limited.admit({ kind: 'granted', by: 'sign-in', principal: `user:company:${who}`, name: 'company', grant })
    }
    expect(lookUps).toEqual(['staff'])
  })

  it('of a token is its own and that of the key that minted it: both are charged', async () => {
    const limited = new Limited()
    const parent = { principal: 'key:a', grant: grantOf({ budgets: { day: { requests: 5 } } }) }
    const token = (id: string, requests: number): Caller => ({
      kind: 'granted',
      by: 'token',
      principal: `token:${id}`,
      name: 'a',
      grant: grantOf({ budgets: { day: { requests } } }),
      parent,
    })
    expect(await limited.admitted(token('one', 3), 4)).toBe(3)
    expect(await limited.admitted(token('two', 4), 4)).toBe(2)
    // What the second token had taken before its key refused came back.
    await limited.clock.advance(20_000)
    const limits = { rates: [], budgets: { day: { requests: 4 } } }
    expect(limited.ledgers.remaining('token:two', { limits }, 'day-requests')).toBe(2)
  })
})

describe('callers without limits', () => {
  it.each<Caller>([
    { kind: 'operator' },
    { kind: 'service', name: 'shop' },
    { kind: 'origin', name: 'fra' },
    { kind: 'relayed', name: 'key:a' },
  ])('$kind', async (caller) => {
    const limited = new Limited({
      plans: new Map([['anonymous', plan({ rate: '1/1h' })]]),
      modelLimits: new Map([['m', plan({ rate: '1/1h' })]]),
      addressRate: refusing,
      keyRate: refusing,
    })
    for (let i = 0; i < 20; i++) {
      const permit = await limited.admit(caller)
      expect(permit.forModel('m')).toBeUndefined()
      expect(permit.spend(1e9)).toBeUndefined()
      permit.finish(USED)
    }
    expect(limited.ledgers.calls).toEqual([])
  })

  it('a key without a plan asks nobody', async () => {
    const limited = new Limited()
    expect(await limited.admitted(keyOf(), 20)).toBe(20)
    expect(limited.ledgers.calls).toEqual([])
  })
})

describe('callers without a key', () => {
  const anonymous: Caller = { kind: 'anonymous' }

  it('have a rate for each address, of IPv6 for each network', async () => {
    const limited = new Limited({ plans: new Map([['anonymous', plan({ rate: '3/1m' })]]) })
    expect(await limited.admitted(anonymous, 5, { address: '192.0.2.1' })).toBe(3)
    expect(await limited.admitted(anonymous, 5, { address: '192.0.2.2' })).toBe(3)
    expect(await limited.admitted(anonymous, 2, { address: '2001:db8:1:2::1' })).toBe(2)
    expect(await limited.admitted(anonymous, 5, { address: '2001:db8:1:2:ffff::2' })).toBe(1)
  })

  it('have one budget together', async () => {
    const limited = new Limited({ plans: new Map([['anonymous', plan({ budgets: { day: { requests: 4 } } })]]) })
    expect(await limited.admitted(anonymous, 3, { address: '192.0.2.1' })).toBe(3)
    expect(await limited.admitted(anonymous, 3, { address: '192.0.2.2' })).toBe(1)
  })
})

describe('what is spent', () => {
  const budget = { budgets: { day: { units: 100, tokens: 1000 } } }

  it('is refused before it is computed', async () => {
    const limited = new Limited()
    const permit = await limited.admit(keyOf(budget))
    await limited.done(permit.spend(60))
    await expect(limited.done(permit.spend(60))).rejects.toMatchObject({ code: 'budget_spent' })
    await expect(limited.done(permit.tokens(600, 600))).rejects.toMatchObject({ code: 'budget_spent' })
    await limited.done(permit.tokens(400, 600))
  })

  const left = async (limited: Limited, line: string): Promise<number | undefined> => {
    const permit = await limited.admit(keyOf(budget))
    await limited.done(permit.spend(0.001))
    permit.refund({ units: 0.001 })
    return permit.state?.find(({ name }) => name === line)?.remaining
  }

  it('is what the request took in the end: less comes back, more is counted', async () => {
    const limited = new Limited()
    const less = await limited.admit(keyOf(budget))
    await limited.done(less.spend(30))
    await limited.done(less.tokens(100, 200))
    less.refund({ tokens: 150 })
    less.finish({ ...USED, units: 10, inputTokens: 100, outputTokens: 50 })
    less.finish({ ...USED, units: 90 })
    expect(await left(limited, 'day-units')).toBe(90)
    expect(await left(limited, 'day-tokens')).toBe(850)
    const more = await limited.admit(keyOf(budget))
    await limited.done(more.spend(5))
    more.finish({ ...USED, units: 25 })
    expect(await left(limited, 'day-units')).toBe(65)
  })

  it('comes back no more than once', async () => {
    const limited = new Limited()
    const permit = await limited.admit(keyOf(budget))
    await limited.done(permit.spend(30))
    permit.refund({ units: 500 })
    permit.refund({ units: 500 })
    permit.finish(USED)
    expect(await left(limited, 'day-units')).toBe(100)
  })

  it('is settled by the end of the request: nothing more comes back after it', async () => {
    const limited = new Limited()
    const permit = await limited.admit(keyOf(budget))
    await limited.done(permit.tokens(100, 200))
    permit.finish({ ...USED, inputTokens: 100, outputTokens: 50 })
    permit.refund({ tokens: 150 })
    expect(await left(limited, 'day-tokens')).toBe(850)
  })

  it('stays spent where its day is over: what comes back late would be there twice', async () => {
    const limited = new Limited()
    await limited.clock.advance(86_400_000 - 30_000)
    const late = await limited.admit(keyOf(budget))
    await limited.done(late.tokens(0, 1000))
    await limited.clock.advance(60_000)
    const today = await limited.admit(keyOf(budget))
    await limited.done(today.tokens(0, 1000))
    today.finish({ ...USED, outputTokens: 1000 })
    late.refund({ tokens: 1000 })
    late.finish(USED)
    await limited.clock.advance(20_000)
    const again = await limited.admit(keyOf(budget))
    await expect(limited.done(again.tokens(0, 1))).rejects.toMatchObject({ code: 'budget_spent' })
  })

  it('is money, too: of the request and of its units', async () => {
    const limited = new Limited()
    const caller = keyOf({ budgets: { month: { usd: 0.001 } } })
    const permit = await limited.admit(caller)
    // 75 us of CPU each, at 20 dollars for a thousand million milliseconds.
    await limited.done(permit.spend(300_000))
    permit.finish({ ...USED, units: 300_000 })
    const state = (await limited.admit(caller)).state?.find(({ name }) => name === 'month-usd')
    expect(state).toMatchObject({ unit: 'usd', quota: 0.001, seconds: 31 * 86_400 })
    expect(state?.remaining).toBeCloseTo(0.001 - 0.00045 - 2 * 806e-9, 9)
    await expect(limited.done((await limited.admit(caller)).spend(400_000))).rejects.toMatchObject({
      code: 'budget_spent',
      details: { budget: 'usd', period: 'month' },
    })
  })

  it('leaves little: "low" says so', async () => {
    const limited = new Limited()
    const caller = keyOf({ budgets: { day: { units: 100 } }, whenLow: { below: 0.25, artifact: 'smallest' } })
    const permit = await limited.admit(caller)
    expect(permit.low).toBe(false)
    await limited.done(permit.spend(70))
    expect(permit.low).toBe(false)
    await limited.done(permit.spend(10))
    expect(permit.low).toBe(true)
    permit.finish({ ...USED, units: 80 })
    expect((await limited.admit(caller)).low).toBe(true)
  })
})

describe('requests at once', () => {
  it('are as many as the plan says; a request that ends makes room', async () => {
    const limited = new Limited()
    const caller = keyOf({ concurrency: 2 })
    const [first] = [await limited.admit(caller), await limited.admit(caller)]
    await expect(limited.admit(caller)).rejects.toMatchObject({
      code: 'rate_limited',
      details: { limit: 'concurrency' },
    })
    first?.finish(USED)
    first?.finish(USED)
    await limited.admit(caller)
    await expect(limited.admit(caller)).rejects.toMatchObject({ code: 'rate_limited' })
  })

  it('that were killed make room by themselves, and slow ones do not', async () => {
    const limited = new Limited()
    const caller = keyOf({ concurrency: 2 })
    await limited.admit(caller)
    // The timers of a killed request never ring.
    const { after } = limited.clock
    limited.clock.after = () => () => {}
    await limited.admit(caller)
    limited.clock.after = after
    await limited.clock.advance(6_000)
    await limited.admit(caller)
    await expect(limited.admit(caller)).rejects.toMatchObject({ code: 'rate_limited' })
  })

  it('that are slow keep their places, however many others were killed', async () => {
    const limited = new Limited({ plans: new Map([['anonymous', plan({ concurrency: 1 })]]) })
    const from = (host: number) =>
      limited.admit({ kind: 'anonymous' }, { address: `10.0.${Math.floor(host / 250)}.${host % 250}` })
    const { after } = limited.clock
    limited.clock.after = () => () => {}
    for (let host = 1; host < 2_000; host++) await from(host)
    limited.clock.after = after
    await from(0)
    await limited.clock.advance(6_000)
    for (let host = 2_000; host < 4_000; host++) (await from(host)).finish(USED)
    await expect(from(0)).rejects.toMatchObject({ details: { limit: 'concurrency' } })
    await from(1)
  })

  it('that are refused for their rate take no place', async () => {
    const limited = new Limited()
    const caller = keyOf({ concurrency: 1, rate: '1/1m' })
    ;(await limited.admit(caller)).finish(USED)
    for (let i = 0; i < 3; i++) {
      await expect(limited.admit(caller)).rejects.toMatchObject({ details: { limit: 'rate' } })
      await limited.clock.advance(1_100)
    }
  })
})

describe('a model', () => {
  it('has limits for all of its callers together', async () => {
    const limited = new Limited({ modelLimits: new Map([['m', plan({ rate: '3/1m', concurrency: 2 })]]) })
    const permits = []
    for (const principal of ['key:a', 'key:b', 'key:c']) permits.push(await limited.admit({ ...keyOf(), principal }))
    const [a, b, c] = permits
    await limited.done(a?.forModel('m'))
    await limited.done(b?.forModel('m'))
    expect(() => c?.forModel('m')).toThrow(expect.objectContaining({ code: 'rate_limited' }))
    expect(c?.forModel('other')).toBeUndefined()
    a?.finish(USED)
    await limited.done(c?.forModel('m'))
    b?.finish(USED)
    const last = (await limited.admit(keyOf())).forModel('m')
    await expect(limited.done(last)).rejects.toMatchObject({ details: { limit: 'rate', requests: 3 } })
  })
})

describe("the platform's limits", () => {
  it('come first, by address and by principal, and ask no ledger', async () => {
    const keys: string[] = []
    const limit = (name: string) => (key: string) => {
      keys.push(`${name} ${key}`)
      return refusing(key)
    }
    const limited = new Limited({
      plans: new Map([['anonymous', plan({ rate: '3/1m' })]]),
      addressRate: limit('address'),
      keyRate: limit('key'),
    })
    const refused = { code: 'rate_limited', retryAfter: 60, details: { limit: 'platform' } }
    await expect(limited.admit({ kind: 'anonymous' })).rejects.toMatchObject(refused)
    await expect(limited.admit(keyOf({ rate: '3/1m' }))).rejects.toMatchObject(refused)
    expect(keys).toEqual(['address 192.0.2.1', 'key key:a'])
    expect(limited.ledgers.calls).toEqual([])
  })

  it('hold for addresses, and not for callers that have none', async () => {
    const limited = new Limited({ addressRate: refusing })
    await expect(limited.admit({ kind: 'anonymous' })).rejects.toMatchObject({ code: 'rate_limited' })
    expect((await limited.admit({ kind: 'anonymous' }, {})).plan).toEqual({})
  })
})

describe('what is said of limits', () => {
  it('is each of them, with what is left', async () => {
    const limited = new Limited()
    await limited.clock.advance(86_400_000 / 2)
    const { state } = await limited.admit(keyOf({ rate: '60/1m', budgets: { day: { requests: 100, units: 3 } } }))
    expect(state).toEqual([
      { name: 'rate', unit: 'requests', quota: 60, remaining: 59, seconds: 60, reset: 60 },
      { name: 'day-requests', unit: 'requests', quota: 100, remaining: 99, seconds: 86_400, reset: 43_200 },
      { name: 'day-units', unit: 'units', quota: 3, remaining: 3, seconds: 86_400, reset: 43_200 },
    ])
  })

  it('has each name once: rates of several lengths, and what a token and its key both have', async () => {
    const limited = new Limited({ plans: new Map([['pro', plan({ rate: '5/1m', budgets: { day: { tokens: 9 } } })]]) })
    const names = async (caller: Caller) =>
      (await limited.admit(caller)).state?.map(({ name, remaining }) => `${name} ${remaining}`)
    expect(await names(keyOf({ rate: '8/1h' }, 'pro'))).toEqual(['rate-3600 7', 'rate-60 4', 'day-tokens 9'])
    const token: Caller = {
      kind: 'granted',
      by: 'token',
      principal: 'token:b:1',
      name: 'b',
      grant: grantOf({ rate: '9/1m', budgets: { total: { tokens: 50 } } }),
      parent: { principal: 'key:b', grant: grantOf(undefined, 'pro') },
    }
    await limited.admit(token)
    await limited.done((await limited.admit(token)).tokens(1, 2))
    expect(await names(token)).toEqual(['rate 2', 'total-tokens 47', 'day-tokens 6'])
  })

  it('is nothing for callers without limits', async () => {
    expect((await new Limited().admit(keyOf())).state).toBeUndefined()
  })
})

it('a part of a request that was counted when it began is no request, and has its prices', async () => {
  const limited = new Limited()
  const caller = keyOf({ rate: '1/1h', concurrency: 1, budgets: { day: { units: 10 } } })
  ;(await limited.admit(caller)).finish(USED)
  const permit = await limited.admit(caller, { continued: true })
  await limited.done(permit.spend(8))
  await expect(limited.done(permit.spend(8))).rejects.toMatchObject({ code: 'budget_spent' })
})
