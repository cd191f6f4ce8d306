import type { Context } from 'hono'
import { validate } from '../../core/validation.ts'
import type { CompletionAnswer, CompletionChunk, CompletionRequest } from '../../protocols/openai/generation.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import type { TextPrompts } from '../generation/call.ts'
import { answerTextRequest } from '../generation/generate.ts'
import type { NamedByPath } from '../model-in-body.ts'
import { type OpenAiFormat, openAiWriter } from './openai-writer.ts'
import { requestSchemas } from './request-schemas.ts'
import { generationRequest } from './sampling.ts'

/** `POST /v1/completions`: texts continued, as OpenAI's clients ask for it. */
export function createCompletion(deps: AppDeps, c: Context<AppEnv>, named?: NamedByPath): Promise<Response> {
  const read = (body: unknown) => {
    const request = validate(requestSchemas(deps.limits).completion, body, 'The request')
    return {
      prompt: promptsOf(request.prompt),
      request: generationRequest(request),
      stream: request.stream ?? false,
      writer: openAiWriter(COMPLETION, request.stream_options?.include_usage ?? false),
    }
  }
  return answerTextRequest(deps, c, { read, forwardedAsIs: true }, named)
}

/** Prompts, whichever of the four forms they came in. */
function promptsOf(prompt: CompletionRequest['prompt']): TextPrompts {
  const list = Array.isArray(prompt) && typeof prompt[0] !== 'number'
  const prompts = (list ? prompt : [prompt]) as readonly (string | readonly number[])[]
  return { kind: 'text', prompts, field: (index) => (list ? `prompt[${index}]` : 'prompt') }
}

const COMPLETION: OpenAiFormat = {
  idPrefix: 'cmpl-',
  whole(heading, choices, usage): CompletionAnswer {
    return {
      ...heading,
      object: 'text_completion',
      choices: choices.map(({ index, text, ...end }) => ({ text, index, logprobs: null, ...end })),
      usage,
    }
  },
  firstChunks() {
    return []
  },
  chunk(heading, index, text, end): CompletionChunk {
    return { ...heading, object: 'text_completion', choices: [{ text, index, logprobs: null, ...end }] }
  },
  usage(heading, usage): CompletionChunk {
    return { ...heading, object: 'text_completion', choices: [], usage }
  },
}
