import { beforeAll, describe, expect, it } from 'vitest'
import { KvKeySetCopies } from '../../../src/access/sign-in/kv-copies.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { bindings } from '../../fixtures/bindings.ts'
import { AUDIENCE, issuersOf, issuerText, signedIn, type TestCopies, testSignIn } from '../../fixtures/sign-in.ts'

const ISSUER = 'https://login.example.com'

/** Keys made and used by Web Crypto alone, so that what is tested does not also write the tokens. */
const KINDS = {
  RS256: {
    make: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) },
    sign: { name: 'RSASSA-PKCS1-v1_5' },
  },
  ES256: { make: { name: 'ECDSA', namedCurve: 'P-256' }, sign: { name: 'ECDSA', hash: 'SHA-256' } },
  EdDSA: { make: { name: 'Ed25519' }, sign: { name: 'Ed25519' } },
} as const
type Kind = keyof typeof KINDS

const pairs = new Map<Kind, CryptoKeyPair>()
let published: Record<string, unknown>[] = []

beforeAll(async () => {
  for (const kind of Object.keys(KINDS) as Kind[]) {
    const pair = (await crypto.subtle.generateKey(KINDS[kind].make, true, ['sign', 'verify'])) as CryptoKeyPair
    pairs.set(kind, pair)
    published.push({ ...((await crypto.subtle.exportKey('jwk', pair.publicKey)) as object), kid: kind, use: 'sig' })
  }
})

const part = (value: unknown) =>
  btoa(JSON.stringify(value)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

async function token(kind: Kind, more: Readonly<Record<string, unknown>> = {}, header = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'anna', groups: ['ml'], iat: now, exp: now + 600, ...more }
  const text = `${part({ alg: kind, kid: kind, ...header })}.${part(claims)}`
  const pair = pairs.get(kind)
  if (pair === undefined) throw new Error('no key')
  const signature = await crypto.subtle.sign(KINDS[kind].sign, pair.privateKey, new TextEncoder().encode(text))
  const letters = String.fromCharCode(...new Uint8Array(signature))
  return `${text}.${btoa(letters).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`
}

function signIn(setup: Readonly<Record<string, unknown>> = {}, copies?: TestCopies) {
  const fetch = async () => Response.json({ keys: published })
  return testSignIn(issuersOf(issuerText(ISSUER, setup)), fetch, copies)
}

describe('sign-in, in workerd', () => {
  it('accepts each kind of key', async () => {
    const made = signIn()
    for (const kind of Object.keys(KINDS) as Kind[]) {
      const caller = await signedIn(made, await token(kind))
      expect(caller, kind).toMatchObject({ kind: 'granted', by: 'sign-in', grant: { models: ['team-*'] } })
    }
    expect(made.fetched).toEqual([`${ISSUER}/jwks`])
  })

  it('refuses unsigned, changed, foreign and expired tokens, and those of another algorithm', async () => {
    const made = signIn()
    const good = await token('RS256')
    const [head = '', body = '', signature = ''] = good.split('.')
    const secret = await crypto.subtle.importKey(
      'raw',
      new TextEncoder().encode(JSON.stringify(published[0])),
      { name: 'HMAC', hash: 'SHA-256' },
      false,
      ['sign'],
    )
    const confused = `${part({ alg: 'HS256', kid: 'RS256' })}.${body}`
    const mac = await crypto.subtle.sign('HMAC', secret, new TextEncoder().encode(confused))
    const macText = btoa(String.fromCharCode(...new Uint8Array(mac)))
      .replaceAll('+', '-')
      .replaceAll('/', '_')
    for (const [why, text] of [
      ['algorithm', `${part({ alg: 'none' })}.${body}.`],
      ['algorithm', `${confused}.${macText.replaceAll('=', '')}`],
      ['signature', `${head}.${part({ ...JSON.parse(atob(body)), groups: ['admins'] })}.${signature}`],
      ['signature', `${head}.${body}.${signature.slice(0, -4)}AAAA`],
      ['does not publish', await token('RS256', {}, { kid: 'ES256' })],
      ['audience', await token('ES256', { aud: 'https://other.example.com' })],
      ['issuer', await token('ES256', { iss: 'https://attacker.example' })],
      ['expired', await token('ES256', { exp: Math.floor(Date.now() / 1000) - 61 })],
      ['header', await token('ES256', {}, { crit: ['x'], x: 1 })],
      ['header', await token('ES256', {}, { jku: 'https://attacker.example' })],
    ] as const) {
      expect(await signedIn(made, text), why).toMatchObject({ refused: expect.stringContaining(why) })
    }
  })

  it('takes a new key, without knowing it before', async () => {
    const all = published
    published = all.filter(({ kid }) => kid !== 'ES256')
    const made = signIn()
    expect(await signedIn(made, await token('ES256'))).toMatchObject({ reason: 'unknown_key' })
    published = all
    expect(await signedIn(made, await token('ES256'))).toMatchObject({ reason: 'unknown_key' })
    made.ahead = LIMITS.signInPauseMs
    expect(await signedIn(made, await token('ES256'))).toMatchObject({ kind: 'granted' })
    expect(made.fetched).toHaveLength(2)
  })

  it('tells the same user from others of the same issuer, and gives away no name', async () => {
    const made = signIn()
    const anna = await signedIn(made, await token('ES256'))
    const again = await signedIn(made, await token('EdDSA'))
    const bert = await signedIn(made, await token('ES256', { sub: 'bert' }))
    expect(anna).toMatchObject({ principal: expect.stringMatching(/^user:company:[0-9a-f]{16}$/) })
    expect('principal' in anna && 'principal' in again && anna.principal === again.principal).toBe(true)
    expect('principal' in anna && 'principal' in bert && anna.principal !== bert.principal).toBe(true)
    expect(JSON.stringify(anna)).not.toContain('anna')
  })
})

describe('copies in KV', () => {
  it('are what one isolate leaves for another', async () => {
    const copies = new KvKeySetCopies(bindings.KV, LIMITS)
    expect(await copies.read('sign-in-test')).toBeNull()
    await copies.write('sign-in-test', '{"schema":1}')
    // Another name: KV may have kept that there was none.
    await copies.write('sign-in-test-2', '{"schema":1}')
    expect(await copies.read('sign-in-test-2')).toBe('{"schema":1}')
    const { keys } = await bindings.KV.list({ prefix: 'sign-in/sign-in-test' })
    expect(keys.map(({ expiration }) => typeof expiration)).toEqual(['number', 'number'])
  })

  it('that are longer than any key set count as none', async () => {
    const copies = new KvKeySetCopies(bindings.KV, LIMITS)
    await copies.write('sign-in-long', 'x'.repeat(2 * LIMITS.signInKeySetBytes + 1))
    expect(await copies.read('sign-in-long')).toBeNull()
  })
})
