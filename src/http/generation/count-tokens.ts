import type { Context } from 'hono'
import { VergeError } from '../../core/errors.ts'
import { refuseManyItems } from '../../core/validation.ts'
import type { Message } from '../../generate/chat.ts'
import { type GenerationRequest, TextGenerator } from '../../generate/text-generator.ts'
import { ModelRunner } from '../../inference/model-runner.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { withModelInBody } from '../model-in-body.ts'
import { assertWrites } from './generate.ts'

/** A prompt alone, of any length that leaves room for one token. */
const PROMPT_ALONE: GenerationRequest = {
  sampling: {
    temperature: 0,
    topP: 1,
    topK: 0,
    minP: 0,
    frequencyPenalty: 0,
    presencePenalty: 0,
    repetitionPenalty: 1,
  },
  maxNewTokens: undefined,
  stop: [],
  seed: undefined,
}

/**
 * Counts the tokens of the prompt that messages make. That takes the model's tokenizer and template and no weights, so it
 * is done here wherever the model runs.
 */
export function countPromptTokens(
  { placement: _, ...deps }: AppDeps,
  c: Context<AppEnv>,
  read: (body: unknown) => readonly Message[],
  answer: (count: number) => object,
): Promise<Response> {
  return withModelInBody(deps, c, 'openai', async (admitted, body) => {
    const { manifest } = admitted.model
    assertWrites(manifest)
    if (manifest.generation === undefined) {
      throw new VergeError(
        'task_mismatch',
        `Only the origin of model "${manifest.model}" has its tokenizer, so its tokens cannot be counted here.`,
        { details: { field: 'model' } },
      )
    }
    refuseManyItems(body, deps.limits.requestItems)
    const messages = read(body)
    const runner = new ModelRunner(deps, admitted, c.get('context'))
    const generator = await TextGenerator.open(runner.model, PROMPT_ALONE, deps.limits)
    const { ids } = await generator.chat(messages, deps.clock.now())
    return c.json(answer(ids.length))
  })
}
