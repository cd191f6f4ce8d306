import * as z from 'zod'
import type { Limits } from '../../core/limits.ts'
import { seed, stopString } from '../generation-fields.ts'

/** Clients send null for what they leave out. */
const ignored = z.unknown().optional().meta({ description: 'Accepted and ignored' })

const UNSUPPORTED = { error: 'is not supported; remove it' }

/** An unsupported field may be sent only with the value that it has by default. */
const off = z.union([z.literal(false), z.null()], UNSUPPORTED).optional()
const none = z.union([z.array(z.unknown()).max(0), z.null()], UNSUPPORTED).optional()

const tokenId = z
  .number()
  .int()
  .nonnegative()
  .max(2 ** 31 - 1)

const penalty = z.number().min(-2).max(2).nullish()

/** What chats and completions have in common. The second group is vLLM's. */
const common = (limits: GenerationLimits) => ({
  model: z.string(),
  max_tokens: z.number().int().positive().nullish().meta({ description: 'Maximum tokens of the answer' }),
  temperature: z.number().min(0).max(2).nullish().meta({ description: '0: always the most likely token. Default: 1' }),
  top_p: z.number().min(0).max(1).nullish(),
  frequency_penalty: penalty,
  presence_penalty: penalty,
  stop: z
    .union([stopString(limits), z.array(stopString(limits)).max(limits.stopStrings), z.null()])
    .optional()
    .meta({ description: 'Strings that end the answer; the answer does not include them' }),
  seed,
  n: z.union([z.literal(1), z.null()], { error: 'must be 1; send several requests' }).optional(),
  stream: z.boolean().nullish(),
  stream_options: z
    .object({ include_usage: z.boolean().nullish(), include_obfuscation: ignored })
    .nullish()
    .meta({ description: 'With `include_usage` a last event reports the token counts' }),
  logit_bias: z.union([z.record(z.string(), z.never()), z.null()], { error: 'is not supported; remove it' }).optional(),
  user: ignored,

  top_k: z
    .number()
    .int()
    .min(-1)
    .nullish()
    .meta({ description: 'Number of most likely tokens to sample from; 0 or -1: all' }),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().positive().max(10).nullish(),
})

type GenerationLimits = Pick<Limits, 'stopStringLength' | 'stopStrings'>

const textPart = z.looseObject({
  type: z.literal('text', { error: 'only parts of type "text" are supported' }),
  text: z.string(),
})

/** A call of a tool in the history of a chat: chat templates write it out. Arguments are JSON as a text. */
const toolCall = z.looseObject({
  id: z.string().nullish(),
  type: z.literal('function', { error: 'only calls of type "function" are supported' }).nullish(),
  function: z.looseObject({ name: z.string(), arguments: z.string().nullish() }),
})
export type ToolCallRequest = z.infer<typeof toolCall>

const content = z.union([z.string(), z.array(textPart)], {
  error: 'a text or a list of parts of type "text" is needed',
})

/** Fields of answers that clients send back as they came are not looked at. */
const messageSchema = z
  .looseObject({
    role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
    content: content.nullish(),
    name: z.string().nullish(),
    tool_call_id: z.string().nullish(),
    tool_calls: z.array(toolCall).nullish(),
  })
  .superRefine(({ content, role, tool_calls: calls }, context) => {
    const isCalling = role === 'assistant' && (calls?.length ?? 0) > 0
    if ((content ?? undefined) === undefined && !isCalling) {
      context.addIssue({
        code: 'custom',
        path: ['content'],
        message: 'a text is needed, except in an assistant message with "tool_calls"',
      })
    }
    if ((calls?.length ?? 0) > 0 && role !== 'assistant') {
      context.addIssue({
        code: 'custom',
        path: ['tool_calls'],
        message: 'only an assistant message may have tool calls',
      })
    }
  })
  .meta({ id: 'ChatMessage' })

