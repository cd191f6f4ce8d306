import { isVergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { OriginFault } from '../fault.ts'
import type { Pieces } from './body.ts'

/**
 * Server-sent events (the HTML standard's `text/event-stream`) on their way through. Whole events alone are passed on, as
 * they come, so that a stream which breaks off ends between two events.
 */
const DONE = /(?:^|[\r\n])data: ?\[DONE\]\s*$/
const LF = 0x0a
const CR = 0x0d

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
  const splitter = new EventSplitter()
  let tail = ''
  const pass = (controller: ReadableStreamDefaultController<Uint8Array>, events: Uint8Array<ArrayBuffer>): void => {
    tail = (tail + new TextDecoder().decode(events.subarray(-TAIL_BYTES))).slice(-TAIL_BYTES)
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
              if (rest.length > 0 && endsLikeDone(rest)) pass(controller, withBlankLine(rest))
              if (endsWithDone && !DONE.test(tail)) controller.enqueue(errorEvent('The answer ended before its end.'))
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
          if (!DONE.test(tail)) controller.enqueue(errorEvent('The answer broke off. Send the request again.'))
          controller.close()
        }
      },
      cancel: (reason) => from.cancel(reason),
    },
    // Nothing is read ahead of who listens.
    { highWaterMark: 0 },
  )
}

const TAIL_BYTES = 64

function endsLikeDone(bytes: Uint8Array): boolean {
  return DONE.test(new TextDecoder().decode(bytes.subarray(-TAIL_BYTES)))
}

function withBlankLine(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes.length + 2)
  whole.set(bytes)
  whole.fill(LF, bytes.length)
  return whole
}

function errorEvent(message: string): Uint8Array<ArrayBuffer> {
  const error = { message, type: 'server_error', param: null, code: 'origin_failed' }
  return new TextEncoder().encode(`data: ${JSON.stringify({ error })}\n\n`).slice()
}

/** Cuts a stream of bytes after blank lines. An event that is larger than any should be is let through in parts. */
export class EventSplitter {
  #held: Uint8Array<ArrayBuffer> = new Uint8Array(0)

  /** @returns all that is complete with this piece, or undefined if nothing is */
  push(piece: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
    // A blank line may begin up to three bytes before the piece.
    const from = Math.max(0, this.#held.length - 3)
    const all = this.#held.length === 0 ? piece : joined(this.#held, piece)
    const end = all.length > LIMITS.eventBytes ? all.length : lastEnd(all, from)
    this.#held = all.slice(end)
    return end === 0 ? undefined : all.subarray(0, end)
  }

  /** What has come since the last blank line. */
  rest(): Uint8Array<ArrayBuffer> {
    return this.#held
  }
}

/** Where the last blank line after `from` ends; 0 if there is none. Lines end with LF, CR LF or CR. */
function lastEnd(bytes: Uint8Array, from: number): number {
  for (let i = bytes.length - 1; i > from; i--) {
    const here = bytes[i]
    if (here !== LF && here !== CR) continue
    const line = here === LF && bytes[i - 1] === CR ? i - 1 : i
    const before = bytes[line - 1]
    if (line > from && (before === LF || before === CR)) return i + 1
  }
  return 0
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}
