import * as z from 'zod'
import { signInVariable } from '../access/sign-in/issuers.ts'
import { LIMITS } from '../core/limits.ts'
import { modelLimits, plans, whenUnavailable } from './plans.ts'
import {
  collector,
  engineNames,
  exportHeaders,
  key,
  LEAST_KEY,
  LEAST_TOKEN_SECRET,
  listedNames,
  modelName,
  modelNames,
  names,
  onOff,
  pageOrigins,
  protocolName,
  publicKeys,
  share,
  text,
  tokenSecret,
  wholeNumber,
} from './values.ts'

/** A setting of the Worker that arrives as text in its environment. */
export interface Variable<Value = unknown> {
  /** Secrets are set with `wrangler secret put` and never written into wrangler.toml. */
  readonly kind: 'variable' | 'secret'
  /** As docs/configuration.md shows it, in Markdown. */
  readonly default: string
  /** One line of Markdown for docs/configuration.md: the effect, and the accepted values. */
  readonly description: string
  /** Parses the text. Its messages follow "NAME: " and state the accepted values. */
  readonly schema: z.ZodType<Value>
}

/** A resource that wrangler.toml binds to the Worker. */
export interface Binding {
  readonly kind: 'R2 bucket' | 'KV namespace' | 'Durable Object' | 'rate limit' | 'Workers Assets'
  /** Its table in wrangler.toml. */
  readonly table: string
  /** Whether the Worker starts without it. */
  readonly required: boolean
  /** As docs/configuration.md shows it, in Markdown. */
  readonly default: string
  readonly description: string
}

function number(least: number, most: number, fallback: number, description: string): Variable<number> {
  return {
    kind: 'variable',
    default: String(fallback),
    description: `${description}. ${least} to ${most}`,
    schema: wholeNumber(least, most, fallback),
  }
}

const THIRTY_DAYS = 30 * 86_400

/** MiB as the variable counts them. */
export const MiB = 1024 * 1024

/**
 * Every variable and secret that the Worker reads. The Worker parses its environment with it, `verge doctor` and
 * `npm start` check wrangler.toml and .dev.vars with it, and docs/configuration.md is generated from it.
 */
