import { jwtVerify } from 'jose'
import { describe, expect, it } from 'vitest'
import type { Caller, GrantedCaller } from '../../../src/access/authorize.ts'
import { type Grant, grantSchema } from '../../../src/access/grant.ts'
import { tokenKey } from '../../../src/access/tokens/secret.ts'
import { type Clock, systemClock } from '../../../src/core/runtime.ts'
import { type TestAppOptions, testApp, testModel } from '../../fixtures/http.ts'

const SPEC = (): Parameters<typeof testModel>[2] => ({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
})
const MODELS = [
  testModel('shop-search', 'private', SPEC()),
  testModel('shop-reviews', 'private', SPEC()),
  testModel('payroll', 'private', SPEC()),
  testModel('digits', 'public', SPEC()),
]
const KEY = await tokenKey('a-secret-of-32-characters-or-more')
const NOW = 1_800_000_000_000
const CLOCK: Clock = { ...systemClock, now: () => NOW }
const ID = 'b1946ac9-2492-4d23-a7e3-1c2f1f0d5c11'
const PAGE = 'https://app.example.com'
const ASKED = { origins: [PAGE], models: ['shop-search'] }

/** A key that may mint, with what else its grant says. */
function keyWith(grant: Partial<Grant> = {}, by: GrantedCaller['by'] = 'key'): GrantedCaller {
  const whole = grantSchema.parse({ models: ['shop-*'], actions: ['infer', 'browser', 'mint'], ...grant })
  return { kind: 'granted', by, principal: 'key:0123456789ab', name: 'shop', grant: whole }
}

function appOf(caller: Caller | undefined = keyWith(), options: TestAppOptions = {}) {
  return testApp({
    models: MODELS,
    corsOrigins: [PAGE, 'https://other.example.com'],
    tokenKey: KEY,
    clock: CLOCK,
    randomId: () => ID,
    ...(caller && { caller }),
    ...options,
  })
}

async function mint(body: unknown, caller?: Caller, options?: TestAppOptions) {
  const response = await appOf(caller, options).post('/v1/tokens', body)
  return { status: response.status, body: (await response.json()) as Record<string, never> }
}

async function refusal(body: unknown, caller?: Caller, options?: TestAppOptions) {
  const { body: answer, status } = await mint(body, caller, options)
  const { code, field, message } = answer.error as unknown as Record<string, string>
  return { status, code, field, message }
}

