import type { Grant } from '../grant.ts'

export type ClaimValue = string | number | boolean

/** Who gets a grant: everybody whose token has, for each claim that is named, one of its values. */
export interface GrantRule {
  /** By the claim's name, or by a JSON pointer (RFC 6901) to one that lies deeper: `/custom/groups`. */
  readonly when: Readonly<Record<string, readonly ClaimValue[]>>
  readonly grant: Grant
}

export type Claims = Readonly<Record<string, unknown>>

/**
 * The grant of the first rule that a token meets; undefined where it meets none. Grants are not added up: models of one rule
 * with actions of another would be more than either gives.
 */
export function grantOf(claims: Claims, rules: readonly GrantRule[]): Grant | undefined {
  return rules.find(({ when }) => Object.entries(when).every(([name, values]) => hasOneOf(claims, name, values)))?.grant
}

/** The ways to name an address: a claim, or a pointer to it. */
const EMAIL: readonly string[] = ['email', '/email']

function hasOneOf(claims: Claims, name: string, wanted: readonly ClaimValue[]): boolean {
  // An address that its issuer has not checked may be anybody's.
  if (EMAIL.includes(name) && Object.hasOwn(claims, 'email_verified') && claims.email_verified !== true) return false
  const value = claimAt(claims, name)
  const there: readonly unknown[] = Array.isArray(value) ? value : [value]
  return there.some((each) => wanted.some((pattern) => meets(each, pattern)))
}

/** `*@example.com` is every address of that domain. Domains are the same in upper and lower case. */
function meets(value: unknown, pattern: ClaimValue): boolean {
  if (typeof pattern !== 'string' || !pattern.startsWith('*@')) return value === pattern
  const ending = pattern.slice(1).toLowerCase()
  return typeof value === 'string' && value.length > ending.length && value.toLowerCase().endsWith(ending)
}

function claimAt(claims: Claims, name: string): unknown {
  if (!name.startsWith('/')) return Object.hasOwn(claims, name) ? claims[name] : undefined
  let value: unknown = claims
  for (const part of name.slice(1).split('/')) {
    const member = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, member)) {
      return undefined
    }
    value = (value as Claims)[member]
  }
  return value
}
