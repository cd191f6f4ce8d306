import { Hono } from 'hono'
import * as z from 'zod'
import type { Caller } from '../../access/authorize.ts'
import { planSchema } from '../../access/plan.ts'
import { VergeError } from '../../core/errors.ts'
import { explainPlacement } from '../../inference/explain.ts'
import type { ForwardRoute } from '../../placement/placement.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'

const ROUTES: readonly ForwardRoute[] = ['task', 'oip', 'openai', 'rerank', 'own']

/** Where a request to a model would be computed now, and why, without computing it: for whoever runs the place. */
export function explainRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/:model', async (c) => {
    const asked = c.req.query('route') ?? 'task'
    const route = ROUTES.find((candidate) => candidate === asked)
    if (route === undefined) {
      throw new VergeError('invalid_request', `The parameter "route" must be one of ${ROUTES.join(', ')}.`, {
        details: { field: 'route' },
      })
    }
    const asking = { name: c.req.param('model'), route, version: c.req.query('version') }
    const { manifest, decision } = await explainPlacement(deps.placement, accessOf(deps, c), asking)
    const limits = limitsOf(deps.limited, c.get('caller'), manifest.model, c.req.query('plan'))
    return c.json({ model: manifest.model, version: manifest.version, route, decision, limits })
  })
  return app
}

/**
 * The limits that apply to a model: its own, the caller's, and those of a plan; without a plan's name those of callers
 * without a key.
 * @throws invalid_request for a plan that is not configured
 */
function limitsOf(limited: AppDeps['limited'], caller: Caller, model: string, plan: string | undefined) {
  const named = limited?.plans.get(plan ?? ANONYMOUS)
  if (plan !== undefined && named === undefined) {
    throw new VergeError('invalid_request', 'The parameter "plan" must be the name of a plan in PLANS.', {
      details: { field: 'plan' },
    })
  }
  const own = limited?.models.get(model)
  const { grant } = caller.kind === 'granted' ? caller : { grant: undefined }
  const callers = grant && [grant.limits, grant.plan === undefined ? undefined : limited?.plans.get(grant.plan)]
  return {
    model: own === undefined ? null : z.encode(planSchema, own),
    caller: callers?.flatMap((each) => (each === undefined ? [] : [z.encode(planSchema, each)])) ?? [],
    [plan ?? ANONYMOUS]: named === undefined ? null : z.encode(planSchema, named),
  }
}

const ANONYMOUS = 'anonymous'
