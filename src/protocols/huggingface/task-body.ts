import { isObject } from '../../core/objects.ts'

/**
 * A task's JSON body without `options`, which says how Hugging Face's API is to wait and to cache. Headers say that here;
 * older clients send it with every request.
 */
export function withoutOptions(value: unknown): unknown {
  if (!isObject(value) || !isObject(value.options)) return value
  const { options: _, ...rest } = value
  return rest
}

/** Whether a task's JSON body has one text, or one pair of texts, and not a list. */
export function isSingleInput(value: unknown): boolean {
  const inputs = isObject(value) ? value.inputs : undefined
  return typeof inputs === 'string' || (isObject(inputs) && 'text_pair' in inputs)
}
