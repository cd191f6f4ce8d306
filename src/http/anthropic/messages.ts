import type { Context } from 'hono'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { isObject } from '../../core/objects.ts'
import { validate } from '../../core/validation.ts'
import type { Message } from '../../generate/chat.ts'
import {
  type CountTokensRequest,
  countTokensRequestSchema,
  messagesRequestSchema,
} from '../../protocols/anthropic/messages.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { countPromptTokens } from '../generation/count-tokens.ts'
import { answerTextRequest } from '../generation/generate.ts'
import { isAbsent, isEmptyList, type LaterFields, refuseLater, refuseOtherParts } from '../generation/later-fields.ts'
import { messageWriter } from './message-writer.ts'

/** `POST /v1/messages`: an answer to messages, as Anthropic's clients ask for it. */
export function createMessage(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const read = (body: unknown) => {
    refuseUnsupported(body)
    const request = validate(schemaFor(deps.limits), body, 'The request')
    return {
      prompt: { kind: 'chat' as const, messages: messagesOf(request) },
      request: {
        sampling: {
          temperature: request.temperature ?? 1,
          topP: request.top_p ?? 1,
          topK: request.top_k ?? 0,
          minP: 0,
          frequencyPenalty: 0,
          presencePenalty: 0,
          repetitionPenalty: 1,
        },
        maxNewTokens: request.max_tokens,
        stop: request.stop_sequences ?? [],
        seed: undefined,
      },
      stream: request.stream ?? false,
      writer: messageWriter,
    }
  }
  return answerTextRequest(deps, c, { read })
}

/** `POST /v1/messages/count_tokens`: how many tokens the prompt of such a request has. */
export function countTokens(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const read = (body: unknown): readonly Message[] => {
    refuseUnsupported(body)
    return messagesOf(validate(countTokensRequestSchema, body, 'The request'))
  }
  return countPromptTokens(deps, c, read, (count) => ({ input_tokens: count }))
}

const schemas = new WeakMap<Limits, ReturnType<typeof messagesRequestSchema>>()

/** Built once for an application's limits. */
function schemaFor(limits: Limits): ReturnType<typeof messagesRequestSchema> {
  const schema = schemas.get(limits) ?? messagesRequestSchema(limits)
  schemas.set(limits, schema)
  return schema
}

const LATER: LaterFields = {
  tools: isEmptyList,
  tool_choice: (value) => isAbsent(value) || (isObject(value) && (value.type === 'none' || value.type === 'auto')),
  thinking: (value) => isAbsent(value) || (isObject(value) && value.type === 'disabled'),
  output_config: (value) => isAbsent(value) || (isObject(value) && isAbsent(value.format)),
  output_format: isAbsent,
  context_management: isAbsent,
  mcp_servers: isEmptyList,
  container: isAbsent,
}

const TEXT: ReadonlySet<string> = new Set(['text'])

/** @throws not_implemented for what would make another answer; invalid_request for a beginning of the answer itself */
function refuseUnsupported(body: unknown): void {
  refuseLater(body, LATER)
  if (!isObject(body) || !Array.isArray(body.messages)) return
  refuseOtherParts(body.system, TEXT, 'system')
  for (const [i, message] of body.messages.entries()) {
    if (isObject(message)) refuseOtherParts(message.content, TEXT, `messages[${i}].content`)
  }
  const last: unknown = body.messages.at(-1)
  if (isObject(last) && last.role === 'assistant') {
    throw new VergeError(
      'not_implemented',
      'The request, field "messages": Verge does not continue a message of the assistant yet. End with a message of the user.',
      { details: { field: 'messages' } },
    )
  }
}

type Content = CountTokensRequest['messages'][number]['content']

/** The system prompt first; turns of the same speaker in a row are one, as Anthropic has it. */
function messagesOf({ messages, system }: Pick<CountTokensRequest, 'messages' | 'system'>): Message[] {
  const turns: Message[] = []
  for (const { content, role } of messages) {
    const text = textOf(content)
    const before = turns.at(-1)
    if (before?.role === role) turns[turns.length - 1] = { role, content: `${before.content}\n${text}` }
    else turns.push({ role, content: text })
  }
  return system === undefined ? turns : [{ role: 'system', content: textOf(system) }, ...turns]
}

function textOf(content: Content): string {
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('\n')
}
