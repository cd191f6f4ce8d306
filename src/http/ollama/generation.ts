import type { Context } from 'hono'
import type { Manifest } from '../../catalog/manifest.ts'
import { CHAT_TEMPLATE_FILE } from '../../catalog/settings/generation.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { isObject } from '../../core/objects.ts'
import { validate } from '../../core/validation.ts'
import type { Message } from '../../generate/chat.ts'
import type { GenerationRequest } from '../../generate/text-generator.ts'
import {
  type OllamaGenerateRequest,
  type OllamaMessage,
  type OllamaOptions,
  ollamaChatRequestSchema,
  ollamaGenerateRequestSchema,
} from '../../protocols/ollama/generation.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import type { ChatPrompt, TextPrompts } from '../generation/call.ts'
import { answerTextRequest } from '../generation/generate.ts'
import {
  isAbsent,
  isEmptyList,
  isEmptyText,
  isFalse,
  type LaterFields,
  refuseLater,
} from '../generation/later-fields.ts'
import { inMessage, inResponse, loadAnswer, ollamaWriter, type TextField } from './ollama-writer.ts'

/** `POST /api/chat`: an answer to messages, as Ollama's clients ask for it. */
export function chat(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const read = (body: unknown) => {
    refuseUnsupported(body)
    const request = validate(schemasFor(deps.limits).chat, body, 'The request')
    const { messages, options, stream } = request
    if (isEmptyList(messages)) return { loads: loaded(deps, request, inMessage) }
    return {
      prompt: { kind: 'chat' as const, messages: (messages ?? []).map(messageOf) },
      request: generationRequest(options ?? {}),
      stream: stream ?? true,
      writer: ollamaWriter(inMessage),
    }
  }
  return answerTextRequest(deps, c, { read, anyMediaType: true })
}

/** `POST /api/generate`: a text continued, or a question answered by the model's template. */
export function generate(deps: AppDeps, c: Context<AppEnv>): Promise<Response> {
  const read = (body: unknown, manifest: Manifest) => {
    refuseUnsupported(body)
    const request = validate(schemasFor(deps.limits).generate, body, 'The request')
    if (isEmptyText(request.prompt)) return { loads: loaded(deps, request, inResponse) }
    return {
      prompt: promptOf(request, manifest),
      request: generationRequest(request.options ?? {}),
      stream: request.stream ?? true,
      writer: ollamaWriter(inResponse),
    }
  }
  return answerTextRequest(deps, c, { read, anyMediaType: true })
}

interface Schemas {
  readonly chat: ReturnType<typeof ollamaChatRequestSchema>
  readonly generate: ReturnType<typeof ollamaGenerateRequestSchema>
}

const made = new WeakMap<Limits, Schemas>()

/** Built once for an application's limits. */
function schemasFor(limits: Limits): Schemas {
  const schemas = made.get(limits) ?? {
    chat: ollamaChatRequestSchema(limits),
    generate: ollamaGenerateRequestSchema(limits),
  }
  made.set(limits, schemas)
  return schemas
}

const LATER: LaterFields = {
  tools: isEmptyList,
  format: isEmptyText,
  think: isFalse,
  logprobs: isFalse,
  top_logprobs: (value) => isAbsent(value) || value === 0,
  truncate: isFalse,
  images: isEmptyList,
  suffix: isEmptyText,
  template: isEmptyText,
  context: isEmptyList,
  width: isAbsent,
  height: isAbsent,
  steps: isAbsent,
}

const LATER_IN_OPTIONS: LaterFields = {
  tfs_z: (value) => isAbsent(value) || value === 1,
  typical_p: (value) => isAbsent(value) || value === 1,
  mirostat: (value) => isAbsent(value) || value === 0,
}

/** @throws not_implemented for what would make another answer */
function refuseUnsupported(body: unknown): void {
  if (!isObject(body)) return
  refuseLater(body, LATER)
  const { messages, options } = body
  refuseLater(options, LATER_IN_OPTIONS, 'options.')
  // Penalties here look at the whole text. Where there is none, it does not matter how far one would look.
  if (isObject(options) && !isAbsent(options.repeat_penalty) && options.repeat_penalty !== 1) {
    refuseLater(options, { repeat_last_n: (value) => isAbsent(value) || value === -1 }, 'options.')
  }
  if (!Array.isArray(messages)) return
  for (const [i, message] of messages.entries()) refuseLater(message, { images: isEmptyList }, `messages[${i}].`)
}

function messageOf({ content, role, tool_call_id: id, tool_calls: calls, tool_name: name }: OllamaMessage): Message {
  return {
    role,
    content: content ?? '',
    ...(typeof name === 'string' && { name }),
    ...(typeof id === 'string' && { toolCallId: id }),
    ...(calls?.length && {
      toolCalls: calls.map(({ function: called, id: callId }) => ({
        ...(typeof callId === 'string' && { id: callId }),
        name: called.name,
        arguments: JSON.stringify(called.arguments ?? {}),
      })),
    }),
  }
}

/**
 * By the model's template, unless the prompt is to be taken as it is or the model has no template. Whether a model has one
 * whose files lie with an origin, only the origin knows: it answers chats then.
 */
function promptOf({ prompt, raw, system }: OllamaGenerateRequest, manifest: Manifest): ChatPrompt | TextPrompts {
  const said = prompt ?? ''
  const templated =
    raw !== true && (manifest.generation === undefined || Object.hasOwn(manifest.files ?? {}, CHAT_TEMPLATE_FILE))
  if (templated) {
    const user = { role: 'user', content: said }
    return {
      kind: 'chat',
      field: 'prompt',
      messages: isEmptyText(system) ? [user] : [{ role: 'system', content: system ?? '' }, user],
    }
  }
  if (isEmptyText(system)) return { kind: 'text', prompts: [said], field: () => 'prompt' }
  throw new VergeError(
    'invalid_request',
    raw === true
      ? 'The request, field "system": with "raw" the prompt is taken as it is. Write the system\'s words into the prompt.'
      : `The request, field "system": model "${manifest.model}" has no chat template. Write the system's words into the prompt.`,
    { details: { field: 'system' } },
  )
}

/** Ollama's defaults, but for its penalty on repetitions, which looks at the last 64 tokens alone: there is none. */
function generationRequest(options: OllamaOptions): GenerationRequest {
  const { num_predict: most, seed, stop } = options
  return {
    sampling: {
      temperature: options.temperature ?? 0.8,
      topP: options.top_p ?? 0.9,
      topK: options.top_k ?? 40,
      minP: options.min_p ?? 0,
      frequencyPenalty: options.frequency_penalty ?? 0,
      presencePenalty: options.presence_penalty ?? 0,
      repetitionPenalty: options.repeat_penalty ?? 1,
    },
    maxNewTokens: typeof most === 'number' && most > 0 ? most : undefined,
    stop: typeof stop === 'string' ? [stop] : (stop ?? []),
    // Ollama's own default is -1: another one for each answer.
    seed: typeof seed === 'number' && seed >= 0 ? seed : undefined,
  }
}

/** Ways to write that a model need not stay: a number of seconds, or a duration of Go's. */
const AT_ONCE: ReadonlySet<unknown> = new Set([0, '0', '0s', '0m', '0h'])

function loaded(
  { clock }: AppDeps,
  { keep_alive: keep, model }: Pick<OllamaGenerateRequest, 'keep_alive' | 'model'>,
  field: TextField,
): object {
  return loadAnswer(model, clock.now(), field, AT_ONCE.has(keep) ? 'unload' : 'load')
}