export const VARIABLES = {
  VERGE_API_KEY: {
    kind: 'secret',
    default: 'none',
    description: `Bearer key of the operator: at least ${LEAST_KEY} letters, digits or \`._~+/-\`. Without it no caller can use private models`,
    schema: key,
  },
  TOKEN_SECRET: {
    kind: 'secret',
    default: 'none; the Worker derives one from `VERGE_API_KEY`',
    description: `What the Worker signs [browser tokens](tokens.md) with: at least ${LEAST_TOKEN_SECRET} letters, digits or \`._~+/-\`. Another secret ends all tokens that it has signed`,
    schema: tokenSecret,
  },
  CORS_ALLOW: {
    kind: 'variable',
    default: '`*` on this machine and in staging, none in production',
    description:
      'Web pages that may call: their origins as browsers send them (`https://app.example.com`), separated by commas. `*` is every page',
    schema: pageOrigins,
  },
  PINNED_MODELS: {
    kind: 'variable',
    default: 'none',
    description: 'Models that are not evicted to make room for others, separated by commas',
    schema: names,
  },
  ENGINES: {
    kind: 'variable',
    default: '`verge,onnxruntime`',
    description:
      "Engines at the edge, separated by commas. `onnxruntime` alone turns Verge's own engine off: models answer as before, more slowly",
    schema: engineNames,
  },
  ADMITTED_REQUESTS: number(
    1,
    LIMITS.admittedRequests,
    LIMITS.admittedRequests,
    'Requests that an isolate handles at once; more are answered 429. Their bodies and the cost of their runs have limits of their own',
  ),
  SESSION_BUDGET_MB: number(1, 64, LIMITS.sessionBudgetBytes / MiB, 'MiB of loaded models in an isolate'),
  REQUEST_DEADLINE_MS: number(
    1,
    300_000,
    LIMITS.requestDeadlineMs,
    'Milliseconds until a request is answered 504; `verge-timeout-ms` on a request shortens it',
  ),
  REQUEST_COST_LIMIT: number(
    1,
    100_000_000,
    LIMITS.requestCost,
    '[Units](glossary.md#cost) that the runs of one request may cost; more is answered 413',
  ),
  RESULT_CACHE_TTL_SECONDS: number(
    0,
    THIRTY_DAYS,
    LIMITS.resultTtlSeconds,
    'Seconds for which results are cached, unless the model says otherwise; 0 switches the cache off',
  ),
  DEFAULT_PROTOCOL: {
    kind: 'variable',
    default: 'none',
    description:
      'The [protocol](compatibility.md#addresses) that answers paths which several protocols share, such as `/tokenize`, where no prefix says which one is meant',
    schema: protocolName,
  },
  DEFAULT_MODEL: {
    kind: 'variable',
    default: 'none',
    description: 'The model that answers paths which name no model, such as `/embed`',
    schema: modelName,
  },
  MODEL_NAMES: {
    kind: 'variable',
    default: 'none',
    description:
      'Further names of models, for all protocols: `NAME=MODEL`, separated by commas, such as `@cf/baai/bge-m3=bge-m3, text-embedding-3-small=minilm`',
    schema: modelNames,
  },
  LOG_SAMPLE_RATE: {
    kind: 'variable',
    default: '1; 0 on this machine',
    description:
      'Share of successful requests that leave a [log entry](deploy.md#logs), 0 to 1. Every failed request leaves one',
    schema: share(1),
  },
  OTLP_ENDPOINT: {
    kind: 'variable',
    default: 'none: no traces',
    description:
      'Collector that [traces](traces.md) are sent to, by OTLP/HTTP in JSON: the address below which `/v1/traces` lies, such as `https://otlp.example.com`',
    schema: collector,
  },
  OTLP_HEADERS: {
    kind: 'secret',
    default: 'none',
    description:
      'Headers of each export, for the credentials of the collector: `name=value`, separated by commas, values percent-encoded',
    schema: exportHeaders,
  },
  TRACE_SAMPLE_RATE: {
    kind: 'variable',
    default: '0.01',
    description:
      'Share of requests that leave a [trace](traces.md#which-requests), 0 to 1, where `OTLP_ENDPOINT` is set',
    schema: share(0.01),
  },
  PLAYGROUND: {
    kind: 'variable',
    default: '`on`',
    description: 'Whether browsers get the [page](playground.md) at `/`: `on` or `off`. `off` leaves the API as it is',
    schema: onOff(true),
  },
  RPC_CALLERS: {
    kind: 'variable',
    default: 'none',
    description:
      'Names of Workers that may run private models [over a service binding](tasks/rpc.md#who-may), separated by commas. `*` is not accepted',
    schema: listedNames,
  },
  PLANS: {
    kind: 'variable',
    default: 'none',
    description:
      'What callers may use, by the names that keys give, as JSON ([fields](budgets.md#plans)). The plan `anonymous` is that of callers without a key, by their addresses',
    schema: plans,
  },
  MODEL_LIMITS: {
    kind: 'variable',
    default: 'none',
    description:
      'What all callers together may ask of a model, as JSON: `{"minilm":{"rate":"100/1s","concurrency":8}}` ([fields](budgets.md#limits-of-models))',
    schema: modelLimits,
  },
  LIMITS_WHEN_UNAVAILABLE: {
    kind: 'variable',
    default: '`rates=open, budgets=closed`',
    description:
      'What happens to limited callers while [the ledger](budgets.md#when-the-ledger-is-away) does not answer. `open`: each isolate continues by its own count; `closed`: 503 `limits_unavailable`',
    schema: whenUnavailable,
  },
  RELEASE_KEYS: {
    kind: 'variable',
    default: 'none: releases need no signature',
    description:
      'Public keys of Ed25519 that [releases](signing.md) must be signed with, separated by commas: base64url, PEM or JWK. Models whose release none of them has signed are not served',
    schema: publicKeys,
  },
  SIGN_IN: {
    kind: 'variable',
    default: 'none',
    description:
      'Issuers whose sign-in tokens (JWT) are accepted, and what their users may do, as JSON ([fields](sign-in.md))',
    schema: signInVariable,
  },
  ORIGINS: {
    kind: 'variable',
    default: 'none; `npm start` names the origin that `npm run origin` starts',
    description:
      'Larger machines that run models, as JSON ([fields](origin/configure.md#origins)). Their keys are secrets',
    schema: text,
  },
} as const satisfies Record<string, Variable>

export type VariableName = keyof typeof VARIABLES

/** The parsed value of each variable. */
export type Values = { readonly [Name in VariableName]: z.output<(typeof VARIABLES)[Name]['schema']> }

