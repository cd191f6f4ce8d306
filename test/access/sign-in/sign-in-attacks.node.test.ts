import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { OAuth2Server } from 'oauth2-mock-server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AUDIENCE, issuersOf, issuerText, signedIn, testSignIn } from '../../fixtures/sign-in.ts'

const server = new OAuth2Server()
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const small = generateKeyPairSync('rsa', { modulusLength: 1024 })
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed = generateKeyPairSync('ed25519')

beforeAll(async () => {
  for (const [kid, { privateKey }, alg] of [
    ['rsa', rsa, 'RS256'],
    ['ec', ec, 'ES256'],
    ['ed', ed, 'EdDSA'],
    ['small', small, 'RS256'],
  ] as const) {
    await server.issuer.keys.add({ ...privateKey.export({ format: 'jwk' }), kid, alg })
  }
  await server.start(0, '127.0.0.1')
})
afterAll(() => server.stop())

function issuerUrl(): string {
  const { url } = server.issuer
  if (url === undefined) throw new Error('the issuer has not begun')
  return url
}

const now = () => Math.floor(Date.now() / 1000)

function claims(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    iss: issuerUrl(),
    aud: AUDIENCE,
    sub: 'anna',
    groups: ['ml'],
    iat: now(),
    exp: now() + 600,
    ...more,
  }
}

