import type { Context } from 'hono'
import { entryOf, type ModelEntry } from '../../catalog/index/entry.ts'
import { visibleModel, visibleModels } from '../../inference/access.ts'
import type { AnthropicModel, AnthropicModelList } from '../../protocols/anthropic/messages.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'
import { limitOf, nameIn } from '../models/list.ts'

/** As Anthropic has it. */
const DEFAULT_PAGE = 20

/** `GET /v1/models`, a page of it: by `limit`, `after_id` and `before_id`. */
export async function listModels(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const { after_id: after, before_id: before, limit } = c.req.query()
  const { entries, next } = await visibleModels(accessOf(deps, c), {
    limit: limit === undefined ? DEFAULT_PAGE : limitOf(limit, deps.limits.modelsPerList),
    ...(after !== undefined && { after: nameIn(after, 'after_id') }),
    // With before_id the page ends there, else it begins at its beginning.
    ...(before !== undefined && { before: nameIn(before, 'before_id') }),
    manifests: false,
  })
  const data = entries.map(modelOf)
  const body: AnthropicModelList = {
    data,
    // Clients go on from `last_id`, which is null where the list has nothing.
    has_more: next !== undefined && data.length > 0,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  }
  return c.json(body)
}

/** `GET /v1/models/{model}`, by the name that is asked for. */
export async function oneModel(deps: AppDeps, c: Context<AppEnv>, asked: string): Promise<Response> {
  const alias = await visibleModel(accessOf(deps, c), modelNamed(asked, deps.config.modelNames))
  return c.json({ ...modelOf(entryOf(alias, null)), id: asked })
}

function modelOf({ created, model }: ModelEntry): AnthropicModel {
  return {
    type: 'model',
    id: model,
    display_name: model,
    created_at: new Date(created * 1000).toISOString(),
    max_input_tokens: null,
    max_tokens: null,
    capabilities: null,
    deprecated_at: null,
    lifecycle: 'active',
    line: null,
    retires_at: null,
  }
}
