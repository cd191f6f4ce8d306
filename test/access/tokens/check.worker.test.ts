import { CompactSign, exportJWK, generateKeyPair, UnsecuredJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { Attempts } from '../../../src/access/attempts.ts'
import { authorize, type GrantedCaller } from '../../../src/access/authorize.ts'
import { Credentials } from '../../../src/access/credentials.ts'
import type { KeyReader } from '../../../src/access/keys/reader.ts'
import type { KeyRecord } from '../../../src/access/keys/record.ts'
import { tokenCheck } from '../../../src/access/tokens/check.ts'
import { parseClaims } from '../../../src/access/tokens/claims.ts'
import { tokenKey } from '../../../src/access/tokens/secret.ts'
import { signToken } from '../../../src/access/tokens/sign.ts'
import { mintToken, type TokenKey } from '../../../src/client/index.ts'
import { isVergeError, VergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { systemClock } from '../../../src/core/runtime.ts'
import { issueKey } from '../../fixtures/keys.ts'

const NOW = 1_800_000_000_000
const PAGE = 'https://app.example.com'
const SECRET = await tokenKey('a-secret-of-32-characters-or-more')
const GRANT = { models: ['shop-*'], actions: ['infer', 'browser', 'mint'] }

const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true })
const SIGNING = { ...(await exportJWK(privateKey)) }
const PUBLIC = (await exportJWK(publicKey)).x ?? ''
const { record: OWN } = await issueKey(GRANT, { signing: [{ publicKey: PUBLIC }] })

/** Keys by their id, the clock, and what the checks of tokens look up. */
function scene(records: readonly KeyRecord[] = [OWN], key: Uint8Array | null = SECRET) {
  let now = NOW
  const lookedUp: string[] = []
  const keys = {
    remembered: () => undefined,
    record: async (id: string) => {
      lookedUp.push(id)
      return records.find((record) => record.id === id) ?? null
    },
  } as Partial<KeyReader> as KeyReader
  const clock = { ...systemClock, now: () => now }
  const attempts = new Attempts({ clock, limits: LIMITS })
  const token = tokenCheck({ key: key ?? undefined, keys, attempts, clock, limits: LIMITS })
  const credentials = new Credentials({ keys, attempts, token, clock, limits: LIMITS })
  const callerOf = (text: string, origin: string | undefined = PAGE, address = '192.0.2.1') =>
    credentials.callerOf(text, { origin, address }, { waitUntil: () => {} })
  return {
    lookedUp,
    callerOf,
    at: (seconds: number) => {
      now = NOW + seconds * 1000
    },
    /** The code, the reason and the message of a refusal. */
    refusal: async (text: string, origin?: string | undefined, address?: string) => {
      const error = await callerOf(text, origin, address).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      if (!isVergeError(error)) throw new Error('the token was accepted', { cause: error })
      return { code: error.code, reason: error.details?.reason, message: error.message }
    },
  }
}

const CLAIMS = {
  iss: 'verge',
  sub: OWN.id,
  jti: '0123456789abcdef',
  iat: NOW / 1000,
  exp: NOW / 1000 + 900,
  origins: [PAGE],
  models: ['shop-search'],
  actions: ['infer'],
}

/** A token of the Worker's, with other claims than usual. */
const own = (claims: object = {}, key = SECRET): Promise<string> =>
  signToken(parseClaims({ ...CLAIMS, ...claims }, 'The claims'), key)

/** Any text with any header, signed by anything. */
async function forged(header: object, claims: object, key: Parameters<CompactSign['sign']>[0]): Promise<string> {
  const payload = new TextEncoder().encode(JSON.stringify({ ...CLAIMS, ...claims }))
  return `verge_bt_${await new CompactSign(payload).setProtectedHeader(header as { alg: string }).sign(key)}`
}

const offline = (options: object = {}, kid = OWN.id): Promise<string> =>
  mintToken({
    key: { ...SIGNING, kid } as TokenKey,
    origins: [PAGE],
    models: ['shop-search'],
    now: () => NOW,
    ...options,
  }).then(({ token }) => token)

