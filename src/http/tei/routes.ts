import { type Context, Hono } from 'hono'
import { findModel } from '../../inference/access.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { healthAlone } from '../health.ts'
import { accessOf } from '../inference.ts'
import { modelNamed } from '../model-names.ts'
import { answerTexts, type TextWork } from '../text-call.ts'
import { embed, embedAll, embedLikeOpenAi, embedSparse, similarity } from './embed.ts'
import { infoOf } from './info.ts'
import { predict, rerank } from './predict.ts'
import { decode, tokenize } from './tokens.ts'

const WORK: Readonly<Record<string, TextWork>> = {
  embed,
  embed_sparse: embedSparse,
  embed_all: embedAll,
  predict,
  rerank,
  similarity,
  tokenize,
  decode,
  embeddings: embedLikeOpenAi,
  'v1/embeddings': embedLikeOpenAi,
}

/** text-embeddings-inference, for each model under its name. */
export function teiRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  // At the root, the configuration names the model.
  const modelOf = (c: Context<AppEnv>): string => c.req.param('model') ?? deps.config.defaultModel ?? ''
  for (const [path, work] of Object.entries(WORK)) {
    app.post(`/:model/${path}`, (c) => answerTexts(deps, c, work, { model: modelOf(c) }))
  }
  app.get('/:model/info', async (c) => {
    const asked = modelOf(c)
    const { manifest } = await findModel(
      accessOf(deps, c),
      modelNamed(asked, deps.config.modelNames),
      c.req.query('version'),
    )
    return c.json(infoOf(manifest, asked, deps.config.version, deps.limits))
  })
  app.get('/:model/health', () => healthAlone(deps))
  return app
}
