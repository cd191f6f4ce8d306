/** Causes of one error that a log line holds; further ones, and circles, end there. */
const MOST_CAUSES = 4

/** An error's fields as a value that JSON can hold: by themselves they are not enumerable. Anything else as it is. */
export function errorFields(value: unknown, depth = 0): unknown {
  if (!(value instanceof Error)) return value
  const { name, message, stack, cause } = value
  const code = 'code' in value ? value.code : undefined
  return {
    name,
    ...(code !== undefined && { code }),
    message,
    stack,
    ...(cause !== undefined && depth < MOST_CAUSES && { cause: errorFields(cause, depth + 1) }),
  }
}
