import type { z } from 'zod'
import { type ErrorCode, VergeError } from './errors.ts'

/**
 * Checks a value against a schema and says in one sentence what is wrong with it, naming the field.
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
  const issue = result.error.issues[0]
  if (issue === undefined) throw new VergeError(code, `${what} is not valid.`)
  const field = issue.path.length === 0 ? undefined : fieldName(issue.path)
  const where = field === undefined ? what : `${what}, field "${field}"`
  throw new VergeError(code, `${where}: ${lowerFirst(clip(issue.message))}.`, {
    details: field === undefined ? {} : { field },
  })
}

function fieldName(path: readonly PropertyKey[]): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? String(part) : `.${String(part)}`))
    .join('')
    .slice(0, 200)
}

/** A message names what it does not know, which may be as long as a request. */
function clip(message: string): string {
  return message.length > MOST_MESSAGE ? `${message.slice(0, MOST_MESSAGE)}...` : message
}
const MOST_MESSAGE = 500

function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1)
}

/**
 * Refuses a value of more items and members than a request can need. To be asked before a schema that looks at each: the
 * validator keeps what is wrong with every one of them, so that a few megabytes of wrong items would become a gigabyte.
 * What stands under `data` are a tensor's elements: no schema looks at those, and they are counted by their shape.
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