describe('POST /v1/tokens', () => {
  it('mints a token with what was asked for, signed for the Worker alone', async () => {
    const budget = { requests: 100, usd: 0.25 }
    const { body, status } = await mint({
      origins: ['HTTPS://App.Example.com:443', 'https://other.example.com'],
      models: ['shop-search', 'shop-reviews'],
      actions: ['infer', 'browser'],
      minutes: 10,
      budget,
      rate: '10/1m',
      max_tokens: 64,
    })
    expect(status).toBe(200)
    expect(body).toEqual({
      token: expect.stringMatching(/^verge_bt_[\w-]+\.[\w-]+\.[\w-]+$/),
      expires_at: new Date(NOW + 600_000).toISOString(),
      origins: [PAGE, 'https://other.example.com'],
      models: ['shop-search', 'shop-reviews'],
      actions: ['infer', 'browser'],
    })
    const jwt = String(body.token).slice('verge_bt_'.length)
    const { payload, protectedHeader } = await jwtVerify(jwt, KEY, { currentDate: new Date(NOW) })
    expect(protectedHeader).toEqual({ alg: 'HS256', typ: 'verge-token+jwt', kid: 'worker' })
    expect(payload).toEqual({
      iss: 'verge',
      sub: '0123456789ab',
      jti: ID,
      iat: NOW / 1000,
      exp: NOW / 1000 + 600,
      origins: [PAGE, 'https://other.example.com'],
      models: ['shop-search', 'shop-reviews'],
      actions: ['infer', 'browser'],
      limits: { rate: '10/1m', budgets: { total: budget }, maxTokens: 64 },
    })
  })

  it('mints for a quarter of an hour and for requests to the server, unless it is told otherwise', async () => {
    const { body } = await mint(ASKED)
    const { payload } = await jwtVerify(String(body.token).slice('verge_bt_'.length), KEY, {
      currentDate: new Date(NOW),
    })
    expect(payload).toMatchObject({ exp: NOW / 1000 + 900, actions: ['infer'] })
    expect(payload).not.toHaveProperty('limits')
  })

  it('mints for public models, which its key may run as anybody may', async () => {
    expect(await mint({ ...ASKED, models: ['digits'] })).toMatchObject({ status: 200 })
  })

  it('mints for pages of its own', async () => {
    const own = await mint({ ...ASKED, origins: ['http://localhost'] }, undefined, { corsOrigins: [] })
    expect(own).toMatchObject({ status: 200, body: { origins: ['http://localhost'] } })
  })

  it('takes further names of models', async () => {
    const addressing = { modelNames: new Map([['search', 'shop-search']]) }
    expect(await mint({ ...ASKED, models: ['search'] }, undefined, { addressing })).toMatchObject({
      status: 200,
      body: { models: ['shop-search'] },
    })
  })

  it('names CORS_ALLOW where a browser could not use the token', async () => {
    expect(await refusal({ ...ASKED, origins: ['https://evil.example.com'] })).toMatchObject({
      status: 400,
      code: 'invalid_request',
      field: 'origins',
      message: expect.stringMatching(/CORS_ALLOW.*"https:\/\/evil\.example\.com"/),
    })
    const anywhere = { corsOrigins: ['*'] }
    expect(await mint({ ...ASKED, origins: ['https://evil.example.com'] }, undefined, anywhere)).toMatchObject({
      status: 200,
    })
  })

  it('is not wider than its key', async () => {
    const model = await refusal({ ...ASKED, models: ['payroll'] })
    expect(model).toMatchObject({ status: 404, code: 'model_not_found' })
    expect(await refusal({ ...ASKED, models: ['shop-*'] })).toMatchObject({ status: 404, code: 'model_not_found' })
    const actions = keyWith({ actions: ['infer', 'mint'] })
    expect(await refusal({ ...ASKED, actions: ['infer', 'browser'] }, actions)).toMatchObject({
      status: 403,
      code: 'forbidden',
      message: expect.stringMatching(/"browser" for model "shop-search"/),
    })
    const pages = keyWith({ origins: ['https://other.example.com'] })
    expect(await refusal(ASKED, pages)).toMatchObject({
      status: 403,
      message: expect.stringMatching(/not for pages of/),
    })
  })

  it.each<[string, Caller, number, RegExp]>([
    ['a key without the action', keyWith({ actions: ['infer'] }), 403, /key with the action "mint"/],
    ['a token', keyWith({}, 'token'), 403, /token cannot mint/],
    ['a person', keyWith({}, 'sign-in'), 403, /action "mint"/],
    ['the operator', { kind: 'operator' }, 403, /Create a key/],
    ['another Worker', { kind: 'service', name: 'shop' }, 403, /action "mint"/],
    ['nobody', { kind: 'anonymous' }, 401, /Send a key/],
    ['an unknown key', { kind: 'anonymous', unaccepted: 'key' }, 401, /minted by keys/],
  ])('does not mint for %s', async (_, caller, status, message) => {
    // Nothing of a request is read for those who may not: what it says is not looked at.
    for (const body of [ASKED, {}, { ...ASKED, models: ['m'.repeat(9_000)] }]) {
      expect(await refusal(body, caller)).toMatchObject({ status, message: expect.stringMatching(message) })
    }
  })

  it('says what to set where there is no secret', async () => {
    const { app } = testApp({ models: MODELS, caller: keyWith(), corsOrigins: [PAGE] })
    const response = await app.request('/v1/tokens', { method: 'POST', body: JSON.stringify(ASKED) })
    expect(response.status).toBe(501)
    expect(await response.json()).toMatchObject({
      error: { code: 'tokens_unavailable', message: expect.stringMatching(/TOKEN_SECRET.*VERGE_API_KEY/) },
    })
  })

  it.each<[string, object, string]>([
    ['an hour and more', { minutes: 61 }, 'minutes'],
    ['no time', { minutes: 0 }, 'minutes'],
    ['no page', { origins: [] }, 'origins'],
    ['every page', { origins: ['*'] }, 'origins'],
    ['no model', { models: [] }, 'models'],
    ['17 models', { models: Array.from({ length: 17 }, (_, i) => `m${i}`) }, 'models'],
    ['an action that no token has', { actions: ['mint'] }, 'actions[0]'],
    ['a budget of something else', { budget: { seconds: 1 } }, 'budget'],
    ['a rate in other words', { rate: 'often' }, 'rate'],
  ])('refuses %s', async (_, wrong, field) => {
    expect(await refusal({ ...ASKED, ...wrong })).toMatchObject({ status: 400, code: 'invalid_request', field })
  })

  it('reads no long body', async () => {
    expect(await refusal({ ...ASKED, models: ['m'.repeat(9_000)] })).toMatchObject({
      status: 413,
      code: 'body_too_large',
    })
  })
})
