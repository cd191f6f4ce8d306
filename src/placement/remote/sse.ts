import { isVergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { EventSplitter, encodeEvent, endsWithDoneEvent } from '../../protocols/sse.ts'
import { OriginFault } from '../fault.ts'
import type { Pieces } from './body.ts'

/**
 * Server-sent events on their way through. Whole events alone are passed on, as they come, so that a stream which breaks
 * off ends between two events.
 */

export interface GuardOptions {
  /** Whether the stream is complete only with `data: [DONE]` at its end, as OpenAI's are. */
  readonly endsWithDone: boolean
  /** What is made of whole events, one or several, with the blank line after each. */
  readonly rewrite?: (events: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>
}

/**
 * Passes events on. If they break off, stop coming or end before their end, the stream ends with an error event in
 * OpenAI's shape instead of a cut connection: clients report that as an error, and would take a cut for the end.
 */
export function guardEvents(from: Pieces, { endsWithDone, rewrite }: GuardOptions): ReadableStream<Uint8Array> {
  const splitter = new EventSplitter(LIMITS.eventBytes)
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
              if (endsWithDone && !endsWithDoneEvent(tail))
                controller.enqueue(errorEvent('The answer ended before its end.'))
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
          if (!endsWithDoneEvent(tail)) controller.enqueue(errorEvent('The answer broke off. Send the request again.'))
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
  return encodeEvent({ error: { message, type: 'server_error', param: null, code: 'origin_failed' } })
}
