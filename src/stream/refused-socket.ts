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
 * The answer to a refused stream. If a WebSocket request gets an HTTP error, a browser shows its page only the close
 * code 1006, so the refusal is sent inside an opened socket.
 * @param status HTTP status of this failure
 */
export function refusedSocket(error: Error, status: number, requestId: string): RefusedSocket {
  const refusal = streamRefusal(error)
  return {
    message: JSON.stringify({ type: 'error', ...streamErrorMessage(refusal, requestId) }),
    code: REFUSED + status,
    reason: refusal.error.code,
  }
}
