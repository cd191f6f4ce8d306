import * as z from 'zod'
import { modelName } from '../catalog/manifest.ts'
import type { Limits } from '../core/limits.ts'
import { isLoopback } from '../core/loopback.ts'
import type { Coordinates } from '../core/runtime.ts'
import { ORIGIN_KINDS, type OriginKind, type OriginTimeouts } from './origin.ts'

/** How to prove to an origin who asks. Fields are names of the Worker's secrets, never their values. */
export type OriginAuthConfig =
  | { readonly type: 'hmac'; readonly key: string }
  | { readonly type: 'bearer'; readonly token: string }
  | { readonly type: 'access'; readonly id: string; readonly secret: string }
  | { readonly type: 'none' }

/** An origin as the operator describes it in the variable `ORIGINS`; with the environment it becomes an `Origin`. */
export interface OriginConfig {
  readonly name: string
  readonly kind: OriginKind
  /** Without a slash at its end. */
  readonly url: string
  readonly at?: Coordinates
  readonly weight: number
  /** Dollars for an hour of its work. */
  readonly usdPerHour?: number
  /** Our model names, with what the origin calls them; absent: every model of the catalogue, by the same name. */
  readonly models?: ReadonlyMap<string, string>
  readonly auth: OriginAuthConfig
  /** Binding of the Worker (a VPC service, an mTLS certificate) whose `fetch` reaches it. */
  readonly binding?: string
  readonly timeouts: OriginTimeouts
}

/**
 * Names of secrets and bindings. Upper case alone, so that a secret's value that was put in the place of its name is
 * refused here, without being shown, and does not appear later as the name of something missing.
 */
const environmentName = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,63}$/, 'must be the name of a secret or binding: upper-case letters, digits and "_"')

const authSchema = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('hmac'), key: environmentName }),
    z.strictObject({ type: z.literal('bearer'), token: environmentName }),
    z.strictObject({ type: z.literal('access'), id: environmentName, secret: environmentName }),
    z.strictObject({ type: z.literal('none') }),
  ],
  { error: 'must have a "type": "hmac", "bearer", "access" or "none"' },
)

/** What another server calls a model: a path or a name as Hugging Face has them, in one line of visible characters. */
const upstreamName = z.string().regex(/^[\x21-\x7e]{1,256}$/)

const modelsSchema = z.union([z.literal('*'), z.array(modelName).min(1), z.record(modelName, upstreamName)], {
  error: 'must be "*", a list of model names, or an object that maps our model names to those of the origin',
})

/** Longer than any model takes to begin or to end; a longer timer is a slip of the pen. */
const MOST_MS = 3_600_000
const milliseconds = z.number().int().min(100).max(MOST_MS)

const timeoutsSchema = z
  .strictObject({
    headersMs: milliseconds.default(10_000),
    idleMs: milliseconds.default(15_000),
    totalMs: milliseconds.default(300_000),
  })
  .refine(({ headersMs, idleMs, totalMs }) => headersMs <= totalMs && idleMs <= totalMs, {
    path: ['totalMs'],
    message: 'may not be below headersMs or idleMs',
  })

const originSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'lower-case letters, digits and "-", at most 32'),
    url: z.string().max(2048),
    kind: z.enum(ORIGIN_KINDS).default('verge'),
    latitude: z.number().min(-90).max(90).optional(),
    longitude: z.number().min(-180).max(180).optional(),
    weight: z.number().positive().max(1000).default(1),
    usdPerHour: z.number().positive().max(10_000).optional(),
    models: modelsSchema.optional(),
    auth: authSchema.default({ type: 'none' }),
    binding: environmentName.optional(),
    timeouts: timeoutsSchema.default({ headersMs: 10_000, idleMs: 15_000, totalMs: 300_000 }),
  })
  .superRefine((origin, context) => {
    const wrong = (field: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [field], message })
    }
    if ((origin.latitude === undefined) !== (origin.longitude === undefined)) {
      wrong(origin.latitude === undefined ? 'latitude' : 'longitude', 'is missing: set both coordinates or neither')
    }
    if (origin.kind !== 'verge' && (origin.models === undefined || origin.models === '*')) {
      wrong('models', `must list the models: only origins of kind "verge" share the catalogue`)
    }
    if (origin.auth.type === 'hmac' && origin.kind !== 'verge') {
      wrong('auth', 'of type "hmac" works with origins of kind "verge" only')
    }
    const fault = urlFault(origin.url, origin.binding !== undefined)
    if (fault !== undefined) wrong('url', fault)
    else if (origin.auth.type === 'none' && origin.binding === undefined && !isThisMachine(new URL(origin.url))) {
      wrong('auth', 'is missing: it is optional only for an origin on loopback or behind a binding')
    }
  })

