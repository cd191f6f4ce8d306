import type { RefusedSocket } from './refused-socket.ts'

/** Says a refusal and closes. For Workers alone: Node has no pairs of sockets. @returns the client's end */
export function openRefused({ message, code, reason }: RefusedSocket): WebSocket {
  const { 0: client, 1: server } = new WebSocketPair()
  server.accept()
  server.send(message)
  server.close(code, reason)
  return client
}
