import { VergeError } from '../../client/error.ts'
import type { BrowserLimits } from './limits.ts'

/** A stream as bytes that can be sent more than once. @throws body_too_large */
export async function collected(
  stream: ReadableStream<Uint8Array>,
  { requestBodyBytes }: Pick<BrowserLimits, 'requestBodyBytes'>,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader()
  const parts: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    length += value.length
    if (length > requestBodyBytes) {
      await reader.cancel().catch(() => {})
      throw new VergeError('body_too_large', `The request body may have at most ${requestBodyBytes} bytes.`, {
        details: { limit_bytes: requestBodyBytes },
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
