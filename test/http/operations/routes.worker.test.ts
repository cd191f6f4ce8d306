import { describe, expect, it } from 'vitest'
import type { Caller, GrantedCaller } from '../../../src/access/authorize.ts'
import { grantSchema } from '../../../src/access/grant.ts'
import { verdictOf } from '../../../src/operations/verdict.ts'
import { type OperationsBody, operationsBodySchema } from '../../../src/protocols/verge/operations.ts'
import { testApp } from '../../fixtures/http.ts'

const spender = {
  principal: 'key:two',
  name: 'Two',
  requestsToday: 95,
  errorsToday: 0,
  spentTodayUsd: 1,
  spentMonthUsd: 2,
  lastUsedAt: '2026-11-30T12:00:00.000Z',
  budgets: [{ period: 'day' as const, kind: 'requests' as const, used: 95, limit: 100 }],
}
const change = { seq: 1, at: '2026-11-30T12:00:00.000Z', by: 'anna', action: 'key', subject: 'key/two', change: '' }
const parts = {
  isolates: 1,
  lost: 0,
  utilization: null,
  singleIsolates: null,
  totals: null,
  minutes: null,
  models: [],
  modelsLeftOut: 0,
  cost: null,
}
const FACTS = { ...parts, origins: [], callers: [spender], changes: [change], problems: [] }
const BODY: OperationsBody = { at: change.at, version: '1', ...FACTS, ...verdictOf(FACTS) }

const key = (models: string[], actions: string[]): GrantedCaller => ({
  kind: 'granted',
  by: 'key',
  principal: 'key:one',
  name: 'One',
  grant: grantSchema.parse({ models, actions }),
})

async function ask(caller: Caller, operations: { read(): Promise<OperationsBody> } | undefined) {
  const response = await testApp({ caller, ...(operations && { operations }) }).request('/v1/operations')
  const body = (await response.json()) as { health?: string; error?: { code: string } }
  return [response.status, body.health ?? body.error?.code]
}

describe('GET /v1/operations', () => {
  it('is for the operator, and for keys that may see the metrics of all models', async () => {
    let reads = 0
    const operations = {
      read: async () => {
        reads++
        return BODY
      },
    }
    expect(await ask({ kind: 'operator' }, operations)).toEqual([200, 'warning'])
    expect(await ask(key(['*'], ['metrics']), operations)).toEqual([200, 'ok'])
    expect(reads).toBe(2)
    expect(await ask(key(['digits', 'a*'], ['metrics']), operations)).toEqual([403, 'forbidden'])
    expect(await ask(key(['*'], ['infer']), operations)).toEqual([403, 'forbidden'])
    expect(await ask({ kind: 'anonymous' }, operations)).toEqual([401, 'unauthorized'])
    expect(await ask({ kind: 'service', name: 'site' }, operations)).toEqual([403, 'forbidden'])
    expect(reads).toBe(2)
  })

  it('tells the operator alone who calls, what they may spend and who changed what', async () => {
    const seenBy = async (caller: Caller) => {
      const response = await testApp({ caller, operations: { read: async () => BODY } }).request('/v1/operations')
      return operationsBodySchema.parse(await response.json())
    }
    expect(await seenBy({ kind: 'operator' })).toEqual(BODY)
    expect(BODY.health).toBe('warning')
    const seen = await seenBy(key(['*'], ['metrics']))
    expect(seen).toEqual({ ...BODY, callers: null, changes: null, alerts: [], health: 'ok' })
    expect(JSON.stringify(seen)).not.toMatch(/two|anna/i)
  })

  it('is not answered by a server that knows itself alone', async () => {
    expect(await ask({ kind: 'operator' }, undefined)).toEqual([501, 'not_implemented'])
  })
})
