import { Hono } from 'hono'
import type { Alias } from '../../catalog/alias.ts'
import { isVergeError } from '../../core/errors.ts'
import { type Access, visibleModel, visibleModels } from '../../inference/access.ts'
import type { ModelCard, ModelCardList, ModelDetail } from '../../protocols/models.ts'
import type { Tasks } from '../../tasks/task.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'
import { type Elsewhere, mainVersion, modelCard, modelDetail } from './describe.ts'

/** Models as people want to see them, which the protocols of others have no fields for. */
export function modelRoutes(deps: AppDeps, tasks: Tasks): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  const elsewhere = { origins: deps.placement !== undefined, downloads: deps.downloads !== undefined }
  app.get('/', async (c) => {
    const access = accessOf(deps, c)
    const models: ModelCard[] = []
    for (const alias of await visibleModels(access)) {
      const card = await cardOf(deps, access, alias, elsewhere)
      if (card !== undefined) models.push(card)
    }
    return c.json({ models } satisfies ModelCardList)
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

/** One model that cannot be read must not cost the caller the list of all others. */
async function cardOf(
  deps: AppDeps,
  { context, serving }: Access,
  alias: Alias,
  elsewhere: Elsewhere,
): Promise<ModelCard | undefined> {
  try {
    const { manifest } = await serving.resolve(alias, mainVersion(alias), context)
    return modelCard(alias, manifest, elsewhere)
  } catch (error) {
    if (!isVergeError(error) || context.signal.aborted) throw error
    deps.logger.warn('model_left_out_of_list', { model: alias.model, code: error.code, message: error.message })
    return undefined
  }
}
