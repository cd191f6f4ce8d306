import type { Plan } from '../access/plan.ts'
import type { Issuer } from '../access/sign-in/issuers.ts'
import { tokenKey } from '../access/tokens/secret.ts'
import { type ReleaseKey, releaseKey } from '../catalog/signing/public-keys.ts'
import { LIMITS, type Limits } from '../core/limits.ts'
import { type OriginConfig, parseOrigins } from '../placement/config.ts'
import type { ProtocolName } from '../protocols/names.ts'
import type { TraceSettings } from '../telemetry/traces/settings.ts'
import type { ModelLimits, WhenUnavailable } from './plans.ts'
import type { EngineName } from './values.ts'
import { MiB, parseVariables } from './variables.ts'

export interface Config {
  readonly corsOrigins: readonly string[]
  /** SHA-256 of the operator's key; absent if no key is set, and then no caller is the operator. */
  readonly apiKeyDigest: Uint8Array | undefined
  /** What the Worker signs browser tokens with; absent without a secret to derive it from. */
  readonly tokenKey: Uint8Array | undefined
  /** At the edge. */
  readonly engines: readonly EngineName[]
  readonly pinnedModels: ReadonlySet<string>
  /** Names that a service binding's `props.caller` may have, and that may then run private models. */
  readonly rpcCallers: ReadonlySet<string>
  /** Share of the requests that succeed of which each leaves a line in the log. */
  readonly logSampleRate: number
  /** Absent where no traces are recorded. */
  readonly traces: TraceSettings | undefined
  /** Whether browsers get the page at `/`. */
  readonly playground: boolean
  /** Who answers paths that several protocols share. */
  readonly defaultProtocol: ProtocolName | undefined
  /** What answers paths that name no model. */
  readonly defaultModel: string | undefined
  /** Further names of models. */
  readonly modelNames: ReadonlyMap<string, string>
  /** What callers may use, by the names that keys give. */
  readonly plans: ReadonlyMap<string, Plan>
  /** What all callers together may ask of a model. */
  readonly modelLimits: ReadonlyMap<string, ModelLimits>
  readonly limitsWhenUnavailable: WhenUnavailable
  /** Keys that releases must be signed with; empty where they need no signature. */
  readonly releaseKeys: readonly ReleaseKey[]
  /** Whose sign-in tokens are accepted. */
  readonly signIn: readonly Issuer[]
  /** Larger machines that models may run on. */
  readonly origins: readonly OriginConfig[]
  readonly limits: Limits
}

/** Parses the variables of the environment once. @throws an error that names the variable and never its value */
export async function parseConfig(env: Readonly<Record<string, unknown>>): Promise<Config> {
  const values = parseVariables(env)
  const key = values.VERGE_API_KEY
  const tokenSecret = values.TOKEN_SECRET ?? key
  return Object.freeze({
    corsOrigins: values.CORS_ALLOW,
    apiKeyDigest:
      key === undefined
        ? undefined
        : new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key))),
    tokenKey: tokenSecret === undefined ? undefined : await tokenKey(tokenSecret),
    engines: values.ENGINES,
    pinnedModels: new Set(values.PINNED_MODELS),
    logSampleRate: values.LOG_SAMPLE_RATE,
    traces:
      values.OTLP_ENDPOINT === undefined
        ? undefined
        : { url: values.OTLP_ENDPOINT, headers: values.OTLP_HEADERS, sampleRate: values.TRACE_SAMPLE_RATE },
    playground: values.PLAYGROUND,
    defaultProtocol: values.DEFAULT_PROTOCOL,
    defaultModel: values.DEFAULT_MODEL,
    modelNames: values.MODEL_NAMES,
    rpcCallers: new Set(values.RPC_CALLERS),
    plans: values.PLANS,
    modelLimits: values.MODEL_LIMITS,
    limitsWhenUnavailable: values.LIMITS_WHEN_UNAVAILABLE,
    releaseKeys: await Promise.all(values.RELEASE_KEYS.map(releaseKey)),
    signIn: values.SIGN_IN,
    origins: parseOrigins(values.ORIGINS, LIMITS),
    limits: {
      ...LIMITS,
      admittedRequests: values.ADMITTED_REQUESTS,
      sessionBudgetBytes: values.SESSION_BUDGET_MB * MiB,
      requestDeadlineMs: values.REQUEST_DEADLINE_MS,
      requestCost: values.REQUEST_COST_LIMIT,
      resultTtlSeconds: values.RESULT_CACHE_TTL_SECONDS,
    },
  })
}
