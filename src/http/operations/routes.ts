import { Hono } from 'hono'
import { authorize, type Caller } from '../../access/authorize.ts'
import { VergeError } from '../../core/errors.ts'
import { refusedCredential } from '../../inference/access.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'

/** What goes on in all isolates, for the operator and for keys that may see it. */
export function operationsRoutes({ operations }: Pick<AppDeps, 'operations'>): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/', async (c) => {
    assertMayLook(c.get('caller'))
    if (operations === undefined) {
      throw new VergeError('not_implemented', 'This server reports on itself alone: GET /metrics. Ask the Worker.')
    }
    return c.json(await operations.read(c.get('context')))
  })
  return app
}

/** No model is called so: only a grant for all models covers it. */
const ANY_MODEL = { name: '', visibility: 'private' } as const

/**
 * The report names private models, callers and changes, so that a key for some models is not enough.
 * @throws unauthorized, forbidden
 */
function assertMayLook(caller: Caller): void {
  if (authorize(caller, null, 'metrics') && authorize(caller, ANY_MODEL, 'metrics')) return
  const who = 'only the operator, and keys that allow "metrics" for all models, may see operations'
  throw caller.kind === 'anonymous'
    ? (refusedCredential(caller, who) ?? new VergeError('unauthorized', `Send a key: ${who}.`))
    : new VergeError('forbidden', `Send another key: ${who}.`)
}
