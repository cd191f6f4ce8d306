import { hkdfSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { tokenKey } from '../../../src/access/tokens/secret.ts'

describe('the key of tokens', () => {
  it('is what another implementation of HKDF derives', async () => {
    const secret = 'a-secret-of-32-characters-or-more'
    const expected = hkdfSync('sha256', secret, '', 'verge browser tokens 1', 32)
    expect(Buffer.from(await tokenKey(secret))).toEqual(Buffer.from(expected))
  })

  it('is another one for every secret', async () => {
    expect(await tokenKey('one-secret')).not.toEqual(await tokenKey('one-secreT'))
  })
})
