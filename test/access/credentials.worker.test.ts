import { describe, expect, it } from 'vitest'
import { Attempts } from '../../src/access/attempts.ts'
import type { Caller, GrantedCaller } from '../../src/access/authorize.ts'
import { type CredentialCheck, Credentials } from '../../src/access/credentials.ts'
import { makeKey } from '../../src/access/keys/form.ts'
import { KeyReader } from '../../src/access/keys/reader.ts'
import { hashedSecret, type KeyRecord } from '../../src/access/keys/record.ts'
import { isVergeError, VergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { KvStore } from '../../src/weights/kv.ts'
import { R2Store } from '../../src/weights/r2.ts'
import { bindings } from '../fixtures/bindings.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { issueKey, randomBytes, storeKey } from '../fixtures/keys.ts'

const kv = new KvStore(bindings.KV)
const r2 = new R2Store(bindings.BUCKET)
const OPERATOR = 'the-key-of-the-operator'
const apiKeyDigest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(OPERATOR)))

function knowing(checks: { readonly signIn?: CredentialCheck; readonly token?: CredentialCheck } = {}) {
  const clock = new ManualClock()
  const keys = new KeyReader(kv, r2, { clock, logger: silentLogger, limits: LIMITS })
  const attempts = new Attempts({ clock, limits: LIMITS })
  const credentials = new Credentials({ apiKeyDigest, keys, attempts, clock, limits: LIMITS, ...checks })
  const context = { waitUntil() {} }
  const callerOf = (text: string | undefined, facts: { origin?: string; address?: string } = {}) =>
    credentials.callerOf(text, facts, context)
  return { callerOf, clock, credentials, keys }
}

/** A caller in a word, or why not. */
async function outcome(work: Promise<Caller>): Promise<string> {
  try {
    const caller = await work
    if (caller.kind === 'granted') return caller.principal
    return caller.kind === 'anonymous'
      ? `anonymous, ${caller.reason ?? caller.unaccepted}: ${caller.why ?? ''}`
      : caller.kind
  } catch (error) {
    if (!isVergeError(error)) throw error
    return `${error.code} ${error.details?.reason ?? error.details?.limit ?? ''}`.trim()
  }
}

