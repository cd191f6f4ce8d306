import type { Context } from 'hono'
import { validate } from '../../core/validation.ts'
import type { Message, ToolCall } from '../../generate/chat.ts'
import { TextGenerator } from '../../generate/text-generator.ts'
import { type AdmittedModel, ModelRunner, type Slot } from '../../inference/infer.ts'
import type { ChatAnswer, ChatChunk, ChatRequest, ToolCallRequest } from '../../protocols/openai/generation.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { type NamedByPath, withModelInBody } from '../inference.ts'
import { requestSchemas } from './request-schemas.ts'
import { type ResponseFormat, respond } from './respond.ts'
import { assertWrites, generationRequest } from './sampling.ts'

/** `POST /v1/chat/completions`: an answer to messages, as OpenAI's clients ask for it. */
export function createChat(deps: AppDeps, c: Context<AppEnv>, named?: NamedByPath): Promise<Response> {
  const work = async (admitted: AdmittedModel, body: unknown, slot: Slot): Promise<Response> => {
    assertWrites(admitted.model.manifest)
    const request = validate(requestSchemas(deps.limits).chat, body, 'The request')
    const runner = new ModelRunner(deps, admitted, c.get('context'))
    runner.prefetch(TextGenerator.files(admitted.model.manifest, 'chat'))
    const writer = await TextGenerator.open(runner.model, generationRequest(request), deps.limits)
    const prompt = await writer.chat(request.messages.map(messageOf), deps.clock.now())
    return respond(deps, c, slot, {
      runner,
      generator: writer,
      prompts: [prompt],
      format: CHAT,
      stream: request.stream ?? false,
      streamUsage: request.stream_options?.include_usage ?? false,
    })
  }
  return withModelInBody(deps, c, 'openai', work, named)
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

const CHAT: ResponseFormat = {
  idPrefix: 'chatcmpl-',
  whole(heading, choices, usage): ChatAnswer {
    return {
      ...heading,
      object: 'chat.completion',
      choices: choices.map(({ finish, index, text }) => ({
        index,
        message: { role: 'assistant', content: text, refusal: null },
        logprobs: null,
        finish_reason: finish,
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
  chunk(heading, index, text, finish): ChatChunk {
    const delta = finish === null ? { content: text } : {}
    return {
      ...heading,
      object: 'chat.completion.chunk',
      choices: [{ index, delta, logprobs: null, finish_reason: finish }],
    }
  },
  usage(heading, usage): ChatChunk {
    return { ...heading, object: 'chat.completion.chunk', choices: [], usage }
  },
}
