import { Hono } from 'hono'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { healthAlone } from '../health.ts'
import { accessOf } from '../inference.ts'
import { linkNext, listedModels, partOf } from '../models/list.ts'
import { createChat } from '../openai/chat.ts'
import { createCompletion } from '../openai/completions.ts'
import { answerTexts, type TextWork } from '../text-call.ts'
import { vllmModel } from './models.ts'
import { classify, embeddings, pooling } from './pooling.ts'
import { rerank, score } from './score.ts'
import { detokenize, tokenize } from './tokens.ts'

const WORK: Readonly<Record<string, TextWork>> = {
  '/pooling': pooling,
  '/score': score,
  '/v1/score': score,
  '/classify': classify,
  '/rerank': rerank,
  '/v1/rerank': rerank,
  '/v2/rerank': rerank,
  '/tokenize': tokenize,
  '/detokenize': detokenize,
  '/v1/embeddings': embeddings,
}

/** vLLM, by its own paths beside those that it has from OpenAI. */
export function vllmRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  for (const [path, work] of Object.entries(WORK)) app.post(path, (c) => answerTexts(deps, c, work))
  app.post('/v1/chat/completions', (c) => createChat(deps, c))
  app.post('/v1/completions', (c) => createCompletion(deps, c))
  app.get('/v1/models', async (c) => {
    const listed = await listedModels(accessOf(deps, c), partOf(c, deps.limits))
    linkNext(c, listed)
    return c.json({ object: 'list', data: listed.models.map((each) => vllmModel(each, deps.limits)) })
  })
  app.get('/health', () => healthAlone(deps))
  app.on(['GET', 'POST'], '/ping', () => healthAlone(deps))
  app.get('/version', (c) => c.json({ version: deps.config.version }))
  return app
}
