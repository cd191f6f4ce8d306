import { describe, expect, it } from 'vitest'
import type { Caller, GrantedCaller } from '../../../src/access/authorize.ts'
import { grantSchema } from '../../../src/access/grant.ts'
import type { UsageAnswer } from '../../../src/metering/usage/principal-usage.ts'
import type { UsageQueries } from '../../../src/metering/usage/usage-queries.ts'
import type { UsageQuestion } from '../../../src/metering/usage/usage-tables.ts'
import { usagePrincipalsSchema, usageReportSchema } from '../../../src/protocols/usage.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { testApp } from '../../fixtures/http.ts'
import { counts } from '../../fixtures/usage.ts'

const NOW = Date.UTC(2026, 10, 30, 12)
const GRANT = grantSchema.parse({ models: ['*'] })
const KEY: GrantedCaller = { kind: 'granted', by: 'key', principal: 'key:one', name: 'One', grant: GRANT }
const TOKEN: GrantedCaller = { ...KEY, by: 'token', principal: 'token:t', parent: KEY }
const USER: GrantedCaller = { ...KEY, by: 'sign-in', principal: 'user:work:0011' }
const OPERATOR: Caller = { kind: 'operator' }

interface Asked extends UsageQuestion {
  readonly principal: string
}

async function setup(caller: Caller, answer: Partial<UsageAnswer> = {}) {
  const asked: Asked[] = []
  const clock = new ManualClock()
  await clock.advance(NOW)
  const usage: UsageQueries = {
    of: async (principal, question) => {
      asked.push({ principal, ...question })
      return { sums: [], lastUsedAt: undefined, ...answer }
    },
    principals: async (cursor) =>
      cursor === undefined
        ? { principals: [{ principal: 'anonymous', month: '2026-11' }], cursor: 'next' }
        : { principals: [{ principal: cursor, month: '2026-10' }] },
  }
  const { request } = testApp({ usage, caller, clock })
  const get = async (path: string) => {
    const response = await request(path)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  return { asked, get }
}

const codeOf = ({ body, status }: { status: number; body: Record<string, unknown> }) => [
  status,
  (body.error as { readonly code: string } | undefined)?.code,
]

describe('GET /v1/usage', () => {
  it("is the caller's own of this month, by day", async () => {
    const day = counts({
      requests: 3,
      errors: 1,
      inputTokens: 40,
      milliUnits: 1_500,
      cpuMicroseconds: 1_013,
      nanoUsd: 2_418,
    })
    const { asked, get } = await setup(KEY, { sums: [{ name: '2026-11-30', counts: day }], lastUsedAt: NOW })
    const { body, status } = await get('/v1/usage')
    const figures = {
      requests: 3,
      errors: 1,
      cached: 0,
      by_token: 0,
      input_tokens: 40,
      output_tokens: 0,
      units: 1.5,
      cpu_ms: 1.013,
      origin_ms: 0,
      usd: 0.000002418,
    }
    expect(status).toBe(200)
    expect(body).toEqual({
      principal: 'key:one',
      from: '2026-11-01',
      to: '2026-11-30',
      group: 'day',
      last_used_at: '2026-11-30T12:00:00.000Z',
      data: [{ day: '2026-11-30', ...figures }],
      total: figures,
    })
    expect(usageReportSchema.parse(body)).toEqual(body)
    expect(asked).toEqual([{ principal: 'key:one', from: '2026-11-01', to: '2026-11-30', group: 'day' }])
  })

  it('may be by model, of other days', async () => {
    const { asked, get } = await setup(USER, {
      sums: [
        { name: '', counts: counts({ requests: 1 }) },
        { name: 'a@1', counts: counts({ requests: 2 }) },
      ],
    })
    const { body } = await get('/v1/usage?group=model&from=2026-01-31&to=2026-02-28')
    expect(usageReportSchema.parse(body)).toMatchObject({
      last_used_at: null,
      data: [
        { model: null, requests: 1 },
        { model: 'a@1', requests: 2 },
      ],
      total: { requests: 3 },
    })
    expect(asked).toEqual([{ principal: 'user:work:0011', from: '2026-01-31', to: '2026-02-28', group: 'model' }])
  })

  it("is anybody's for the operator", async () => {
    const { asked, get } = await setup(OPERATOR)
    for (const query of ['', '?principal=key:two', '?principal=anonymous', '?principal=service:shop'])
      expect((await get(`/v1/usage${query}`)).status).toBe(200)
    expect(asked.map(({ principal }) => principal)).toEqual(['operator', 'key:two', 'anonymous', 'service:shop'])
  })

  it.each([
    ['nobody', { kind: 'anonymous' }, '', [401, 'unauthorized']],
    ['a key that is not known', { kind: 'anonymous', unaccepted: 'key' }, '', [401, 'unauthorized']],
    ['a browser token', TOKEN, '', [403, 'forbidden']],
    ['a browser token that asks for its key', TOKEN, '?principal=key:one', [403, 'forbidden']],
    ['a key that asks for another', KEY, '?principal=key:two', [403, 'forbidden']],
    ['a key that asks for the operator', KEY, '?principal=operator', [403, 'forbidden']],
    ['an origin', { kind: 'origin', name: 'fra' }, '', [401, 'unauthorized']],
  ] as const)('is not for %s', async (_, caller, query, expected) => {
    const { asked, get } = await setup(caller)
    expect(codeOf(await get(`/v1/usage${query}`))).toEqual(expected)
    expect(asked).toEqual([])
  })

  it.each(['/v1/usage', '/v1/usage/principals'])('says why a key was refused: %s', async (path) => {
    const { get } = await setup({
      kind: 'anonymous',
      unaccepted: 'key',
      why: 'The key was revoked.',
      reason: 'key_revoked',
    })
    const { body, status } = await get(path)
    expect(status).toBe(401)
    expect(body.error).toMatchObject({
      code: 'unauthorized',
      message: expect.stringMatching(/^The key was revoked\. /),
      reason: 'key_revoked',
    })
  })

  it.each([
    'from=2026-11-31',
    'from=2026-13-01',
    'from=today',
    'from=2026-11-30&to=2026-11-29',
    'from=2025-11-29',
    'to=',
    'group=hour',
    'principal=token:t',
    'principal=../operator',
  ])('refuses %s', async (query) => {
    const { asked, get } = await setup(OPERATOR)
    expect(codeOf(await get(`/v1/usage?${query}`))).toEqual([400, 'invalid_request'])
    expect(asked).toEqual([])
  })

  it('may be of a year', async () => {
    const { asked, get } = await setup(KEY)
    expect((await get('/v1/usage?from=2025-11-30')).status).toBe(200)
    expect(asked[0]).toMatchObject({ from: '2025-11-30', to: '2026-11-30' })
  })

  it('is not there where nothing is counted', async () => {
    const { request } = testApp({ caller: OPERATOR })
    expect((await request('/v1/usage')).status).toBe(501)
  })
})

describe('GET /v1/usage/principals', () => {
  it('lists them for the operator, page by page', async () => {
    const { get } = await setup(OPERATOR)
    const first = usagePrincipalsSchema.parse((await get('/v1/usage/principals')).body)
    expect(first).toEqual({ data: [{ principal: 'anonymous', month: '2026-11' }], next_cursor: 'next' })
    const second = usagePrincipalsSchema.parse((await get('/v1/usage/principals?cursor=next')).body)
    expect(second).toEqual({ data: [{ principal: 'next', month: '2026-10' }], next_cursor: null })
  })

  it.each([
    [{ kind: 'anonymous' }, [401, 'unauthorized']],
    [KEY, [403, 'forbidden']],
    [TOKEN, [403, 'forbidden']],
  ] as const)('is not for others (%o)', async (caller, expected) => {
    expect(codeOf(await (await setup(caller)).get('/v1/usage/principals'))).toEqual(expected)
  })

  it('refuses an empty cursor', async () => {
    expect(codeOf(await (await setup(OPERATOR)).get('/v1/usage/principals?cursor='))).toEqual([400, 'invalid_request'])
  })
})
