import type { Message } from '../../generate/chat.ts'
import type { GenerationRequest } from '../../generate/text-generator.ts'
import type { WriterOf } from './writer.ts'

/** Messages that the model's chat template makes a prompt of. */
export interface ChatPrompt {
  readonly kind: 'chat'
  readonly messages: readonly Message[]
  /** The request's field that they come from, where it is not `messages`. */
  readonly field?: string
}

/** Texts, or their token ids, that the model continues as they are. */
export interface TextPrompts {
  readonly kind: 'text'
  readonly prompts: readonly (string | readonly number[])[]
  /** The request's field that a prompt stands in, for messages. */
  readonly field: (index: number) => string
}

/** What a request for texts asks for, whichever protocol it came by. */
export interface TextCall {
  readonly prompt: ChatPrompt | TextPrompts
  readonly request: GenerationRequest
  readonly stream: boolean
  readonly writer: WriterOf
}

/** A call in OpenAI's words, for an origin; its `model` is added by whoever sends it. */
export function openAiCall({ prompt, request, stream }: TextCall): {
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
} {
  const { maxNewTokens, sampling, seed, stop } = request
  const common = {
    temperature: sampling.temperature,
    top_p: sampling.topP,
    ...(sampling.topK > 0 && { top_k: sampling.topK }),
    ...(sampling.minP > 0 && { min_p: sampling.minP }),
    ...(sampling.frequencyPenalty !== 0 && { frequency_penalty: sampling.frequencyPenalty }),
    ...(sampling.presencePenalty !== 0 && { presence_penalty: sampling.presencePenalty }),
    ...(sampling.repetitionPenalty !== 1 && { repetition_penalty: sampling.repetitionPenalty }),
    ...(maxNewTokens !== undefined && { max_tokens: maxNewTokens }),
    ...(stop.length > 0 && { stop }),
    ...(seed !== undefined && { seed }),
    ...(stream && { stream, stream_options: { include_usage: true } }),
  }
  if (prompt.kind === 'chat') {
    return { path: '/v1/chat/completions', body: { messages: prompt.messages.map(openAiMessage), ...common } }
  }
  const [only] = prompt.prompts
  return { path: '/v1/completions', body: { prompt: prompt.prompts.length === 1 ? only : prompt.prompts, ...common } }
}

function openAiMessage({ content, name, role, toolCallId, toolCalls }: Message) {
  return {
    role,
    content,
    ...(name !== undefined && { name }),
    ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
    ...(toolCalls !== undefined && {
      tool_calls: toolCalls.map(({ id, name: called, arguments: given }) => ({
        ...(id !== undefined && { id }),
        type: 'function',
        function: { name: called, arguments: given },
      })),
    }),
  }
}
