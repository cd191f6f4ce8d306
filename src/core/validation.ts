import type * as z from 'zod'
import { type ErrorCode, VergeError } from './errors.ts'
import { knownFields } from './known-fields.ts'

/**
 * Checks a value against a schema, and describes the first problem in one sentence that names the field.
 * @throws the code given
 */
export function validate<T>(
  schema: z.ZodType<T>,
  value: unknown,
  what: string,
  code: ErrorCode = 'invalid_request',
): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [first] = result.error.issues
  if (first === undefined) throw new VergeError(code, `${what} is not valid.`)
  const { message: said, path, unknown } = described(first, value)
  const message = unknown === undefined ? said : unknownFields(unknown, knownFields(schema, path))
  const field = path.length === 0 ? undefined : fieldName(path)
  const where = field === undefined ? what : `${what}, field "${field}"`
  throw new VergeError(code, `${where}: ${lowerFirst(clip(message))}.`, {
    details: field === undefined ? {} : { field },
  })
}

interface Described {
  readonly message: string
  readonly path: readonly PropertyKey[]
  /** Expected kinds, if the only problem is a value of another kind. */
  readonly kinds?: readonly string[]
  /** Names that are there and should not be. */
  readonly unknown?: readonly string[]
}

/** How the validator's own messages about kinds begin; a schema's own words stand as they are. */
const NO_WORDS = 'Invalid input'

/**
 * Describes an issue: what was sent, and what is needed. For a union the validator only reports that no alternative
 * matches. Here the alternative that comes closest describes the problem, or all alternatives that are equally close.
 */
function described(issue: z.core.$ZodIssue, root: unknown): Described {
  const { message, path } = issue
  if (issue.code === 'unrecognized_keys') return { message, path, unknown: issue.keys }
  if (!message.startsWith(NO_WORDS)) return { message, path }
  if (issue.code === 'invalid_type') return ofOtherKind(root, path, [KINDS[issue.expected] ?? issue.expected])
  if (issue.code === 'invalid_value') return ofOtherKind(root, path, issue.values.map(shown))
  if (issue.code !== 'invalid_union') return { message, path }
  const value = valueAt(root, path)
  let nearest: Described | undefined
  for (const [first] of issue.errors) if (first !== undefined) nearest = nearerOf(nearest, described(first, value))
  if (nearest === undefined) return ofOtherKind(root, path, [])
  const whole = [...path, ...nearest.path]
  return nearest.kinds === undefined ? { ...nearest, path: whole } : ofOtherKind(root, whole, nearest.kinds)
}

function unknownFields(names: readonly string[], known: readonly string[]): string {
  const [name = ''] = names
  const shown = `there is no field "${name.slice(0, MOST_NAME)}"`
  return known.length === 0 ? shown : `${shown}; use ${known.join(', ')}`
}
const MOST_NAME = 100

function ofOtherKind(root: unknown, path: readonly PropertyKey[], wanted: readonly string[]): Described {
  const kinds = [...new Set(wanted)]
  const there = kindOf(valueAt(root, path))
  const message =
    kinds.length === 0 ? `${there} cannot be used here` : `${there} was sent, but ${either(kinds)} is needed`
  return { message, path, kinds }
}

/** The failure that lies deeper, or later in a list: more of the value was right before it. */
function nearerOf(a: Described | undefined, b: Described): Described {
  const order = a === undefined ? -1 : progress(a.path, b.path)
  if (a === undefined || order < 0) return b
  if (order > 0) return a
  // Of the right kind and wrong in another way is nearer than of the wrong kind.
  if (a.kinds === undefined) return a
  return b.kinds === undefined ? b : { ...a, kinds: [...a.kinds, ...b.kinds] }
}

function progress(a: readonly PropertyKey[], b: readonly PropertyKey[]): number {
  if (a.length !== b.length) return a.length - b.length
  for (const [i, part] of a.entries()) {
    const other = b[i]
    if (typeof part === 'number' && typeof other === 'number' && part !== other) return part - other
  }
  return 0
}

function shown(value: unknown): string {
  return typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value))
}

const KINDS: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'an integer',
  null: 'null',
  number: 'a number',
  object: 'an object',
  record: 'an object',
  string: 'a string',
  tuple: 'a list',
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  switch (typeof value) {
    case 'string':
      return value === '' ? 'an empty string' : 'a string'
    case 'number':
    case 'bigint':
      return 'a number'
    case 'boolean':
      return String(value)
    default:
      return 'an object'
  }
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Readonly<Record<PropertyKey, unknown>>)[part]
  }
  return value
}

function either(kinds: readonly string[]): string {
  return kinds.length === 1 ? String(kinds[0]) : `${kinds.slice(0, -1).join(', ')} or ${kinds.at(-1)}`
}

function fieldName(path: readonly PropertyKey[]): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? String(part) : `.${String(part)}`))
    .join('')
    .slice(0, 200)
}

/** A message names unknown fields, which may be as long as a request. */
function clip(message: string): string {
  return message.length > MOST_MESSAGE ? `${message.slice(0, MOST_MESSAGE)}...` : message
}
const MOST_MESSAGE = 500

function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1)
}

/**
 * Refuses a value with more items and members than a request can need. Call it before a schema that checks each item:
 * the validator keeps an issue per item, so a few megabytes of invalid items would become a gigabyte. `data` holds the
 * elements of a tensor, which no schema checks; their number is checked by the shape.
 * @throws input_too_large
 */
export function refuseManyItems(root: unknown, most: number): void {
  const open: unknown[] = [root]
  let items = 0
  while (open.length > 0) {
    const value = open.pop()
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) continue
    // a list may be sparse where it did not come as JSON: its length is counted before anything is made of it
    const names = Array.isArray(value) ? [] : Object.keys(value)
    items += Array.isArray(value) ? value.length : names.length
    if (items > most) {
      throw new VergeError(
        'input_too_large',
        `A request may have at most ${most} items in all of its lists. Send them in several requests.`,
        { details: { limit_items: most } },
      )
    }
    if (Array.isArray(value)) for (const item of value) open.push(item)
    else for (const name of names) if (name !== 'data') open.push((value as Record<string, unknown>)[name])
  }
}
