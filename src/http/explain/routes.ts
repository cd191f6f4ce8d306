import { Hono } from 'hono'
import { authorize } from '../../access/authorize.ts'
import { VergeError } from '../../core/errors.ts'
import { refusedCredential, resolveVersion, visibleModel } from '../../inference/access.ts'
import type { ForwardRoute } from '../../placement/placement.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'

const ROUTES: readonly ForwardRoute[] = ['task', 'oip', 'openai', 'rerank']

/** Where a request to a model would be computed now, and why, without computing it: for whoever runs the place. */
export function explainRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/:model', async (c) => {
    const access = accessOf(deps, c)
    const alias = await visibleModel(access, c.req.param('model'))
    if (!authorize(c.get('caller'), { name: alias.model, visibility: alias.visibility }, 'explain')) {
      const refused = refusedCredential(c.get('caller'), 'how a request is placed is shown to the operator alone')
      throw (
        refused ??
        new VergeError('forbidden', "How a request is placed is for the operator to see. Send the operator's key.")
      )
    }
    const asked = c.req.query('route') ?? 'task'
    const route = ROUTES.find((candidate) => candidate === asked)
    if (route === undefined) {
      throw new VergeError('invalid_request', `The parameter "route" may be ${ROUTES.join(', ')}.`, {
        details: { field: 'route' },
      })
    }
    const model = await resolveVersion(access, alias, c.req.query('version'))
    const { manifest } = model
    const decision =
      deps.placement === undefined
        ? { reason: 'only-place' }
        : await deps.placement.explain(model, { route, full: false }, c.get('context'))
    return c.json({ model: manifest.model, version: manifest.version, route, decision })
  })
  return app
}
