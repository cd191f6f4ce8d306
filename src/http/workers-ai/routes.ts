import { Hono } from 'hono'
import { findModel } from '../../inference/access.ts'
import type { Tasks } from '../../tasks/task.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { answerTextRequest } from '../generation/generate.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'
import { createChat } from '../openai/chat.ts'
import { createCompletion } from '../openai/completions.ts'
import { createEmbeddings } from '../openai/embeddings.ts'
import { searchModels } from './models.ts'
import { runModel } from './run.ts'
import { textProtocol } from './texts.ts'

const ACCOUNT = '/client/v4/accounts/:account/ai'

/**
 * Workers AI's REST interface, for any account: models by their names or the operator's, which may hold slashes. Its
 * paths for OpenAI's clients are those of OpenAI's protocol.
 */
export function workersAiRoutes(deps: AppDeps, tasks: Tasks): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  const texts = textProtocol(deps.limits)
  app.post(`${ACCOUNT}/run/:name{.+}`, async (c) => {
    const asked = c.req.param('name')
    const name = modelNamed(asked, deps.config.modelNames)
    const { manifest } = await findModel(accessOf(deps, c), name, c.req.query('version'))
    if (manifest.task === 'text-generation') {
      return answerTextRequest(deps, c, texts, { model: asked, path: c.req.path })
    }
    return runModel(deps, tasks, c, { name, manifest })
  })
  app.get(`${ACCOUNT}/models/search`, (c) => searchModels(deps, c))
  app.post(`${ACCOUNT}/v1/chat/completions`, (c) => createChat(deps, c))
  app.post(`${ACCOUNT}/v1/completions`, (c) => createCompletion(deps, c))
  app.post(`${ACCOUNT}/v1/embeddings`, (c) => createEmbeddings(deps, c))
  return app
}
