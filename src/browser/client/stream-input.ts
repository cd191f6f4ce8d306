import { VergeError } from '../../client/error.ts'
import type { Watch } from '../../client/watch.ts'
import type { BrowserLimits } from './limits.ts'

/**
 * A stream as bytes that can be sent more than once.
 * @param watch of the call, and ends with the reading
 * @throws body_too_large, network_error where the stream fails, cancelled, deadline_exceeded
 */
export async function collected(
  stream: ReadableStream<Uint8Array>,
  watch: Watch,
  limits: Pick<BrowserLimits, 'requestBodyBytes'>,
): Promise<Uint8Array<ArrayBuffer>> {
  const { signal } = watch
  const reader = stream.getReader()
  // Ends the read under way.
  const leave = (): void => void reader.cancel(signal.reason).catch(() => {})
  signal.addEventListener('abort', leave, { once: true })
  try {
    if (signal.aborted) leave()
    const bytes = await readAll(reader, limits.requestBodyBytes)
    signal.throwIfAborted()
    return bytes
  } catch (cause) {
    throw watch.failure(cause)
  } finally {
    signal.removeEventListener('abort', leave)
    watch.end()
  }
}

async function readAll(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  mostBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    length += value.length
    if (length > mostBytes) {
      void reader.cancel().catch(() => {})
      throw new VergeError('body_too_large', `The request body may have at most ${mostBytes} bytes.`, {
        details: { limit_bytes: mostBytes },
      })
    }
    parts.push(value)
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
