import { describe, expect, it } from 'vitest'
import { IssuerKeys } from '../../../src/access/sign-in/issuer-keys.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import type { LogFields } from '../../../src/core/runtime.ts'
import { ManualClock, settle, testContext } from '../../fixtures/clock.ts'
import { TestCopies } from '../../fixtures/sign-in.ts'

const SOURCE = { name: 'company', jwks: 'https://login.example.com/keys' }
const DAY = 86_400_000

/** An issuer that publishes keys of the names given; `undefined` if it does not answer. */
function issuer(copies = new TestCopies()) {
  const clock = new ManualClock()
  const state = {
    kids: ['a'] as readonly string[] | undefined,
    asked: 0,
    /** The answer waits for it. */
    gate: Promise.resolve() as Promise<unknown>,
    warnings: [] as LogFields[],
    clock,
    copies,
    keys: undefined as unknown as IssuerKeys,
    find: (kid: string | undefined, context = testContext()) => state.keys.find(kid, 'RS256', context),
  }
  const options = {
    clock,
    copies,
    limits: LIMITS,
    logger: {
      info() {},
      error() {},
      warn: (event: string, fields?: LogFields) => void state.warnings.push({ event, ...fields }),
    },
    fetchKeys: async () => {
      state.asked++
      await state.gate
      if (state.kids === undefined) throw new Error('no answer')
      return JSON.stringify({ keys: state.kids.map((kid) => ({ kid, kty: 'RSA', n: 'AQAB', e: 'AQAB' })) })
    },
  }
  state.keys = new IssuerKeys(SOURCE, options)
  return state
}

/** Like a second isolate, which shares the copies. */
async function anotherIsolate(of: ReturnType<typeof issuer>) {
  const other = issuer(of.copies)
  await other.clock.advance(of.clock.now())
  return other
}

