import { declaredLength, mediaTypeOf } from '../../core/body.ts'
import { concatBytes } from '../../core/bytes.ts'
import { isVergeError } from '../../core/errors.ts'
import { PLACEMENT_HEADER, USAGE_HEADER } from '../../core/headers.ts'
import { decodeUtf8 } from '../../core/json.ts'
import type { Limits } from '../../core/limits.ts'
import { parseJsonLength } from '../../protocols/oip/binary.ts'
import { JSON_LENGTH_HEADER } from '../../protocols/oip/headers.ts'
import { openAiFailure } from '../../protocols/openai/error.ts'
import { EventSplitter, encodeEvent, endsWithDoneEvent } from '../../protocols/sse.ts'
import { OriginFault } from '../origin.ts'
import { type AnswerReader, answerReader, type Collected, collect, relay } from './body.ts'
import type { ExchangeTimeouts } from './exchange.ts'

type Bytes = Uint8Array<ArrayBuffer>

/** What is changed of an answer on its way through. */
export interface Rewriting {
  /** Makes what changes an answer in JSON, or the JSON before binary tensors, piece by piece. */
  readonly json: () => (piece: Bytes) => Bytes
  /** Changes events, one or several, whole. */
  readonly events: (events: Bytes) => Bytes
}

export interface PassOptions {
  readonly limits: Pick<Limits, 'eventBytes' | 'wholeAnswerBytes'>
  readonly rewriting?: Rewriting | undefined
  /** Whether a stream of events is complete only with `data: [DONE]` at its end. */
  readonly endsWithDone: boolean
}

/** Short bodies of declared length are taken in one piece, several times faster than piece by piece. */
const ONE_PIECE = 256 * 1024

/**
 * A success on its way to the caller: whole and checked if it is small, as it comes if it is large or a stream of events.
 * @throws OriginFault `garbage`, `cut`, `idle-timeout`
 */
export async function passOn(answer: Response, timeouts: ExchangeTimeouts, options: PassOptions): Promise<Response> {
  const { headers, status } = answer
  const init = { status, headers: answerHeaders(headers) }
  if (answer.body === null) {
    timeouts.done()
    return new Response(null, init)
  }
  const { limits, rewriting } = options
  const type = mediaTypeOf(headers.get('content-type'))
  if (type === 'text/event-stream') {
    const { endsWithDone } = options
    const rewrite = rewriting?.events
    const guard = { endsWithDone, limits, ...(rewrite !== undefined && { rewrite }) }
    return new Response(guardEvents(answerReader(answer.body, timeouts, false), guard), init)
  }
  const isJsonBody = type === 'application/json' || type === ''
  const { bytes, complete, rest } = await readAnswerBody(answer, timeouts, limits.wholeAnswerBytes)
  if (complete && isJsonBody && type !== '' && !isJson(bytes)) throw timeouts.fault('garbage', 'sent invalid JSON')

  const head = headers.get(JSON_LENGTH_HEADER)
  if (head !== null) {
    const headed = headLength(head, bytes.length, timeouts)
    const before = bytes.subarray(0, headed)
    const after = bytes.subarray(headed)
    const json = rewriting === undefined ? before : rewriting.json()(before)
    init.headers.set(JSON_LENGTH_HEADER, String(json.length))
    const start = json === before ? bytes : concatBytes([json, after])
    if (complete || rest === undefined) return new Response(start, init)
    const length = lengthOf(headers)
    return new Response(
      relay(rest, start, length === undefined ? undefined : length - before.length + json.length),
      init,
    )
  }
  const change = rewriting !== undefined && isJsonBody ? rewriting.json() : undefined
  if (complete || rest === undefined) return new Response(change === undefined ? bytes : change(bytes), init)
  if (change === undefined) return new Response(relay(rest, bytes, lengthOf(headers)), init)
  return new Response(relay(changed(rest, change), change(bytes)), init)
}

/** Up to `most` bytes, and where the others come from if there are more. */
export async function readAnswerBody(
  answer: Response,
  timeouts: ExchangeTimeouts,
  most: number,
): Promise<Collected & { readonly rest?: AnswerReader }> {
  if (answer.body === null) {
    timeouts.done()
    return { bytes: new Uint8Array(0), complete: true }
  }
  const declared = lengthOf(answer.headers)
  if (declared !== undefined && declared <= Math.min(ONE_PIECE, most)) {
    const bytes = new Uint8Array(await timeouts.piece(answer.arrayBuffer()))
    timeouts.done()
    return { bytes: checked(bytes, declared, timeouts), complete: true }
  }
  const rest = answerReader(answer.body, timeouts, true)
  // Nothing is kept of a body that is known to be too large to be whole, but for what its head takes.
  const kept = declared !== undefined && declared > most ? Math.min(most, headBytes(answer.headers)) : most
  if (kept === 0) return { bytes: new Uint8Array(0), complete: false, rest }
  const collected = await collect(rest, kept, declared)
  if (collected.complete && declared !== undefined) checked(collected.bytes, declared, timeouts)
  return { ...collected, rest }
}

function headBytes(headers: Headers): number {
  const length = headers.get(JSON_LENGTH_HEADER)
  return length === null ? 0 : (parseJsonLength(length) ?? 0)
}

