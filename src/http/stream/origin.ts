/**
 * Whether a page may open a stream: its origin is named, or the server's own. What sends no `Origin` is no browser, and
 * nobody's cookies are at stake: credentials are sent by programs on purpose here.
 */
export function allowedOrigin(origin: string | undefined, url: string, allowed: readonly string[]): boolean {
  return origin === undefined || allowed.includes('*') || allowed.includes(origin) || origin === new URL(url).origin
}
