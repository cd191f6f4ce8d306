import { Hono } from 'hono'
import { VergeError } from './core/errors.ts'
import type { AppDeps, AppEnv } from './http/app-env.ts'
import { browserRoutes } from './http/browser/routes.ts'
import { weightsRoutes } from './http/browser/weights.ts'
import { clientScript } from './http/client/route.ts'
import { explainRoutes } from './http/explain/routes.ts'
import { health } from './http/health.ts'
import { hfRoutes } from './http/hf/routes.ts'
import { answered, callContext, placementHints, resultCache } from './http/middleware/call.ts'
import { caller } from './http/middleware/caller.ts'
import { cors } from './http/middleware/cors.ts'
import { errorHandler } from './http/middleware/errors.ts'
import { refuseOtherMethods } from './http/middleware/methods.ts'
import { requestId } from './http/middleware/request-id.ts'
import { modelRoutes } from './http/models/routes.ts'
import { oipRoutes } from './http/oip/routes.ts'
import { openAiRoutes } from './http/openai/routes.ts'
import { openApiRoutes } from './http/openapi/routes.ts'
import { pageFor } from './http/page/page.ts'
import { rerankRoutes } from './http/rerank/routes.ts'
import { runRoutes } from './http/run/routes.ts'
import { storeRoutes } from './http/store/routes.ts'
import { streamRoutes } from './http/stream/routes.ts'
import type { IndexBody } from './http/wire.ts'
import { createTasks } from './tasks/index.ts'

export type { AppDeps, AppEnv } from './http/app-env.ts'

/** The whole HTTP side over what it is given. Pure: everything from outside is in `deps`. */
export function createApp(deps: AppDeps): Hono<AppEnv> {
  const { config, clock, logger } = deps
  const tasks = createTasks(deps.limits)
  const app = new Hono<AppEnv>()

  app.onError(errorHandler(logger))
  app.notFound((c) => {
    throw new VergeError('not_found', `There is nothing at ${c.req.path.slice(0, 200)}. GET / lists what there is.`)
  })

  app.use(requestId(deps.randomId))
  app.use(cors(config.corsOrigins))
  // Before what makes answers depend on the caller and on the moment.
  app.get('/client.js', clientScript)
  app.use(async (c, next) => {
    await next()
    // What is answered depends on the caller and on the moment, errors included; what does not says so.
    c.res.headers.set('cache-control', c.get('cacheControl') ?? 'no-store')
    c.res.headers.set('x-content-type-options', 'nosniff')
  })
  app.use(callContext({ clock, deadlineMs: config.deadlineMs, logger, runs: deps.runs }))
  app.use(placementHints())
  app.use(caller(config.apiKeyDigest, deps.signatures, deps.knownCaller))
  app.use(resultCache())
  app.use(answered(logger, deps.requestLog))

  app.get('/', async (c) => {
    const page = await pageFor(c, deps.page)
    return page ?? c.json(index(config.version, deps.downloads !== undefined), 200, deps.page && { vary: 'accept' })
  })
  app.get('/healthz', (c) => health(deps, c))
  app.route('/v2', oipRoutes(deps))
  app.route('/v1', openAiRoutes(deps))
  app.route('/run', runRoutes(deps, tasks))
  app.route('/stream', streamRoutes(deps))
  app.route('/models', modelRoutes(deps, tasks))
  app.route('/', hfRoutes(deps, tasks))
  for (const path of ['/rerank', '/v1/rerank']) app.route(path, rerankRoutes(deps))
  app.route('/explain', explainRoutes(deps))
  app.route('/store', storeRoutes(deps))
  if (deps.downloads) {
    app.route('/browser', browserRoutes(deps))
    app.route('/weights', weightsRoutes(deps, deps.downloads))
  }
  app.route('/openapi.json', openApiRoutes(deps, tasks))
  refuseOtherMethods(app)
  return app
}

function index(version: string, downloads: boolean): IndexBody {
  return {
    name: 'verge',
    version,
    links: {
      openapi: '/openapi.json',
      health: '/healthz',
      models: '/v1/models',
      model_cards: '/models',
      run: '/run/{model}',
      stream: '/stream/{model}',
      open_inference_protocol: '/v2',
      client: '/client.js',
      ...(downloads && { browser: '/browser/{model}', weights: '/weights/{model}/{sha256}' }),
    },
  }
}