const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** A token by RFC 7515 and no library. @param header and claims as values, or as the text to encode */
function token(header: unknown, payload: unknown, key: KeyObject = rsa.privateKey): string {
  const signed = `${part(header)}.${part(payload)}`
  const isEd = key.asymmetricKeyType === 'ed25519'
  const signature = sign(isEd ? null : 'sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

const header = (more: Readonly<Record<string, unknown>> = {}) => ({ alg: 'RS256', kid: 'rsa', typ: 'JWT', ...more })

function callerOf(text: string, setup: Readonly<Record<string, unknown>> = {}) {
  return signedIn(testSignIn(issuersOf(issuerText(issuerUrl(), setup))), text)
}

const refused = (why: string) => ({ refused: expect.stringContaining(why) })

describe('tokens of a real issuer', () => {
  it('are accepted, by each kind of key', async () => {
    for (const [alg, kid, { privateKey }] of [
      ['RS256', 'rsa', rsa],
      ['ES256', 'ec', ec],
      ['EdDSA', 'ed', ed],
    ] as const) {
      const caller = await callerOf(token(header({ alg, kid }), claims(), privateKey))
      expect(caller).toMatchObject({ kind: 'granted', by: 'sign-in', name: 'company', grant: { models: ['team-*'] } })
    }
  })

  it('that the issuer itself signs are accepted', async () => {
    const text = await server.issuer.buildToken({
      kid: 'rsa',
      scopesOrTransform: (_, payload) => {
        Object.assign(payload, { aud: [AUDIENCE, 'another'], sub: 'bert', email: 'bert@example.com' })
      },
    })
    // printf bert | sha256sum | cut -c1-16
    expect(await callerOf(text)).toMatchObject({
      kind: 'granted',
      principal: 'user:company:32987c4b7a9fb90e',
      grant: { models: ['digits'], actions: ['infer', 'browser'] },
    })
  })

  it('are accepted where they name no key and only one can be meant', async () => {
    expect(await callerOf(token({ alg: 'ES256' }, claims(), ec.privateKey))).toMatchObject({ kind: 'granted' })
    // Two RSA keys.
    expect(await callerOf(token({ alg: 'RS256' }, claims()))).toMatchObject(refused('does not publish'))
  })

  it('give no more than anybody has to whom no rule applies', async () => {
    const outsider = claims({ groups: ['sales'], email: 'x@elsewhere.example' })
    expect(await callerOf(token(header(), outsider))).toMatchObject(refused('no rule'))
  })
})

describe('forged tokens are refused', () => {
  it('unsigned ones', async () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      const unsigned = `${part(header({ alg }))}.${part(claims())}.`
      expect(await callerOf(unsigned), alg).toMatchObject(refused('algorithm'))
      expect(await callerOf(`${unsigned}${part('signature')}`), alg).toMatchObject(refused('algorithm'))
    }
    expect(await callerOf(`${part(header())}.${part(claims())}.`)).toMatchObject(refused('signature'))
  })

  it('those that use a public key as the secret of an HMAC', async () => {
    const published = createPublicKey(rsa.privateKey)
    const secrets = [
      published.export({ format: 'pem', type: 'spki' }),
      published.export({ format: 'der', type: 'spki' }),
      published.export({ format: 'pem', type: 'pkcs1' }),
      JSON.stringify(published.export({ format: 'jwk' })),
      String(published.export({ format: 'jwk' }).n),
    ]
    for (const secret of secrets) {
      const signed = `${part(header({ alg: 'HS256' }))}.${part(claims())}`
      const mac = createHmac('sha256', secret).update(signed).digest('base64url')
      expect(await callerOf(`${signed}.${mac}`)).toMatchObject(refused('algorithm'))
      // The same under the name of the algorithm that is expected.
      const asymmetric = `${part(header())}.${part(claims())}`
      const other = createHmac('sha256', secret).update(asymmetric).digest('base64url')
      expect(await callerOf(`${asymmetric}.${other}`)).toMatchObject(refused('signature'))
    }
  })

  it('those of another algorithm than the key has, or than is configured', async () => {
    expect(await callerOf(token(header({ alg: 'ES256', kid: 'rsa' }), claims()))).toMatchObject(
      refused('does not publish'),
    )
    expect(await callerOf(token(header({ alg: 'RS256', kid: 'ec' }), claims()))).toMatchObject(
      refused('does not publish'),
    )
    expect(await callerOf(token(header({ alg: 'PS256' }), claims()))).toMatchObject(refused('algorithm'))
    expect(await callerOf(token(header(), claims()), { algorithms: ['ES256'] })).toMatchObject(refused('algorithm'))
  })

  it('those signed by somebody else under the name of a published key', async () => {
    expect(await callerOf(token(header(), claims(), stranger.privateKey))).toMatchObject(refused('signature'))
    const [head = '', , signature = ''] = token(header(), claims({ groups: [] })).split('.')
    expect(await callerOf(`${head}.${part(claims())}.${signature}`)).toMatchObject(refused('signature'))
  })

  it('those that bring their key, or say where it is', async () => {
    const jwk = createPublicKey(stranger.privateKey).export({ format: 'jwk' })
    const made = testSignIn(issuersOf(issuerText(issuerUrl())))
    for (const extra of [
      { jwk },
      { jku: `${issuerUrl()}/jwks` },
      { jku: 'https://attacker.example/jwks' },
      { x5u: 'https://attacker.example/cert' },
      { x5c: ['MII'] },
    ]) {
      const forged = token(header(extra), claims(), stranger.privateKey)
      expect(await signedIn(made, forged)).toMatchObject(refused('header'))
    }
    expect(made.fetched).toEqual([])
  })

  it('those whose key name is a path, an address, a query or no text', async () => {
    const made = testSignIn(issuersOf(issuerText(issuerUrl())))
    for (const kid of [
      '../../dev/null',
      '/dev/null',
      'https://attacker.example/key',
      "rsa' OR '1'='1",
      '__proto__',
      'constructor',
      '',
      'rsa\u0000',
    ]) {
      const forged = token(header({ kid }), claims(), stranger.privateKey)
      const caller = await signedIn(made, forged)
      expect(caller, kid).toMatchObject(refused('does not publish'))
    }
    for (const kid of [7, null, ['rsa'], { a: 1 }, 'x'.repeat(257)]) {
      const caller = await signedIn(made, token(header({ kid }), claims()))
      expect(caller).toMatchObject(refused('compact form'))
    }
    // The configured address, once: the pause holds the others back.
    expect(made.fetched).toEqual([`${issuerUrl()}/jwks`])
  })

  it('those with a critical extension, or with a body that is not encoded or compressed', async () => {
    for (const extra of [
      { crit: ['exp'], exp: now() + 60 },
      { crit: [] },
      { crit: ['b64'], b64: false },
      { b64: false },
      { zip: 'DEF' },
    ]) {
      expect(await callerOf(token(header(extra), claims()))).toMatchObject(refused('header'))
    }
  })

  it('a token inside of a token, an encrypted one, and those of another type', async () => {
    const nested = token(header({ cty: 'JWT' }), token(header(), claims()))
    expect(await callerOf(nested)).toMatchObject(refused('compact form'))
    expect(await callerOf(token(header({ cty: 'JWT' }), claims()))).toMatchObject(refused('type'))
    for (const typ of ['logout+jwt', 'dpop+jwt', 'secevent+jwt', 'JOSE', 7]) {
      expect(await callerOf(token(header({ typ }), claims())), String(typ)).toMatchObject(refused('type'))
    }
    expect(await callerOf(token(header({ typ: 'at+jwt' }), claims()))).toMatchObject({ kind: 'granted' })
    expect(await callerOf('a.b.c.d.e')).toMatchObject(refused('compact form'))
  })

  it('those with a name twice, in claims and header, at any depth', async () => {
    const text = JSON.stringify(claims({ groups: [] }))
    const twice = text.replace('"groups":[]', '"groups":[],"groups":["ml"]')
    expect(await callerOf(token(header(), twice))).toMatchObject(refused('twice'))
    const escaped = text.replace('"groups":[]', '"groups":[],"gr\\u006fups":["ml"]')
    expect(await callerOf(token(header(), escaped))).toMatchObject(refused('twice'))
    const deep = text.replace('"groups":[]', '"groups":["ml"],"x":[{"a":{"b":1,"b" : 2}}]')
    expect(await callerOf(token(header(), deep))).toMatchObject(refused('twice'))
    const head = '{"alg":"none","alg":"RS256","kid":"rsa"}'
    expect(await callerOf(token(head, claims()))).toMatchObject(refused('twice'))
    // The same name in several objects is not twice in one.
    const apart = text.replace('"groups":[]', '"groups":["ml"],"a":{"iss":"x"},"b":[{"iss":"y"},{"iss":"\\"iss\\":"}]')
    expect(await callerOf(token(header(), apart))).toMatchObject({ kind: 'granted' })
  })

  it('those that are too long, and those that are no JSON', async () => {
    const long = token(header(), claims({ padding: 'x'.repeat(8_192) }))
    expect(await callerOf(long)).toMatchObject(refused('too long'))
    for (const text of ['', '.', '..', 'a..b', 'a.b', 'YQ.YQ.YQ', `${part('[]')}.${part(claims())}.YQ`]) {
      expect(await callerOf(text), text).toMatchObject(refused('compact form'))
    }
    expect(await callerOf(token(header(), 'null'))).toMatchObject(refused('compact form'))
    expect(await callerOf(token(header(), `{"iss":"${issuerUrl()}"`))).toMatchObject(refused('compact form'))
    expect(await callerOf(`${token(header(), claims())}=`)).toMatchObject(refused('compact form'))
  })

  it('those of a key that is too small', async () => {
    expect(await callerOf(token(header({ kid: 'small' }), claims(), small.privateKey))).toMatchObject(
      refused('signature'),
    )
  })
})

