import * as z from 'zod'

/**
 * What an operator is told of all isolates together: `GET /v1/operations`. `verge top` and the page for operators show it.
 * A part that could not be read is null, and `problems` says why.
 */

const count = z.number().int().nonnegative()
const amount = z.number().nonnegative()
const time = z.iso.datetime()

const trafficSchema = z
  .object({
    requests: count,
    errors: count.meta({ description: "Of these, failures that are not the caller's: a status from 500 on" }),
    units: amount.meta({ description: 'Cost units of the runs' }),
    tokens: amount.meta({ description: 'Read and written' }),
  })
  .meta({ id: 'OperationsTraffic' })
export type Traffic = z.infer<typeof trafficSchema>

const utilizationSchema = z
  .object({
    heap: amount.optional().meta({ description: 'WebAssembly memory: held over granted' }),
    cpu: amount.optional().meta({
      description: 'Cost units of late: spent over what requests may spend; of isolates, over what they can compute',
    }),
  })
  .meta({ id: 'OperationsUtilization', description: 'Used over granted; 1 is all of it' })
export type Utilization = z.infer<typeof utilizationSchema>

const spreadSchema = z
  .object({ least: amount, median: amount, most: amount })
  .meta({ id: 'OperationsSpread', description: 'Of what single isolates use over what they are granted' })

const singlesSchema = z
  .object({
    heap: spreadSchema.optional(),
    cpu: spreadSchema.optional(),
    busiest: z
      .array(
        utilizationSchema.extend({
          isolate: z.string().meta({ description: 'The beginning of a name that lasts as long as the isolate' }),
          reportedAt: time.meta({ description: 'When it reported last' }),
        }),
      )
      .meta({ description: 'Those that use most of one resource first' }),
  })
  .meta({ id: 'OperationsSingleIsolates' })
export type SingleIsolates = z.infer<typeof singlesSchema>

/** Traffic of the last five minutes and of the last hour. */
const spans = { last5m: trafficSchema, lastHour: trafficSchema }

export const HEALTHS = ['ok', 'warning', 'critical'] as const
export type Health = (typeof HEALTHS)[number]

const alertSchema = z
  .object({
    name: z.string().meta({ description: 'As the alert rule of Prometheus is named' }),
    severity: z.enum(['warning', 'critical']),
    model: z.string().optional(),
    version: z.string().optional(),
    origin: z.string().optional(),
    principal: z.string().optional(),
    what: z.string().meta({ description: 'What is wrong' }),
    do: z.string().meta({ description: 'What to do next' }),
  })
  .meta({ id: 'OperationsAlert' })
export type OperationsAlert = z.infer<typeof alertSchema>

/** The parts of the answer that are read apart, each from its own source. */
export const PARTS = ['traffic', 'models', 'canaries', 'cost', 'origins', 'changes'] as const
export type Part = (typeof PARTS)[number]

const problemSchema = z.object({
  part: z.enum(PARTS),
  what: z.string().meta({ description: 'Why the part is missing or not complete, and what to do' }),
})
export type OperationsProblem = z.infer<typeof problemSchema>

const canarySchema = z.object({
  version: z.string(),
  against: z.string().meta({ description: 'The version that it is compared with' }),
  share: z.number().min(0).max(1).meta({ description: 'Of the requests that name no version' }),
  shadow: z.number().min(0).max(1).optional().meta({ description: 'Share of requests whose outputs are compared' }),
  guarded: z.boolean().meta({ description: 'Whether it goes back by itself' }),
  verdict: z.string().optional().meta({ description: 'What the watch says of it. Absent: nothing yet' }),
  requests: count.optional().meta({ description: 'Of the canary, as far as the watch has counted them' }),
})
export type OperationsCanary = z.infer<typeof canarySchema>

const modelSchema = z
  .object({
    model: z.string(),
    visibility: z.enum(['public', 'private']).optional().meta({ description: 'Absent: no such model is stored now' }),
    live: z
      .array(z.object({ version: z.string(), weight: z.number().positive() }))
      .meta({ description: 'Versions that answer where none is named' }),
    canary: canarySchema.optional(),
    stopped: z
      .object({ version: z.string(), at: time, reason: z.string() })
      .optional()
      .meta({ description: 'The canary that was taken out by itself, until the next release' }),
    traffic: z.object(spans).nullable().meta({ description: 'Null if the metrics could not be read' }),
    versions: z
      .array(z.object({ version: z.string(), ...spans }))
      .meta({ description: 'The same by version, the largest first' }),
    p50Ms: amount.optional().meta({ description: "By the isolates' clocks, which stand still during pure CPU work" }),
    p95Ms: amount.optional(),
    utilization: utilizationSchema.optional().meta({ description: 'Absent: no isolate that was heard lately runs it' }),
    costTodayUsd: amount.optional().meta({ description: 'Estimated, at list prices' }),
  })
  .meta({ id: 'OperationsModel' })
