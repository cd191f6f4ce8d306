import { evictDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { keyRecordKey } from '../../src/access/keys/record.ts'
import { isVergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { LeaseBook, type Principal } from '../../src/metering/leases.ts'
import type { LeaseReply, LeaseRequest } from '../../src/metering/ledger/lease.ts'
import { testContext } from '../fixtures/clock.ts'

interface Stub {
  lease(principal: string, request: LeaseRequest): Promise<LeaseReply>
}

const { BUCKET, LEDGER } = env as unknown as {
  readonly BUCKET: R2Bucket
  readonly LEDGER: DurableObjectNamespace
}

function stubOf(name: string): DurableObjectStub & Stub {
  return LEDGER.get(LEDGER.idFromName(name)) as unknown as DurableObjectStub & Stub
}

interface Counted {
  calls: number
}

/** What one isolate holds, over the real object. */
function bookOf(counted: Counted, onRevoked: (name: string) => void = () => {}): LeaseBook {
  return new LeaseBook({
    ledger: {
      lease: (name, request) => {
        counted.calls++
        return stubOf(name).lease(name, request)
      },
    },
    whenUnavailable: { rates: 'open', budgets: 'closed' },
    clock: systemClock,
    logger: silentLogger,
    randomId: () => crypto.randomUUID(),
    onRevoked,
    // Quickly, so that the test need not wait for what is idle.
    limits: { ...LIMITS, leaseIdleMs: 100, leaseRefusalMs: 50, leaseCallMs: 10_000 },
  })
}

async function take(book: LeaseBook, principal: Principal, tokens: number): Promise<'taken' | 'spent' | 'away'> {
  try {
    await book.take(principal, { tokens }, testContext())
    return 'taken'
  } catch (error) {
    if (isVergeError(error, 'budget_spent')) return 'spent'
    if (isVergeError(error, 'limits_unavailable')) return 'away'
    throw error
  }
}

describe('eight isolates on the ledger of one principal', () => {
  it('use 10,000 units between them and not one more, though the object is reset in the middle', async () => {
    const principal: Principal = {
      name: `token:${crypto.randomUUID()}`,
      limits: { rates: [], budgets: { total: { tokens: 10_000 } } },
    }
    const counted = { calls: 0 }
    const books = Array.from({ length: 8 }, () => bookOf(counted))
    let used = 0
    let requests = 0
    const caller = async (book: LeaseBook, each: number): Promise<void> => {
      for (let refusals = 0; refusals < 6; ) {
        requests++
        const outcome = await take(book, principal, each)
        if (outcome === 'taken') used += each
        else {
          if (outcome === 'spent') refusals++
          await systemClock.sleep(150)
        }
        if (requests % 50 === 0) await systemClock.sleep(1)
      }
    }
    const resets = async (): Promise<void> => {
      for (let i = 0; i < 6; i++) {
        await systemClock.sleep(20)
        await evictDurableObject(stubOf(principal.name))
      }
    }
    await Promise.all([...books.flatMap((book, i) => [caller(book, 1 + i), caller(book, 3)]), resets()])
    // Each asks for eight at most: with less left, nobody got any.
    expect(used).toBeLessThanOrEqual(10_000)
    expect(used).toBeGreaterThan(10_000 - 8)
    expect(counted.calls).toBeLessThan(requests)
  })
})

describe('a key that is revoked', () => {
  const record = (id: string, fields: object = {}): string =>
    JSON.stringify({
      schema: 1,
      id,
      name: 'shop',
      createdAt: 1,
      secrets: [{ salt: '0'.repeat(32), hash: '0'.repeat(64), createdAt: 1 }],
      grant: { models: ['*'], actions: ['infer'], places: ['edge'] },
      generation: 1,
      ...fields,
    })

  it('leases nothing more from the moment on that it is', async () => {
    const id = '7a7a7a7a7a7a'
    const principal: Principal = { name: `key:${id}`, limits: { rates: [], budgets: { day: { tokens: 1000 } } } }
    const forgotten: string[] = []
    const book = bookOf({ calls: 0 }, (name) => forgotten.push(name))
    await BUCKET.put(keyRecordKey(id), record(id))
    expect(await take(book, principal, 10)).toBe('taken')
    await BUCKET.put(keyRecordKey(id), record(id, { generation: 2, revokedAt: 1_700_000_000 }))
    await expect(take(book, principal, 500)).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('The key was revoked.'),
    })
    expect(forgotten).toEqual([principal.name])
  })
})
