import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import type { LeaseAnswer, LeaseReply, LeaseRequest } from '../../../src/metering/ledger/lease.ts'
import { NO_COUNTS } from '../../../src/metering/usage/counts.ts'

interface Stub {
  lease(principal: string, request: LeaseRequest): Promise<LeaseReply>
}

const { LEDGER } = env as unknown as { readonly LEDGER: DurableObjectNamespace }

function stubOf(principal: string): DurableObjectStub & Stub {
  return LEDGER.get(LEDGER.idFromName(principal)) as unknown as DurableObjectStub & Stub
}

async function leased(principal: string, request: Partial<LeaseRequest>): Promise<LeaseAnswer> {
  const whole: LeaseRequest = {
    id: crypto.randomUUID(),
    holder: 'a',
    limits: { rates: [], budgets: { total: { tokens: 1000 } } },
    need: {},
    waiting: {},
    wish: {},
    ended: [],
    owed: {},
    ...request,
  }
  const reply = await stubOf(principal).lease(principal, whole)
  if ('revoked' in reply) throw new Error(reply.revoked)
  return reply
}

describe('the ledger of a principal', () => {
  it('is continued by the object that comes after an eviction in the middle of a count', async () => {
    const principal = `user:company:${crypto.randomUUID()}`
    let taken = 0
    for (let i = 0; i < 40; i++) {
      const { amounts } = await leased(principal, { holder: `isolate-${i % 8}`, need: { tokens: 10 } })
      taken += amounts.tokens ?? 0
      if (i % 7 === 3) await evictDurableObject(stubOf(principal))
    }
    expect(taken).toBe(400)
    const { lines } = await leased(principal, {})
    expect(lines).toMatchObject([{ name: 'total-tokens', remaining: 600, quota: 1000 }])
  })

  it('answers a request that is sent again, because its first answer was lost with the object, as before', async () => {
    const principal = `user:company:${crypto.randomUUID()}`
    const request = { id: 'one', need: { tokens: 10 }, wish: { tokens: 100 } }
    const { amounts } = await leased(principal, request)
    await evictDurableObject(stubOf(principal))
    expect((await leased(principal, request)).amounts).toEqual(amounts)
    expect((await leased(principal, {})).lines[0]?.remaining).toBe(900)
  })

  it('books what was counted once, also where it refuses', async () => {
    const principal = `user:company:${crypto.randomUUID()}`
    const counts = { ...NO_COUNTS, requests: 3, inputTokens: 40 }
    const day = new Date().toISOString().slice(0, 10)
    const usage = { source: 'isolate', seq: 1, lastUsedAt: Date.now(), rows: [{ day, model: 'a@1', counts }] }
    expect((await leased(principal, { need: { tokens: 2_000 }, usage })).refused?.line).toBe('total-tokens')
    await leased(principal, { need: { tokens: 2 }, usage })
    const { sql } = await runInDurableObject(stubOf(principal), (_, { storage }) => ({
      sql: storage.sql.exec('SELECT requests, input_tokens FROM usage_rows').toArray(),
    }))
    expect(sql).toEqual([{ requests: 3, input_tokens: 40 }])
  })

  it('takes leases that are asked for at once one after the other', async () => {
    const principal = `user:company:${crypto.randomUUID()}`
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => leased(principal, { holder: `isolate-${i % 8}`, need: { tokens: 25 } })),
    )
    expect(answers.filter(({ refused }) => refused === undefined)).toHaveLength(40)
  })
})

describe('of a browser token', () => {
  it('nothing is left when it has ended: each visitor of a page has one', async () => {
    const principal = `token:0123456789ab:${crypto.randomUUID()}`
    const begun = Date.now()
    await leased(principal, { need: { tokens: 10 } })
    const stub = stubOf(principal)
    const alarm = await runInDurableObject(stub, (_, { storage }) => storage.getAlarm())
    // Not while the token could be used.
    expect(alarm).toBeGreaterThanOrEqual(begun + (LIMITS.tokenSeconds + LIMITS.tokenSkewSeconds) * 1000)
    expect(await runDurableObjectAlarm(stub)).toBe(true)
    const left = await runInDurableObject(stub, (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'ledger'").toArray(),
    )
    expect(left).toEqual([])
  })

  it('a key keeps what it has leased', async () => {
    const principal = `user:company:${crypto.randomUUID()}`
    await leased(principal, { need: { tokens: 10 } })
    expect(await runInDurableObject(stubOf(principal), (_, { storage }) => storage.getAlarm())).toBeNull()
  })
})

describe('of addresses and models', () => {
  const lines = async (principal: string, seconds: number): Promise<(number | undefined)[]> => {
    const limits = { rates: [{ requests: 10, seconds }], budgets: {} }
    await leased(principal, { limits, need: { rate: 4 } })
    await evictDurableObject(stubOf(principal))
    return (await leased(principal, { limits })).lines.map(({ remaining }) => remaining)
  }

  it('nothing is written for a short window', async () => {
    const principal = `address:${crypto.randomUUID()}`
    expect(await lines(principal, 60)).toEqual([10])
    const rows = await runInDurableObject(stubOf(principal), (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'ledger'").toArray(),
    )
    expect(rows).toEqual([])
  })

  it('a long window is kept, and ends by an alarm', async () => {
    const principal = `model:${crypto.randomUUID()}`
    expect(await lines(principal, 3600 * 24)).toEqual([6])
    expect(await runDurableObjectAlarm(stubOf(principal))).toBe(true)
    const limits = { rates: [{ requests: 10, seconds: 3600 * 24 }], budgets: {} }
    expect((await leased(principal, { limits })).lines).toMatchObject([{ remaining: 10 }])
  })
})
