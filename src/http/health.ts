import type { Context } from 'hono'
import { authorize } from '../access/authorize.ts'
import type { AppDeps, AppEnv } from './app-env.ts'
import type { HealthBody } from './wire.ts'

/** Reports the engine's health. Figures about its memory are for callers who may see metrics. */
export async function health(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const state = await deps.serving.health()
  const figures = authorize(c.get('caller'), null, 'metrics')
    ? {
        ...(state.detail === undefined ? {} : { detail: state.detail }),
        ...(state.heapBytes === undefined ? {} : { heap_bytes: state.heapBytes }),
        ...(state.heapLimitBytes === undefined ? {} : { heap_limit_bytes: state.heapLimitBytes }),
        ...(state.recoveries === undefined ? {} : { recoveries: state.recoveries }),
      }
    : {}
  const body: HealthBody = {
    status: state.ok ? 'ok' : 'unavailable',
    engine: state.engine,
    version: state.version,
    ...callerIn(c),
    ...figures,
  }
  return c.json(body, state.ok ? 200 : 503)
}

/** Tells whoever sends a credential that it is accepted, and as what. */
function callerIn(c: Context<AppEnv>): Pick<HealthBody, 'caller'> {
  const caller = c.get('caller')
  if (caller.kind === 'granted') return { caller: caller.by }
  return caller.kind === 'operator' ? { caller: 'operator' } : {}
}

/** The same by the status alone, as text-embeddings-inference and vLLM answer. */
export async function healthAlone({ serving }: AppDeps): Promise<Response> {
  const { ok } = await serving.health()
  return new Response(null, { status: ok ? 200 : 503 })
}