export const VARIABLE_NAMES: readonly string[] = Object.keys(VARIABLES)

/** Former names, which are refused: a setting that is silently left out would be noticed late. */
export const RENAMED_VARIABLES: Readonly<Record<string, VariableName>> = { CORS_ORIGINS: 'CORS_ALLOW' }

/** Every resource that the Worker reads from its environment. */
export const BINDINGS = {
  BUCKET: {
    kind: 'R2 bucket',
    table: 'r2_buckets',
    required: true,
    default: '`verge-models`',
    description: 'Source of truth for weights, manifests and aliases',
  },
  KV: {
    kind: 'KV namespace',
    table: 'kv_namespaces',
    required: true,
    default: '',
    description: 'Copies of manifests, aliases and the weights of hot models, close to callers',
  },
  STREAMS: {
    kind: 'Durable Object',
    table: 'durable_objects.bindings',
    required: false,
    default: '',
    description: 'WebSockets of `/stream/{model}`. Without it streams are refused with `streams_unavailable`',
  },
  LEDGER: {
    kind: 'Durable Object',
    table: 'durable_objects.bindings',
    required: false,
    default: '',
    description:
      'What callers have used of their [rates and budgets](budgets.md). Without it callers with a budget are refused with `limits_unavailable`, each isolate counts rates by itself, and no [usage](usage.md) is counted',
  },
  ADDRESS_RATE: {
    kind: 'rate limit',
    table: 'ratelimits',
    required: false,
    default: '6000 in 60 s',
    description:
      "The platform's own [limit](budgets.md#floods) for each address, before unknown keys are looked up and before `LEDGER`. Without it a flood is refused by the isolate",
  },
  KEY_RATE: {
    kind: 'rate limit',
    table: 'ratelimits',
    required: false,
    default: '60000 in 60 s',
    description: 'The same for each key, person or token',
  },
  RELEASES: {
    kind: 'Durable Object',
    table: 'durable_objects.bindings',
    required: false,
    default: '',
    description:
      'Highest generation of each signed model, against [downgrades](signing.md#downgrades). Without it an isolate compares releases only with those that it has read itself',
  },
  METRICS: {
    kind: 'Durable Object',
    table: 'durable_objects.bindings',
    required: false,
    default: '',
    description:
      'What all isolates have counted ([metrics](metrics.md)). Without it nothing is, and `/metrics` is answered 501',
  },
  CANARIES: {
    kind: 'Durable Object',
    table: 'durable_objects.bindings',
    required: false,
    default: '',
    description:
      'Watches [canaries](canary.md), and takes those out that are worse. Without it none goes back by itself',
  },
  ASSETS: {
    kind: 'Workers Assets',
    table: 'assets',
    required: false,
    default: '',
    description:
      'Files of the [page](playground.md) and of `/browser.js`. Environments inherit it. Without it `/` answers JSON to browsers, too',
  },
} as const satisfies Record<string, Binding>

export type BindingName = keyof typeof BINDINGS

/**
 * Parses all variables of an environment.
 * @throws an error that names each invalid variable and its accepted values, and never shows a value
 */
export function parseVariables(env: Readonly<Record<string, unknown>>): Values {
  const shape = Object.fromEntries(Object.entries(VARIABLES).map(([name, { schema }]) => [name, schema]))
  const parsed = z.object(shape).safeParse(env)
  const renamed = Object.entries(RENAMED_VARIABLES)
    .filter(([former]) => env[former] !== undefined)
    .map(([former, name]) => `${former}: is now called ${name}; rename it`)
  if (parsed.success && renamed.length === 0) return parsed.data as Values
  const problems = (parsed.error?.issues ?? []).map((issue) => `${String(issue.path[0])}: ${issue.message}`)
  problems.push(...renamed)
  throw configurationError([...new Set(problems)])
}

/** @throws an error that names the required bindings which the environment lacks */
export function checkBindings(env: Readonly<Record<string, unknown>>): void {
  const missing = Object.entries(BINDINGS).filter(([name, { required }]) => required && !isObject(env[name]))
  if (missing.length === 0) return
  throw configurationError(missing.map(([name, { kind }]) => `${name}: no ${kind} is bound; add it to wrangler.toml`))
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

function configurationError(problems: readonly string[]): Error {
  return new Error(`The Worker's configuration is invalid. ${problems.join('; ')}.`)
}
