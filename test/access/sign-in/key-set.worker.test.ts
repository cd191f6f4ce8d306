import { describe, expect, it } from 'vitest'
import { keyFor, parseKeySet, writeKeySet } from '../../../src/access/sign-in/key-set.ts'

const RSA = { kty: 'RSA', kid: 'r', n: 'AQAB', e: 'AQAB' }
const set = (...keys: unknown[]) => parseKeySet(JSON.stringify({ keys }))

describe('a key set', () => {
  it('keeps public keys for signatures, and of them what makes the key', () => {
    expect(set({ ...RSA, use: 'sig', key_ops: ['verify'], x5c: ['MII'], jku: 'https://a.example' })).toEqual([
      { kid: 'r', kty: 'RSA', alg: undefined, crv: undefined, jwk: { n: 'AQAB', e: 'AQAB' } },
    ])
  })

  it('leaves out what is for another use, private, symmetric, unknown or incomplete', () => {
    const usable = { ...RSA, kid: 'usable' }
    for (const other of [
      { ...RSA, use: 'enc' },
      { ...RSA, key_ops: ['sign'] },
      { ...RSA, d: 'AQAB' },
      { kty: 'oct', kid: 'r', k: 'c2VjcmV0' },
      { kty: 'AKP', kid: 'r', pub: 'x' },
      { kty: 'RSA', kid: 'r', n: 7, e: 'AQAB' },
      { kty: 'EC', kid: 'r', crv: 'P-256', x: 'x' },
      null,
      'key',
    ]) {
      expect(set(other, usable)?.map(({ kid }) => kid)).toEqual(['usable'])
      expect(set(other)).toBeUndefined()
    }
  })

  it('is none if it is no JSON, has no list, or too many keys', () => {
    for (const text of ['', '{', '[]', 'null', '{"keys":{}}', '{"keys":[]}', '<html>']) {
      expect(parseKeySet(text)).toBeUndefined()
    }
    expect(set(...Array.from({ length: 101 }, () => RSA))).toBeUndefined()
    expect(set(...Array.from({ length: 100 }, () => RSA))).toHaveLength(100)
  })

  it('is read again as it was written', () => {
    const keys = set(
      RSA,
      { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', alg: 'ES256' },
      { kty: 'OKP', crv: 'Ed25519', x: 'x' },
    )
    expect(parseKeySet(writeKeySet(keys ?? []))).toEqual(keys)
  })
})

describe('the key of a token', () => {
  const keys =
    set(
      RSA,
      { ...RSA, kid: 'p', alg: 'PS256' },
      { kty: 'EC', kid: 'e', crv: 'P-256', x: 'x', y: 'y' },
      { kty: 'EC', kid: 'k', crv: 'secp256k1', x: 'x', y: 'y' },
      { kty: 'OKP', kid: 'x', crv: 'X25519', x: 'x' },
      { ...RSA, kid: 'twice' },
      { ...RSA, kid: 'twice' },
    ) ?? []

  it('has its name, the kind of its algorithm, and that algorithm where the key names one', () => {
    expect(keyFor(keys, 'r', 'RS256')?.kid).toBe('r')
    expect(keyFor(keys, 'p', 'PS256')?.kid).toBe('p')
    expect(keyFor(keys, 'p', 'RS256')).toBeUndefined()
    expect(keyFor(keys, 'r', 'ES256')).toBeUndefined()
    expect(keyFor(keys, 'e', 'ES256')?.kid).toBe('e')
    expect(keyFor(keys, 'k', 'ES256')).toBeUndefined()
    expect(keyFor(keys, 'x', 'EdDSA')).toBeUndefined()
    expect(keyFor(keys, 'R', 'RS256')).toBeUndefined()
  })

  it('is none where two could be meant', () => {
    expect(keyFor(keys, 'twice', 'RS256')).toBeUndefined()
    expect(keyFor(keys, undefined, 'RS256')).toBeUndefined()
    expect(keyFor(keys, undefined, 'ES256')?.kid).toBe('e')
  })
})