export type OperationsModel = z.infer<typeof modelSchema>

const budgetSchema = z.object({
  period: z.enum(['day', 'month']),
  kind: z.enum(['requests', 'tokens', 'units', 'usd']),
  used: amount,
  limit: amount,
})
export type OperationsBudget = z.infer<typeof budgetSchema>

const callerSchema = z
  .object({
    principal: z.string().meta({ description: '`key:...`, `user:...`, `service:...`, `operator`, `anonymous`' }),
    name: z.string().optional().meta({ description: 'Of the key' }),
    requestsToday: count,
    errorsToday: count.meta({ description: 'Answered with a status from 400 on' }),
    spentTodayUsd: amount,
    spentMonthUsd: amount,
    lastUsedAt: time,
    budgets: z.array(budgetSchema).meta({ description: 'Of the key and its plan' }),
  })
  .meta({ id: 'OperationsCaller' })
export type OperationsCaller = z.infer<typeof callerSchema>

const originSchema = z
  .object({
    name: z.string(),
    up: z.boolean().nullable().meta({ description: 'By the last probe; null: no recent probe' }),
    here: z
      .enum(['up', 'half-open', 'down'])
      .meta({ description: 'The circuit breaker of the isolate that answers this request' }),
    answered: z.boolean().optional().meta({
      description: 'Whether it has answered that isolate, or its last probe. Absent: a Worker that does not say',
    }),
    failures: count.meta({ description: 'Probes that failed one after another' }),
    latencyMs: amount.optional(),
    queue: amount.optional().meta({ description: 'Requests that wait there' }),
    provider: z.string().optional().meta({ description: '`cuda`, `webgpu`, `cpu`' }),
    checkedAt: time.optional(),
    detail: z.string().optional(),
  })
  .meta({ id: 'OperationsOrigin' })
export type OperationsOrigin = z.infer<typeof originSchema>

const changeSchema = z
  .object({
    seq: z.number().int().positive(),
    at: time,
    by: z.string(),
    action: z.string(),
    subject: z.string().meta({ description: 'The key of the changed record: `alias/digits`' }),
    change: z.string().meta({ description: 'The fields that changed, before and after: `live: 1 -> 1=95 2=5`' }),
  })
  .meta({ id: 'OperationsChange' })
export type OperationsChange = z.infer<typeof changeSchema>

export const operationsBodySchema = z
  .object({
    at: time,
    version: z.string().meta({ description: 'Of Verge' }),
    health: z.enum(HEALTHS).meta({ description: 'The worst of the alerts' }),
    alerts: z.array(alertSchema),
    problems: z.array(problemSchema),
    isolates: count.nullable().meta({ description: 'That reported within the last minutes' }),
    lost: count.nullable().meta({ description: 'Observations that the metrics lost' }),
    utilization: utilizationSchema.nullable().meta({ description: 'Of all isolates together' }),
    singleIsolates: singlesSchema.nullable().meta({ description: 'The same of single isolates' }),
    totals: z.object(spans).nullable(),
    minutes: z
      .array(z.object({ at: time, requests: count, errors: count }))
      .nullable()
      .meta({ description: 'The last hour, oldest first, without gaps. The last one is not over yet' }),
    models: z
      .array(modelSchema)
      .nullable()
      .meta({ description: 'Those with the most requests in the last hour first, then by name' }),
    modelsLeftOut: count.meta({ description: 'Models beyond those' }),
    cost: z
      .object({
        day: z.iso.date(),
        todayUsd: amount,
        monthUsd: amount,
        countedAt: time.optional().meta({ description: 'When the oldest of the counts was written' }),
      })
      .nullable()
      .meta({ description: 'Estimated, at list prices and beyond what a plan includes' }),
    callers: z
      .array(callerSchema)
      .nullable()
      .meta({ description: 'Who spent most today first. For the operator alone: null for keys' }),
    origins: z.array(originSchema).nullable(),
    changes: z
      .array(changeSchema)
      .nullable()
      .meta({ description: 'The newest first. For the operator alone: null for keys' }),
  })
  .meta({ id: 'Operations' })
export type OperationsBody = z.infer<typeof operationsBodySchema>