describe('a token that the Worker minted', () => {
  it('has the rights that it names, until it ends, and its key as the parent', async () => {
    const limits = { rate: '10/1m', budgets: { total: { requests: 5 } } }
    const caller = await scene().callerOf(await own({ limits }))
    expect(caller).toEqual({
      kind: 'granted',
      by: 'token',
      principal: `token:${OWN.id}:0123456789abcdef`,
      name: 'shop',
      expiresAt: NOW / 1000 + 900,
      grant: {
        models: ['shop-search'],
        actions: ['infer'],
        places: ['edge', 'origin', 'browser'],
        origins: [PAGE],
        limits: { rate: { requests: 10, seconds: 60 }, budgets: { total: { requests: 5 } } },
      },
      parent: { principal: `key:${OWN.id}`, grant: OWN.grant, mints: true },
    })
  })

  it('may do nothing else: another model, another action, mint, figures', async () => {
    const caller = (await scene().callerOf(await own())) as GrantedCaller
    const search = { name: 'shop-search', visibility: 'private', downloadable: true } as const
    expect(authorize(caller, search, 'infer')).toBe(true)
    expect(authorize(caller, search, 'browser')).toBe(false)
    expect(authorize(caller, search, 'unreleased')).toBe(false)
    expect(authorize(caller, { ...search, name: 'shop-reviews' }, 'infer')).toBe(false)
    expect(authorize(caller, { name: 'digits', visibility: 'public' }, 'infer')).toBe(false)
    for (const action of ['mint', 'metrics', 'admin', 'download'] as const)
      expect(authorize(caller, null, action)).toBe(false)
  })

  it('is not read where its secret is another one', async () => {
    const { lookedUp, refusal } = scene()
    const other = await own({}, await tokenKey('another-secret-of-32-characters-'))
    expect(await refusal(other)).toMatchObject({ code: 'unauthorized', reason: 'signature' })
    // What it claims was not believed: nothing was looked up.
    expect(lookedUp).toEqual([])
  })

  it('is not accepted by a Worker without a secret', async () => {
    expect(await scene([OWN], null).refusal(await own())).toMatchObject({ code: 'unauthorized', reason: 'signature' })
  })

  it('ends with its time', async () => {
    const { at, callerOf, refusal } = scene()
    const text = await own()
    at(899)
    expect(await callerOf(text)).toMatchObject({ by: 'token' })
    at(900)
    expect(await refusal(text)).toMatchObject({
      code: 'unauthorized',
      reason: 'expired',
      message: expect.stringMatching(/expired at 2027-01-15T08:15:00.000Z/),
    })
  })

  it('is not of the future, and lives for an hour at most', async () => {
    const { at, callerOf, refusal } = scene()
    const text = await own()
    at(-60)
    expect(await callerOf(text)).toMatchObject({ by: 'token' })
    at(-61)
    expect(await refusal(text)).toMatchObject({ reason: 'not_yet' })
    at(0)
    expect(await refusal(await own({ exp: NOW / 1000 + 3_601 }))).toMatchObject({ reason: 'malformed' })
    expect(await refusal(await own({ exp: NOW / 1000 }))).toMatchObject({ reason: 'malformed' })
  })

  it.each<[string, Partial<KeyRecord>, string]>([
    ['was revoked', { revokedAt: NOW / 1000 - 1 }, 'revoked'],
    ['has expired', { expiresAt: NOW / 1000 - 1 }, 'expired'],
    ['may mint no more', { grant: { ...OWN.grant, actions: ['infer'] } }, 'revoked'],
  ])('ends when its key %s', async (_, change, reason) => {
    const { refusal } = scene([{ ...OWN, ...change }])
    expect(await refusal(await own())).toMatchObject({ code: 'unauthorized', reason })
  })

  it('is refused where its key is not known', async () => {
    expect(await scene([]).refusal(await own())).toMatchObject({ code: 'unauthorized', reason: 'unknown' })
    expect(await scene().refusal(await own({ sub: 'operator' }))).toMatchObject({ reason: 'unknown' })
  })

  it('does not say to a page what its key is called', async () => {
    const { refusal } = scene([{ ...OWN, name: 'internal-shop-key', revokedAt: 1 }])
    expect((await refusal(await own())).message).not.toContain('internal-shop-key')
  })

  it('does not outgrow its key where that has less than before', async () => {
    const narrowed = { ...OWN, grant: { ...OWN.grant, models: ['shop-reviews'] } }
    const caller = (await scene([narrowed]).callerOf(await own())) as GrantedCaller
    expect(authorize(caller, { name: 'shop-search', visibility: 'private' }, 'infer')).toBe(false)
  })
})

describe('the page of a token', () => {
  it('is one that it names', async () => {
    const { callerOf, refusal } = scene()
    const text = await own({ origins: [PAGE, 'http://localhost:8080'] })
    expect(await callerOf(text, 'http://localhost:8080')).toMatchObject({ by: 'token' })
    for (const other of ['https://evil.example.com', 'http://localhost', 'null', `${PAGE}.evil.example.com`, '']) {
      expect(await refusal(text, other)).toMatchObject({ code: 'forbidden', reason: 'origin' })
    }
  })

  it('has to be named', async () => {
    const { refusal } = scene()
    const credentials = await own()
    expect(await refusal(credentials, '')).toMatchObject({
      code: 'forbidden',
      message: expect.stringMatching(/header "Origin"/),
    })
  })

  it('is one of its key, too, where that has pages', async () => {
    const bound = { ...OWN, grant: { ...OWN.grant, origins: ['https://other.example.com'] } }
    const { callerOf, refusal } = scene([bound])
    const text = await own({ origins: [PAGE, 'https://other.example.com'] })
    expect(await refusal(text, PAGE)).toMatchObject({ code: 'forbidden' })
    expect(await callerOf(text, 'https://other.example.com')).toMatchObject({
      grant: { origins: ['https://other.example.com'] },
    })
  })
})