/** `POST /v1/chat/completions`, as OpenAI has it. */
export const chatRequestSchema = (limits: GenerationLimits) =>
  z
    .strictObject({
      ...common(limits),
      messages: z.array(messageSchema).min(1),
      max_completion_tokens: z.number().int().positive().nullish().meta({ description: 'Goes before max_tokens' }),
      logprobs: off,
      top_logprobs: z.union([z.literal(0), z.null()], { error: 'is not supported' }).optional(),
      tools: none,
      functions: none,
      tool_choice: z.union([z.enum(['none', 'auto']), z.null()], { error: 'is not supported; remove it' }).optional(),
      function_call: z.union([z.enum(['none', 'auto']), z.null()], { error: 'is not supported; remove it' }).optional(),
      response_format: z.object({ type: z.literal('text', { error: 'only "text" is supported' }) }).nullish(),
      modalities: z.array(z.literal('text', { error: 'only "text" is supported' })).nullish(),
      audio: z.null({ error: 'only text is supported' }).optional(),
      metadata: ignored,
      store: ignored,
      parallel_tool_calls: ignored,
      service_tier: ignored,
      prediction: ignored,
      reasoning_effort: ignored,
      verbosity: ignored,
      safety_identifier: ignored,
      prompt_cache_key: ignored,
      prompt_cache_retention: ignored,
    })
    .meta({ id: 'ChatCompletionRequest' })
export type ChatRequest = z.infer<ReturnType<typeof chatRequestSchema>>

/** `POST /v1/completions`, as OpenAI has it. */
export const completionRequestSchema = (limits: GenerationLimits) =>
  z
    .strictObject({
      ...common(limits),
      prompt: z
        .union([
          z.string(),
          z.array(z.string()).min(1),
          z.array(tokenId).min(1),
          z.array(z.array(tokenId).min(1)).min(1),
        ])
        .meta({ description: "A text to continue, a list of texts, or token ids of the model's own tokenizer" }),
      logprobs: z.null({ error: 'is not supported; remove it' }).optional(),
      echo: off,
      suffix: z.union([z.literal(''), z.null()], { error: 'is not supported; remove it' }).optional(),
      best_of: z.union([z.literal(1), z.null()], { error: 'must be 1; remove it' }).optional(),
    })
    .meta({ id: 'CompletionRequest' })
export type CompletionRequest = z.infer<ReturnType<typeof completionRequestSchema>>

const usageSchema = z
  .object({
    prompt_tokens: z.number().int(),
    completion_tokens: z.number().int(),
    total_tokens: z.number().int(),
  })
  .meta({ id: 'GenerationUsage' })
export type GenerationUsage = z.infer<typeof usageSchema>

const finishReason = z.enum(['stop', 'length'])
const stopReason = z.string().optional().meta({ description: 'The stop string that ended the text, as vLLM has it' })
const answer = <Name extends string>(object: Name) => ({
  id: z.string(),
  object: z.literal(object),
  created: z.number().int().meta({ description: 'Seconds since 1970' }),
  model: z.string(),
  system_fingerprint: z.string().optional().meta({ description: 'Fingerprint of the weights' }),
})

export const chatAnswerSchema = z
  .object({
    ...answer('chat.completion'),
    choices: z.array(
      z.object({
        index: z.number().int(),
        message: z.object({ role: z.literal('assistant'), content: z.string(), refusal: z.null() }),
        logprobs: z.null(),
        finish_reason: finishReason,
        stop_reason: stopReason,
      }),
    ),
    usage: usageSchema,
  })
  .meta({ id: 'ChatCompletion' })
export type ChatAnswer = z.infer<typeof chatAnswerSchema>

export const chatChunkSchema = z
  .object({
    ...answer('chat.completion.chunk'),
    choices: z.array(
      z.object({
        index: z.number().int(),
        delta: z.object({ role: z.literal('assistant').optional(), content: z.string().optional() }),
        logprobs: z.null(),
        finish_reason: finishReason.nullable(),
        stop_reason: stopReason,
      }),
    ),
    usage: usageSchema.nullable().optional(),
  })
  .meta({ id: 'ChatCompletionChunk' })
export type ChatChunk = z.infer<typeof chatChunkSchema>

const completionChoice = <Finish extends z.ZodType>(finish: Finish) =>
  z.object({
    text: z.string(),
    index: z.number().int(),
    logprobs: z.null(),
    finish_reason: finish,
    stop_reason: stopReason,
  })

export const completionAnswerSchema = z
  .object({ ...answer('text_completion'), choices: z.array(completionChoice(finishReason)), usage: usageSchema })
  .meta({ id: 'Completion' })
export type CompletionAnswer = z.infer<typeof completionAnswerSchema>

export const completionChunkSchema = z
  .object({
    ...answer('text_completion'),
    choices: z.array(completionChoice(finishReason.nullable())),
    usage: usageSchema.nullable().optional(),
  })
  .meta({ id: 'CompletionChunk' })
export type CompletionChunk = z.infer<typeof completionChunkSchema>