describe('keys of an issuer', () => {
  it('are fetched once and kept', async () => {
    const company = issuer()
    expect((await company.find('a'))?.kid).toBe('a')
    expect((await company.find('a'))?.kid).toBe('a')
    expect(company.asked).toBe(1)
  })

  it('are renewed behind a request before they are old, and before one afterwards', async () => {
    const company = issuer()
    await company.find('a')
    await company.clock.advance(LIMITS.signInFreshMs / 2 + 1)
    const context = testContext()
    await company.find('a', context)
    await Promise.all(context.kept)
    expect(company.asked).toBe(2)
    company.kids = ['b']
    await company.clock.advance(LIMITS.signInFreshMs + 1)
    // A key that was withdrawn is no longer accepted.
    expect(await company.find('a')).toBeUndefined()
    expect(company.asked).toBe(3)
  })

  it('are shared by isolates through the copies', async () => {
    const first = issuer()
    const context = testContext()
    await first.find('a', context)
    await Promise.all(context.kept)
    const second = await anotherIsolate(first)
    expect((await second.find('a'))?.kid).toBe('a')
    expect(second.asked).toBe(0)
  })

  it('roll over: a new name is asked for once in a pause', async () => {
    const company = issuer()
    await company.find('a')
    company.kids = ['a', 'b']
    await company.clock.advance(LIMITS.signInPauseMs)
    expect((await company.find('b'))?.kid).toBe('b')
    expect(company.asked).toBe(2)
    for (let i = 0; i < 100; i++) expect(await company.find(`made-up-${i}`)).toBeUndefined()
    expect(company.asked).toBe(2)
    expect((await company.find('b'))?.kid).toBe('b')
    await company.clock.advance(LIMITS.signInPauseMs)
    const reads = company.copies.reads
    for (let i = 0; i < 100; i++) expect(await company.find(`made-up-${i}`)).toBeUndefined()
    expect(company.asked).toBe(3)
    expect(company.copies.reads).toBe(reads + 1)
  })

  it('are fetched once for many requests at once, which do not wait on each other’s promises', async () => {
    const company = issuer()
    const { promise, resolve } = Promise.withResolvers<void>()
    company.gate = promise
    const found = Promise.all(Array.from({ length: 20 }, (_, i) => company.find(i % 2 ? 'a' : 'made-up')))
    await settle()
    resolve()
    await company.clock.advance(1_000)
    expect((await found).map((key) => key?.kid)).toEqual(
      Array.from({ length: 20 }, (_, i) => (i % 2 ? 'a' : undefined)),
    )
    expect(company.asked).toBe(1)
  })

  it('stay in use while the issuer does not answer, up to the stated age; then every sign-in is refused', async () => {
    const company = issuer()
    await company.find('a')
    company.kids = undefined
    await company.clock.advance(LIMITS.signInFreshMs + 1)
    expect((await company.find('a'))?.kid).toBe('a')
    // One try and one look at the copies in a pause, however many ask.
    const { asked } = company
    const { reads } = company.copies
    for (let i = 0; i < 50; i++) await company.find('a')
    expect([company.asked, company.copies.reads]).toEqual([asked, reads])
    await company.clock.advance(DAY - LIMITS.signInFreshMs - 1)
    expect((await company.find('a'))?.kid).toBe('a')
    await company.clock.advance(2)
    await expect(company.find('a')).rejects.toMatchObject({ code: 'store_unavailable', retryAfter: 30 })
    expect(company.warnings.length).toBeGreaterThan(0)
    company.kids = ['a']
    await company.clock.advance(LIMITS.signInPauseMs)
    expect((await company.find('a'))?.kid).toBe('a')
  })

  it('that were never had: refused, and not asked for again at once', async () => {
    const company = issuer()
    company.kids = undefined
    await expect(company.find('a')).rejects.toMatchObject({ code: 'store_unavailable' })
    await expect(company.find('a')).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(company.asked).toBe(1)
  })

  it('are asked for without copies where those cannot be read, or are never answered', async () => {
    const broken = issuer()
    broken.copies.fault = () => Promise.reject(new Error('KV'))
    expect((await broken.find('a'))?.kid).toBe('a')
    const hanging = issuer()
    hanging.copies.fault = () => new Promise(() => {})
    const found = hanging.find('a')
    await hanging.clock.advance(LIMITS.signInCopyMs)
    expect((await found)?.kid).toBe('a')
  })

  it('in a copy that is damaged, old, from the future or of another address are not used', async () => {
    const keySet = JSON.stringify({ keys: [{ kid: 'b', kty: 'RSA', n: 'AQAB', e: 'AQAB' }] })
    const good = { schema: 1, jwks: SOURCE.jwks, fetchedAt: 10 * DAY, keySet }
    for (const copy of [
      '{',
      'null',
      '[]',
      JSON.stringify({ ...good, schema: 2 }),
      JSON.stringify({ ...good, jwks: 'https://attacker.example/keys' }),
      JSON.stringify({ ...good, fetchedAt: 9 * DAY - 1 }),
      JSON.stringify({ ...good, fetchedAt: 10 * DAY + 61_000 }),
      JSON.stringify({ ...good, fetchedAt: null }),
      JSON.stringify({ ...good, keySet: '{"keys":[]}' }),
    ]) {
      const company = issuer()
      await company.clock.advance(10 * DAY)
      company.copies.stored.set('company', copy)
      expect(await company.find('b'), copy).toBeUndefined()
      expect((await company.find('a'))?.kid).toBe('a')
    }
    const company = issuer()
    await company.clock.advance(10 * DAY)
    company.copies.stored.set('company', JSON.stringify(good))
    expect((await company.find('b'))?.kid).toBe('b')
    expect(company.asked).toBe(0)
  })

  it('survive a clock that jumps back: they are fetched again', async () => {
    const company = issuer()
    await company.clock.advance(10 * DAY)
    await company.find('a')
    company.kids = ['b']
    const back = -5 * DAY
    const now = company.clock.now.bind(company.clock)
    company.clock.now = () => now() + back
    expect((await company.find('b'))?.kid).toBe('b')
  })

  it('come from whoever takes over if the request that asked for them was killed', async () => {
    const company = issuer()
    company.gate = new Promise(() => {})
    const killed = testContext()
    company.find('a', killed).catch(() => {})
    await settle()
    const waiting = company.find('a')
    company.gate = Promise.resolve()
    await company.clock.advance(LIMITS.signInStaleMs + LIMITS.signInPollMs * 2)
    // Within the pause nobody asks again: closed.
    await expect(waiting).rejects.toMatchObject({ code: 'store_unavailable' })
    await company.clock.advance(LIMITS.signInPauseMs)
    expect((await company.find('a'))?.kid).toBe('a')
  })
})
