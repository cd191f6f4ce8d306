import * as z from 'zod'
import { planSchema } from './plan.ts'
import { isPageOrigin } from './tokens/page-origin.ts'

/** What a key, a sign-in or a token may be given. */
export const GRANTED_ACTIONS = ['infer', 'unreleased', 'browser', 'explain', 'metrics', 'mint'] as const

/** Where requests may be computed. */
export const GRANTED_PLACES = ['edge', 'origin', 'browser'] as const
export type GrantedPlace = (typeof GRANTED_PLACES)[number]

/** Longer lists make records that take too long to read with every request. */
const MOST_MODELS = 64
const MOST_ORIGINS = 32

/** A model's name, the beginning of one with "*" behind it, or "*" alone. */
const MODEL_PATTERN = /^(?:\*|[a-z0-9][a-z0-9._-]{0,63}\*?)$/
/** A plan's name in `PLANS`. */
const PLAN_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/

const PATTERN_HINT = 'a model\'s name, the beginning of one followed by "*", or "*" for all'

/**
 * What a caller may do, for which models, where, and how much of it.
 */
export const grantSchema = z.strictObject({
  models: z.array(z.string().regex(MODEL_PATTERN, PATTERN_HINT)).max(MOST_MODELS).readonly(),
  actions: z.array(z.enum(GRANTED_ACTIONS)).readonly().default(['infer', 'browser']),
  places: z.array(z.enum(GRANTED_PLACES)).readonly().default(GRANTED_PLACES),
  /** Pages that may use it, by their `Origin`. Left out: any page, and callers that are no pages. */
  origins: z
    .array(
      z.string().refine(isPageOrigin, 'an origin like "https://example.com", in lower case and without a default port'),
    )
    .min(1)
    .max(MOST_ORIGINS)
    .readonly()
    .optional(),
  plan: z.string().regex(PLAN_NAME, 'the name of a plan in PLANS').optional(),
  /** Its own, over the plan's. */
  limits: planSchema.optional(),
})

export type Grant = z.infer<typeof grantSchema>

/** What of a grant matters to one model, in few bytes: what lasts longer than a request keeps it. */
export function grantFor(grant: Grant, model: string): Grant {
  const { actions, limits, places, plan } = grant
  const { whenLow: _elsewhere, ...own } = limits ?? {}
  return {
    models: namesModel(grant, model) ? [model] : [],
    actions,
    places,
    ...(plan !== undefined && { plan }),
    ...(limits !== undefined && { limits: own }),
  }
}

/** Whether a grant names a model, in full or by a prefix. */
export function namesModel({ models }: Grant, name: string): boolean {
  return models.some((each) => (each.endsWith('*') ? name.startsWith(each.slice(0, -1)) : each === name))
}

/** What a key may do that may do nothing. */
export const NO_RIGHTS: Grant = { models: [], actions: [], places: [] }
