import * as z from 'zod'
import { modelName } from '../../catalog/manifest.ts'
import { validate } from '../../core/validation.ts'
import { amountsSchema, planSchema } from '../plan.ts'
import { isPageOrigin } from './page-origin.ts'

/** What the header of every token says it is, so that no other signed text is taken for one. */
export const TOKEN_TYPE = 'verge-token+jwt'
export const ISSUER = 'verge'
/** The name of the Worker's own key. No key has an id like it. */
export const WORKER_KID = 'worker'

/** What a token can give: pages run models, here or there. */
const TOKEN_ACTIONS = ['infer', 'browser'] as const
export type TokenAction = (typeof TOKEN_ACTIONS)[number]

/** Longer lists make headers that proxies refuse. */
const MOST_MODELS = 16
const MOST_ORIGINS = 8

const atMostOnce = (list: readonly string[]): boolean => new Set(list).size === list.length

/** What a token may use, beside what its key may: nothing in it gives more than the key has. */
const limitsSchema = planSchema
  .pick({ rate: true, concurrency: true, bodyBytes: true, batch: true, maxTokens: true })
  .extend({ budgets: z.strictObject({ total: amountsSchema }).optional() })

/** To the end of the year 9999. */
const seconds = z.number().int().nonnegative().max(253_402_300_799)

/** What a token says. What a Worker does not know, it refuses: an unknown claim may be a restriction. */
const claimsSchema = z.strictObject({
  iss: z.literal(ISSUER),
  /** The id of its key. */
  sub: z.string(),
  /** Its own id, which its budget is counted by. */
  jti: z.string().regex(/^[A-Za-z0-9_-]{16,64}$/, '16 to 64 letters, digits, "_" and "-"'),
  iat: seconds,
  exp: seconds,
  origins: z
    .array(z.string().refine(isPageOrigin, 'an origin like "https://app.example.com"'))
    .min(1)
    .max(MOST_ORIGINS)
    .readonly(),
  models: z.array(modelName).min(1).max(MOST_MODELS).refine(atMostOnce, 'each model once').readonly(),
  actions: z.array(z.enum(TOKEN_ACTIONS)).min(1).refine(atMostOnce, 'each action once').readonly(),
  limits: limitsSchema.optional(),
})

export type TokenClaims = z.infer<typeof claimsSchema>

/** The claims as a token has them. */
export function encodedClaims(claims: TokenClaims): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(z.encode(claimsSchema, claims)))
}

/** @param what is described, at the beginning of the sentence @throws invalid_request */
export function parseClaims(value: unknown, what: string): TokenClaims {
  return validate(claimsSchema, value, what)
}
