import { concatBytes } from '../core/bytes.ts'

/** Server-sent events (the HTML standard's `text/event-stream`), as OpenAI's protocol uses them: writing and reading. */

const utf8 = new TextEncoder()

/** One event whose `data` is a value in JSON. @param name the event's type, where the protocol names its events */
export function eventText(data: unknown, name?: string): string {
  return `${name === undefined ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`
}

/** The event that ends OpenAI's streams. */
export const DONE_EVENT = 'data: [DONE]\n\n'

export function encodeEvent(data: unknown): Uint8Array<ArrayBuffer> {
  return utf8.encode(eventText(data)).slice()
}

const DONE = /(?:^|[\r\n])data: ?\[DONE\]\s*$/

/** Whether a text of events ends with the event that ends OpenAI's streams. The last 64 characters are enough. */
export function endsWithDoneEvent(text: string): boolean {
  return DONE.test(text)
}

const LF = 0x0a
const CR = 0x0d

/** Cuts a stream of bytes after blank lines. An event that is larger than `maxBytes` is let through in parts. */
export class EventSplitter {
  readonly #maxBytes: number
  #held: Uint8Array<ArrayBuffer> = new Uint8Array(0)

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** @returns all that is complete with this piece, or undefined if nothing is */
  push(piece: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
    // A blank line may begin up to three bytes before the piece.
    const from = Math.max(0, this.#held.length - 3)
    const all = this.#held.length === 0 ? piece : concatBytes([this.#held, piece])
    const end = all.length > this.#maxBytes ? all.length : lastEnd(all, from)
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