type OriginLimits = Pick<Limits, 'originModels' | 'origins'>

const originsSchema = ({ originModels, origins: mostOrigins }: OriginLimits) =>
  z
    .array(originSchema, { error: 'must be a list of origins' })
    .max(mostOrigins, `may have at most ${mostOrigins} origins`)
    .superRefine((origins, context) => {
      const seen = new Set<string>()
      for (const [index, { models, name }] of origins.entries()) {
        const wrong = (field: string, message: string): void => {
          context.addIssue({ code: 'custom', path: [index, field], message })
        }
        if (typeof models === 'object' && Object.keys(models).length > originModels) {
          wrong('models', `may name at most ${originModels} models`)
        }
        if (seen.has(name)) wrong('name', 'is listed twice')
        seen.add(name)
      }
    })

/**
 * The variable `ORIGINS`: a JSON list of origins (docs/origin/configure.md). Empty text: none.
 * @throws an error that names each field that is wrong, and never a value
 */
export function parseOrigins(text: string, limits: OriginLimits): readonly OriginConfig[] {
  if (text.trim() === '') return []
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // the parser's own message quotes the text, and a secret may stand in it by mistake
    throw configurationError('ORIGINS: is not JSON')
  }
  const parsed = originsSchema(limits).safeParse(value)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${fieldName(issue.path)}: ${messageOf(issue)}`)
    throw configurationError(problems.slice(0, MOST_PROBLEMS).join('; '))
  }
  return parsed.data.map(toConfig)
}

/** Enough to fix a file by; a list of hundreds is not read. */
const MOST_PROBLEMS = 8

function configurationError(problems: string): Error {
  return new Error(`The Worker's configuration is invalid. ${problems}.`)
}

/** The validator quotes keys that it does not know, and a secret may have been put there by mistake. */
function messageOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'unrecognized_keys' ? 'has an unknown field' : issue.message
}

function fieldName(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (name, part) => (typeof part === 'number' ? `${name}[${part}]` : `${name}.${String(part).slice(0, 64)}`),
    'ORIGINS',
  )
}

function toConfig(origin: z.output<typeof originSchema>): OriginConfig {
  const { name, kind, weight, auth, timeouts, latitude, longitude, binding, usdPerHour } = origin
  const models = namesOf(origin.models)
  return {
    name,
    kind,
    url: new URL(origin.url).href.replace(/\/+$/, ''),
    weight,
    auth,
    timeouts,
    ...(latitude !== undefined && longitude !== undefined && { at: { latitude, longitude } }),
    ...(models && { models }),
    ...(binding !== undefined && { binding }),
    ...(usdPerHour !== undefined && { usdPerHour }),
  }
}

function namesOf(models: z.output<typeof modelsSchema> | undefined): ReadonlyMap<string, string> | undefined {
  if (models === undefined || models === '*') return undefined
  return Array.isArray(models) ? new Map(models.map((name) => [name, name])) : new Map(Object.entries(models))
}

function urlFault(text: string, bound: boolean): string | undefined {
  if (!URL.canParse(text)) return 'must be an address such as https://fra.example.com'
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must begin with https://'
  if (url.username !== '' || url.password !== '') return 'may not contain a credential: use "auth"'
  if (url.search !== '' || url.hash !== '') return 'may not have a query or a fragment'
  if (url.protocol === 'http:' && !bound && !isThisMachine(url)) {
    return 'must begin with https://, except for loopback and origins behind a binding'
  }
  return undefined
}

/** RFC 6761 reserves names below `localhost` for this machine too. */
function isThisMachine({ hostname }: URL): boolean {
  return hostname.endsWith('.localhost') || isLoopback(hostname)
}
