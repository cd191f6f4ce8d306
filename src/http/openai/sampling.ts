import type { GenerationRequest } from '../../generate/text-generator.ts'
import type { ChatRequest, CompletionRequest } from '../../protocols/openai/generation.ts'

/** What OpenAI's fields mean, with its defaults. */
export function generationRequest(request: ChatRequest | CompletionRequest): GenerationRequest {
  const { max_tokens: maxTokens, seed, stop } = request
  const most = 'max_completion_tokens' in request ? request.max_completion_tokens : undefined
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
