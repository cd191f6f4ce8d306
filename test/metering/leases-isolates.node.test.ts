import { describe, expect, it } from 'vitest'
import { isVergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { LeaseBook, type Principal } from '../../src/metering/leases.ts'
import { ManualClock, testContext } from '../fixtures/clock.ts'
import { type CallFate, TestLedgers } from '../fixtures/ledgers.ts'

const ISOLATES = 8

interface Scenario {
  readonly seed: number
  readonly budget: number
  readonly requests: number
  /** Shares of all calls to the ledger, and of all requests for crashes of an isolate. */
  readonly faults?: Readonly<Partial<Record<CallFate, number>>>
  readonly crashes?: number
  /** Of all requests, those that take more than they said. */
  readonly excess?: number
  readonly mostEach?: number
}

/** Eight isolates that use one budget, at random times and in random amounts. */
class Simulation {
  readonly clock = new ManualClock()
  readonly ledgers = new TestLedgers(this.clock)
  readonly principal: Principal
  readonly scenario: Scenario
  /** What requests have used, and of that what they had not taken before. */
  used = 0
  excess = 0
  taken = 0
  refused = 0
  otherwise = 0
  crashes = 0
  largestLease = 0
  /** Refusals of what was there, by more than the bound. */
  readonly wrong: string[] = []
  #books: LeaseBook[]
  #history: { readonly at: number; readonly left: number }[] = []
  #random: number
  #pending = 0

  constructor(scenario: Scenario) {
    this.scenario = scenario
    this.principal = { name: 'key:a', limits: { rates: [], budgets: { day: { tokens: scenario.budget } } } }
    this.#random = scenario.seed
    this.#books = Array.from({ length: ISOLATES }, () => this.#book())
    const faults = Object.entries(scenario.faults ?? {}) as [CallFate, number][]
    this.ledgers.fate = () => {
      let at = this.random()
      for (const [fate, share] of faults) {
        if (at < share) return fate
        at -= share
      }
      return 'well'
    }
    this.ledgers.arrived = (_, reply) => {
      if ('revoked' in reply) return
      this.largestLease = Math.max(this.largestLease, reply.amounts.tokens ?? 0)
      this.#history.push({ at: this.clock.now(), left: reply.lines[0]?.remaining ?? 0 })
    }
  }

  /** Uniform in [0, 1). */
  random(): number {
    this.#random = (this.#random * 48_271) % 2_147_483_647
    return this.#random / 2_147_483_647
  }

  async run(): Promise<void> {
    const { requests, crashes = 0 } = this.scenario
    for (let i = 0; i < requests; i++) {
      if (this.random() < crashes) {
        this.#books[Math.floor(this.random() * ISOLATES)] = this.#book()
        this.crashes++
      }
      void this.#request()
      if (this.random() < 0.5) await this.clock.advance(Math.floor(this.random() * 60))
    }
    await this.clock.advance(120_000)
    expect(this.#pending).toBe(0)
  }

  /** What the ledger counts as spent. */
  get spent(): number {
    return this.scenario.budget - this.ledgers.remaining(this.principal.name, this.principal, 'day-tokens')
  }

  async #request(): Promise<void> {
    this.#pending++
    const book = this.#books[Math.floor(this.random() * ISOLATES)]
    if (book === undefined) throw new Error('no isolate')
    const context = testContext()
    const need = 1 + Math.floor(this.random() * (this.scenario.mostEach ?? 20))
    try {
      await book.take(this.principal, { tokens: need }, context)
      this.taken++
      await this.clock.sleep(Math.floor(this.random() * 300))
      this.#end(book, need, context)
    } catch (error) {
      if (isVergeError(error, 'budget_spent')) this.#judge(need)
      else this.otherwise++
    } finally {
      this.#pending--
    }
  }

  #end(book: LeaseBook, need: number, context: ReturnType<typeof testContext>): void {
    // Of an isolate that is gone nothing is told to anybody: what it had taken counts as used.
    const isGone = !this.#books.includes(book)
    const unused = !isGone && this.random() < 0.3 ? Math.floor(this.random() * (need + 1)) : 0
    const more = !isGone && this.random() < (this.scenario.excess ?? 0) ? Math.ceil(this.random() * need) : 0
    this.used += need - unused + more
    this.excess += more
    if (unused > 0) book.giveBack(this.principal, { tokens: unused }, context)
    if (more > 0) book.owe(this.principal, { tokens: more }, context)
  }

  /** A refusal is right if the ledger had less at some moment of the last second, or while its answer was under way. */
  #judge(need: number): void {
    this.refused++
    const since = this.clock.now() - LIMITS.leaseRefusalMs - LIMITS.leaseCallMs
    const lately = this.#history.filter(({ at }) => at >= since)
    if (!lately.some(({ left }) => left < need)) this.wrong.push(`${need} at ${this.clock.now()}`)
  }

  #book(): LeaseBook {
    return new LeaseBook({
      ledger: this.ledgers,
      whenUnavailable: { rates: 'open', budgets: 'closed' },
      clock: this.clock,
      logger: silentLogger,
      randomId: () => `id-${this.random()}`,
      limits: LIMITS,
    })
  }
}

