import { Hono } from 'hono'
import type { Alias } from '../../catalog/alias.ts'
import { isVergeError } from '../../core/errors.ts'
import { type Access, visibleModels } from '../../inference/access.ts'
import { type Tasks, taskOf } from '../../tasks/task.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { type DocumentedModel, openApiDocument } from './document.ts'

/** The OpenAPI document, with the models that the caller may see. */
export function openApiRoutes(deps: AppDeps, tasks: Tasks): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/', async (c) => {
    const access = accessOf(deps, c)
    const aliases = await visibleModels(access)
    const models: DocumentedModel[] = []
    for (const alias of aliases) {
      const model = await documented(deps, tasks, access, alias)
      if (model !== undefined) models.push(model)
    }
    return c.json(
      openApiDocument(
        deps.config.version,
        aliases.map(({ model }) => model),
        models,
        deps.limits,
        deps.downloads !== undefined,
      ),
    )
  })
  return app
}

/** One model that cannot be read must not cost the caller the document of all others. */
async function documented(
  deps: AppDeps,
  tasks: Tasks,
  { serving, context }: Access,
  alias: Alias,
): Promise<DocumentedModel | undefined> {
  try {
    const { manifest } = await serving.resolve(alias, undefined, context)
    const task = taskOf(tasks, manifest.task)
    return task === undefined ? undefined : { manifest, task }
  } catch (error) {
    if (!isVergeError(error) || context.signal.aborted) throw error
    deps.logger.warn('model_left_out_of_document', { model: alias.model, code: error.code, message: error.message })
    return undefined
  }
}
