import type { Finish } from '../../generate/generation-events.ts'
import { openAiErrors } from '../../protocols/openai/error.ts'
import type { GenerationUsage } from '../../protocols/openai/generation.ts'
import { DONE_EVENT, eventText } from '../../protocols/sse.ts'
import { STATUS } from '../../protocols/status.ts'
import type { TextEnd, TokenCounts, WriterOf } from '../generation/writer.ts'

/** What is said in every answer and in every part of one. */
export interface AnswerFields {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly system_fingerprint?: string
}

/** Why a text ended; `stop_reason` is vLLM's, and names the stop string. */
export interface ChoiceEnd<F extends Finish | null> {
  readonly finish_reason: F
  readonly stop_reason?: string
}

export interface TextChoice extends ChoiceEnd<Finish> {
  readonly index: number
  readonly text: string
}

/** How chats and completions put texts into JSON. */
export interface OpenAiFormat {
  readonly idPrefix: string
  whole(fields: AnswerFields, choices: readonly TextChoice[], usage: GenerationUsage): object
  /** Parts that open a text, before its first token. */
  firstChunks(fields: AnswerFields, index: number): readonly object[]
  /** A part of a text, or its end. */
  chunk(fields: AnswerFields, index: number, text: string, end: ChoiceEnd<Finish | null>): object
  /** What ends a stream that was asked for it: a part that belongs to no text. */
  usage(fields: AnswerFields, usage: GenerationUsage): object
}

/**
 * Server-sent events as OpenAI has them: `data: {...}`, at last `data: [DONE]`; after a failure `data: {"error": ...}` and
 * no more.
 * @param streamUsage whether a stream ends with how many tokens there were
 */
export function openAiWriter(format: OpenAiFormat, streamUsage: boolean): WriterOf {
  return ({ begun, fingerprint, id, model }) => {
    const opened = { id: `${format.idPrefix}${id}`, created: Math.floor(begun / 1000), model }
    const fields = (): AnswerFields => {
      const known = fingerprint()
      return { ...opened, ...(known !== undefined && { system_fingerprint: known }) }
    }
    const part = (body: object): string => eventText(streamUsage ? { ...body, usage: null } : body)
    return {
      mediaType: 'text/event-stream; charset=utf-8',
      whole: (texts, counts) =>
        format.whole(
          fields(),
          texts.map(({ index, text, ...end }) => ({ index, text, ...endOf(end) })),
          usageOf(counts),
        ),
      opening: (index) => format.firstChunks(fields(), index).map(part).join(''),
      text: (index, text) => part(format.chunk(fields(), index, text, { finish_reason: null })),
      ending: (index, end) => part(format.chunk(fields(), index, '', endOf(end))),
      closing: (counts) => (streamUsage ? eventText(format.usage(fields(), usageOf(counts))) : '') + DONE_EVENT,
      failed: (error, requestId) => eventText(openAiErrors.body(error, requestId, STATUS[error.code])),
    }
  }
}

function endOf({ finish, stopString }: TextEnd): ChoiceEnd<Finish> {
  return { finish_reason: finish, ...(stopString !== undefined && { stop_reason: stopString }) }
}

function usageOf({ completion, prompt }: TokenCounts): GenerationUsage {
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
}
