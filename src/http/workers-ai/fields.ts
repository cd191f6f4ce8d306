import { isVergeError, VergeError } from '../../core/errors.ts'

/** Fields of a task's body, each with the name that it has in Workers AI's request. */
export type FieldNames = readonly (readonly [own: RegExp, theirs: string])[]

/** A failure that names a field of the task's body, about the field that the caller sent. */
export function aboutTheirField(error: unknown, names: FieldNames): unknown {
  if (!isVergeError(error)) return error
  const { cause, code, details, message, retryAfter } = error
  const own = details?.field
  if (typeof own !== 'string') return error
  const found = names.find(([pattern]) => pattern.test(own))
  if (found === undefined) return error
  const field = own.replace(...found)
  return new VergeError(code, message.replaceAll(`"${own}"`, `"${field}"`), {
    cause,
    details: { ...details, field },
    ...(retryAfter !== undefined && { retryAfter }),
  })
}
