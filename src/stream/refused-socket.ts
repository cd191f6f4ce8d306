import { streamErrorMessage, streamRefusal } from './refusal.ts'

/** Close codes of refusals at the opening: 4000 and the status that HTTP would have answered. */
const REFUSED = 4000

/** A WebSocket that is opened in order to be refused. */
export interface RefusedSocket {
  /** Sent before the socket is closed. */
  readonly message: string
  readonly code: number
  readonly reason: string
}

/**
 * What a client hears whose stream is refused. A browser tells its page nothing of an HTTP answer to a WebSocket but that
 * there was no connection (1006), so the refusal is said inside of one.
 * @param status that HTTP answers this failure with
 */
export function refusedSocket(error: Error, status: number, requestId: string): RefusedSocket {
  const refusal = streamRefusal(error)
  return {
    message: JSON.stringify({ type: 'error', ...streamErrorMessage(refusal, requestId) }),
    code: REFUSED + status,
    reason: refusal.error.code,
  }
}
