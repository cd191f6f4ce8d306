import { Hono } from 'hono'
import { validate } from '../../core/validation.ts'
import { type RerankResponse, rerankRequestSchema, teiRerankRequestSchema } from '../../protocols/rerank.ts'
import { assertCan } from '../../tasks/text/abilities.ts'
import { type Ranking, rank } from '../../tasks/text-ranking.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { answerTexts, type TextCall } from '../text-call.ts'

/** `POST` on the path that these are mounted at: texts in order of how well they answer a query. */
export function rerankRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post('/', (c) => answerTexts(deps, c, rerank, { route: 'rerank' }))
  return app
}

async function rerank(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'rank')
  const likeTei = typeof body === 'object' && body !== null && 'texts' in body
  return likeTei ? rerankTexts(call, body) : rerankDocuments(call, body)
}

async function rerankDocuments(call: TextCall, body: unknown): Promise<RerankResponse> {
  const request = validate(rerankRequestSchema, body, 'The request')
  const texts = request.documents.map((document) => (typeof document === 'string' ? document : document.text))
  const { ranked, tokens } = await ranking(call, request.query, texts, 'documents', false)
  return {
    model: call.asked,
    results: ranked.slice(0, request.top_n).map(({ index, score }) => ({
      index,
      relevance_score: score,
      ...(request.return_documents && { document: { text: texts[index] ?? '' } }),
    })),
    usage: { total_tokens: tokens },
  }
}

async function rerankTexts(call: TextCall, body: unknown): Promise<unknown> {
  const request = validate(teiRerankRequestSchema, body, 'The request')
  const { query, texts } = request
  const { ranked } = await ranking(call, query, texts, 'texts', request.raw_scores ?? false)
  return request.return_text ? ranked.map((item) => ({ ...item, text: texts[item.index] ?? '' })) : ranked
}

function ranking(
  call: TextCall,
  query: string,
  texts: readonly string[],
  list: string,
  rawScores: boolean,
): Promise<Ranking> {
  call.accepted()
  const options = { rawScores, queryField: 'query', textField: (place: number) => `${list}[${place}]` }
  return rank(query, texts, options, call)
}
