import type { Context } from 'hono'
import { shownTo } from '../../inference/access.ts'
import type { Slot } from '../../inference/slot.ts'
import { usageComment } from '../../placement/origin-usage.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { isPassedOn } from '../middleware/call.ts'
import { reportedError } from '../middleware/errors.ts'
import { byteStream } from './byte-stream.ts'
import type { AnswerEvent, TextSource } from './source.ts'
import { StreamReader } from './stream-reader.ts'
import type { AnswerWriter, TokenCounts, WriterOf, WrittenText } from './writer.ts'

export interface AnswerOptions {
  readonly source: TextSource
  readonly writer: WriterOf
  readonly stream: boolean
  /** The model by the name that it was asked for. */
  readonly model: string
  readonly fingerprint: () => string | undefined
  /** Held until the answer is complete. Absent where an origin does the work. */
  readonly slot?: Slot
}

/** Answers with texts in a protocol's words, whole or as a stream, wherever they come from. */
export async function answerTexts(deps: AppDeps, c: Context<AppEnv>, options: AnswerOptions): Promise<Response> {
  const { fingerprint, model, source, stream } = options
  const writer = options.writer({
    id: deps.randomId(),
    begun: deps.clock.now(),
    model,
    promptTokens: source.promptTokens,
    fingerprint,
    now: () => deps.clock.now(),
  })
  return stream ? streamed(deps, c, options, writer) : c.json(await whole(source, writer, c.get('context').signal))
}

async function whole(source: TextSource, writer: AnswerWriter, signal: AbortSignal): Promise<object> {
  const texts = Array.from({ length: source.texts }, (_, index): WrittenText => ({ index, text: '', finish: 'stop' }))
  let counts: TokenCounts = { prompt: source.promptTokens ?? 0, completion: 0 }
  for await (const event of source.events(signal)) {
    if (event.kind === 'counts') {
      counts = event.counts
      continue
    }
    const text = texts[event.index]
    if (text === undefined) continue
    if (event.kind === 'text') texts[event.index] = { ...text, text: text.text + event.text }
    else {
      const { finish, stopString } = event
      texts[event.index] = { ...text, finish, ...(stopString !== undefined && { stopString }) }
    }
  }
  return writer.whole(texts, counts)
}

/** The answer begins with its first token: until then a failure is answered with a status of its own. */
async function streamed(
  deps: AppDeps,
  c: Context<AppEnv>,
  { slot, source }: AnswerOptions,
  writer: AnswerWriter,
): Promise<Response> {
  const reader = new StreamReader(deps, c)
  const { ledger } = c.get('context')
  const items = source.events(reader.signal)
  let last = -1
  let failure: unknown
  try {
    const first = await items.next()
    if (ledger !== undefined) ledger.paced = true
    slot?.keep()
    const body = byteStream<AnswerEvent>({
      items: preceded(first, items),
      write: (event) => {
        slot?.renew()
        if (event.kind === 'counts') return usageOf(c, writer) + writer.closing(event.counts)
        const opening = event.index > last ? writer.opening(event.index) : ''
        last = event.index
        return opening + (event.kind === 'text' ? writer.text(event.index, event.text) : writer.ending(last, event))
      },
      failed: (error) => {
        if (reader.left) return ''
        failure = error
        return writer.failed(shownTo(c.get('caller'), reportedError(deps.logger, c, error)), c.get('requestId'))
      },
      ended: () => {
        reader.close()
        slot?.done(failure)
      },
      cancel: (reason) => reader.leave(reason),
    })
    return c.body(body, 200, { 'content-type': writer.mediaType })
  } catch (error) {
    reader.close()
    throw error
  }
}

/** What a stream took, for the Worker that passes it on. */
function usageOf(c: Context<AppEnv>, { mediaType }: AnswerWriter): string {
  const { ledger } = c.get('context')
  const told = isPassedOn(c) && mediaType.startsWith('text/event-stream')
  return told && ledger !== undefined ? usageComment(ledger) : ''
}

async function* preceded<T>(first: IteratorResult<T, void>, rest: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
  try {
    if (first.done) return
    yield first.value
    yield* rest
  } finally {
    await rest.return()
  }
}
