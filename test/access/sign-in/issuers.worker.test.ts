import { describe, expect, it } from 'vitest'
import { signInVariable } from '../../../src/access/sign-in/issuers.ts'

const issuer = {
  name: 'company',
  issuer: 'https://login.example.com/',
  audience: 'verge',
  grants: [{ when: { groups: 'ml' }, grant: { models: ['*'] } }],
}

const parse = (...issuers: unknown[]) => signInVariable.parse(JSON.stringify(issuers))

/** What is wrong, as the configuration's error says it. */
function problems(...issuers: unknown[]): string {
  const parsed = signInVariable.safeParse(JSON.stringify(issuers))
  return parsed.success ? 'none' : parsed.error.issues.map(({ message }) => message).join(' | ')
}

describe('SIGN_IN', () => {
  it('is empty by default', () => {
    expect(signInVariable.parse(undefined)).toEqual([])
    expect(signInVariable.parse(' ')).toEqual([])
    expect(parse()).toEqual([])
  })

  it('needs little, and says the rest by defaults', () => {
    expect(parse(issuer)).toEqual([
      {
        name: 'company',
        issuer: 'https://login.example.com/',
        audience: ['verge'],
        jwks: 'https://login.example.com/.well-known/jwks.json',
        algorithms: ['RS256', 'ES256', 'EdDSA'],
        header: 'authorization',
        clockSkewSeconds: 60,
        grants: [
          {
            when: { groups: ['ml'] },
            grant: { models: ['*'], actions: ['infer', 'browser'], places: ['edge', 'origin', 'browser'] },
          },
        ],
      },
    ])
    expect(parse({ ...issuer, issuer: 'https://a.example' })).toMatchObject([
      { jwks: 'https://a.example/.well-known/jwks.json' },
    ])
    const jwks = 'https://team.cloudflareaccess.com/cdn-cgi/access/certs'
    expect(parse({ ...issuer, jwks, audience: ['a', 'b'] })).toMatchObject([{ jwks, audience: ['a', 'b'] }])
  })

  it('takes no algorithm with a shared secret, and none', () => {
    for (const algorithm of ['HS256', 'HS384', 'HS512', 'none', 'rs256', '']) {
      expect(problems({ ...issuer, algorithms: ['RS256', algorithm] })).toMatch(/shared secret/)
    }
    expect(problems({ ...issuer, algorithms: [] })).not.toBe('none')
  })

  it('takes keys over TLS alone, except from this machine', () => {
    expect(problems({ ...issuer, jwks: 'http://login.example.com/keys' })).toMatch(/https/)
    expect(problems({ ...issuer, jwks: 'file:///etc/keys' })).toMatch(/https/)
    expect(problems({ ...issuer, jwks: 'https://a:b@login.example.com/keys' })).toMatch(/credential/)
    expect(problems({ ...issuer, jwks: 'keys' })).toMatch(/address/)
    // Not an address, so where the keys are has to be said.
    expect(problems({ ...issuer, issuer: 'company' })).toMatch(/jwks/)
    expect(problems({ ...issuer, jwks: 'http://127.0.0.1:8080/jwks' })).toBe('none')
  })

  it('takes a pattern only where it names a whole domain', () => {
    for (const email of ['*example.com', '*', '*.example.com', '*@', '*@*', '*@a@b', '*@a b']) {
      expect(problems({ ...issuer, grants: [{ when: { email }, grant: { models: ['*'] } }] }), email).not.toBe('none')
    }
    expect(problems({ ...issuer, grants: [{ when: { email: '*@example.com' }, grant: { models: ['*'] } }] })).toBe(
      'none',
    )
  })

  it('says which field is wrong, and never its value', () => {
    const secret = 'hunter2hunter2'
    const said = [
      problems({ ...issuer, [secret]: 1 }),
      problems({ ...issuer, algorithms: [secret] }),
      problems({ ...issuer, jwks: secret }),
      problems({ ...issuer, clockSkewSeconds: secret }),
      problems({ ...issuer, grants: [{ when: {}, grant: { models: [secret.toUpperCase()] } }] }),
      problems({ ...issuer, name: secret.toUpperCase() }),
    ]
    for (const text of said) {
      expect(text).not.toBe('none')
      expect(text.toLowerCase()).not.toContain(secret)
    }
    expect(said[2]).toContain('[0].jwks')
    expect(said[4]).toContain('[0].grants[0].grant.models[0]')
    expect(signInVariable.safeParse('{').error?.issues[0]?.message).toBe('is not JSON')
  })

  it('has each issuer once', () => {
    expect(problems(issuer, { ...issuer, name: 'other' })).toContain('[1].issuer is listed twice')
    expect(problems(issuer, { ...issuer, issuer: 'https://b.example' })).toContain('[1].name is listed twice')
    expect(problems(issuer, { ...issuer, name: 'other', issuer: 'https://b.example' })).toBe('none')
  })

  it('needs somebody whom tokens are for, and rules', () => {
    expect(problems({ ...issuer, audience: undefined })).not.toBe('none')
    expect(problems({ ...issuer, audience: [] })).not.toBe('none')
    expect(problems({ ...issuer, audience: '' })).not.toBe('none')
    expect(problems({ ...issuer, grants: [] })).not.toBe('none')
    expect(problems({ ...issuer, clockSkewSeconds: 301 })).not.toBe('none')
  })
})