describe('claims', () => {
  const withClaims = (more: Readonly<Record<string, unknown>>, setup = {}) =>
    callerOf(token(header(), claims(more)), setup)

  it('for another audience are refused', async () => {
    for (const aud of ['another', [], ['another'], `${AUDIENCE}/`, AUDIENCE.toUpperCase(), 7, { [AUDIENCE]: true }]) {
      expect(await withClaims({ aud })).toMatchObject(refused('audience'))
    }
    expect(await withClaims({ aud: undefined })).toMatchObject(refused('lacks a claim'))
    expect(await withClaims({ aud: ['x', AUDIENCE] })).toMatchObject({ kind: 'granted' })
    expect(await withClaims({ aud: 'b' }, { audience: ['a', 'b'] })).toMatchObject({ kind: 'granted' })
  })

  it('of another issuer are refused, and nothing of them is fetched', async () => {
    const made = testSignIn(issuersOf(issuerText(issuerUrl())))
    for (const iss of ['https://attacker.example', `${issuerUrl()}/`, `${issuerUrl()}#x`, 'company']) {
      const forged = token(header(), claims({ iss }), stranger.privateKey)
      expect(await signedIn(made, forged)).toMatchObject(refused('issuer'))
    }
    for (const iss of [undefined, null, 7, [issuerUrl()]]) {
      const forged = token(header(), claims({ iss }), stranger.privateKey)
      expect(await signedIn(made, forged)).toMatchObject(refused('lacks a claim'))
    }
    expect(made.fetched).toEqual([])
  })

  it('about time are held to the clock and the skew that is allowed', async () => {
    expect(await withClaims({ exp: now() - 61 })).toMatchObject(refused('expired'))
    expect(await withClaims({ exp: now() - 30 })).toMatchObject({ kind: 'granted' })
    expect(await withClaims({ exp: now() - 30 }, { clockSkewSeconds: 0 })).toMatchObject(refused('expired'))
    expect(await withClaims({ nbf: now() + 90 })).toMatchObject(refused('not valid yet'))
    expect(await withClaims({ nbf: now() + 30 })).toMatchObject({ kind: 'granted' })
    expect(await withClaims({ iat: now() + 90 })).toMatchObject(refused('not valid yet'))
    expect(await withClaims({ iat: now() + 30 })).toMatchObject({ kind: 'granted' })
    expect(await withClaims({ iat: undefined })).toMatchObject({ kind: 'granted' })
  })

  it('about time that are no numbers, or missing, are refused', async () => {
    expect(await withClaims({ exp: undefined })).toMatchObject(refused('lacks a claim'))
    for (const wrong of ['2999-01-01', String(now() + 600), null, [now() + 600], true]) {
      expect(await withClaims({ exp: wrong })).toMatchObject(refused('lacks a claim'))
      expect(await withClaims({ nbf: wrong })).toMatchObject(refused('lacks a claim'))
      expect(await withClaims({ iat: wrong })).toMatchObject(refused('lacks a claim'))
    }
    // 1e999 is Infinity to a parser.
    const forEver = JSON.stringify(claims()).replace(/"exp":\d+/, '"exp":1e999')
    expect(await callerOf(token(header(), forEver))).toMatchObject(refused('lacks a claim'))
  })

  it('without a subject are refused, except for the service tokens of Cloudflare Access', async () => {
    expect(await withClaims({ sub: undefined })).toMatchObject(refused('lacks a claim'))
    expect(await withClaims({ sub: '' })).toMatchObject(refused('lacks a claim'))
    const service = await withClaims({ sub: '', common_name: 'anna' })
    expect(service).toMatchObject({ kind: 'granted', by: 'sign-in' })
    // A service that is called like a user is another principal.
    const user = await withClaims({ sub: 'anna' })
    expect('principal' in service && 'principal' in user && service.principal !== user.principal).toBe(true)
  })
})

describe('the header', () => {
  it('that an issuer is not configured for gives nothing', async () => {
    const access = testSignIn(issuersOf(issuerText(issuerUrl(), { header: 'cf-access-jwt-assertion' })))
    const text = token(header(), claims())
    expect(access.signIn.reads('authorization')).toBe(false)
    expect(await signedIn(access, text, 'authorization')).toMatchObject(refused('issuer'))
    expect(await signedIn(access, text, 'cf-access-jwt-assertion')).toMatchObject({ kind: 'granted' })
    const bearer = testSignIn(issuersOf(issuerText(issuerUrl())))
    expect(bearer.signIn.reads('cf-access-jwt-assertion')).toBe(false)
    expect(await signedIn(bearer, text, 'cf-access-jwt-assertion')).toMatchObject(refused('issuer'))
  })
})