describe('Credentials, over real KV and R2', () => {
  it("knows the operator's key, and no other text", async () => {
    const { callerOf } = knowing()
    expect(await outcome(callerOf(OPERATOR))).toBe('operator')
    for (const other of [undefined, '', 'none', `${OPERATOR} `, OPERATOR.slice(1), 'sk-proj-123'])
      expect(await outcome(callerOf(other)), String(other)).toBe('anonymous, key: ')
  })

  it("gives a key's holder what its record grants", async () => {
    const { record, text } = await issueKey({ models: ['a', 'b-*'], actions: ['infer'] }, { expiresAt: 500 })
    await storeKey(record, kv, r2)
    expect(await knowing().callerOf(text)).toEqual({
      kind: 'granted',
      by: 'key',
      principal: `key:${record.id}`,
      name: 'shop',
      grant: record.grant,
      salt: record.secrets[0]?.salt,
      expiresAt: 500,
    })
  })

  it('says what is wrong with a key, and what to do', async () => {
    const { callerOf, clock } = knowing()
    await clock.advance(200 * 86_400_000)
    const day = (days: number): number => days * 86_400
    const [expired, revoked, replaced] = [
      await issueKey(undefined, { expiresAt: day(100) }),
      await issueKey(undefined, { revokedAt: day(50), revokedWhy: 'left in a public repository by bob' }),
      await issueKey(undefined, { secretEnds: day(30) }),
    ]
    for (const { record } of [expired, revoked, replaced]) await storeKey(record, r2)
    expect(await outcome(callerOf(expired.text))).toBe(
      'anonymous, expired: The key "shop" expired on 1970-04-11. Ask the operator for a new key.',
    )
    // why it was revoked is for the operator
    expect(await outcome(callerOf(revoked.text))).toBe(
      'anonymous, revoked: The key "shop" was revoked on 1970-02-20. Ask the operator for a new key.',
    )
    expect(await outcome(callerOf(replaced.text))).toBe(
      'anonymous, replaced: The key "shop" has a new secret, and the one that was sent ended on 1970-01-31. Send the new one.',
    )
    const unknown = await issueKey()
    expect(await outcome(callerOf(unknown.text))).toBe(
      'anonymous, key: The key is not known here. Ask the operator for a key.',
    )
    expect(await outcome(callerOf(`${expired.text.slice(0, -1)}-`))).toBe(
      'anonymous, key: The key is incomplete or mistyped: its checksum is wrong. Copy the key again.',
    )
  })

  it('says nothing of a key to who does not have its secret', async () => {
    const { callerOf, clock } = knowing()
    await clock.advance(1_000_000)
    const [revoked, unknown] = [await issueKey(undefined, { revokedAt: 1 }), await issueKey()]
    await storeKey(revoked.record, r2)
    const guessed = makeKey(randomBytes, revoked.record.id).text
    expect(await outcome(callerOf(guessed))).toBe(await outcome(callerOf(unknown.text)))
  })

  it('takes both secrets of a rotation, until the old one ends', async () => {
    const { callerOf, clock } = knowing()
    const { record, text } = await issueKey(undefined, { secretEnds: 10, expiresAt: 1_000 })
    const next = makeKey(randomBytes, record.id)
    const secrets = [...record.secrets, { ...(await hashedSecret(next.secret, randomBytes(16))), createdAt: 5 }]
    await storeKey({ ...record, secrets }, r2)
    expect(await callerOf(text)).toMatchObject({ principal: `key:${record.id}`, expiresAt: 10 })
    expect(await callerOf(next.text)).toMatchObject({ principal: `key:${record.id}`, expiresAt: 1_000 })
    await clock.advance(10_000)
    expect(await outcome(callerOf(text))).toMatch(/^anonymous, replaced/)
    expect(await outcome(callerOf(next.text))).toBe(`key:${record.id}`)
  })

  it('lets a key be used by the pages that it names, and by nothing else', async () => {
    const { callerOf } = knowing()
    const { record, text } = await issueKey({ models: ['*'], origins: ['https://a.example'] })
    await storeKey(record, r2)
    expect(await outcome(callerOf(text, { origin: 'https://a.example' }))).toBe(`key:${record.id}`)
    for (const facts of [{}, { origin: 'https://b.example' }, { origin: 'null' }, { origin: 'https://a.example.evil' }])
      expect(await outcome(callerOf(text, facts))).toMatch(/^anonymous, origin/)
  })

  it('refuses what is longer than any credential, unread', async () => {
    const { callerOf } = knowing()
    expect(await outcome(callerOf('x'.repeat(LIMITS.credentialLength)))).toBe('anonymous, key: ')
    expect(await outcome(callerOf('x'.repeat(LIMITS.credentialLength + 1)))).toBe('unauthorized too_long')
  })

  it('looks up no more wrong keys of an address than it may try', async () => {
    const { callerOf, keys } = knowing()
    let lookups = 0
    const record = keys.record.bind(keys)
    keys.record = (id, signal) => {
      lookups++
      return record(id, signal)
    }
    const address = '203.0.113.9'
    const { record: mine, text } = await issueKey()
    await storeKey(mine, r2)
    expect(await outcome(callerOf(text, { address }))).toBe(`key:${mine.id}`)
    const outcomes: string[] = []
    for (let i = 0; i < 60; i++) outcomes.push(await outcome(callerOf((await issueKey()).text, { address })))
    expect(outcomes.filter((each) => each === 'rate_limited failed_attempts')).toHaveLength(60 - LIMITS.failedAttempts)
    expect(lookups).toBe(1 + LIMITS.failedAttempts)
    // who holds a key that was used here is let in, and other addresses are
    expect(await outcome(callerOf(text, { address }))).toBe(`key:${mine.id}`)
    expect(await outcome(callerOf((await issueKey()).text, { address: '203.0.113.10' }))).toMatch(/^anonymous/)
    // keys of other services and mistyped ones are no guesses
    for (const other of ['sk-none', `${text}x`])
      expect(await outcome(callerOf(other, { address }))).toMatch(/^anonymous/)
  })

  it('counts wrong secrets of a key that is known, too', async () => {
    const { callerOf } = knowing()
    const { record, text } = await issueKey()
    await storeKey(record, r2)
    await callerOf(text)
    const outcomes: string[] = []
    for (let i = 0; i <= LIMITS.failedAttempts; i++)
      outcomes.push(await outcome(callerOf(makeKey(randomBytes, record.id).text)))
    expect(outcomes.at(-1)).toBe('rate_limited failed_attempts')
    expect(outcomes.at(-2)).toMatch(/^anonymous/)
  })

  it('does not count a key that ended: its holder guesses nothing', async () => {
    const { callerOf, clock } = knowing()
    await clock.advance(10_000)
    const { record, text } = await issueKey(undefined, { expiresAt: 1 })
    await storeKey(record, r2)
    for (let i = 0; i < 3 * LIMITS.failedAttempts; i++) expect(await outcome(callerOf(text))).toMatch(/expired/)
  })
})

