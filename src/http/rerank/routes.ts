import { type Context, Hono } from 'hono'
import { VergeError } from '../../core/errors.ts'
import { validate } from '../../core/validation.ts'
import { type AdmittedModel, ModelRunner } from '../../inference/infer.ts'
import { type RerankResponse, rerankRequestSchema, teiRerankRequestSchema } from '../../protocols/rerank.ts'
import { embedsTexts } from '../../tasks/embedding-models.ts'
import { TextReader } from '../../tasks/reading.ts'
import { type Ranking, rank } from '../../tasks/text-ranking.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { askedName, withModelInBody, withPlacementHeaders } from '../inference.ts'

/** `POST` on the path that these are mounted at: texts in order of how well they answer a query. */
export function rerankRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post('/', (c) =>
    withModelInBody(deps, c, 'rerank', (admitted, body) => {
      const { manifest } = admitted.model
      if (manifest.task !== 'text-ranking' && !embedsTexts(manifest)) {
        throw new VergeError(
          'task_mismatch',
          `Model "${manifest.model}" cannot rank texts, because its task is neither text-ranking nor embeddings.`,
          { details: { field: 'model' } },
        )
      }
      const likeTei = typeof body === 'object' && body !== null && 'texts' in body
      return likeTei ? rerankTexts(deps, c, admitted, body) : rerankDocuments(deps, c, admitted, body)
    }),
  )
  return app
}

async function rerankDocuments(
  deps: AppDeps,
  c: Context<AppEnv>,
  admitted: AdmittedModel,
  body: unknown,
): Promise<Response> {
  const request = validate(rerankRequestSchema, body, 'The request')
  const texts = request.documents.map((document) => (typeof document === 'string' ? document : document.text))
  const runner = new ModelRunner(deps, admitted, c.get('context'))
  runner.prefetch(TextReader.files(admitted.model.manifest))
  const { ranked, tokens } = await ranking(deps, runner, request.query, texts, 'documents', false)
  const answer: RerankResponse = {
    model: askedName(body),
    results: ranked.slice(0, request.top_n).map(({ index, score }) => ({
      index,
      relevance_score: score,
      ...(request.return_documents && { document: { text: texts[index] ?? '' } }),
    })),
    usage: { total_tokens: tokens },
  }
  return withPlacementHeaders(c.json(answer), runner)
}

async function rerankTexts(
  deps: AppDeps,
  c: Context<AppEnv>,
  admitted: AdmittedModel,
  body: unknown,
): Promise<Response> {
  const request = validate(teiRerankRequestSchema, body, 'The request')
  const { query, texts } = request
  const runner = new ModelRunner(deps, admitted, c.get('context'))
  runner.prefetch(TextReader.files(admitted.model.manifest))
  const { ranked } = await ranking(deps, runner, query, texts, 'texts', request.raw_scores ?? false)
  const answer = request.return_text ? ranked.map((item) => ({ ...item, text: texts[item.index] ?? '' })) : ranked
  return withPlacementHeaders(c.json(answer), runner)
}

function ranking(
  { limits }: AppDeps,
  { model, run }: ModelRunner,
  query: string,
  texts: readonly string[],
  list: string,
  rawScores: boolean,
): Promise<Ranking> {
  const options = { rawScores, queryField: 'query', textField: (place: number) => `${list}[${place}]` }
  return rank(query, texts, options, { model, limits, run })
}
