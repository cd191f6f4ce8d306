import * as z from 'zod'
import { MODEL_NAME } from '../catalog/manifest.ts'
import { PublicKeyFault, parsePublicKeys } from '../catalog/signing/public-keys.ts'
import { PROTOCOLS } from '../protocols/names.ts'
import { isPrivate, parseHeaders, tracesUrl } from '../telemetry/traces/settings.ts'

/** Browsers send `null` for pages without an origin, such as sandboxed pages. */
const PAGE_ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*]+\/?$/i

/** RFC 6750: characters of a bearer token. */
export const CARRIED_KEY = /^[A-Za-z0-9._~+/-]+=*$/

/** Fewer characters can be guessed. */
export const LEAST_KEY = 16

/** An empty variable counts as unset, so that an empty number is the default instead of 0. */
function unlessEmpty<Value>(fallback: Value, schema: z.ZodType<Value>): z.ZodType<Value> {
  return z.preprocess((value) => (value === '' || value === undefined ? fallback : value), schema)
}

/** A whole number, both ends included; `fallback` where it is absent or empty. */
export function wholeNumber(least: number, most: number, fallback: number): z.ZodType<number> {
  const error = `must be a whole number from ${least} to ${most}`
  return unlessEmpty(fallback, z.coerce.number({ error }).int(error).min(least, error).max(most, error))
}

/** A number from 0 to 1, written with digits. */
export function share(fallback: number): z.ZodType<number> {
  const digits = z.coerce.string().regex(/^(?:0(?:\.\d+)?|1(?:\.0+)?)$/, 'must be a number from 0 to 1')
  return unlessEmpty(fallback, digits.transform(Number) as z.ZodType<number>)
}

/** `on` or `off`. */
export function onOff(fallback: boolean): z.ZodType<boolean> {
  const words = z.enum(['on', 'off'], 'must be "on" or "off"')
  return unlessEmpty(fallback ? 'on' : 'off', words).transform((value) => value === 'on') as z.ZodType<boolean>
}

/** Text; empty where it is absent. */
export const text = z.string('must be text').default('')

/** Names separated by commas. */
export const names = text.transform((list) =>
  list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== ''),
)

/** Names separated by commas, without a wildcard. */
export const listedNames = names.refine((list) => !list.some((name) => name.includes('*')), {
  message: 'must name each caller; "*" is not accepted',
})

/** A model's name in Verge; undefined where it is absent. */
export const modelName = z
  .union(
    [z.literal('').transform(() => undefined), z.string().regex(MODEL_NAME, 'must be the name of a model')],
    'must be the name of a model',
  )
  .optional()

/** A protocol's name; undefined where it is absent. */
export const protocolName = z
  .union([z.literal('').transform(() => undefined), z.enum(PROTOCOLS)], `must be one of ${PROTOCOLS.join(', ')}`)
  .optional()

/** Names of models and what they mean here: `NAME=MODEL`, separated by commas. */
export const modelNames = names.transform((list, context): ReadonlyMap<string, string> => {
  const table = new Map<string, string>()
  for (const entry of list) {
    const at = entry.lastIndexOf('=')
    const name = entry.slice(0, Math.max(0, at)).trim()
    const model = entry.slice(at + 1).trim()
    if (name === '' || !MODEL_NAME.test(model)) {
      context.addIssue('must be NAME=MODEL, separated by commas; MODEL is a model of this Worker')
      return z.NEVER
    }
    if (table.has(name)) {
      context.addIssue('must have each name once')
      return z.NEVER
    }
    table.set(name, model)
  }
  return table
})

export const ENGINES = ['verge', 'onnxruntime'] as const
export type EngineName = (typeof ENGINES)[number]

/** Engines, each at most once; all of them where none is named. */
export const engineNames = names.transform((list, context): EngineName[] => {
  const known = list.flatMap((name) => ENGINES.filter((engine) => engine === name))
  if (known.length === list.length && new Set(known).size === known.length)
    return known.length > 0 ? known : [...ENGINES]
  context.addIssue(`must be engines separated by commas, each once: ${ENGINES.join(', ')}`)
  return z.NEVER
})

/** Origins as browsers send them. An origin that is written otherwise never matches, and no error would show it. */
export const pageOrigins = names.transform((list, context) =>
  list.map((origin, index) => {
    if (origin === '*' || origin === 'null') return origin
    if (!PAGE_ORIGIN.test(origin)) {
      const message = 'must be origins such as https://app.example.com, without a path, or "*"'
      context.addIssue({ code: 'custom', path: [index], message })
      return origin
    }
    const url = new URL(origin)
    return /^https?:$/.test(url.protocol) ? url.origin : origin.replace(/\/$/, '')
  }),
)

/** What signs tokens is guessed offline: 32 characters of hexadecimal digits are 128 bits. */
export const LEAST_TOKEN_SECRET = 32

/** A secret that signs tokens. Absent: undefined; empty is refused, because an empty secret is a mistake. */
export const tokenSecret = z
  .string('must be text')
  .min(LEAST_TOKEN_SECRET, `must have at least ${LEAST_TOKEN_SECRET} characters`)
  .regex(CARRIED_KEY, 'may contain letters, digits and ._~+/- only')
  .optional()

/** A bearer key. Absent: undefined; empty is refused, because an empty secret is a mistake. */
export const key = z
  .string('must be text')
  .min(LEAST_KEY, `must have at least ${LEAST_KEY} characters`)
  .regex(CARRIED_KEY, 'may contain letters, digits and ._~+/- only')
  .optional()

/** Public keys of Ed25519; none where it is absent. */
export const publicKeys = text.transform((value, context): Uint8Array<ArrayBuffer>[] => {
  try {
    return parsePublicKeys(value)
  } catch (error) {
    if (!(error instanceof PublicKeyFault)) throw error
    context.addIssue(error.message)
    return z.NEVER
  }
})

/** The address of a collector for traces below which `/v1/traces` lies; undefined where it is absent. */
export const collector = text.transform((value, context): string | undefined => {
  if (value === '') return undefined
  const url = tracesUrl(value)
  if (url !== undefined && isPrivate(url)) return url
  context.addIssue(
    'must be an https:// address without a name or a password in it; http:// is accepted for this machine alone',
  )
  return z.NEVER
})

/** Headers of exports: `name=value`, separated by commas; none where it is absent. */
export const exportHeaders = text.transform((value, context): Readonly<Record<string, string>> => {
  const headers = parseHeaders(value)
  if (headers !== undefined) return headers
  context.addIssue('must be name=value, separated by commas; what a value must not hold is percent-encoded')
  return z.NEVER
})
