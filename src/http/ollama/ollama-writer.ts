import { ollamaErrors } from '../../protocols/ollama/error.ts'
import type { DoneReason, OllamaAnswer, OllamaFigures } from '../../protocols/ollama/generation.ts'
import { STATUS } from '../../protocols/status.ts'
import type { AnswerHead, AnswerWriter, TextEnd, TokenCounts, WriterOf } from '../generation/writer.ts'

/** The field that a text stands in: `message` of a chat, `response` of a text that is continued. */
export type TextField = (text: string) => Pick<OllamaAnswer, 'message' | 'response'>

export const inMessage: TextField = (content) => ({ message: { role: 'assistant', content } })
export const inResponse: TextField = (response) => ({ response })

const NANOSECONDS = 1_000_000

/** Lines of JSON, as Ollama streams them; a failure is a line, too: `{"error": ...}`. */
export function ollamaWriter(field: TextField): WriterOf {
  return (head) => new OllamaWriter(head, field)
}

/** The answer to a request that wants no text: Ollama loads the model then, or lets it go. */
export function loadAnswer(model: string, now: number, field: TextField, reason: DoneReason): OllamaAnswer {
  return { model, created_at: new Date(now).toISOString(), ...field(''), done: true, done_reason: reason }
}

class OllamaWriter implements AnswerWriter {
  readonly mediaType = 'application/x-ndjson'
  readonly #head: AnswerHead
  readonly #field: TextField
  #end: TextEnd = { finish: 'stop' }
  /** When the first token was there. */
  #first: number | undefined

  constructor(head: AnswerHead, field: TextField) {
    this.#head = head
    this.#field = field
  }

  whole: AnswerWriter['whole'] = ([text], counts) => {
    this.#end = text ?? this.#end
    return this.#last(text?.text ?? '', counts)
  }

  opening = (): string => {
    this.#first = this.#head.now()
    return ''
  }

  text = (_: number, text: string): string => line({ ...this.#opened(), ...this.#field(text), done: false })

  ending = (_: number, end: TextEnd): string => {
    this.#end = end
    return ''
  }

  closing = (counts: TokenCounts): string => line(this.#last('', counts))

  failed: AnswerWriter['failed'] = (error, requestId) => line(ollamaErrors.body(error, requestId, STATUS[error.code]))

  #opened(): Pick<OllamaAnswer, 'created_at' | 'model'> {
    return { model: this.#head.model, created_at: new Date(this.#head.now()).toISOString() }
  }

  #last(text: string, counts: TokenCounts): OllamaAnswer {
    const opened = this.#opened()
    return {
      ...opened,
      ...this.#field(text),
      done: true,
      done_reason: this.#end.finish,
      ...this.#figures(counts),
    }
  }

  /** Of an answer that is whole, the time is that of its tokens; a load is part of the time until the first of them. */
  #figures({ completion, prompt }: TokenCounts): OllamaFigures {
    const { begun, now } = this.#head
    const end = now()
    const first = this.#first ?? begun
    return {
      total_duration: (end - begun) * NANOSECONDS,
      load_duration: 0,
      prompt_eval_count: prompt,
      prompt_eval_duration: (first - begun) * NANOSECONDS,
      eval_count: completion,
      eval_duration: (end - first) * NANOSECONDS,
    }
  }
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`
}
