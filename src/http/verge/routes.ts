import { Hono } from 'hono'
import type { Tasks } from '../../tasks/task.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { browserRoutes } from '../browser/routes.ts'
import { weightsRoutes } from '../browser/weights.ts'
import { explainRoutes } from '../explain/routes.ts'
import { health } from '../health.ts'
import { metrics } from '../metrics/route.ts'
import { modelRoutes } from '../models/routes.ts'
import { openApiRoutes } from '../openapi/routes.ts'
import { operationsRoutes } from '../operations/routes.ts'
import { pageFor } from '../page/page.ts'
import { releasesRoutes } from '../releases/routes.ts'
import { rerankRoutes } from '../rerank/routes.ts'
import { runRoutes } from '../run/routes.ts'
import { storeRoutes } from '../store/routes.ts'
import { streamRoutes } from '../stream/routes.ts'
import { tokenRoutes } from '../tokens/routes.ts'
import { usageRoutes } from '../usage/routes.ts'
import type { IndexBody } from '../wire.ts'

/** Everything that is Verge's own. */
export function vergeRoutes(deps: AppDeps, tasks: Tasks): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  const { config, downloads } = deps
  app.get('/', async (c) => {
    const page = await pageFor(c, deps.page)
    return page ?? c.json(index(config.version, downloads !== undefined), 200, deps.page && { vary: 'accept' })
  })
  // The same document: it asks for a key, and knows nothing without one. Programs ask for GET /v1/operations.
  app.get('/operate', async (c) => (await pageFor(c, deps.page)) ?? c.notFound())
  app.get('/healthz', (c) => health(deps, c))
  app.get('/metrics', (c) => metrics(deps, c))
  app.route('/run', runRoutes(deps, tasks))
  app.route('/stream', streamRoutes(deps))
  app.route('/models', modelRoutes(deps, tasks))
  for (const path of ['/rerank', '/v1/rerank']) app.route(path, rerankRoutes(deps))
  app.route('/explain', explainRoutes(deps))
  app.route('/store', storeRoutes(deps))
  if (downloads) {
    app.route('/browser', browserRoutes(deps))
    app.route('/weights', weightsRoutes(deps, downloads))
  }
  app.route('/v1/tokens', tokenRoutes(deps))
  app.route('/v1/usage', usageRoutes(deps))
  app.route('/v1/operations', operationsRoutes(deps))
  app.route('/v1/releases', releasesRoutes(deps))
  app.route('/openapi.json', openApiRoutes(deps, tasks))
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
