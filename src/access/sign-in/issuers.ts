import * as z from 'zod'
import { isLoopback } from '../../core/loopback.ts'
import { grantSchema } from '../grant.ts'
import { ALGORITHMS, type Algorithm } from './key-set.ts'
import type { GrantRule } from './rules.ts'

/** Headers that a token may come in. The second is set by Cloudflare Access in front of the Worker. */
export const SIGN_IN_HEADERS = ['authorization', 'cf-access-jwt-assertion'] as const
export type SignInHeader = (typeof SIGN_IN_HEADERS)[number]

/** Who signs tokens that are accepted here, and what their bearers may do. */
export interface Issuer {
  /** Part of the principals of its users. */
  readonly name: string
  /** Exactly as tokens have it in `iss`. */
  readonly issuer: string
  /** Whom tokens are for: one of these must be in `aud`. */
  readonly audience: readonly string[]
  /** Where its keys are. */
  readonly jwks: string
  readonly algorithms: readonly Algorithm[]
  readonly header: SignInHeader
  readonly clockSkewSeconds: number
  readonly grants: readonly GrantRule[]
}

const MOST_ISSUERS = 16
const MOST_RULES = 64
const MOST_VALUES = 64
/** Claims that one rule may look at. */
const MOST_CLAIMS = 16
/** A clock that is further off is broken, and a token that lives longer than it says is a risk. */
const MOST_SKEW_SECONDS = 300

const line = z.string().regex(/^[^\p{Cc}]{1,512}$/u, 'must be one line of at most 512 characters')

const value = z.union([line, z.number(), z.boolean()], 'must be text, a number or true or false').refine(
  (each) => typeof each !== 'string' || !each.startsWith('*') || /^\*@[^\s*@]+$/.test(each),
  // "*example.com" would let evilexample.com in.
  'may begin with "*" only to name a domain: "*@example.com"',
)

const whenSchema = z
  .record(line, z.union([value.transform((each) => [each]), z.array(value).min(1).max(MOST_VALUES)]))
  .refine((when) => Object.keys(when).length <= MOST_CLAIMS, `may name at most ${MOST_CLAIMS} claims`)

const algorithm = z.enum(
  Object.keys(ALGORITHMS) as [Algorithm, ...Algorithm[]],
  `must be one of ${Object.keys(ALGORITHMS).join(', ')}; algorithms with a shared secret are not accepted`,
)

const issuerSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'lower-case letters, digits and "-", at most 32'),
    issuer: line,
    audience: z.union(
      [line.transform((one) => [one]), z.array(line).min(1).max(MOST_VALUES)],
      'must name who it is for',
    ),
    jwks: z.string().max(2048).optional(),
    algorithms: z.array(algorithm).min(1).default(['RS256', 'ES256', 'EdDSA']),
    header: z.enum(SIGN_IN_HEADERS, `must be ${SIGN_IN_HEADERS.join(' or ')}`).default('authorization'),
    clockSkewSeconds: z.number().int().min(0).max(MOST_SKEW_SECONDS).default(60),
    grants: z
      .array(z.strictObject({ when: whenSchema, grant: grantSchema }))
      .min(1)
      .max(MOST_RULES),
  })
  .transform(({ jwks, ...issuer }, context): Issuer => {
    const address = jwks ?? `${issuer.issuer.replace(/\/$/, '')}/.well-known/jwks.json`
    const fault = addressFault(address)
    if (fault === undefined) return { ...issuer, jwks: address }
    context.addIssue({ code: 'custom', path: ['jwks'], message: fault })
    return z.NEVER
  })

const issuersSchema = z
  .array(issuerSchema, 'must be a list of issuers')
  .max(MOST_ISSUERS, `may have at most ${MOST_ISSUERS} issuers`)
  .superRefine((issuers, context) => {
    for (const field of ['name', 'issuer'] as const) {
      const values = issuers.map((each) => each[field])
      const again = values.findIndex((each, index) => values.indexOf(each) !== index)
      if (again >= 0) context.addIssue({ code: 'custom', path: [again, field], message: 'is listed twice' })
    }
  })

/** Enough to fix the variable by. */
const MOST_PROBLEMS = 8

/** The variable `SIGN_IN`: a JSON list of issuers (docs/sign-in.md). Empty text: none. Problems name fields, never values. */
export const signInVariable = z
  .string('must be text')
  .default('')
  .transform((text, context): readonly Issuer[] => {
    if (text.trim() === '') return []
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      context.addIssue('is not JSON')
      return z.NEVER
    }
    const parsed = issuersSchema.safeParse(value)
    if (parsed.success) return parsed.data
    const problems = parsed.error.issues.slice(0, MOST_PROBLEMS).map((issue) => {
      const message = issue.code === 'unrecognized_keys' ? 'has an unknown field' : issue.message
      return `${fieldName(issue.path)} ${message}`.trim()
    })
    context.addIssue(problems.join('; '))
    return z.NEVER
  })

function fieldName(path: readonly PropertyKey[]): string {
  const parts = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part).slice(0, 64)}`))
  return parts.join('')
}

function addressFault(text: string): string | undefined {
  if (!URL.canParse(text)) return 'must be an address such as https://login.example.com/keys'
  const { protocol, hostname, username, password, hash } = new URL(text)
  if (username !== '' || password !== '') return 'may not contain a credential'
  if (hash !== '') return 'may not have a fragment'
  if (protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))) return undefined
  return 'must begin with https://'
}
