import { exportJWK, generateKeyPair, jwtVerify } from 'jose'
import { describe, expect, it } from 'vitest'
import { mintToken, type TokenKey } from '../../src/client/index.ts'

/** A signing key, as its file has it, and what checks its signatures. */
async function signingKey(kid = '0123456789ab') {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true })
  return { key: { ...(await exportJWK(privateKey)), kid } as TokenKey, publicKey }
}

const NOW = 1_800_000_000_000
const FOR = { origins: ['https://app.example.com'], models: ['reviews'], now: () => NOW }

describe('mintToken', () => {
  it('makes what another implementation verifies, with the claims that were asked for', async () => {
    const { key, publicKey } = await signingKey()
    const budget = { requests: 100, usd: 0.5 }
    const options = {
      ...FOR,
      actions: ['infer', 'browser'],
      minutes: 10,
      budget,
      rate: '10/1m',
      maxTokens: 64,
    } as const
    const { expires_at, token } = await mintToken({ key, ...options })
    expect(token).toMatch(/^verge_bt_[\w-]+\.[\w-]+\.[\w-]+$/)
    const { payload, protectedHeader } = await jwtVerify(token.slice('verge_bt_'.length), publicKey, {
      algorithms: ['EdDSA'],
      issuer: 'verge',
      subject: '0123456789ab',
      typ: 'verge-token+jwt',
      currentDate: new Date(NOW),
    })
    expect(protectedHeader).toEqual({ alg: 'EdDSA', typ: 'verge-token+jwt', kid: '0123456789ab' })
    expect(payload).toEqual({
      iss: 'verge',
      sub: '0123456789ab',
      jti: expect.stringMatching(/^[\w-]{22}$/),
      iat: NOW / 1000,
      exp: NOW / 1000 + 600,
      origins: ['https://app.example.com'],
      models: ['reviews'],
      actions: ['infer', 'browser'],
      limits: { rate: '10/1m', budgets: { total: budget }, maxTokens: 64 },
    })
    expect(expires_at).toBe(new Date(NOW + 600_000).toISOString())
  })

  it('takes the text of the file, makes tokens for 15 minutes without limits, and another id for each', async () => {
    const { key, publicKey } = await signingKey()
    const claims = async () => {
      const { token } = await mintToken({ key: `${JSON.stringify(key, null, 2)}\n`, ...FOR })
      return (await jwtVerify(token.slice('verge_bt_'.length), publicKey, { currentDate: new Date(NOW) })).payload
    }
    const [one, other] = [await claims(), await claims()]
    expect(one).toMatchObject({ exp: NOW / 1000 + 900, actions: ['infer'] })
    expect(one).not.toHaveProperty('limits')
    expect(one.jti).not.toBe(other.jti)
  })

  it('writes origins as browsers do', async () => {
    const { key, publicKey } = await signingKey()
    const origins = ['HTTPS://App.Example.com:443', 'http://localhost:80/', 'capacitor://localhost']
    const { token } = await mintToken({ key, ...FOR, origins: origins.map((each) => each.replace(/\/$/, '')) })
    const { payload } = await jwtVerify(token.slice('verge_bt_'.length), publicKey, { currentDate: new Date(NOW) })
    expect(payload.origins).toEqual(['https://app.example.com', 'http://localhost', 'capacitor://localhost'])
  })

  it.each([
    ['no origin', { origins: [] }, /at least one origin/],
    ['no model', { models: [] }, /at least one origin and at least one model/],
    ['an hour and more', { minutes: 61 }, /at most 60/],
    ['no time', { minutes: 0 }, /above 0/],
    ['a path', { origins: ['https://app.example.com/login'] }, /must be like "https:\/\/app.example.com"/],
    ['every page', { origins: ['*'] }, /must be like/],
    ['a key that is no JSON', { key: 'verge_sk_0' }, /`verge keys create --signing FILE`/],
    ['a public key', { key: { kty: 'OKP', crv: 'Ed25519', kid: 'a', x: 'AA' } as never }, /signing key is not usable/],
  ])('refuses %s', async (_, wrong, message) => {
    const { key } = await signingKey()
    await expect(mintToken({ key, ...FOR, ...wrong })).rejects.toThrow(message)
    await expect(mintToken({ key, ...FOR, ...wrong })).rejects.toBeInstanceOf(TypeError)
  })
})
