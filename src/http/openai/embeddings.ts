import type { Context } from 'hono'
import { ModelRunner } from '../../inference/model-runner.ts'
import { TextReader } from '../../tasks/text/reading.ts'
import { answerEmbeddings } from '../../tasks/vectors/openai-embeddings.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { withPlacementHeaders } from '../inference.ts'
import { askedName, withModelInBody } from '../model-in-body.ts'

/** `POST /v1/embeddings`: vectors as OpenAI's clients ask for them. */
export function createEmbeddings(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  return withModelInBody(deps, c, 'openai', async (admitted, body) => {
    const { limits } = deps
    const runner = new ModelRunner(deps, admitted, c.get('context'))
    const answer = await answerEmbeddings(body, {
      model: runner.model,
      run: runner.run,
      limits,
      accepted: () => runner.prefetch(TextReader.files(admitted.model.manifest)),
    })
    return withPlacementHeaders(c.json({ ...answer, model: askedName(body) }), runner)
  })
}
