import { Hono } from 'hono'
import { mainVersion } from '../../catalog/index/entry.ts'
import { visibleModel } from '../../inference/access.ts'
import type { ModelCard, ModelCardList, ModelDetail } from '../../protocols/models.ts'
import type { Tasks } from '../../tasks/task.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'
import { modelCard, modelDetail } from './describe.ts'
import { listedModels, partOf } from './list.ts'

/** Models as people want to see them, which the protocols of others have no fields for. */
export function modelRoutes(deps: AppDeps, tasks: Tasks): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  const elsewhere = { origins: deps.placement !== undefined, downloads: deps.downloads !== undefined }
  app.get('/', async (c) => {
    const part = partOf(c, deps.limits, deps.limits.modelsPerPage)
    const { models, next } = await listedModels(accessOf(deps, c), part)
    const cards = models.map((model): ModelCard => modelCard(model, elsewhere))
    return c.json({ models: cards, ...(next !== undefined && { next }) } satisfies ModelCardList)
  })
  app.get('/:model', async (c) => {
    const { context, serving, ...access } = accessOf(deps, c)
    const alias = await visibleModel(
      { ...access, context, serving },
      modelNamed(c.req.param('model'), deps.config.modelNames),
    )
    const { manifest } = await serving.resolve(alias, mainVersion(alias), context)
    return c.json(modelDetail(alias, manifest, tasks, elsewhere) satisfies ModelDetail)
  })
  return app
}