const SEEDS = [11, 222, 3_333, 44_444]

describe('eight isolates on one budget', () => {
  it.each(SEEDS)('use it to the last of it and no more, and lose nothing (seed %i)', async (seed) => {
    const simulation = new Simulation({ seed, budget: 10_000, requests: 3_000 })
    await simulation.run()
    const { used, spent, wrong, refused } = simulation
    expect(refused).toBeGreaterThan(100)
    expect(wrong).toEqual([])
    expect(used).toBeLessThanOrEqual(10_000)
    expect(spent).toBe(used)
    // Whoever asks now for less than is left gets it: what was idle has come back.
    expect(10_000 - used).toBeLessThan(200)
  })

  it.each(SEEDS)(
    'exceed it by what requests took beyond what they had said, which is counted (seed %i)',
    async (seed) => {
      const simulation = new Simulation({ seed, budget: 10_000, requests: 3_000, excess: 0.2 })
      await simulation.run()
      const { used, excess, spent } = simulation
      expect(used - excess).toBeLessThanOrEqual(10_000)
      // The ledger's line ends at nothing; what is beyond is in its records.
      expect(spent).toBe(Math.min(10_000, used))
    },
  )

  it.each(SEEDS)('count each lease once, whatever becomes of calls (seed %i)', async (seed) => {
    const faults = { lost: 0.08, unanswered: 0.08, slow: 0.05, never: 0.03 }
    const simulation = new Simulation({ seed, budget: 20_000, requests: 3_000, faults })
    await simulation.run()
    const { used, spent, wrong, otherwise } = simulation
    expect(otherwise).toBeGreaterThan(0)
    expect(wrong).toEqual([])
    expect(used).toBeLessThanOrEqual(20_000)
    // An isolate whose last call got no answer says what it knows with the next one.
    expect(spent - used).toBeGreaterThanOrEqual(0)
    expect(spent - used).toBeLessThanOrEqual(ISOLATES * simulation.largestLease)
  })

  it.each(SEEDS)('lose with a crash of one no more than what it had leased (seed %i)', async (seed) => {
    const faults = { lost: 0.05, unanswered: 0.05 }
    const simulation = new Simulation({ seed, budget: 20_000, requests: 3_000, faults, crashes: 0.01 })
    await simulation.run()
    const { used, spent, crashes, largestLease } = simulation
    expect(crashes).toBeGreaterThan(10)
    expect(used).toBeLessThanOrEqual(20_000)
    expect(spent).toBeGreaterThanOrEqual(used)
    expect(spent - used).toBeLessThanOrEqual((crashes + ISOLATES) * 2 * largestLease)
    expect(largestLease).toBeLessThanOrEqual(5_000)
  })

  it('spend 10,000 units, one by one, to the last one', async () => {
    const simulation = new Simulation({ seed: 5, budget: 10_000, requests: 12_000, mostEach: 1 })
    await simulation.run()
    expect(simulation.refused).toBeGreaterThan(0)
    expect(simulation.wrong).toEqual([])
    const { used, spent } = simulation
    expect(spent).toBe(used)
    expect(used).toBeGreaterThan(9_900)
    expect(used).toBeLessThanOrEqual(10_000)
  })
})
