import type { MiddlewareHandler } from 'hono'
import { callerName } from '../../access/authorize.ts'
import { RESULT_CACHE_HEADER } from '../../core/headers.ts'
import type { CacheMode, RunLedger } from '../../core/runtime.ts'
import type { AppEnv } from '../app-env.ts'

/**
 * Opens the result cache to a request, as far as its `Cache-Control` allows, and says what came of it. Stands behind the
 * middleware that learns who is calling: results of private models are kept for each caller alone.
 */
export function resultCache(): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const ledger: RunLedger = { cost: 0, cache: undefined, lookups: 0 }
    c.set('context', {
      ...c.get('context'),
      cache: { mode: modeOf(c.req.header('cache-control')), scope: callerName(c.get('caller')) },
      ledger,
    })
    await next()
    if (ledger.cache !== undefined && c.res.ok) c.res.headers.set(RESULT_CACHE_HEADER, ledger.cache)
  }
}

/** RFC 9111, 5.2.1: `no-store` leaves no trace; `no-cache` and `max-age=0` want a fresh answer, which may be kept. */
function modeOf(header: string | undefined): CacheMode {
  const directives = (header ?? '').split(',').map((directive) => directive.trim().toLowerCase())
  if (directives.includes('no-store')) return 'off'
  const fresh = directives.some((directive) => directive === 'no-cache' || /^max-age="?0+"?$/.test(directive))
  return fresh ? 'refresh' : 'use'
}
