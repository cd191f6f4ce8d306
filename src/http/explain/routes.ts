import { Hono } from 'hono'
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
    return c.json({ model: manifest.model, version: manifest.version, route, decision })
  })
  return app
}
