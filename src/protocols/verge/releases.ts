import * as z from 'zod'

/** What is known of a model's release and its canary: `GET /v1/releases/{model}`. */

const count = z.number().int().nonnegative()
const amount = z.number().nonnegative()
const share = z.number().min(0).max(1)
const time = z.iso.datetime()

const sideSchema = z.object({ requests: count, errors: count })
const shareSchema = z.object({ count, of: count })
const questionsSchema = z.object({ errors: amount, disagreement: amount, cost: amount, latency: amount })

const watchSchema = z
  .object({
    generation: z.number().int().positive(),
    version: z.string(),
    against: z.string(),
    guarded: z.boolean(),
    verdict: z.enum(['watching', 'worse', 'stopping', 'stopped', 'superseded']).meta({
      description:
        '`worse`: the rules say so, and the canary is not guarded; `stopping`: isolates are told, and the alias is not written yet; `superseded`: a newer release came first',
    }),
    reason: z.string().optional(),
    rules: questionsSchema.meta({ description: 'What is tolerated' }),
    counts: z.object({
      canary: sideSchema,
      stable: sideSchema,
      disagreed: shareSchema,
      costlier: shareSchema,
      slower: shareSchema,
      failed: count.meta({ description: 'Runs for a comparison that failed' }),
      skipped: count.meta({ description: 'Runs for a comparison that were not made, because there was other work' }),
      incomparable: count
        .optional()
        .meta({ description: 'Requests of the sample that are of a kind that is never compared' }),
      largest: amount.meta({ description: 'The largest difference of compared outputs' }),
    }),
    evidence: questionsSchema.meta({ description: 'E-values against each question' }),
    together: amount.meta({ description: 'Their mean. From `threshold` on the canary is worse' }),
    threshold: amount,
    since: time,
    lastReportAt: time,
    failedStops: count.meta({ description: 'Tries to write the alias that failed' }),
  })
  .meta({ id: 'CanaryWatch' })

export const releaseBodySchema = z
  .object({
    model: z.string(),
    generation: z.number().int().positive(),
    live: z.array(z.object({ version: z.string(), weight: z.number() })),
    canary: z
      .object({ version: z.string(), against: z.string(), shadow: share.optional(), guarded: z.boolean() })
      .nullable()
      .meta({ description: 'The version on trial now' }),
    stopped: z
      .object({ version: z.string(), at: time, reason: z.string() })
      .nullable()
      .meta({ description: 'The canary of this generation that was taken out by itself' }),
    watch: watchSchema
      .nullable()
      .meta({ description: 'What was seen of the last canary, which may be an earlier one' }),
    unreachable: z.boolean().meta({ description: 'The object that watches does not answer: `watch` is null for that' }),
  })
  .meta({ id: 'Release' })

export type ReleaseBody = z.infer<typeof releaseBodySchema>

const MOST_SOURCE = 64
/** An hour. */
const MOST_MS = 3_600_000

/** `POST /v1/releases/{model}/probes`: times that a probe outside has measured, of both versions in turn. */
export const probesSchema = z
  .strictObject({
    generation: z.number().int().positive().meta({ description: 'Of the release that was measured' }),
    source: z
      .string()
      .min(1)
      .max(MOST_SOURCE)
      .regex(/^[\w.-]+$/)
      .meta({ description: 'A name of the probe that no other has' }),
    seq: z
      .number()
      .int()
      .positive()
      .meta({ description: 'Higher in every later request of the source: a request is counted once' }),
    pairs: z
      .array(z.object({ canaryMs: z.number().positive().max(MOST_MS), stableMs: z.number().positive().max(MOST_MS) }))
      .min(1)
      .meta({ description: 'Of the same request to both versions, one right after the other' }),
  })
  .meta({ id: 'ReleaseProbes' })

export const probesAnswerSchema = z
  .object({ verdict: z.enum(['continue', 'outdated', 'stopped']) })
  .meta({ id: 'ReleaseProbesAnswer' })

export type Probes = z.infer<typeof probesSchema>
export type ProbesAnswer = z.infer<typeof probesAnswerSchema>
