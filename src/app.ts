import { Hono } from 'hono'
import { nothingAt } from './http/address-of.ts'
import { anthropicRoutes } from './http/anthropic/routes.ts'
import type { AppDeps, AppEnv } from './http/app-env.ts'
import { clientScript } from './http/client/route.ts'
import { cohereRoutes } from './http/cohere/routes.ts'
import { hfRoutes } from './http/hf/routes.ts'
import { jinaRoutes } from './http/jina/routes.ts'
import { answered, callContext, placementHints, resultCache } from './http/middleware/call.ts'
import { caller } from './http/middleware/caller.ts'
import { cors } from './http/middleware/cors.ts'
import { countedRequests } from './http/middleware/counted.ts'
import { errorHandler } from './http/middleware/errors.ts'
import { refuseOtherMethods } from './http/middleware/methods.ts'
import { requestId } from './http/middleware/request-id.ts'
import { securityHeaders } from './http/middleware/security-headers.ts'
import { arrival, traced } from './http/middleware/trace.ts'
import { mountProtocols } from './http/mount.ts'
import { oipRoutes } from './http/oip/routes.ts'
import { ollamaRoutes } from './http/ollama/routes.ts'
import { openAiRoutes } from './http/openai/routes.ts'
import { teiRoutes } from './http/tei/routes.ts'
import { vergeRoutes } from './http/verge/routes.ts'
import { vllmRoutes } from './http/vllm/routes.ts'
import { workersAiRoutes } from './http/workers-ai/routes.ts'
import { createTasks } from './tasks/index.ts'

export type { AppDeps, AppEnv } from './http/app-env.ts'

/** The whole HTTP side over what it is given. Pure: everything from outside is in `deps`. */
export function createApp(deps: AppDeps): Hono<AppEnv> {
  const { config, clock, logger } = deps
  const tasks = createTasks(deps.limits)
  const app = new Hono<AppEnv>()

  app.onError(errorHandler(logger, config))
  app.notFound((c) => {
    throw nothingAt(c.req.method, c.req.path)
  })

  app.use(requestId(deps.randomId))
  app.use(securityHeaders(config.corsOrigins))
  app.use(cors(config.corsOrigins))
  // Before what makes answers depend on the caller and on the moment.
  app.get('/client.js', clientScript)
  app.use(async (c, next) => {
    await next()
    // What is answered depends on the caller and on the moment, errors included; what does not says so.
    c.res.headers.set('cache-control', c.get('cacheControl') ?? 'no-store')
  })
  if (deps.tracer !== undefined) app.use(arrival(deps.tracer))
  app.use(callContext({ clock, deadlineMs: config.deadlineMs, logger, runs: deps.runs }))
  if (deps.countHttp !== undefined) app.use(countedRequests(deps.countHttp))
  app.use(placementHints())
  app.use(caller(deps))
  if (deps.tracer !== undefined) app.use(traced(deps.tracer))
  app.use(resultCache(config.deadlineMs))
  app.use(answered(logger, deps.requestLog))

  // Each by the paths of its addresses: see http/addresses.ts.
  mountProtocols(
    app,
    {
      verge: vergeRoutes(deps, tasks),
      openai: openAiRoutes(deps),
      anthropic: anthropicRoutes(deps),
      ollama: ollamaRoutes(deps),
      cohere: cohereRoutes(deps),
      jina: jinaRoutes(deps),
      tei: teiRoutes(deps),
      vllm: vllmRoutes(deps),
      huggingface: hfRoutes(deps, tasks),
      oip: oipRoutes(deps),
      'workers-ai': workersAiRoutes(deps, tasks),
    },
    config,
  )
  refuseOtherMethods(app)
  return app
}
