import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { GrantedCaller } from '../../../src/access/authorize.ts'
import { grantSchema } from '../../../src/access/grant.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../../src/core/runtime.ts'
import type { LedgerObject } from '../../../src/metering/ledger/durable.ts'
import { UNLIMITED } from '../../../src/metering/limited.ts'
import { LedgerUsage, type UsageLedger } from '../../../src/metering/usage/ledger-usage.ts'
import { readSnapshot, snapshotKey } from '../../../src/metering/usage/snapshot.ts'
import { dayOf, monthOf } from '../../../src/metering/usage/usage-by-day.ts'
import { R2Store } from '../../../src/weights/r2.ts'
import { testContext } from '../../fixtures/clock.ts'
import { counts } from '../../fixtures/usage.ts'

const { BUCKET, LEDGER } = env as unknown as {
  readonly BUCKET: R2Bucket
  readonly LEDGER: DurableObjectNamespace<LedgerObject>
}

const store = new R2Store(BUCKET)
const USAGE = { model: 'a@1', status: 200, inputTokens: 10, outputTokens: 0, units: 2, originMs: 0, cached: false }

function callerOf(id: string): GrantedCaller {
  return { kind: 'granted', by: 'key', principal: `key:${id}`, name: id, grant: grantSchema.parse({ models: ['*'] }) }
}

/** An isolate: what counts there, over real ledgers. */
function isolate(ledgerOf: (principal: string) => UsageLedger = stubOf) {
  const limits = { ...LIMITS, usageStoreMs: 2_000 }
  const randomId = () => crypto.randomUUID()
  const usage = new LedgerUsage({ ledgerOf, store, limits, clock: systemClock, logger: silentLogger, randomId })
  const metering = usage.counting(UNLIMITED)
  /** Requests one after the other. */
  const call = async (id: string, times: number): Promise<void> => {
    const context = testContext()
    for (let i = 0; i < times; i++) (await metering.admit(callerOf(id), {}, context)).finish(USAGE)
  }
  return { usage, call }
}

function stubOf(principal: string) {
  return LEDGER.get(LEDGER.idFromName(principal))
}

const { signal } = new AbortController()

function thisMonth() {
  const to = dayOf(Date.now() + 86_400_000)
  return { from: dayOf(Date.now() - 86_400_000), to, group: 'model' as const }
}

/** What the ledger of a key has, and nothing of it afterwards. */
function keyNamed(name: string): string {
  onTestFinished(async () => {
    const principal = `key:${name}`
    await runInDurableObject(stubOf(principal), async (_, { storage }) => {
      await storage.deleteAlarm()
      await storage.deleteAll()
    })
    for (const { key } of (await BUCKET.list({ prefix: `usage/${principal}/` })).objects) await BUCKET.delete(key)
  })
  return name
}

describe('usage in ledgers', () => {
  it('is read at once by the isolate that has counted it, and has that of all others', async () => {
    const id = keyNamed('usage-two-isolates')
    const [one, two] = [isolate(), isolate()]
    await one.call(id, 3)
    expect(LIMITS.usageFlushRequests).toBe(250)
    await two.call(id, LIMITS.usageFlushRequests)
    await expect
      .poll(async () => (await one.usage.of(`key:${id}`, thisMonth(), signal)).sums)
      .toEqual([
        {
          name: 'a@1',
          counts: counts({
            requests: 253,
            inputTokens: 2_530,
            milliUnits: 506_000,
            cpuMicroseconds: 253 * 450,
            nanoUsd: 253 * 809,
          }),
        },
      ])
  })

  it('outlives a ledger that is reset, and is counted once where an answer was lost', async () => {
    const id = keyNamed('usage-reset')
    const fate = { lost: true }
    const { call, usage } = isolate((principal) => ({
      readUsage: (question) => stubOf(principal).readUsage(question) as ReturnType<UsageLedger['readUsage']>,
      bookUsage: async (of, block) => {
        await stubOf(principal).bookUsage(of, block)
        if (fate.lost) throw new Error('the answer was lost')
      },
    }))
    await call(id, 5)
    const lost = await usage.of(`key:${id}`, thisMonth(), signal)
    expect(lost.sums[0]?.counts.requests).toBe(5)
    await evictDurableObject(stubOf(`key:${id}`))
    fate.lost = false
    await call(id, 2)
    // The first block again, and then the second.
    for (let i = 0; i < 2; i++) await usage.of(`key:${id}`, thisMonth(), signal)
    const { lastUsedAt, sums } = await usage.of(`key:${id}`, thisMonth(), signal)
    expect(sums[0]?.counts.requests).toBe(7)
    expect(Math.abs(Date.now() - (lastUsedAt ?? 0))).toBeLessThan(60_000)
  })

  it('is in R2 when the alarm has rung, and a list of those who have any', async () => {
    const id = keyNamed('usage-snapshot')
    const { call, usage } = isolate()
    await call(id, 4)
    await usage.of(`key:${id}`, thisMonth(), signal)
    const key = snapshotKey(`key:${id}`, monthOf(dayOf(Date.now())))
    const read = async () => {
      await runDurableObjectAlarm(stubOf(`key:${id}`))
      const object = await BUCKET.get(key)
      const snapshot = object && readSnapshot(new Uint8Array(await object.arrayBuffer()))
      return [...(snapshot?.days.values() ?? [])].reduce((sum, models) => sum + (models.get('a@1')?.requests ?? 0), 0)
    }
    await expect.poll(read).toBe(4)
    const { principals } = await usage.principals(undefined, signal)
    expect(principals).toContainEqual({ principal: `key:${id}`, month: monthOf(dayOf(Date.now())) })
  })

  it('is not known while the ledger does not answer', async () => {
    const { usage } = isolate(() => ({
      bookUsage: () => Promise.resolve(),
      readUsage: () => new Promise(() => {}),
    }))
    await expect(usage.of('key:silent', thisMonth(), signal)).rejects.toMatchObject({ code: 'limits_unavailable' })
  })
})
