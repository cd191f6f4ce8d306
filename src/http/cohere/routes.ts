import { Hono } from 'hono'
import { findModel } from '../../inference/access.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'
import { limitOf, listedModel, listedModels, nameIn } from '../models/list.ts'
import { answerTexts } from '../text-call.ts'
import { embed, embedV1 } from './embed.ts'
import { cohereModel } from './models.ts'
import { rerank, rerankV1 } from './rerank.ts'
import { detokenize, tokenize } from './tokens.ts'

/** Cohere's API, by the paths that its clients ask for. */
export function cohereRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post('/v2/embed', (c) => answerTexts(deps, c, embed))
  app.post('/v2/rerank', (c) => answerTexts(deps, c, rerank))
  app.post('/v1/embed', (c) => answerTexts(deps, c, embedV1))
  app.post('/v1/rerank', (c) => answerTexts(deps, c, rerankV1))
  app.post('/v1/tokenize', (c) => answerTexts(deps, c, tokenize))
  app.post('/v1/detokenize', (c) => answerTexts(deps, c, detokenize))
  app.get('/v1/models', async (c) => {
    const { endpoint: wanted, page_size: size, page_token: after } = c.req.query()
    const { modelsPerList: most } = deps.limits
    const { models: listed, next } = await listedModels(accessOf(deps, c), {
      limit: size === undefined ? most : limitOf(size, most, 'page_size'),
      ...(after !== undefined && after !== '' && { after: nameIn(after, 'page_token') }),
    })
    const models = listed.map((each) => cohereModel(each, deps.limits))
    return c.json({
      models: models.filter(({ endpoints }) => wanted === undefined || endpoints.includes(wanted)),
      ...(next !== undefined && { next_page_token: next }),
    })
  })
  app.get('/v1/models/:model', async (c) => {
    const name = modelNamed(c.req.param('model'), deps.config.modelNames)
    const { alias, manifest } = await findModel(accessOf(deps, c), name, undefined)
    return c.json(cohereModel(listedModel(alias, manifest), deps.limits))
  })
  return app
}
