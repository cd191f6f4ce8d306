import type { Manifest } from '../../catalog/manifest.ts'
import { CHAT_TEMPLATE_FILE } from '../../catalog/settings/generation.ts'
import type { Limits } from '../../core/limits.ts'
import { isObject } from '../../core/objects.ts'
import { validate } from '../../core/validation.ts'
import type { Message } from '../../generate/chat.ts'
import type { GenerationRequest } from '../../generate/text-generator.ts'
import { DONE_EVENT, eventText } from '../../protocols/sse.ts'
import { STATUS } from '../../protocols/status.ts'
import { wrapped } from '../../protocols/workers-ai/envelope.ts'
import { workersAiErrors } from '../../protocols/workers-ai/error.ts'
import { type TextRequest, textSchema } from '../../protocols/workers-ai/requests.ts'
import type { ChatPrompt, TextCall, TextPrompts } from '../generation/call.ts'
import type { TextProtocol } from '../generation/generate.ts'
import type { AnswerWriter, TokenCounts } from '../generation/writer.ts'

/** Workers AI's own default. */
const TEMPERATURE = 0.6

/** Texts as Workers AI asks for them: `{prompt}` or `{messages}`. */
export function textProtocol(limits: Limits): TextProtocol {
  const schema = textSchema(limits)
  return {
    read(body, manifest): TextCall {
      // The path names the model.
      const { model: _, ...inputs } = isObject(body) ? body : {}
      const request = validate(schema, isObject(body) ? inputs : body, 'The request')
      return {
        prompt: promptOf(request, manifest),
        request: generationOf(request),
        stream: request.stream ?? false,
        writer: () => WRITER,
      }
    },
  }
}

/** A prompt is put into the model's chat template as a question, unless it is `raw` or the model has none. */
function promptOf({ messages, prompt = '', raw = false }: TextRequest, manifest: Manifest): ChatPrompt | TextPrompts {
  if (messages !== undefined) return { kind: 'chat', messages: messages.map(messageOf) }
  if (raw || !Object.hasOwn(manifest.files ?? {}, CHAT_TEMPLATE_FILE)) {
    return { kind: 'text', prompts: [prompt], field: () => 'prompt' }
  }
  return { kind: 'chat', messages: [{ role: 'user', content: prompt }] }
}

function messageOf({ content, name, role }: NonNullable<TextRequest['messages']>[number]): Message {
  return {
    role: role === 'developer' ? 'system' : role,
    content: typeof content === 'string' ? content : content.map(({ text }) => text).join('\n'),
    ...(typeof name === 'string' && { name }),
  }
}

function generationOf(request: TextRequest): GenerationRequest {
  return {
    sampling: {
      temperature: request.temperature ?? TEMPERATURE,
      topP: request.top_p ?? 1,
      topK: request.top_k ?? 0,
      minP: 0,
      frequencyPenalty: request.frequency_penalty ?? 0,
      presencePenalty: request.presence_penalty ?? 0,
      repetitionPenalty: request.repetition_penalty ?? 1,
    },
    maxNewTokens: request.max_tokens,
    stop: [],
    seed: request.seed ?? undefined,
  }
}

/** `{response, usage}`, or events of `{response}`, the last of them with the usage. */
const WRITER: AnswerWriter = {
  mediaType: 'text/event-stream; charset=utf-8',
  whole: ([text], counts) => wrapped({ response: text?.text ?? '', usage: usageOf(counts) }),
  opening: () => '',
  text: (_index, text) => eventText({ response: text }),
  ending: () => '',
  closing: (counts) => eventText({ response: '', usage: usageOf(counts) }) + DONE_EVENT,
  failed: (error, requestId) => eventText(workersAiErrors.body(error, requestId, STATUS[error.code])),
}

function usageOf({ completion, prompt }: TokenCounts) {
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
}
