import { execFileSync } from 'node:child_process'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { parsePublicKeys, releaseKey } from '../../../src/catalog/signing/public-keys.ts'

function pair() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const jwk = publicKey.export({ format: 'jwk' })
  return {
    raw: Buffer.from(String(jwk.x), 'base64url'),
    x: String(jwk.x),
    jwk,
    pem: String(publicKey.export({ type: 'spki', format: 'pem' })),
    privatePem: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    privateJwk: privateKey.export({ format: 'jwk' }),
  }
}

const [one, two] = [pair(), pair()]

describe('parsePublicKeys', () => {
  it.each([
    ['base64url', one.x, [one]],
    ['two, separated by a comma', `${one.x}, ${two.x}`, [one, two]],
    ['two lines', `${one.x}\n${two.x}\n`, [one, two]],
    ['PEM', one.pem, [one]],
    ['two PEM blocks', one.pem + two.pem, [one, two]],
    ['PEM in one line', one.pem.replaceAll('\n', '\\n'), [one]],
    ['PEM with the line ends of Windows', one.pem.replaceAll('\n', '\r\n'), [one]],
    ['PEM and base64url', `${one.pem},${two.x}`, [one, two]],
    ['a JWK', JSON.stringify(one.jwk), [one]],
    ['a list of JWKs and texts', JSON.stringify([one.jwk, two.x]), [one, two]],
    ['a JWK set', JSON.stringify({ keys: [one.jwk, two.jwk] }), [one, two]],
    ['nothing', ' ', []],
  ])('reads %s', (_, text, keys) => {
    const found = parsePublicKeys(text).map((raw) => Buffer.from(raw).toString('hex'))
    expect(found.sort()).toEqual(keys.map(({ raw }) => raw.toString('hex')).sort())
  })

  it("reads openssl's own file", () => {
    const privateKey = execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519'])
    const publicKey = execFileSync('openssl', ['pkey', '-pubout'], { input: privateKey }).toString()
    const der = execFileSync('openssl', ['pkey', '-pubout', '-outform', 'DER'], { input: privateKey })
    expect(parsePublicKeys(publicKey).map((raw) => Buffer.from(raw))).toEqual([der.subarray(-32)])
  })

  it.each([
    ['a word', 'hello', /public keys of Ed25519/],
    ['a byte too few', one.x.slice(1), /public keys of Ed25519/],
    ['bits that say nothing', `${one.x.slice(0, -1)}${one.x.endsWith('B') ? 'C' : 'B'}`, /public keys of Ed25519/],
    ['a private key', one.privatePem, /private key/],
    ['a private JWK', JSON.stringify(one.privateJwk), /private key/],
    ['JSON that is none', '{', /JSON/],
    ['another curve', JSON.stringify({ kty: 'OKP', crv: 'X25519', x: one.x }), /Ed25519/],
    [
      'a key of RSA',
      String(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' })),
      /not a public key of Ed25519/,
    ],
    ['one key twice', `${one.x},${one.pem}`, /once/],
    ['too many', Array.from({ length: 9 }, () => pair().x).join(), /at most 8/],
    ['too much', 'a'.repeat(5_000), /characters/],
  ])('refuses %s, without its text', (_, text, reason) => {
    expect(() => parsePublicKeys(text)).toThrow(reason)
    try {
      parsePublicKeys(text)
    } catch (error) {
      expect((error as Error).message).not.toContain(one.x)
    }
  })
})

describe('releaseKey', () => {
  it("is called by the beginning of the key's SHA-256", async () => {
    const { id } = await releaseKey(Uint8Array.from(one.raw))
    expect(id).toBe(createHash('sha256').update(one.raw).digest('hex').slice(0, 16))
  })
})
