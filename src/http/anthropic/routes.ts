import { type Context, Hono } from 'hono'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { countTokens, createMessage } from './messages.ts'
import { listModels, oneModel } from './models.ts'

/** Anthropic's messages and model list, by the paths that its clients ask for. */
export function anthropicRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post('/v1/messages', (c) => createMessage(deps, withRequestId(c)))
  app.post('/v1/messages/count_tokens', (c) => countTokens(deps, withRequestId(c)))
  app.get('/v1/models', (c) => listModels(deps, withRequestId(c)))
  app.get('/v1/models/:model', (c) => oneModel(deps, withRequestId(c), c.req.param('model')))
  return app
}

/** Its client reads the id of a request from this header, of answers as of failures. */
function withRequestId(c: Context<AppEnv>): Context<AppEnv> {
  c.header('request-id', c.get('requestId'))
  return c
}