describe('a token that was minted offline', () => {
  it('is accepted by the public key in the record of its key, which need not have the action', async () => {
    const { callerOf } = scene([{ ...OWN, grant: { ...OWN.grant, actions: ['infer'] } }])
    const budget = { units: 1_000 }
    expect(await callerOf(await offline({ budget }))).toMatchObject({
      by: 'token',
      principal: expect.stringMatching(new RegExp(`^token:${OWN.id}:[\\w-]{22}$`)),
      grant: { models: ['shop-search'], actions: ['infer'], limits: { budgets: { total: budget } } },
      parent: { principal: `key:${OWN.id}` },
    })
  })

  it('gives nothing that its key has not, whatever it names', async () => {
    const models = ['shop-search', 'payroll']
    const caller = (await scene().callerOf(await offline({ models }))) as GrantedCaller
    expect(authorize(caller, { name: 'shop-search', visibility: 'private' }, 'infer')).toBe(true)
    expect(authorize(caller, { name: 'payroll', visibility: 'private' }, 'infer')).toBe(false)
    const { refusal } = scene()
    const mighty = await forged(
      { alg: 'EdDSA', typ: 'verge-token+jwt', kid: OWN.id },
      { actions: ['infer', 'mint'] },
      privateKey,
    )
    expect(await refusal(mighty)).toMatchObject({ code: 'unauthorized', reason: 'malformed' })
  })

  it('is accepted by any of several public keys, of which one is damaged', async () => {
    const other = await exportJWK((await generateKeyPair('EdDSA', { extractable: true })).publicKey)
    const signing = [{ publicKey: 'damaged' }, { publicKey: other.x ?? '' }, { publicKey: PUBLIC }]
    expect(await scene([{ ...OWN, signing }]).callerOf(await offline())).toMatchObject({ by: 'token' })
  })

  it('ends when its key is revoked, or when its public key is taken from the record', async () => {
    const text = await offline()
    expect(await scene([{ ...OWN, revokedAt: 1 }]).refusal(text)).toMatchObject({ reason: 'revoked' })
    const { signing: _, ...without } = OWN
    expect(await scene([without]).refusal(text)).toMatchObject({ reason: 'signature' })
  })

  it('speaks for no other key', async () => {
    const { record: other } = await issueKey(GRANT)
    const { refusal } = scene([OWN, other])
    expect(await refusal(await offline({}, other.id))).toMatchObject({ reason: 'signature' })
    const claimed = await forged({ alg: 'EdDSA', typ: 'verge-token+jwt', kid: OWN.id }, { sub: other.id }, privateKey)
    expect(await refusal(claimed)).toMatchObject({ reason: 'malformed' })
  })

  it('has a budget of its own, which no other key can spend by the same id', async () => {
    const { record: rival } = await issueKey(GRANT, { signing: [{ publicKey: PUBLIC }] })
    const { callerOf } = scene([OWN, rival])
    const header = { alg: 'EdDSA', typ: 'verge-token+jwt' }
    const one = await callerOf(await forged({ ...header, kid: OWN.id }, {}, privateKey))
    const other = await callerOf(await forged({ ...header, kid: rival.id }, { sub: rival.id }, privateKey))
    expect((one as GrantedCaller).principal).not.toBe((other as GrantedCaller).principal)
  })
})

