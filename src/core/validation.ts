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
  throw new VergeError(code, `${where}: ${lowerFirst(issue.message)}.`, {
    details: field === undefined ? {} : { field },
  })
}

function fieldName(path: readonly PropertyKey[]): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? String(part) : `.${String(part)}`))
    .join('')
    .slice(0, 200)
}

function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1)
}
