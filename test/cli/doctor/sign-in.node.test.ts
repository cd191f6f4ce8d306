import { describe, expect, it } from 'vitest'
import { signInVariable } from '../../../src/access/sign-in/issuers.ts'
import { checkSignIn } from '../../../src/cli/doctor/sign-in.ts'

const issuer = {
  name: 'staff',
  issuer: 'https://login.example.com',
  audience: 'verge',
  grants: [{ when: { email: '*@example.com' }, grant: { models: ['*'], actions: ['infer'] } }],
}
const rsa = { kty: 'RSA', kid: 'a', use: 'sig', n: 'AQAB', e: 'AQAB' }

async function found(answer: string | Error, more: object = {}): Promise<string[]> {
  const issuers = signInVariable.parse(JSON.stringify([{ ...issuer, ...more }]))
  const asked: string[] = []
  const checks = await checkSignIn(issuers, async (url) => {
    asked.push(url)
    if (answer instanceof Error) throw answer
    return answer
  })
  expect(asked).toEqual(['https://login.example.com/.well-known/jwks.json'])
  return checks.map(({ finding, fix = '', status }) => `${status}: ${finding} -> ${fix}`)
}

describe('checkSignIn', () => {
  it('counts the keys that verify tokens', async () => {
    const keys = JSON.stringify({ keys: [rsa, { ...rsa, kid: 'b' }] })
    expect(await found(keys)).toEqual([expect.stringMatching(/^ok: staff: 2 keys for RS256 at https:/)])
  })

  it.each<[string, string | Error, object, RegExp]>([
    [
      'no answer',
      new Error('The issuer answered HTTP 404.'),
      {},
      /^fail: .*gives no key set \(The issuer answered HTTP 404\.\)/,
    ],
    ['something else', '<html>', {}, /^fail: no one can sign in by "staff": .* has no public key for signatures/],
    ['no key', '{"keys":[]}', {}, /has no public key for signatures/],
    [
      'keys of another kind',
      JSON.stringify({ keys: [{ ...rsa, alg: 'RS512' }] }),
      { algorithms: ['ES256', 'RS256'] },
      /its keys are RS512, and SIGN_IN accepts ES256, RS256 -> Add the algorithm/,
    ],
  ])('fails where there is %s', async (_name, answer, more, line) => {
    expect(await found(answer, more)).toEqual([expect.stringMatching(line)])
  })

  it('is silent without issuers', async () => {
    expect(await checkSignIn([], () => Promise.reject(new Error('asked')))).toEqual([])
  })
})
