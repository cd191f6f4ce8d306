import type { Context } from 'hono'
import { validate } from '../../core/validation.ts'
import type { Message, ToolCall } from '../../generate/chat.ts'
import type { ChatAnswer, ChatChunk, ChatRequest, ToolCallRequest } from '../../protocols/openai/generation.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { answerTextRequest } from '../generation/generate.ts'
import type { NamedByPath } from '../model-in-body.ts'
import { type OpenAiFormat, openAiWriter } from './openai-writer.ts'
import { requestSchemas } from './request-schemas.ts'
import { generationRequest } from './sampling.ts'

/** `POST /v1/chat/completions`: an answer to messages, as OpenAI's clients ask for it. */
export function createChat(deps: AppDeps, c: Context<AppEnv>, named?: NamedByPath): Promise<Response> {
  const read = (body: unknown) => {
    const request = validate(requestSchemas(deps.limits).chat, body, 'The request')
    return {
      prompt: { kind: 'chat' as const, messages: request.messages.map(messageOf) },
      request: generationRequest(request),
      stream: request.stream ?? false,
      writer: openAiWriter(CHAT, request.stream_options?.include_usage ?? false),
    }
  }
  return answerTextRequest(deps, c, { read, forwardedAsIs: true }, named)
}

/** OpenAI's newer name for the system's role is unknown to templates. */
function messageOf({
  content,
  name,
  role,
  tool_call_id: callId,
  tool_calls: calls,
}: ChatRequest['messages'][number]): Message {
  return {
    role: role === 'developer' ? 'system' : role,
    content: typeof content === 'string' ? content : (content ?? []).map(({ text }) => text).join('\n'),
    ...(typeof name === 'string' && { name }),
    ...(typeof callId === 'string' && { toolCallId: callId }),
    ...(calls?.length && { toolCalls: calls.map(callOf) }),
  }
}

/** Templates write arguments as JSON: as a text they would be quoted twice. */
function callOf({ function: called, id }: ToolCallRequest): ToolCall {
  return { ...(typeof id === 'string' && { id }), name: called.name, arguments: called.arguments ?? '{}' }
}

const CHAT: OpenAiFormat = {
  idPrefix: 'chatcmpl-',
  whole(heading, choices, usage): ChatAnswer {
    return {
      ...heading,
      object: 'chat.completion',
      choices: choices.map(({ index, text, ...end }) => ({
        index,
        message: { role: 'assistant', content: text, refusal: null },
        logprobs: null,
        ...end,
      })),
      usage,
    }
  },
  firstChunks(heading, index) {
    const delta = { role: 'assistant', content: '' } as const
    const chunk: ChatChunk = {
      ...heading,
      object: 'chat.completion.chunk',
      choices: [{ index, delta, logprobs: null, finish_reason: null }],
    }
    return [chunk]
  },
  chunk(heading, index, text, end): ChatChunk {
    const delta = end.finish_reason === null ? { content: text } : {}
    return { ...heading, object: 'chat.completion.chunk', choices: [{ index, delta, logprobs: null, ...end }] }
  },
  usage(heading, usage): ChatChunk {
    return { ...heading, object: 'chat.completion.chunk', choices: [], usage }
  },
}
