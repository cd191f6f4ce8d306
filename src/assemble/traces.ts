import type { Config } from '../config/config.ts'
import type { Tracing } from '../telemetry/traces/create.ts'
import type { Active, ContextStorage } from '../telemetry/traces/tracer.ts'
import { VERSION } from '../version.ts'
import type { Platform } from './shared.ts'

/**
 * What records traces; undefined where none are configured, and nothing of it is evaluated then. A Worker without the
 * compatibility flag `nodejs_als` goes on without them.
 */
export async function tracingOf(
  { limits, traces }: Pick<Config, 'limits' | 'traces'>,
  platform: Platform,
): Promise<Tracing | undefined> {
  if (traces === undefined) return undefined
  try {
    const [{ AsyncLocalStorage }, { createTracing }] = await Promise.all([
      import('node:async_hooks'),
      import('../telemetry/traces/create.ts'),
    ])
    const storage: ContextStorage<Active> = new AsyncLocalStorage<Active>()
    return createTracing({
      ...platform,
      limits,
      settings: traces,
      askedPerMinute: limits.traceAskedPerMinute,
      refusedPerMinute: limits.traceRefusedPerMinute,
      service: { name: 'verge', version: VERSION, place: 'edge' },
      storage,
      fetch: (url, init) => fetch(url, init),
    })
  } catch (error) {
    platform.logger.error('traces_unavailable', { error })
    return undefined
  }
}