describe('credentials that other parts verify', () => {
  const user: GrantedCaller = {
    kind: 'granted',
    by: 'sign-in',
    principal: 'user:a:0123456789abcdef',
    name: 'ann',
    grant: { models: ['m'], actions: ['infer'], places: ['edge'] },
  }
  const page: GrantedCaller = {
    ...user,
    by: 'token',
    principal: 'token:1',
    grant: { ...user.grant, origins: ['https://a.example'] },
  }
  const refusing =
    (reason: string): CredentialCheck =>
    () =>
      Promise.reject(new VergeError('unauthorized', `It is ${reason}.`, { details: { reason } }))
  const JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln'

  it('are told apart by their form', async () => {
    const seen: string[] = []
    const check =
      (caller: GrantedCaller): CredentialCheck =>
      async (text) => {
        seen.push(text)
        return caller
      }
    const { callerOf } = knowing({ signIn: check(user), token: check(page) })
    expect(await outcome(callerOf(JWT))).toBe(user.principal)
    expect(await outcome(callerOf(`verge_bt_${JWT}`, { origin: 'https://a.example' }))).toBe(page.principal)
    expect(seen).toEqual([JWT, JWT])
    for (const other of ['a.b.c', `${JWT}.more`, 'eyJ.b', ` ${JWT}`, OPERATOR]) await callerOf(other)
    expect(seen).toHaveLength(2)
  })

  it('make an anonymous caller where nobody signs in, and where a sign-in is not accepted', async () => {
    expect(await outcome(knowing().callerOf(JWT))).toBe('anonymous, key: ')
    expect(await outcome(knowing({ signIn: refusing('expired') }).callerOf(JWT))).toBe(
      'anonymous, expired: It is expired.',
    )
  })

  it('are refused at once where they are tokens', async () => {
    expect(await outcome(knowing({ token: refusing('expired') }).callerOf(`verge_bt_${JWT}`))).toBe(
      'unauthorized expired',
    )
    expect(await outcome(knowing({ token: async () => page }).callerOf(`verge_bt_${JWT}`))).toBe('unauthorized origin')
  })

  it('are no way in where they cannot be verified', async () => {
    const away: CredentialCheck = () => Promise.reject(new VergeError('store_unavailable', 'Away.'))
    const { callerOf } = knowing({ signIn: away, token: away })
    expect(await outcome(callerOf(JWT))).toBe('store_unavailable')
    expect(await outcome(callerOf(`verge_bt_${JWT}`))).toBe('store_unavailable')
  })

  it('of other services are not counted: their clients send them with every request', async () => {
    for (const reason of ['unknown_issuer', 'other_audience', 'not_yet_valid']) {
      const { callerOf } = knowing({ signIn: refusing(reason) })
      for (let i = 0; i < 2 * LIMITS.failedAttempts; i++)
        expect(await outcome(callerOf(JWT))).toBe(`anonymous, ${reason}: It is ${reason}.`)
    }
  })

  it('are counted where they are forged, and not where they ended', async () => {
    const { callerOf } = knowing({ signIn: refusing('signature'), token: refusing('expired') })
    for (let i = 0; i < LIMITS.failedAttempts; i++) await callerOf(JWT)
    expect(await outcome(callerOf(JWT))).toBe('rate_limited failed_attempts')
    for (let i = 0; i < 2 * LIMITS.failedAttempts; i++)
      expect(await outcome(callerOf(`verge_bt_${JWT}`, { address: '192.0.2.1' }))).toBe('unauthorized expired')
  })
})

