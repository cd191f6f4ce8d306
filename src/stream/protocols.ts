import { VergeError } from '../core/errors.ts'
import { bytesFromBase64 } from '../media/base64.ts'

/** The protocol that is spoken, and agreed on. */
const PROTOCOL = 'verge-stream'

/** In front of a key in base64url: a protocol's name may hold neither "/" nor "=", and is all that a page may choose. */
const BEARER = 'verge-bearer.'

/** The protocols that a client offers. */
export function offeredProtocols(header: string | undefined): readonly string[] {
  return (header ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

/** @throws invalid_request if ours is not among them: a browser would give up the connection */
export function assertOffered(offered: readonly string[]): void {
  if (offered.length === 0 || offered.includes(PROTOCOL)) return
  throw new VergeError('invalid_request', `The header "Sec-WebSocket-Protocol" must offer "${PROTOCOL}", or be absent.`)
}

/**
 * The header of an answer that opens a socket: the selected protocol. If ours was not offered, it selects any offered
 * name that is not a key, so that a browser keeps the connection long enough to receive the refusal.
 */
export function agreedProtocol(offered: readonly string[]): Record<string, string> {
  const name = offered.includes(PROTOCOL) ? PROTOCOL : offered.find((each) => !each.startsWith(BEARER))
  return name === undefined ? {} : { 'sec-websocket-protocol': name }
}

/** The key among the offered protocols, if there is one. It is never answered or logged. */
export function bearerOf(offered: readonly string[]): string | undefined {
  const found = offered.find((name) => name.startsWith(BEARER))?.slice(BEARER.length)
  if (found === undefined) return undefined
  const bytes = bytesFromBase64(found)
  return bytes === undefined ? '' : new TextDecoder().decode(bytes)
}
