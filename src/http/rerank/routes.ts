import { type Context, Hono } from 'hono'
import { VergeError } from '../../core/errors.ts'
import { validate } from '../../core/validation.ts'
import { type RerankResponse, rerankRequestSchema, teiRerankRequestSchema } from '../../protocols/rerank.ts'
import type { ResolvedModel } from '../../serving/serving.ts'
import { type Ranking, rank } from '../../tasks/text-ranking.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { embedsTexts } from '../embedding-models.ts'
import { withModelInBody } from '../model-in-body.ts'
import { TaskRunner } from '../task-runner.ts'

/** `POST` on the path that these are mounted at: texts in order of how well they answer a query. */
export function rerankRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post('/', (c) =>
    withModelInBody(deps, c, 'rerank', (resolved, body) => {
      const { manifest } = resolved
      if (manifest.task !== 'text-ranking' && !embedsTexts(manifest)) {
        throw new VergeError(
          'task_mismatch',
          `Model "${manifest.model}" cannot put texts in order: it is neither for text-ranking nor for embeddings.`,
          { details: { field: 'model' } },
        )
      }
      const likeTei = typeof body === 'object' && body !== null && 'texts' in body
      return likeTei ? rerankTexts(deps, c, resolved, body) : rerankDocuments(deps, c, resolved, body)
    }),
  )
  return app
}

async function rerankDocuments(
  deps: AppDeps,
  c: Context<AppEnv>,
  resolved: ResolvedModel,
  body: unknown,
): Promise<Response> {
  const request = validate(rerankRequestSchema, body, 'The request')
  const texts = request.documents.map((document) => (typeof document === 'string' ? document : document.text))
  const runner = new TaskRunner(deps, resolved, c.get('context'))
  const { ranked, tokens } = await ranking(deps, runner, request.query, texts, 'documents', false)
  const answer: RerankResponse = {
    model: resolved.manifest.model,
    results: ranked.slice(0, request.top_n).map(({ index, score }) => ({
      index,
      relevance_score: score,
      ...(request.return_documents && { document: { text: texts[index] ?? '' } }),
    })),
    usage: { total_tokens: tokens },
  }
  return runner.mark(c.json(answer))
}

async function rerankTexts(
  deps: AppDeps,
  c: Context<AppEnv>,
  resolved: ResolvedModel,
  body: unknown,
): Promise<Response> {
  const request = validate(teiRerankRequestSchema, body, 'The request')
  const { query, texts } = request
  const runner = new TaskRunner(deps, resolved, c.get('context'))
  const { ranked } = await ranking(deps, runner, query, texts, 'texts', request.raw_scores ?? false)
  const answer = request.return_text ? ranked.map((item) => ({ ...item, text: texts[item.index] ?? '' })) : ranked
  return runner.mark(c.json(answer))
}

function ranking(
  { limits }: AppDeps,
  { model, run }: TaskRunner,
  query: string,
  texts: readonly string[],
  list: string,
  rawScores: boolean,
): Promise<Ranking> {
  const options = { rawScores, queryField: 'query', textField: (place: number) => `${list}[${place}]` }
  return rank(query, texts, options, { model, limits, run })
}
