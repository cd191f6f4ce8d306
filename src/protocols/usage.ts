import * as z from 'zod'

/** What was used, as `GET /v1/usage` answers it. */

const count = z.number().int()

const countFields = {
  requests: count,
  errors: count.meta({ description: 'Requests answered with a status from 400 on' }),
  cached: count.meta({ description: 'Requests answered from the result cache' }),
  by_token: count.meta({ description: "Requests with one of the key's browser tokens" }),
  input_tokens: count,
  output_tokens: count,
  units: z.number().meta({ description: 'Cost units of the runs' }),
  cpu_ms: z.number().meta({ description: 'CPU time at the edge, estimated from the units' }),
  origin_ms: count.meta({ description: 'Time of origins' }),
  usd: z.number().meta({ description: 'Estimated, at list prices and beyond what a plan includes' }),
}

export const usageCountsSchema = z.object(countFields).meta({ id: 'UsageCounts' })
export type UsageCounts = z.infer<typeof usageCountsSchema>

export const usageReportSchema = z
  .object({
    principal: z
      .string()
      .meta({ description: 'Whose usage this is: `key:...`, `user:...`, `service:...`, `operator`, `anonymous`' }),
    from: z.iso.date(),
    to: z.iso.date(),
    group: z.enum(['day', 'model']),
    last_used_at: z.iso.datetime().nullable(),
    data: z.array(
      z.object({
        day: z.iso.date().optional(),
        model: z.string().nullable().optional().meta({
          description:
            '`name@version`, `other` for models beyond the first hundred of a day, null for requests that were refused before their model was known',
        }),
        ...countFields,
      }),
    ),
    total: usageCountsSchema,
  })
  .meta({ id: 'UsageReport' })
export type UsageReport = z.infer<typeof usageReportSchema>

export const usagePrincipalsSchema = z
  .object({
    data: z.array(
      z.object({ principal: z.string(), month: z.string().meta({ description: 'The last with a snapshot' }) }),
    ),
    next_cursor: z.string().nullable(),
  })
  .meta({ id: 'UsagePrincipals' })
export type UsagePrincipals = z.infer<typeof usagePrincipalsSchema>
