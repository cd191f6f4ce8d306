import { decodeUtf8 } from '../core/json.ts'
import { EventSplitter } from './sse.ts'

/**
 * The `data` of each server-sent event, in order, while the bytes come. Ending the iteration cancels the stream.
 * @param maxBytes of one event; what is longer comes in parts, which is no valid data
 */
export async function* eventData(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<string, void> {
  const splitter = new EventSplitter(maxBytes)
  try {
    for (;;) {
      const { done, value } = await reader.read()
      const whole = done ? splitter.rest() : splitter.push(value.slice())
      if (whole !== undefined && whole.length > 0) yield* dataOf(decodeUtf8(whole) ?? '')
      if (done) return
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

/** Events hold several lines of data where the data has line ends. */
function* dataOf(events: string): Generator<string, void> {
  for (const event of events.split(/\r\n\r\n|\n\n|\r\r/)) {
    const lines = event.split(/\r\n|\n|\r/).flatMap((line) => /^data: ?(.*)$/s.exec(line)?.[1] ?? [])
    if (lines.length > 0) yield lines.join('\n')
  }
}