describe('stillCaller', () => {
  const revoke = (record: KeyRecord): KeyRecord => ({ ...record, revokedAt: 1, generation: record.generation + 1 })

  it('lets callers without a grant be who they were', async () => {
    const { credentials } = knowing()
    for (const caller of [{ kind: 'anonymous' }, { kind: 'operator' }, { kind: 'service', name: 'a' }] as const)
      expect(await credentials.stillCaller(caller, {})).toBe(caller)
  })

  it('refuses a key that was revoked meanwhile, once the cache has forgotten', async () => {
    const { callerOf, clock, credentials } = knowing()
    const { record, text } = await issueKey()
    await storeKey(record, r2)
    const caller = await callerOf(text)
    await storeKey(revoke(record), r2)
    expect(await outcome(credentials.stillCaller(caller, {}))).toBe(`key:${record.id}`)
    await clock.advance(LIMITS.keyTtlMs)
    expect(await outcome(credentials.stillCaller(caller, {}))).toBe('unauthorized revoked')
  })

  it('refuses a secret that was replaced meanwhile, and not the one that replaced it', async () => {
    const { callerOf, clock, credentials } = knowing()
    const old = await issueKey()
    await storeKey(old.record, r2)
    const caller = await callerOf(old.text)
    const { secret, text } = makeKey(randomBytes, old.record.id)
    const added = { ...(await hashedSecret(secret, randomBytes(16))), createdAt: 1 }
    const ended = old.record.secrets.map((each) => ({ ...each, expiresAt: 0 }))
    await storeKey({ ...old.record, secrets: [...ended, added], generation: 2 }, r2)
    await clock.advance(LIMITS.keyTtlMs)
    expect(await outcome(credentials.stillCaller(caller, {}))).toBe('unauthorized replaced')
    const holder = await callerOf(text)
    expect(await outcome(credentials.stillCaller(holder, {}))).toBe(`key:${old.record.id}`)
    await storeKey({ ...old.record, secrets: [added], generation: 3 }, r2)
    await clock.advance(LIMITS.keyTtlMs)
    expect(await outcome(credentials.stillCaller(caller, {}))).toBe('unauthorized unknown')
    expect(await outcome(credentials.stillCaller(holder, {}))).toBe(`key:${old.record.id}`)
  })

  it('refuses a token that the Worker minted, once its key may mint no more', async () => {
    const { clock, credentials } = knowing()
    const { record } = await issueKey({ models: ['m'], actions: ['infer', 'mint'] })
    await storeKey(record, r2)
    const { grant } = record
    const signed: GrantedCaller = {
      kind: 'granted',
      by: 'token',
      principal: 'token:1',
      name: 'page',
      grant: { models: ['m'], actions: ['infer'], places: ['edge'] },
      parent: { principal: `key:${record.id}`, grant },
    }
    const minted: GrantedCaller = { ...signed, parent: { principal: `key:${record.id}`, grant, mints: true } }
    expect(await credentials.stillCaller(minted, {})).toEqual(minted)
    await storeKey({ ...record, grant: { ...grant, actions: ['infer'] }, generation: 2 }, r2)
    await clock.advance(LIMITS.keyTtlMs)
    expect(await outcome(credentials.stillCaller(minted, {}))).toBe('unauthorized revoked')
    expect(await outcome(credentials.stillCaller(signed, {}))).toBe('token:1')
  })

  it("refuses a token whose key was revoked, and what the key's grant does not allow any more", async () => {
    const { clock, credentials } = knowing()
    const { record } = await issueKey({ models: ['m', 'n'] })
    await storeKey(record, r2)
    const token: GrantedCaller = {
      kind: 'granted',
      by: 'token',
      principal: 'token:1',
      name: 'page',
      grant: { models: ['m'], actions: ['infer'], places: ['edge'] },
      parent: { principal: `key:${record.id}`, grant: record.grant },
    }
    expect(await credentials.stillCaller(token, {})).toEqual(token)
    const narrower = { ...record.grant, models: ['n'] }
    await storeKey({ ...record, grant: narrower, generation: 2 }, r2)
    await clock.advance(LIMITS.keyTtlMs)
    expect(await credentials.stillCaller(token, {})).toMatchObject({ grant: token.grant, parent: { grant: narrower } })
    await storeKey({ ...revoke(record), generation: 3 }, r2)
    await clock.advance(LIMITS.keyTtlMs)
    expect(await outcome(credentials.stillCaller(token, {}))).toBe('unauthorized revoked')
  })

  it('ends what was granted for a time', async () => {
    const { clock, credentials } = knowing()
    const user: GrantedCaller = {
      kind: 'granted',
      by: 'sign-in',
      principal: 'user:a:0',
      name: 'ann',
      grant: { models: [], actions: [], places: [] },
      expiresAt: 60,
    }
    await clock.advance(59_999)
    expect(await credentials.stillCaller(user, {})).toEqual(user)
    await clock.advance(1)
    expect(await outcome(credentials.stillCaller(user, {}))).toBe('unauthorized expired')
  })
})
