import { describe, expect, it } from 'vitest'
import type { Caller, GrantedCaller } from '../../../src/access/authorize.ts'
import { grantSchema } from '../../../src/access/grant.ts'
import { bookedFor, rowOf } from '../../../src/metering/usage/request-row.ts'
import { counts } from '../../fixtures/usage.ts'

const KEY: GrantedCaller = {
  kind: 'granted',
  by: 'key',
  principal: 'key:one',
  name: 'One',
  grant: grantSchema.parse({ models: ['*'] }),
}
const TOKEN: GrantedCaller = { ...KEY, by: 'token', principal: 'token:t', parent: KEY }
const AT = Date.UTC(2026, 10, 30, 23, 59)
const USAGE = { status: 200, inputTokens: 0, outputTokens: 0, units: 0, originMs: 0, cached: false }

describe('whose usage a request is', () => {
  it.each<[Caller, string | undefined]>([
    [{ kind: 'operator' }, 'operator'],
    [{ kind: 'anonymous' }, 'anonymous'],
    [{ kind: 'anonymous', unaccepted: 'key' }, 'anonymous'],
    [KEY, 'key:one'],
    [TOKEN, 'key:one'],
    [{ ...KEY, by: 'sign-in', principal: 'user:work:0011' }, 'user:work:0011'],
    [{ kind: 'service', name: 'shop' }, 'service:shop'],
    [{ kind: 'origin', name: 'fra' }, undefined],
    [{ kind: 'relayed', name: 'key:one' }, undefined],
  ])('of %o is %s', (caller, principal) => {
    expect(bookedFor(caller)).toBe(principal)
  })
})

describe('what a request took', () => {
  it('is counted in whole numbers on the day on which it ended', () => {
    const usage = { ...USAGE, model: 'a@1', inputTokens: 7, outputTokens: 3, units: 11.13 }
    expect(rowOf(usage, KEY, AT)).toEqual({
      day: '2026-11-30',
      model: 'a@1',
      counts: counts({
        requests: 1,
        inputTokens: 7,
        outputTokens: 3,
        milliUnits: 11_130,
        // 0.3 ms and 11.13 units of 0.075 ms.
        cpuMicroseconds: 1_135,
        // 300 and 500 for the request and a read of KV, and 20 a millisecond.
        nanoUsd: 823,
      }),
    })
  })

  it('is an error from 400 on, whatever its model would have been', () => {
    expect(rowOf({ ...USAGE, status: 404 }, KEY, AT)).toMatchObject({ model: '', counts: { requests: 1, errors: 1 } })
    expect(rowOf({ ...USAGE, status: 399 }, KEY, AT).counts.errors).toBe(0)
  })

  it('knows browser tokens and the result cache', () => {
    const cached = { ...USAGE, cached: true, cachedTokens: 9 }
    expect(rowOf(cached, TOKEN, AT).counts).toMatchObject({ cached: 1, byToken: 1, inputTokens: 9 })
  })

  it('has no CPU time for what an origin did, and its price', () => {
    const usage = { ...USAGE, units: 1_000, originUnits: 990, originMs: 250.4, originUsd: 0.001 }
    expect(rowOf(usage, KEY, AT).counts).toMatchObject({
      milliUnits: 1_000_000,
      cpuMicroseconds: 1_050,
      originMs: 250,
      nanoUsd: 1_000_821,
    })
  })

  it('is no request of its own where it is part of one', () => {
    expect(rowOf({ ...USAGE, units: 2 }, TOKEN, AT, false).counts).toMatchObject({
      requests: 0,
      byToken: 0,
      milliUnits: 2_000,
      cpuMicroseconds: 150,
    })
  })
})
