import * as z from 'zod'
import type { Limits } from '../../core/limits.ts'
import { seed, stopString } from '../generation-fields.ts'

/** Clients send null for what they leave out. */
const ignored = z.unknown().optional().meta({ description: 'Accepted and ignored' })

/** Refused by name before the schema is asked, unless it asks for nothing. */
const later = z.unknown().optional().meta({ description: 'Refused, unless it asks for nothing' })

/** As many as OpenAI takes: an answer repeats them, the first and the last events of a stream too. */
const metadata = z
  .record(z.string(), z.string().max(512))
  .refine((pairs) => Object.keys(pairs).length <= 16, 'more than 16 pairs were sent; send fewer')
  .refine((pairs) => Object.keys(pairs).every(({ length }) => length <= 64), 'a key has more than 64 characters')
  .nullish()
  .meta({ description: 'Up to 16 pairs, repeated in the answer' })

const part = z.looseObject({
  type: z.enum(['input_text', 'output_text'], {
    error: 'only parts of type "input_text" and "output_text" are supported',
  }),
  text: z.string(),
})

/** Messages of an earlier answer come back with fields of their own (`id`, `status`), which are not looked at. */
const itemSchema = z
  .looseObject({
    type: z.literal('message', { error: 'only items of type "message" are supported' }).optional(),
    role: z.enum(['system', 'developer', 'user', 'assistant']),
    content: z.union([z.string(), z.array(part)], {
      error: 'a text or a list of parts of type "input_text" is needed',
    }),
  })
  .meta({ id: 'ResponseInputMessage' })

/** `POST /v1/responses`, as OpenAI has it; the last group is vLLM's. */
export const responsesRequestSchema = (limits: Pick<Limits, 'stopStringLength' | 'stopStrings'>) =>
  z
    .strictObject({
      model: z.string(),
      input: z.union([z.string(), z.array(itemSchema).min(1)]).meta({ description: 'A text, or messages' }),
      instructions: z.string().nullish().meta({ description: 'A system message before the input' }),
      max_output_tokens: z.number().int().positive().nullish(),
      temperature: z.number().min(0).max(2).nullish().meta({ description: 'Default: 1' }),
      top_p: z.number().min(0).max(1).nullish(),
      stream: z.boolean().nullish(),
      metadata,
      previous_response_id: later,
      conversation: later,
      background: later,
      tools: later,
      tool_choice: later,
      text: later,
      prompt: later,
      truncation: later,
      include: later,
      top_logprobs: later,
      moderation: later,
      context_management: later,
      store: z.boolean().nullish().meta({ description: 'Accepted and ignored: nothing is stored' }),
      stream_options: ignored,
      reasoning: ignored,
      parallel_tool_calls: ignored,
      max_tool_calls: ignored,
      user: ignored,
      safety_identifier: ignored,
      prompt_cache_key: ignored,
      prompt_cache_options: ignored,
      prompt_cache_retention: ignored,
      service_tier: ignored,

      top_k: z.number().int().min(-1).nullish(),
      min_p: z.number().min(0).max(1).nullish(),
      repetition_penalty: z.number().positive().max(10).nullish(),
      stop: z.union([stopString(limits), z.array(stopString(limits)).max(limits.stopStrings), z.null()]).optional(),
      seed,
    })
    .meta({ id: 'ResponsesRequest' })
export type ResponsesRequest = z.infer<ReturnType<typeof responsesRequestSchema>>

const status = z.enum(['in_progress', 'completed', 'incomplete'])

const outputTextSchema = z.object({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(z.never()),
  logprobs: z.array(z.never()),
})
export type OutputText = z.infer<typeof outputTextSchema>

const outputMessageSchema = z
  .object({
    id: z.string(),
    type: z.literal('message'),
    status,
    role: z.literal('assistant'),
    content: z.array(outputTextSchema),
  })
  .meta({ id: 'ResponseOutputMessage' })
export type OutputMessage = z.infer<typeof outputMessageSchema>

const usageSchema = z
  .object({
    input_tokens: z.number().int(),
    input_tokens_details: z.object({ cached_tokens: z.number().int(), cache_write_tokens: z.number().int() }),
    output_tokens: z.number().int(),
    output_tokens_details: z.object({ reasoning_tokens: z.number().int() }),
    total_tokens: z.number().int(),
  })
  .meta({ id: 'ResponseUsage' })
export type ResponseUsage = z.infer<typeof usageSchema>

/** What an answer repeats of its request. */
const repeated = z.object({
  instructions: z.string().nullable(),
  max_output_tokens: z.number().int().nullable(),
  metadata: z.record(z.string(), z.string()),
  temperature: z.number(),
  top_p: z.number(),
})
export type RepeatedFields = z.infer<typeof repeated>

/** The answer. What there is none of here has the value that says so. */
export const openAiResponseSchema = repeated
  .extend({
    id: z.string(),
    object: z.literal('response'),
    created_at: z.number().int().meta({ description: 'Seconds since 1970' }),
    completed_at: z.number().int().nullable(),
    status,
    background: z.literal(false),
    error: z.null(),
    incomplete_details: z.object({ reason: z.literal('max_output_tokens') }).nullable(),
    model: z.string(),
    output: z.array(outputMessageSchema),
    parallel_tool_calls: z.literal(true),
    previous_response_id: z.null(),
    reasoning: z.object({ effort: z.null(), summary: z.null() }),
    service_tier: z.literal('default'),
    store: z.literal(false),
    text: z.object({ format: z.object({ type: z.literal('text') }) }),
    tool_choice: z.literal('auto'),
    tools: z.array(z.never()),
    top_logprobs: z.literal(0),
    truncation: z.literal('disabled'),
    usage: usageSchema.nullable(),
  })
  .meta({ id: 'Response' })
export type OpenAiResponse = z.infer<typeof openAiResponseSchema>

/** An event of a stream, for documents. */
export const responseEventSchema = z
  .looseObject({ type: z.string(), sequence_number: z.number().int() })
  .meta({ id: 'ResponseEvent' })

interface InMessage {
  readonly item_id: string
  readonly output_index: 0
}

interface InPart extends InMessage {
  readonly content_index: 0
}

/** The events of a stream, in their order, without `sequence_number`. */
export type ResponseEvent =
  | {
      readonly type: 'response.created' | 'response.in_progress' | 'response.completed' | 'response.incomplete'
      readonly response: OpenAiResponse
    }
  | {
      readonly type: 'response.output_item.added' | 'response.output_item.done'
      readonly output_index: 0
      readonly item: OutputMessage
    }
  | (InPart & {
      readonly type: 'response.content_part.added' | 'response.content_part.done'
      readonly part: OutputText
    })
  | (InPart & {
      readonly type: 'response.output_text.delta'
      readonly delta: string
      readonly logprobs: readonly never[]
    })
  | (InPart & {
      readonly type: 'response.output_text.done'
      readonly text: string
      readonly logprobs: readonly never[]
    })
