import { describe, expect, it } from 'vitest'
import { Attempts } from '../../../src/access/attempts.ts'
import { type CredentialCheck, Credentials } from '../../../src/access/credentials.ts'
import { VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { ManualClock } from '../../fixtures/clock.ts'
import { API_KEY, testApp, testModel } from '../../fixtures/http.ts'

const TENSORS = {
  inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1] }],
  outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [-1] }],
}
const models = ['team-a', 'secret'].map((name) => testModel(name, 'private', TENSORS))
const JWT = 'eyJhIjoxfQ.eyJhIjoxfQ.c2ln'
const VISITOR = 'eyJ2IjoxfQ.eyJ2IjoxfQ.c2ln'
const HERE = 'https://verge.example'
const ACCESS = 'cf-access-jwt-assertion'

/** A Worker that one user may sign in to, in each of the two ways. */
function worker({ fault }: { fault?: VergeError } = {}) {
  const asked: string[] = []
  const checkOf =
    (right: string, principal: string): CredentialCheck =>
    async (token) => {
      asked.push(token)
      if (fault !== undefined) throw fault
      if (token !== right) throw new VergeError('unauthorized', 'The signature of the sign-in token is wrong.')
      const grant = { models: ['team-*'], actions: ['infer' as const], places: ['edge' as const] }
      return { kind: 'granted', by: 'sign-in', principal, name: 'company', grant }
    }
  const clock = new ManualClock()
  const credentials = new Credentials({
    apiKeyDigest: undefined,
    attempts: new Attempts({ clock, limits: LIMITS }),
    clock,
    limits: LIMITS,
    signIn: checkOf(JWT, 'user:company:bearer'),
    access: checkOf(VISITOR, 'user:company:visitor'),
  })
  const { app } = testApp({ models, credentials })
  const get = async (model: string, headers: Record<string, string>) => {
    const answer = await app.fetch(new Request(`${HERE}/v2/models/${model}`, { headers }))
    const { error } = (await answer.json()) as { error?: unknown }
    return [answer.status, error ?? ''] as const
  }
  return { asked, get }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('a sign-in token', () => {
  it('lets its user run what the grant names, and looks at nothing else', async () => {
    const { get } = worker()
    expect((await get('team-a', bearer(JWT)))[0]).toBe(200)
    expect((await get('secret', bearer(JWT)))[0]).toBe(404)
    expect((await get('team-a', {}))[0]).toBe(404)
  })

  it('that is wrong says why, where its user needs more than anybody has', async () => {
    const { get } = worker()
    const [status, error] = await get('team-a', bearer(`${JWT}x`))
    expect([status, error]).toEqual([401, expect.stringContaining('The signature of the sign-in token is wrong.')])
  })

  it('is not looked for in what has another form', async () => {
    const { asked, get } = worker()
    for (const other of [API_KEY, 'sk-proj-x', 'a.b.c', 'eyJhIjoxfQ.eyJhIjoxfQ', 'eyJhIjoxfQ.a.b.c.d']) {
      expect((await get('team-a', bearer(other)))[0]).toBe(401)
    }
    expect(asked).toEqual([])
  })

  it('that cannot be checked is refused, not taken for none', async () => {
    const fault = new VergeError('store_unavailable', 'The issuer does not answer.', { retryAfter: 30 })
    expect((await worker({ fault }).get('team-a', bearer(JWT)))[0]).toBe(503)
    expect((await worker({ fault }).get('team-a', { [ACCESS]: VISITOR }))[0]).toBe(503)
  })

  it('that is guessed is soon looked at no more', async () => {
    const { asked, get } = worker()
    const from = { 'cf-connecting-ip': '192.0.2.1' }
    const statuses = new Set<number>()
    for (let i = 0; i < LIMITS.failedAttempts + 20; i++) {
      statuses.add((await get('team-a', { ...bearer(`${JWT}${i}`), ...from }))[0])
    }
    expect([...statuses]).toEqual([401, 429])
    expect(asked.length).toBeLessThanOrEqual(LIMITS.failedAttempts + 1)
    expect((await get('team-a', { ...bearer(JWT), 'cf-connecting-ip': '192.0.2.2' }))[0]).toBe(200)
  })
})

describe("Cloudflare Access's header", () => {
  it('is read of requests that bring nothing else, or nothing that is accepted', async () => {
    const { get } = worker()
    expect((await get('team-a', { [ACCESS]: VISITOR }))[0]).toBe(200)
    expect((await get('team-a', { ...bearer('sk-anything'), [ACCESS]: VISITOR }))[0]).toBe(200)
    expect((await get('team-a', { [ACCESS]: JWT }))[0]).toBe(401)
  })

  it('is not read of requests with a token that is accepted', async () => {
    const { asked, get } = worker()
    expect((await get('team-a', { ...bearer(JWT), [ACCESS]: VISITOR }))[0]).toBe(200)
    expect(asked).toEqual([JWT])
  })

  it('is not read of what a page of another site has begun', async () => {
    const { asked, get } = worker()
    for (const foreign of [
      { origin: 'https://attacker.example' },
      { origin: 'null' },
      { origin: 'http://verge.example' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: HERE, 'sec-fetch-site': 'cross-site' },
    ]) {
      expect((await get('team-a', { ...foreign, [ACCESS]: VISITOR }))[0], JSON.stringify(foreign)).toBe(404)
    }
    expect(asked).toEqual([])
    for (const own of [
      { origin: HERE },
      { origin: HERE, 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
    ]) {
      expect((await get('team-a', { ...own, [ACCESS]: VISITOR }))[0]).toBe(200)
    }
  })
})
