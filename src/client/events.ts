import { failureFrom, unexpected, VergeError } from './error.ts'
import type { Opened } from './transport.ts'
import type { Watch } from './watch.ts'

/** A blank line ends an event of `text/event-stream`. */
const BLANK_LINE = /\r\n\r\n|\n\n|\r\r/
/** Characters of one event. The largest of Verge is one token's. */
const MOST_CHARACTERS = 1 << 20

/**
 * The `data` of server-sent events, each as soon as it has arrived, until OpenAI's `[DONE]`. Ending the iteration closes the
 * connection, and the server stops. The time limit counts from event to event, and not while the caller is busy.
 * @param now milliseconds since 1970
 * @throws VergeError
 */
export async function* eventsOf({ response, watch }: Opened, now: () => number): AsyncGenerator<unknown, void> {
  const reader = response.body?.getReader()
  const decoder = new TextDecoder()
  let held = ''
  let done = false
  try {
    for (;;) {
      const end = BLANK_LINE.exec(held)
      if (end !== null) {
        const data = dataOf(held.slice(0, end.index))
        held = held.slice(end.index + end[0].length)
        done = data === '[DONE]'
        if (done) return
        if (data === '') continue
        const event: unknown = JSON.parse(data)
        const failure = failureFrom(event, response, now())
        if (failure !== undefined) throw failure
        watch.disarm()
        yield event
        // What has arrived already is not for a caller who has ended the call meanwhile.
        if (watch.signal.aborted) throw watch.failure(watch.signal.reason)
        continue
      }
      if (held.length > MOST_CHARACTERS) throw unexpected('an event is too long', response)
      watch.arm()
      const part = await reader?.read()
      if (part === undefined || part.done) {
        throw new VergeError(
          'network_error',
          'The stream ended before the answer was complete. Send the request again.',
        )
      }
      held += decoder.decode(part.value, { stream: true })
    }
  } catch (cause) {
    throw cause instanceof SyntaxError ? unexpected('an event is not JSON', response, cause) : watch.failure(cause)
  } finally {
    // What is left of a whole answer is its end. Read, it leaves the connection to the next request; nothing waits for it.
    if (done) void readEnd(reader, watch)
    else {
      watch.end()
      await reader?.cancel().catch(() => {})
    }
  }
}

/** An end that does not come within the time limit closes the connection: browsers open six to a server. */
async function readEnd(reader: ReadableStreamDefaultReader<Uint8Array> | undefined, watch: Watch): Promise<void> {
  watch.arm()
  try {
    const part = await reader?.read()
    if (part?.done === false) await reader?.cancel()
  } catch {
    // The answer is complete.
  } finally {
    watch.end()
  }
}

/** An event's lines that are data, as one text. */
function dataOf(event: string): string {
  return event
    .split(/\r\n|\n|\r/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(line[5] === ' ' ? 6 : 5))
    .join('\n')
}
