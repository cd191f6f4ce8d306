import { describe, expect, it } from 'vitest'
import { type ClaimValue, grantOf } from '../../../src/access/sign-in/rules.ts'

const grant = (model: string) => ({ models: [model], actions: ['infer'] as const, places: ['edge'] as const })

function meets(claims: Readonly<Record<string, unknown>>, when: Readonly<Record<string, readonly ClaimValue[]>>) {
  return grantOf(claims, [{ when, grant: grant('m') }]) !== undefined
}

describe('grantOf', () => {
  it('is that of the first rule whose claims are all there', () => {
    const rules = [
      { when: { groups: ['admins'], mfa: [true] }, grant: grant('*') },
      { when: { groups: ['ml', 'research'] }, grant: grant('team-*') },
      { when: {}, grant: grant('digits') },
    ]
    const models = (claims: Readonly<Record<string, unknown>>) => grantOf(claims, rules)?.models
    expect(models({ groups: ['ml', 'admins'], mfa: true })).toEqual(['*'])
    expect(models({ groups: ['ml', 'admins'] })).toEqual(['team-*'])
    expect(models({ groups: ['ml', 'admins'], mfa: 'true' })).toEqual(['team-*'])
    expect(models({ groups: 'research' })).toEqual(['team-*'])
    expect(models({})).toEqual(['digits'])
    expect(grantOf({}, rules.slice(0, 2))).toBeUndefined()
  })

  it('compares values exactly', () => {
    expect(meets({ groups: ['ML'] }, { groups: ['ml'] })).toBe(false)
    expect(meets({ groups: ['ml '] }, { groups: ['ml'] })).toBe(false)
    expect(meets({ groups: 'ml,admins' }, { groups: ['ml'] })).toBe(false)
    expect(meets({ groups: { ml: true } }, { groups: ['ml'] })).toBe(false)
    expect(meets({ groups: [['ml']] }, { groups: ['ml'] })).toBe(false)
    expect(meets({ level: '3' }, { level: [3] })).toBe(false)
    expect(meets({ level: 3 }, { level: [3] })).toBe(true)
  })

  it('looks at no claim that the token has not by itself', () => {
    expect(meets({}, { constructor: ['x'] })).toBe(false)
    expect(meets({}, { __proto__x: ['x'] })).toBe(false)
    expect(meets({}, { '/constructor/name': ['Object'] })).toBe(false)
    expect(meets({ groups: ['a'] }, { '/groups/length': [1] })).toBe(false)
  })

  it('finds claims that lie deeper by a JSON pointer, and names with slashes and dots as they are', () => {
    const claims = {
      custom: { groups: ['ml'], 'a/b': { '~c': 'd' } },
      'https://example.com/roles': ['reader'],
      'realm.roles': 'x',
    }
    expect(meets(claims, { '/custom/groups': ['ml'] })).toBe(true)
    expect(meets(claims, { '/custom/a~1b/~0c': ['d'] })).toBe(true)
    expect(meets(claims, { 'https://example.com/roles': ['reader'] })).toBe(true)
    expect(meets(claims, { 'realm.roles': ['x'] })).toBe(true)
    expect(meets(claims, { 'custom.groups': ['ml'] })).toBe(false)
    expect(meets(claims, { '/custom/missing/deeper': ['ml'] })).toBe(false)
  })

  it('takes every address of a domain, and of no other', () => {
    const when = { email: ['*@example.com'] }
    expect(meets({ email: 'anna@example.com' }, when)).toBe(true)
    expect(meets({ email: 'Anna@EXAMPLE.com' }, when)).toBe(true)
    expect(meets({ email: 'anna@evilexample.com' }, when)).toBe(false)
    expect(meets({ email: 'anna@example.com.attacker.example' }, when)).toBe(false)
    expect(meets({ email: 'anna@sub.example.com' }, when)).toBe(false)
    expect(meets({ email: '@example.com' }, when)).toBe(false)
    expect(meets({ email: '*@example.com' }, when)).toBe(true)
  })

  it('does not believe an address that its issuer has not checked', () => {
    for (const when of [{ email: ['*@example.com'] }, { '/email': ['*@example.com'] }]) {
      expect(meets({ email: 'anna@example.com', email_verified: true }, when)).toBe(true)
      for (const unverified of [false, 'true', 'false', null, 1]) {
        expect(meets({ email: 'anna@example.com', email_verified: unverified }, when)).toBe(false)
      }
    }
  })
})
