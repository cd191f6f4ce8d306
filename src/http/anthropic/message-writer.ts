import { anthropicErrors } from '../../protocols/anthropic/error.ts'
import type {
  AnthropicMessage,
  MessageEvent,
  MessageUsage,
  StopReason,
  TextBlock,
} from '../../protocols/anthropic/messages.ts'
import { eventText } from '../../protocols/sse.ts'
import { STATUS } from '../../protocols/status.ts'
import type { AnswerHead, TextEnd, TokenCounts, WriterOf } from '../generation/writer.ts'

/** Named events, as Anthropic's client reads them; after a failure `event: error` and no more. */
export const messageWriter: WriterOf = (head) => {
  let ended: TextEnd = { finish: 'stop' }
  return {
    mediaType: 'text/event-stream; charset=utf-8',
    whole: ([text], counts) =>
      messageOf(head, [textBlock(text?.text ?? '')], stopOf(text ?? { finish: 'stop' }), counts),
    opening: () =>
      event({ type: 'message_start', message: messageOf(head, [], STILL, openingCounts(head)) }) +
      event({ type: 'content_block_start', index: 0, content_block: textBlock('') }) +
      event({ type: 'ping' }),
    text: (_, text) => event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }),
    ending: (_, end) => {
      ended = end
      return event({ type: 'content_block_stop', index: 0 })
    },
    closing: (counts) => {
      const { cache_creation: _c, inference_geo: _g, service_tier: _t, speed: _s, ...usage } = usageOf(counts)
      const delta = { ...stopOf(ended), stop_details: null, container: null }
      return event({ type: 'message_delta', delta, usage }) + event({ type: 'message_stop' })
    },
    failed: (error, requestId) => eventText(anthropicErrors.body(error, requestId, STATUS[error.code]), 'error'),
  }
}

function event(data: MessageEvent): string {
  return eventText(data, data.type)
}

function textBlock(text: string): TextBlock {
  return { type: 'text', text, citations: null }
}

interface Stop {
  readonly stop_reason: StopReason | null
  readonly stop_sequence: string | null
}

/** Of a message that is being written. */
const STILL: Stop = { stop_reason: null, stop_sequence: null }

function stopOf({ finish, stopString }: TextEnd): Stop {
  if (finish === 'length') return { stop_reason: 'max_tokens', stop_sequence: null }
  if (stopString === undefined) return { stop_reason: 'end_turn', stop_sequence: null }
  return { stop_reason: 'stop_sequence', stop_sequence: stopString }
}

/** An origin counts the tokens of the prompt, and says so at the end; the client takes the last count. */
function openingCounts({ promptTokens }: AnswerHead): TokenCounts {
  return { prompt: promptTokens ?? 0, completion: 0 }
}

function messageOf(
  { id, model }: AnswerHead,
  content: readonly TextBlock[],
  stop: Stop,
  counts: TokenCounts,
): AnthropicMessage {
  return {
    id: `msg_${id}`,
    type: 'message',
    role: 'assistant',
    model,
    content,
    ...stop,
    stop_details: null,
    container: null,
    diagnostics: null,
    usage: usageOf(counts),
  }
}

function usageOf({ completion, prompt }: TokenCounts): MessageUsage {
  return {
    input_tokens: prompt,
    output_tokens: completion,
    cache_creation: null,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    inference_geo: null,
    output_tokens_details: null,
    server_tool_use: null,
    service_tier: null,
    speed: null,
  }
}
