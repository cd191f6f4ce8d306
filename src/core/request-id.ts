/** Request ids that may be echoed into headers and logs without escaping. */
export const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/** The caller's own id where it may be echoed, otherwise a new one. */
export function requestIdFrom(given: string | null | undefined, randomId: () => string): string {
  return given !== undefined && given !== null && REQUEST_ID.test(given) ? given : randomId()
}
