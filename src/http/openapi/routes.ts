import { Hono } from 'hono'
import { mainVersion } from '../../catalog/index/entry.ts'
import { VergeError } from '../../core/errors.ts'
import { type Access, visibleModel } from '../../inference/access.ts'
import { type Tasks, taskOf } from '../../tasks/task.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'
import { openApiDocument } from './document.ts'
import type { DocumentedModel } from './run.ts'

/** Models that one document describes by name: each is two reads. */
const MOST_MODELS = 16

/** The OpenAPI document, and with `?model=NAME` the requests of that model, if the caller may run it. */
export function openApiRoutes(deps: AppDeps, tasks: Tasks): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  const { config, downloads, limits } = deps
  const write = (models: readonly DocumentedModel[]): string =>
    JSON.stringify(openApiDocument(config.version, tasks, models, limits, downloads !== undefined))
  /** Without models it is the same for every caller, and takes a while to write. */
  let general: string | undefined
  app.get('/', async (c) => {
    const names = new Set((c.req.queries('model') ?? []).map((name) => modelNamed(name, deps.config.modelNames)))
    if (names.size > MOST_MODELS) {
      throw new VergeError('invalid_request', `The document describes at most ${MOST_MODELS} models at once.`, {
        details: { field: 'model' },
      })
    }
    const models: DocumentedModel[] = []
    for (const name of names) models.push(...(await documented(tasks, accessOf(deps, c), name)))
    if (models.length === 0) general ??= write([])
    const text = models.length === 0 && general !== undefined ? general : write(models)
    return c.body(text, 200, { 'content-type': 'application/json' })
  })
  return app
}

/** Nothing for a model without a task, whose requests are those of the Open Inference Protocol. */
async function documented(tasks: Tasks, access: Access, name: string): Promise<DocumentedModel[]> {
  const alias = await visibleModel(access, name)
  const { manifest } = await access.serving.resolve(alias, mainVersion(alias), access.context)
  const task = taskOf(tasks, manifest.task)
  return task === undefined ? [] : [{ manifest, task }]
}
