import { Hono } from 'hono'
import { entryOf, type ModelEntry } from '../../catalog/index/entry.ts'
import { visibleModel, visibleModels } from '../../inference/access.ts'
import type { OpenAiModel, OpenAiModelList } from '../../protocols/openai/models.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'
import { partOf } from '../models/list.ts'
import { createChat } from './chat.ts'
import { createCompletion } from './completions.ts'
import { createEmbeddings } from './embeddings.ts'
import { createResponse } from './responses.ts'

/** OpenAI's model list, embeddings and texts, by the paths that its clients ask for. */
export function openAiRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/v1/models', async (c) => {
    const part = { ...partOf(c, deps.limits), manifests: false }
    const { entries, next } = await visibleModels(accessOf(deps, c), part)
    const more = next !== undefined && ({ has_more: true, next } as const)
    return c.json({ object: 'list', data: entries.map(openAiModel), ...more } satisfies OpenAiModelList)
  })
  app.get('/v1/models/:model', async (c) => {
    const asked = c.req.param('model')
    const alias = await visibleModel(accessOf(deps, c), modelNamed(asked, deps.config.modelNames))
    return c.json({ ...openAiModel(entryOf(alias, null)), id: asked })
  })
  app.post('/v1/embeddings', (c) => createEmbeddings(deps, c))
  app.post('/v1/chat/completions', (c) => createChat(deps, c))
  app.post('/v1/completions', (c) => createCompletion(deps, c))
  app.post('/v1/responses', (c) => createResponse(deps, c))
  return app
}

/** `created` is when the newest of the live versions was pushed; 0 where an older Verge pushed it and kept no time. */
function openAiModel({ created, model }: ModelEntry): OpenAiModel {
  return { id: model, object: 'model', created, owned_by: 'verge' }
}
