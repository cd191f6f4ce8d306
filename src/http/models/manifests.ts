import type { Alias } from '../../catalog/alias.ts'
import type { Manifest } from '../../catalog/manifest.ts'
import { isVergeError } from '../../core/errors.ts'
import { type Access, visibleModels } from '../../inference/access.ts'
import type { AppDeps } from '../app-env.ts'
import { mainVersion } from './describe.ts'

/** A model, and its version that most requests get. */
export interface ListedModel {
  readonly alias: Alias
  readonly manifest: Manifest
}

/** The models that the caller may see. One that cannot be read must not cost the caller the list of all others. */
export async function manifestsOf({ logger }: Pick<AppDeps, 'logger'>, access: Access): Promise<ListedModel[]> {
  const { context, serving } = access
  const models: ListedModel[] = []
  for (const alias of await visibleModels(access)) {
    try {
      const { manifest } = await serving.resolve(alias, mainVersion(alias), context)
      models.push({ alias, manifest })
    } catch (error) {
      if (!isVergeError(error) || context.signal.aborted) throw error
      logger.warn('model_left_out_of_list', { model: alias.model, code: error.code, message: error.message })
    }
  }
  return models
}
