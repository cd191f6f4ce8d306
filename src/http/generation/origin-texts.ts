import { abortError, throwIfAborted } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { onAbort } from '../../core/runtime.ts'
import type { Finish } from '../../generate/generation-events.ts'
import { eventData } from '../../protocols/event-data.ts'
import { failureFields } from '../../protocols/failure-fields.ts'
import { type ReadAnswer, readOpenAiAnswer } from '../../protocols/openai/read-answer.ts'
import { jsonOf, originFailure, parsed, unusableAnswer } from './origin-answer.ts'
import type { AnswerEvent, TextSource } from './source.ts'
import type { TokenCounts } from './writer.ts'

type Choice = ReadAnswer['choices'][number]

/** Texts that an origin writes, as it says them in OpenAI's words: whole, or event by event. */
export class OriginTexts implements TextSource {
  readonly promptTokens = undefined
  readonly texts: number
  readonly #response: Response
  readonly #limits: Pick<Limits, 'eventBytes' | 'originTensorBytes'>

  /** @param response a success of `/v1/chat/completions` or `/v1/completions` */
  constructor(response: Response, texts: number, limits: Pick<Limits, 'eventBytes' | 'originTensorBytes'>) {
    this.#response = response
    this.texts = texts
    this.#limits = limits
  }

  events(signal: AbortSignal): AsyncGenerator<AnswerEvent, void> {
    const type = this.#response.headers.get('content-type') ?? ''
    return type.startsWith('text/event-stream') ? this.#streamed(signal) : this.#whole()
  }

  async *#whole(): AsyncGenerator<AnswerEvent, void> {
    const answer = readOpenAiAnswer(await jsonOf(this.#response, this.#limits.originTensorBytes))
    if (answer === undefined) throw unusableAnswer()
    const found = new Set<number>()
    for (const choice of answer.choices) {
      if (found.has(choice.index)) throw unusableAnswer()
      found.add(this.#place(choice))
      yield { kind: 'text', index: choice.index, text: choice.message?.content ?? choice.text ?? '' }
      yield endOf(choice, choice.finish_reason ?? 'stop')
    }
    if (found.size < this.texts) throw unusableAnswer()
    yield { kind: 'counts', counts: countsOf(answer) ?? NOTHING }
  }

  async *#streamed(signal: AbortSignal): AsyncGenerator<AnswerEvent, void> {
    const { body } = this.#response
    if (body === null) throw unusableAnswer()
    const reader: ReadableStreamDefaultReader<Uint8Array> = body.getReader()
    const release = onAbort(signal, () => void reader.cancel(signal.reason).catch(() => {}))
    let counts = NOTHING
    const ended = new Set<number>()
    try {
      for await (const data of eventData(reader, this.#limits.eventBytes)) {
        if (data === '[DONE]') break
        const answer = partOf(data)
        counts = countsOf(answer) ?? counts
        for (const choice of answer.choices) {
          // Some servers repeat the end beside the counts, where it would close a text twice.
          if (ended.has(this.#place(choice))) continue
          const text = choice.delta?.content ?? choice.text ?? ''
          if (text !== '') yield { kind: 'text', index: choice.index, text }
          // Some have an empty reason until there is one.
          if (typeof choice.finish_reason !== 'string' || choice.finish_reason === '') continue
          ended.add(choice.index)
          yield endOf(choice, choice.finish_reason)
        }
      }
      throwIfAborted(signal)
      if (ended.size < this.texts) throw unusableAnswer()
      yield { kind: 'counts', counts }
    } catch (error) {
      throw signal.aborted ? abortError(signal) : error
    } finally {
      release()
    }
  }

  /** @throws origin_failed for a text that was not asked for: a protocol of one text would write it into the other */
  #place({ index }: Choice): number {
    if (index < this.texts) return index
    throw unusableAnswer()
  }
}

const NOTHING: TokenCounts = { prompt: 0, completion: 0 }

function countsOf({ usage }: ReadAnswer): TokenCounts | undefined {
  return usage ? { prompt: usage.prompt_tokens, completion: usage.completion_tokens } : undefined
}

function endOf({ index, stop_reason: stopString }: Choice, reason: string): AnswerEvent {
  const finish: Finish = reason === 'length' ? 'length' : 'stop'
  return { kind: 'end', index, finish, ...(typeof stopString === 'string' && { stopString }) }
}

/** An event's part of an answer. @throws the origin's failure, where that is what it says */
function partOf(data: string): ReadAnswer {
  const json = parsed(data)
  const answer = readOpenAiAnswer(json)
  if (answer !== undefined) return answer
  throw failureFields(json) === undefined ? unusableAnswer() : originFailure(json, 'origin_failed')
}
