import { openAiErrors } from '../../protocols/openai/error.ts'
import type {
  OpenAiResponse,
  OutputMessage,
  OutputText,
  RepeatedFields,
  ResponseEvent,
  ResponseUsage,
} from '../../protocols/openai/responses.ts'
import { eventText } from '../../protocols/sse.ts'
import { STATUS } from '../../protocols/status.ts'
import type { AnswerHead, AnswerWriter, TextEnd, TokenCounts, WriterOf } from '../generation/writer.ts'

/** Named and numbered events, as OpenAI's Responses API has them; after a failure `event: error` and no more. */
export function responseWriter(repeated: RepeatedFields): WriterOf {
  return (head) => new ResponseWriter(head, repeated)
}

class ResponseWriter implements AnswerWriter {
  readonly mediaType = 'text/event-stream; charset=utf-8'
  readonly #head: AnswerHead
  readonly #repeated: RepeatedFields
  readonly #place
  #sequence = 0
  #text = ''
  #end: TextEnd = { finish: 'stop' }

  constructor(head: AnswerHead, repeated: RepeatedFields) {
    this.#head = head
    this.#repeated = repeated
    this.#place = { item_id: `msg_${head.id}`, output_index: 0 as const, content_index: 0 as const }
  }

  whole: AnswerWriter['whole'] = ([text], counts) => {
    this.#text = text?.text ?? ''
    this.#end = text ?? this.#end
    return this.#finished(counts)
  }

  opening = (): string => {
    const item = this.#message('in_progress', [])
    return (
      this.#event({ type: 'response.created', response: this.#response('in_progress', [], null) }) +
      this.#event({ type: 'response.in_progress', response: this.#response('in_progress', [], null) }) +
      this.#event({ type: 'response.output_item.added', output_index: 0, item }) +
      this.#event({ type: 'response.content_part.added', ...this.#place, part: outputText('') })
    )
  }

  text = (_: number, delta: string): string => {
    this.#text += delta
    return this.#event({ type: 'response.output_text.delta', ...this.#place, delta, logprobs: [] })
  }

  ending = (_: number, end: TextEnd): string => {
    this.#end = end
    const part = outputText(this.#text)
    return (
      this.#event({ type: 'response.output_text.done', ...this.#place, text: this.#text, logprobs: [] }) +
      this.#event({ type: 'response.content_part.done', ...this.#place, part }) +
      this.#event({ type: 'response.output_item.done', output_index: 0, item: this.#message(this.#status, [part]) })
    )
  }

  closing = (counts: TokenCounts): string => {
    const response = this.#finished(counts)
    return this.#event({ type: `response.${this.#status}`, response })
  }

  /** The client throws for `error`; the fields beside it are those that OpenAI's documentation has. */
  failed: AnswerWriter['failed'] = (error, requestId) => {
    const { error: said } = openAiErrors.body(error, requestId, STATUS[error.code])
    const { code, message, param } = said
    const data = { type: 'error', code, message, param, error: said, sequence_number: this.#sequence++ }
    return eventText(data, 'error')
  }

  get #status(): 'completed' | 'incomplete' {
    return this.#end.finish === 'length' ? 'incomplete' : 'completed'
  }

  #event(data: ResponseEvent): string {
    return eventText({ ...data, sequence_number: this.#sequence++ }, data.type)
  }

  #finished({ completion, prompt }: TokenCounts): OpenAiResponse {
    return this.#response(this.#status, [this.#message(this.#status, [outputText(this.#text)])], {
      input_tokens: prompt,
      input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      output_tokens: completion,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: prompt + completion,
    })
  }

  #message(status: OutputMessage['status'], content: OutputText[]): OutputMessage {
    return { id: this.#place.item_id, type: 'message', status, role: 'assistant', content }
  }

  #response(status: OpenAiResponse['status'], output: OutputMessage[], usage: ResponseUsage | null): OpenAiResponse {
    const { begun, id, model, now } = this.#head
    return {
      id: `resp_${id}`,
      object: 'response',
      created_at: Math.floor(begun / 1000),
      completed_at: status === 'completed' ? Math.floor(now() / 1000) : null,
      status,
      background: false,
      error: null,
      incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
      model,
      output,
      parallel_tool_calls: true,
      previous_response_id: null,
      reasoning: { effort: null, summary: null },
      service_tier: 'default',
      store: false,
      text: { format: { type: 'text' } },
      tool_choice: 'auto',
      tools: [],
      top_logprobs: 0,
      truncation: 'disabled',
      usage,
      ...this.#repeated,
    }
  }
}

function outputText(text: string): OutputText {
  return { type: 'output_text', text, annotations: [], logprobs: [] }
}
