import { Hono } from 'hono'
import { VergeError } from '../../core/errors.ts'
import { forKeys } from '../../operations/for-keys.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { assertSeesFigures } from '../figures.ts'

/** What goes on in all isolates: for the operator, and for keys that may see it, which are not told who calls and who changes what. */
export function operationsRoutes({ operations }: Pick<AppDeps, 'operations'>): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/', async (c) => {
    assertSeesFigures(c.get('caller'), 'operations')
    if (operations === undefined) {
      throw new VergeError('not_implemented', 'This server reports on itself alone: GET /metrics. Ask the Worker.')
    }
    const report = await operations.read(c.get('context'))
    return c.json(c.get('caller').kind === 'operator' ? report : forKeys(report))
  })
  return app
}
