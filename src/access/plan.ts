import * as z from 'zod'
import { modelName } from '../catalog/manifest.ts'

/** So many requests in so many seconds. */
export interface Rate {
  readonly requests: number
  readonly seconds: number
}

const UNITS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const
type Unit = keyof typeof UNITS
const FORM = /^(\d{1,9})\/(\d{0,5})([smhd])$/
/** Longer periods are budgets. */
const MOST_SECONDS = 31 * UNITS.d

/** A rate as the command line, variables and records write it: "60/1m"; undefined for other texts. */
function rateOf(text: string): Rate | undefined {
  const [, requests = '', count = '', unit = ''] = FORM.exec(text) ?? []
  const seconds = Number(count === '' ? 1 : count) * (UNITS[unit as Unit] ?? 0)
  const rate = { requests: Number(requests), seconds }
  return rate.requests > 0 && seconds > 0 && seconds <= MOST_SECONDS ? rate : undefined
}

/** The text of a rate, in the largest unit that divides its period. */
function rateText({ requests, seconds }: Rate): string {
  const unit = (['d', 'h', 'm'] as const).find((each) => seconds % UNITS[each] === 0) ?? 's'
  return `${requests}/${seconds / UNITS[unit]}${unit}`
}

/** A text like "60/1m" outside, a `Rate` inside; `z.encode` writes it back. */
export const rateSchema = z.codec(
  z.string(),
  z.object({ requests: z.number().int().positive(), seconds: z.number().int().positive() }),
  {
    decode: (text, context) => {
      const rate = rateOf(text)
      if (rate !== undefined) return rate
      context.issues.push({
        code: 'custom',
        input: text,
        message: 'a rate like "60/1m" is needed: requests, then a period in s, m, h or d of at most 31 days',
      })
      return z.NEVER
    },
    encode: rateText,
  },
)

const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)
export const amountsSchema = z.strictObject({
  requests: count.optional(),
  /** Read and written. */
  tokens: count.optional(),
  /** Cost units, docs/cost.md. */
  units: count.optional(),
  usd: z.number().nonnegative().max(1e9).optional(),
})

/**
 * How much of each; what is left out is not limited.
 */
export type Amounts = z.infer<typeof amountsSchema>

/** Models that one plan answers by others. */
const MOST_REPLACED = 64

/** What a caller may use. What is left out is limited by the isolate's own limits alone. */
export const planSchema = z.strictObject({
  rate: rateSchema.optional(),
  /** Requests at once, in each isolate. */
  concurrency: z.number().int().positive().max(1e6).optional(),
  /** By UTC days and months, and all together: a token's for its whole life. */
  budgets: z
    .strictObject({ day: amountsSchema.optional(), month: amountsSchema.optional(), total: amountsSchema.optional() })
    .optional(),
  bodyBytes: z.number().int().positive().max(Number.MAX_SAFE_INTEGER).optional(),
  /** Inputs in one request. */
  batch: z.number().int().positive().max(1e9).optional(),
  /** Tokens that one request may have written. */
  maxTokens: z.number().int().positive().max(1e9).optional(),
  /** What is answered by something cheaper when less than this share of a budget is left. */
  whenLow: z
    .strictObject({
      below: z.number().positive().max(1),
      /** Models by the one that answers instead. */
      models: z
        .record(modelName, modelName)
        .refine((models) => Object.keys(models).length <= MOST_REPLACED, `at most ${MOST_REPLACED} models`)
        .optional(),
      artifact: z.literal('smallest').optional(),
    })
    .optional(),
})

export type Plan = z.infer<typeof planSchema>
