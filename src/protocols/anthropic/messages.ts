import * as z from 'zod'
import type { Limits } from '../../core/limits.ts'
import { stopString } from '../generation-fields.ts'

/** Accepted, because it changes nothing of an answer here. */
const ignored = z.unknown().optional().meta({ description: 'Accepted and ignored' })

/** Refused by name before the schema is asked, unless it asks for nothing. */
const later = z.unknown().optional().meta({ description: 'Refused, unless it asks for nothing' })

/** `cache_control` and `citations` beside a text change nothing here. */
const textBlock = z.looseObject({
  type: z.literal('text', { error: 'only blocks of type "text" are supported' }),
  text: z.string(),
})

const content = z.union([z.string(), z.array(textBlock)], {
  error: 'a text or a list of blocks of type "text" is needed',
})

const messageSchema = z
  .strictObject({ role: z.enum(['user', 'assistant', 'system']), content })
  .meta({ id: 'AnthropicMessageParam' })

type MessageLimits = Pick<Limits, 'stopStringLength' | 'stopStrings'>

const prompt = {
  model: z.string(),
  messages: z.array(messageSchema).min(1),
  system: content.optional(),
  thinking: later,
  tool_choice: later,
  tools: later,
  output_config: later,
  output_format: later,
  context_management: later,
  mcp_servers: later,
  cache_control: ignored,
  speed: ignored,
  user_profile_id: ignored,
  workspace_id: ignored,
}

/** `POST /v1/messages`, as Anthropic has it. */
export const messagesRequestSchema = (limits: MessageLimits) =>
  z
    .strictObject({
      ...prompt,
      max_tokens: z.number().int().positive().meta({ description: 'Maximum tokens of the answer' }),
      stop_sequences: z
        .array(stopString(limits))
        .max(limits.stopStrings)
        .optional()
        .meta({ description: 'Strings that end the answer; the answer does not include them' }),
      stream: z.boolean().optional(),
      temperature: z.number().min(0).max(1).optional().meta({ description: 'Default: 1' }),
      top_k: z.number().int().nonnegative().optional(),
      top_p: z.number().min(0).max(1).optional(),
      container: later,
      metadata: ignored,
      service_tier: ignored,
      inference_geo: ignored,
      diagnostics: ignored,
    })
    .meta({ id: 'AnthropicMessagesRequest' })

/** `POST /v1/messages/count_tokens`. */
export const countTokensRequestSchema = z.strictObject(prompt).meta({ id: 'AnthropicCountTokensRequest' })
export type CountTokensRequest = z.infer<typeof countTokensRequestSchema>

export type StopReason = 'end_turn' | 'max_tokens' | 'stop_sequence'

/** A text of an answer. */
export interface TextBlock {
  readonly type: 'text'
  readonly text: string
  readonly citations: null
}

/** What its client's type has beside the counts is about things that there are none of here. */
export interface MessageUsage {
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cache_creation: null
  readonly cache_creation_input_tokens: number
  readonly cache_read_input_tokens: number
  readonly inference_geo: null
  readonly output_tokens_details: null
  readonly server_tool_use: null
  readonly service_tier: null
  readonly speed: null
}

export interface AnthropicMessage {
  readonly id: string
  readonly type: 'message'
  readonly role: 'assistant'
  readonly model: string
  readonly content: readonly TextBlock[]
  readonly stop_reason: StopReason | null
  readonly stop_sequence: string | null
  readonly stop_details: null
  readonly container: null
  readonly diagnostics: null
  readonly usage: MessageUsage
}

/** The events of a stream, in their order. */
export type MessageEvent =
  | { readonly type: 'message_start'; readonly message: AnthropicMessage }
  | { readonly type: 'content_block_start'; readonly index: number; readonly content_block: TextBlock }
  | { readonly type: 'ping' }
  | {
      readonly type: 'content_block_delta'
      readonly index: number
      readonly delta: { readonly type: 'text_delta'; readonly text: string }
    }
  | { readonly type: 'content_block_stop'; readonly index: number }
  | {
      readonly type: 'message_delta'
      readonly delta: Pick<AnthropicMessage, 'container' | 'stop_details' | 'stop_reason' | 'stop_sequence'>
      readonly usage: Omit<MessageUsage, 'cache_creation' | 'inference_geo' | 'service_tier' | 'speed'>
    }
  | { readonly type: 'message_stop' }

/** `GET /v1/models`. */
export interface AnthropicModel {
  readonly type: 'model'
  readonly id: string
  readonly display_name: string
  /** RFC 3339; the beginning of 1970 where no time was kept. */
  readonly created_at: string
  readonly max_input_tokens: number | null
  readonly max_tokens: number | null
  readonly capabilities: null
  readonly deprecated_at: null
  readonly lifecycle: 'active'
  readonly line: null
  readonly retires_at: null
}

export interface AnthropicModelList {
  readonly data: readonly AnthropicModel[]
  readonly has_more: boolean
  readonly first_id: string | null
  readonly last_id: string | null
}
