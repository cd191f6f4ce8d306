import { Hono } from 'hono'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { answerTexts } from '../text-call.ts'
import { classify } from './classify.ts'
import { embeddings, multiVector } from './embeddings.ts'
import { rerank } from './rerank.ts'

/** Jina's API, by the paths that its documentation has. */
export function jinaRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post('/v1/embeddings', (c) => answerTexts(deps, c, embeddings))
  app.post('/v1/multi-vector', (c) => answerTexts(deps, c, multiVector))
  app.post('/v1/rerank', (c) => answerTexts(deps, c, rerank))
  app.post('/v1/classify', (c) => answerTexts(deps, c, classify))
  return app
}
