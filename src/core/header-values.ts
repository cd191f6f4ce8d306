/** A Content-Length header's bytes; undefined where it is missing or is no number. */
export function declaredLength(header: string | null | undefined): number | undefined {
  return header !== undefined && header !== null && /^\d{1,15}$/.test(header) ? Number(header) : undefined
}

/** A Retry-After header's milliseconds: it has seconds or a date (RFC 9110). Undefined where it is missing or neither. */
export function retryAfterMs(header: string | null | undefined, now: number): number | undefined {
  const value = header?.trim()
  if (value === undefined || value === '') return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

/** A Retry-After header of whole seconds, at least one. */
export function retryAfterHeader(seconds: number): string {
  return String(Math.max(1, Math.ceil(seconds)))
}
