import type { GenerationRequest } from '../../generate/text-generator.ts'
import type { ChatRequest } from '../../protocols/openai/generation.ts'

/** The fields in which OpenAI's protocols ask for tokens; each has some of them. */
type TokenFields = Partial<
  Pick<
    ChatRequest,
    | 'frequency_penalty'
    | 'max_completion_tokens'
    | 'max_tokens'
    | 'min_p'
    | 'presence_penalty'
    | 'repetition_penalty'
    | 'seed'
    | 'stop'
    | 'temperature'
    | 'top_k'
    | 'top_p'
  >
>

/** What OpenAI's fields mean, with its defaults. */
export function generationRequest(request: TokenFields): GenerationRequest {
  const { max_completion_tokens: most, max_tokens: maxTokens, seed, stop } = request
  return {
    sampling: {
      temperature: request.temperature ?? 1,
      topP: request.top_p ?? 1,
      topK: Math.max(0, request.top_k ?? 0),
      minP: request.min_p ?? 0,
      frequencyPenalty: request.frequency_penalty ?? 0,
      presencePenalty: request.presence_penalty ?? 0,
      repetitionPenalty: request.repetition_penalty ?? 1,
    },
    maxNewTokens: most ?? maxTokens ?? undefined,
    stop: typeof stop === 'string' ? [stop] : (stop ?? []),
    seed: seed ?? undefined,
  }
}
