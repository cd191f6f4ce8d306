import * as z from 'zod'
import { LIMITS, type Limits } from './core/limits.ts'
import { type OriginConfig, parseOrigins } from './placement/config.ts'

/** A variable that is there and empty is not set: what stands for it is the default, and not the number 0. */
function unlessEmpty<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => (value === '' ? undefined : value), schema.optional())
}

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

/** `null` is what a browser sends for pages without an origin, such as sandboxed ones. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*]+\/?$/i

/** Origins as browsers send them. One that is written otherwise would never match, and nobody would be told. */
const origins = names.transform((list, context) =>
  list.map((text, index) => {
    if (text === '*' || text === 'null') return text
    if (!ORIGIN.test(text)) {
      const message = 'must be origins such as https://app.example.com, without a path, or "*"'
      context.addIssue({ code: 'custom', path: [index], message })
      return text
    }
    const url = new URL(text)
    return /^https?:$/.test(url.protocol) ? url.origin : text.replace(/\/$/, '')
  }),
)

const callers = names.refine((list) => !list.some((name) => name.includes('*')), {
  message: 'names each caller; there is no "*" for all of them',
})

/** RFC 6750: what a request can carry as a bearer token. */
export const CARRIED_KEY = /^[A-Za-z0-9._~+/-]+=*$/

/** Every variable and secret of the Worker, as text; documented in README. */
const variables = z.object({
  CORS_ORIGINS: origins,
  VERGE_API_KEY: z
    .string()
    .min(16, 'must have at least 16 characters')
    .regex(CARRIED_KEY, 'may have letters, digits and ._~+/- only: no request can carry others')
    .optional(),
  PINNED_MODELS: names,
  ADMITTED_REQUESTS: unlessEmpty(count.max(256)),
  SESSION_BUDGET_MB: unlessEmpty(count.max(64)),
  REQUEST_DEADLINE_MS: unlessEmpty(count.max(300_000)),
  REQUEST_COST_LIMIT: unlessEmpty(count.max(100_000_000)),
  RESULT_CACHE_TTL_SECONDS: unlessEmpty(
    z.coerce
      .number()
      .int()
      .min(0)
      .max(30 * 86_400),
  ),
  LOG_SAMPLE_RATE: unlessEmpty(
    z.coerce
      .string()
      .regex(/^(?:0(?:\.\d+)?|1(?:\.0+)?)$/, 'must be a number from 0 to 1')
      .transform(Number),
  ),
  RPC_CALLERS: callers,
  ORIGINS: z.string().default(''),
})

/** Their names. */
export const VARIABLES: readonly string[] = Object.keys(variables.shape)

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
    const problems = parsed.error.issues.map((issue) => `${String(issue.path[0])}: ${issue.message}`)
    throw new Error(`The Worker's configuration is wrong. ${[...new Set(problems)].join('; ')}.`)
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
    logSampleRate: data.LOG_SAMPLE_RATE ?? 1,
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