describe('a token that is not what it says', () => {
  const typ = 'verge-token+jwt'
  const publicBytes = new TextEncoder().encode(PUBLIC)
  const unsecured = `verge_bt_${new UnsecuredJWT(CLAIMS).encode()}`

  it.each<[string, () => Promise<string>, string]>([
    ['without a signature', async () => unsecured, 'malformed'],
    [
      'none for an algorithm, in the header alone',
      async () => {
        const [, payload, signature] = (await own()).split('.')
        return `verge_bt_${btoa('{"alg":"none","typ":"verge-token+jwt","kid":"worker"}').replace(/=+$/, '')}.${payload}.${signature}`
      },
      'malformed',
    ],
    [
      "a key's public key as the secret of HS256",
      () => forged({ alg: 'HS256', typ, kid: OWN.id }, {}, publicBytes),
      'malformed',
    ],
    [
      "the Worker's name over a key's signature",
      () => forged({ alg: 'EdDSA', typ, kid: 'worker' }, {}, privateKey),
      'malformed',
    ],
    ['HS256 by somebody else', () => forged({ alg: 'HS256', typ, kid: 'worker' }, {}, new Uint8Array(32)), 'signature'],
    [
      'HS512 with the right secret',
      () => forged({ alg: 'HS512', typ, kid: 'worker' }, {}, new Uint8Array(64)),
      'malformed',
    ],
    ['another type of token', () => forged({ alg: 'HS256', typ: 'JWT', kid: 'worker' }, {}, SECRET), 'malformed'],
    ['no type', () => forged({ alg: 'HS256', kid: 'worker' }, {}, SECRET), 'malformed'],
    ['no key', () => forged({ alg: 'HS256', typ }, {}, SECRET), 'malformed'],
    [
      'an address of keys',
      () => forged({ alg: 'HS256', typ, kid: 'worker', jku: 'https://evil.example.com' }, {}, SECRET),
      'malformed',
    ],
    [
      'a key of its own',
      async () => forged({ alg: 'EdDSA', typ, kid: OWN.id, jwk: await exportJWK(publicKey) }, {}, privateKey),
      'malformed',
    ],
    ['an unknown key', () => forged({ alg: 'EdDSA', typ, kid: '0000000000zz' }, {}, privateKey), 'unknown'],
    ['a path for a key', () => forged({ alg: 'EdDSA', typ, kid: '../../alias/x' }, {}, privateKey), 'malformed'],
    ['another issuer', () => forged({ alg: 'HS256', typ, kid: 'worker' }, { iss: 'somebody' }, SECRET), 'malformed'],
    ['a claim that is not known', () => forged({ alg: 'HS256', typ, kid: 'worker' }, { nbf: 0 }, SECRET), 'malformed'],
    ['every model', () => forged({ alg: 'HS256', typ, kid: 'worker' }, { models: ['shop-*'] }, SECRET), 'malformed'],
    ['every page', () => forged({ alg: 'HS256', typ, kid: 'worker' }, { origins: ['*'] }, SECRET), 'malformed'],
    [
      'a budget by the day, which would begin again',
      () => forged({ alg: 'HS256', typ, kid: 'worker' }, { limits: { budgets: { day: { requests: 1 } } } }, SECRET),
      'malformed',
    ],
    [
      'models that are cheaper for a while',
      () =>
        forged({ alg: 'HS256', typ, kid: 'worker' }, { limits: { whenLow: { below: 1, models: { a: 'b' } } } }, SECRET),
      'malformed',
    ],
    [
      'an end that is text',
      () => forged({ alg: 'HS256', typ, kid: 'worker' }, { exp: '9999999999' }, SECRET),
      'malformed',
    ],
    [
      'a changed claim',
      async () => {
        const [header, , signature] = (await own()).split('.')
        const [, payload] = (await own({ models: ['shop-reviews'] })).split('.')
        return `${header}.${payload}.${signature}`
      },
      'signature',
    ],
    ['nothing behind its beginning', async () => 'verge_bt_', 'malformed'],
    ['five parts', async () => `${await own()}.a.b`, 'signature'],
    ['no JSON', async () => 'verge_bt_AAAA.AAAA.AAAA', 'malformed'],
  ])('is refused at once: %s', async (_, text, reason) => {
    expect(await scene().refusal(await text())).toMatchObject({ code: 'unauthorized', reason })
  })

  it('is refused unread where it is too long', async () => {
    expect(await scene().refusal(`verge_bt_${'a'.repeat(9_000)}`)).toMatchObject({ reason: 'too_long' })
  })

  it('is not looked up for ever: an address that guesses has to wait', async () => {
    const { lookedUp, refusal } = scene()
    const codes: string[] = []
    for (let i = 0; i < 40; i++) {
      const kid = `0000000000${String(i).padStart(2, '0')}`
      codes.push((await refusal(await forged({ alg: 'EdDSA', typ, kid }, {}, privateKey))).code)
    }
    expect(codes.at(-1)).toBe('rate_limited')
    expect(lookedUp.length).toBeLessThanOrEqual(LIMITS.failedAttempts + 1)
  })

  it('that merely ended costs its address nothing', async () => {
    const { at, refusal } = scene()
    const text = await own()
    at(901)
    for (let i = 0; i < 40; i++) expect(await refusal(text)).toMatchObject({ reason: 'expired' })
  })

  it('is not accepted where its key cannot be read', async () => {
    const away = new VergeError('store_unavailable', 'The key cannot be checked.')
    const keys = { remembered: () => undefined, record: () => Promise.reject(away) }
    const clock = { ...systemClock, now: () => NOW }
    const attempts = new Attempts({ clock, limits: LIMITS })
    const check = tokenCheck({ key: SECRET, keys, attempts, clock, limits: LIMITS })
    const text = (await own()).slice('verge_bt_'.length)
    await expect(check(text, { origin: PAGE }, { waitUntil: () => {} })).rejects.toBe(away)
  })
})