function checked(bytes: Bytes, declared: number, timeouts: ExchangeTimeouts): Bytes {
  if (bytes.length === declared) return bytes
  throw timeouts.fault('cut', `sent ${bytes.length} bytes of ${declared}`)
}

/** @param held what has been read: all of the body, or more than any head has */
function headLength(text: string, held: number, timeouts: ExchangeTimeouts): number {
  const length = parseJsonLength(text) ?? 0
  if (length > 0 && length <= held) return length
  throw timeouts.fault('garbage', 'sent a tensor header of a wrong length')
}

function changed(from: AnswerReader, change: (piece: Bytes) => Bytes): AnswerReader {
  return {
    async next() {
      const piece = await from.next()
      return piece === undefined ? undefined : change(piece)
    },
    cancel: (reason) => from.cancel(reason),
  }
}

function isJson(bytes: Bytes): boolean {
  const text = decodeUtf8(bytes)
  if (text === undefined) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/**
 * Server-sent events on their way through. Whole events alone are passed on, as they come, so that a stream which breaks
 * off ends between two events.
 */

export interface GuardOptions {
  readonly limits: Pick<Limits, 'eventBytes'>
  /** Whether the stream is complete only with `data: [DONE]` at its end, as OpenAI's are. */
  readonly endsWithDone: boolean
  /** What is made of whole events, one or several, with the blank line after each. */
  readonly rewrite?: (events: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>
}

/**
 * Passes events on. If they break off, stop coming or end before their end, the stream ends with an error event in
 * OpenAI's shape instead of a cut connection: clients report that as an error, and would take a cut for the end.
 */
function guardEvents(from: AnswerReader, { endsWithDone, limits, rewrite }: GuardOptions): ReadableStream<Uint8Array> {
  const splitter = new EventSplitter(limits.eventBytes)
  let tail = ''
  const pass = (controller: ReadableStreamDefaultController<Uint8Array>, events: Uint8Array<ArrayBuffer>): void => {
    tail = tailOf(tail, events)
    controller.enqueue(rewrite === undefined ? events : rewrite(events))
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          for (;;) {
            const piece = await from.next()
            if (piece === undefined) {
              const rest = splitter.rest()
              // A last event without its blank line: clients drop it, unless it is the end that they look for.
              if (rest.length > 0 && endsWithDoneEvent(tailOf('', rest))) pass(controller, withBlankLine(rest))
              if (endsWithDone && !endsWithDoneEvent(tail)) controller.enqueue(errorEvent('The answer is incomplete.'))
              controller.close()
              return
            }
            const events = splitter.push(piece)
            if (events === undefined) continue
            pass(controller, events)
            return
          }
        } catch (error) {
          from.cancel(error)
          if (!(error instanceof OriginFault) && !isVergeError(error, 'deadline_exceeded')) throw error
          // What comes after the end is no failure of the answer's.
          if (!endsWithDoneEvent(tail))
            controller.enqueue(errorEvent('The answer is incomplete. Send the request again.'))
          controller.close()
        }
      },
      cancel: (reason) => from.cancel(reason),
    },
    // Nothing is read ahead of who listens.
    { highWaterMark: 0 },
  )
}

/** The last characters of a stream, enough to recognise its end. */
function tailOf(before: string, bytes: Uint8Array): string {
  return (before + new TextDecoder().decode(bytes.subarray(-TAIL_BYTES))).slice(-TAIL_BYTES)
}

const TAIL_BYTES = 64
const LF = 0x0a

function withBlankLine(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes.length + 2)
  whole.set(bytes)
  whole.fill(LF, bytes.length)
  return whole
}

function errorEvent(message: string): Uint8Array<ArrayBuffer> {
  return encodeEvent(openAiFailure(message, 'origin_failed'))
}

/** What of an origin's answer concerns the caller; `verge-placement` is for the Worker, which writes its own. */
const PASSED_BACK = [
  'content-type',
  JSON_LENGTH_HEADER,
  'retry-after',
  'server-timing',
  PLACEMENT_HEADER,
  USAGE_HEADER,
] as const

/** An answer's headers are short; a caller gets no more of another server's words than this. */
const MOST_VALUE = 1_024

/**
 * The headers of an origin's answer for a caller. The length is not among them: it belongs to the body as it came, which
 * may have been encoded, and the platform sets it for bodies of known length.
 */
export function answerHeaders(answer: Pick<Headers, 'get'>): Headers {
  return pickHeaders(answer, PASSED_BACK)
}

export function pickHeaders(from: Pick<Headers, 'get'>, names: readonly string[]): Headers {
  const headers = new Headers()
  for (const name of names) {
    const value = from.get(name)
    if (value !== null && value.length <= MOST_VALUE) headers.set(name, value)
  }
  return headers
}

/** The declared length of a body that is sent as it is; undefined where none is declared. */
function lengthOf(headers: Pick<Headers, 'get'>): number | undefined {
  const encoding = headers.get('content-encoding')
  if (encoding !== null && encoding.trim().toLowerCase() !== 'identity') return undefined
  return declaredLength(headers.get('content-length'))
}
