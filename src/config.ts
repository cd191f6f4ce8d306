import { z } from 'zod'
import { LIMITS, type Limits } from './core/limits.ts'
import { type OriginConfig, parseOrigins } from './placement/config.ts'

const count = z.coerce.number().int().positive()
const names = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  )

/** Every variable and secret of the Worker, as text; documented in README. */
const variables = z.object({
  CORS_ORIGINS: names,
  VERGE_API_KEY: z.string().min(16, 'must have at least 16 characters').optional(),
  PINNED_MODELS: names,
  ADMITTED_REQUESTS: count.max(256).optional(),
  SESSION_BUDGET_MB: count.max(64).optional(),
  REQUEST_DEADLINE_MS: count.max(300_000).optional(),
  REQUEST_COST_LIMIT: count.max(100_000_000).optional(),
  RESULT_CACHE_TTL_SECONDS: z.coerce
    .number()
    .int()
    .min(0)
    .max(30 * 86_400)
    .optional(),
  LOG_SAMPLE_RATE: z.coerce
    .string()
    .regex(/^(?:0(?:\.\d+)?|1(?:\.0+)?)$/, 'must be a number from 0 to 1')
    .transform(Number)
    .default(1),
  RPC_CALLERS: names,
  ORIGINS: z.string().default(''),
})

export interface Config {
  readonly corsOrigins: readonly string[]
  /** SHA-256 of the operator's key; absent where none is set, and then nobody is the operator. */
  readonly apiKeyDigest: Uint8Array | undefined
  readonly pinnedModels: ReadonlySet<string>
  /** Names that a service binding's `props.caller` may have, and that may then run private models. */
  readonly rpcCallers: ReadonlySet<string>
  /** Share of the requests that succeed of which each leaves a line in the log. */
  readonly logSampleRate: number
  /** Larger machines that models may run on. */
  readonly origins: readonly OriginConfig[]
  readonly limits: Limits
}

const MiB = 1024 * 1024

/** Parses the environment once. @throws an error that names the variable and never its value */
export async function parseConfig(env: Readonly<Record<string, unknown>>): Promise<Config> {
  const parsed = variables.safeParse(env)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new Error(`The Worker's configuration is wrong. ${problems.join('; ')}`)
  }
  const { data } = parsed
  const key = data.VERGE_API_KEY
  return Object.freeze({
    corsOrigins: data.CORS_ORIGINS,
    apiKeyDigest:
      key === undefined
        ? undefined
        : new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key))),
    pinnedModels: new Set(data.PINNED_MODELS),
    logSampleRate: data.LOG_SAMPLE_RATE,
    rpcCallers: new Set(data.RPC_CALLERS),
    origins: parseOrigins(data.ORIGINS),
    limits: {
      ...LIMITS,
      admittedRequests: data.ADMITTED_REQUESTS ?? LIMITS.admittedRequests,
      sessionBudgetBytes:
        data.SESSION_BUDGET_MB === undefined ? LIMITS.sessionBudgetBytes : data.SESSION_BUDGET_MB * MiB,
      requestDeadlineMs: data.REQUEST_DEADLINE_MS ?? LIMITS.requestDeadlineMs,
      requestCost: data.REQUEST_COST_LIMIT ?? LIMITS.requestCost,
      resultTtlSeconds: data.RESULT_CACHE_TTL_SECONDS ?? LIMITS.resultTtlSeconds,
    },
  })
}
