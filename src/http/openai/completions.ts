import type { Context } from 'hono'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { validate } from '../../core/validation.ts'
import { type PreparedPrompt, TextGenerator } from '../../generate/text-generator.ts'
import { type AdmittedModel, ModelRunner, type Slot } from '../../inference/infer.ts'
import type { CompletionAnswer, CompletionChunk, CompletionRequest } from '../../protocols/openai/generation.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { type NamedByPath, withModelInBody } from '../inference.ts'
import { requestSchemas } from './request-schemas.ts'
import { type ResponseFormat, respond } from './respond.ts'
import { assertWrites, generationRequest } from './sampling.ts'

/** `POST /v1/completions`: texts continued, as OpenAI's clients ask for it. */
export function createCompletion(deps: AppDeps, c: Context<AppEnv>, named?: NamedByPath): Promise<Response> {
  const work = async (admitted: AdmittedModel, body: unknown, slot: Slot): Promise<Response> => {
    assertWrites(admitted.model.manifest)
    const request = validate(requestSchemas(deps.limits).completion, body, 'The request')
    const runner = new ModelRunner(deps, admitted, c.get('context'))
    runner.prefetch(TextGenerator.files(admitted.model.manifest, 'text'))
    const writer = await TextGenerator.open(runner.model, generationRequest(request), deps.limits)
    return respond(deps, c, slot, {
      runner,
      generator: writer,
      prompts: await promptsOf(request.prompt, writer, deps.limits),
      format: COMPLETION,
      stream: request.stream ?? false,
      streamUsage: request.stream_options?.include_usage ?? false,
    })
  }
  return withModelInBody(deps, c, 'openai', work, named)
}

/** Prompts, whichever of the four forms they came in. */
async function promptsOf(
  prompt: CompletionRequest['prompt'],
  writer: TextGenerator,
  limits: Limits,
): Promise<PreparedPrompt[]> {
  const list = Array.isArray(prompt) && typeof prompt[0] !== 'number'
  const prompts = (list ? prompt : [prompt]) as readonly (string | readonly number[])[]
  if (prompts.length > limits.promptsPerRequest) {
    throw new VergeError(
      'input_too_large',
      `A request may have at most ${limits.promptsPerRequest} prompts. Send them in several requests.`,
      { details: { field: 'prompt', limit_prompts: limits.promptsPerRequest } },
    )
  }
  const length = prompts.reduce((sum, each) => sum + (typeof each === 'string' ? each.length : 0), 0)
  if (prompts.length > 1 && length > limits.chatLength) {
    throw new VergeError(
      'input_too_large',
      `The prompts of a request may have ${limits.chatLength} characters together. Send them in several requests.`,
      { details: { field: 'prompt', limit_characters: limits.chatLength } },
    )
  }
  const prepared: PreparedPrompt[] = []
  for (const [i, each] of prompts.entries()) {
    const field = list ? `prompt[${i}]` : 'prompt'
    prepared.push(typeof each === 'string' ? await writer.text(each, field) : writer.ids(each, field))
  }
  return prepared
}

const COMPLETION: ResponseFormat = {
  idPrefix: 'cmpl-',
  whole(heading, choices, usage): CompletionAnswer {
    return {
      ...heading,
      object: 'text_completion',
      choices: choices.map(({ finish, index, text }) => ({ text, index, logprobs: null, finish_reason: finish })),
      usage,
    }
  },
  firstChunks() {
    return []
  },
  chunk(heading, index, text, finish): CompletionChunk {
    return { ...heading, object: 'text_completion', choices: [{ text, index, logprobs: null, finish_reason: finish }] }
  },
  usage(heading, usage): CompletionChunk {
    return { ...heading, object: 'text_completion', choices: [], usage }
  },
}
