import { DurableObject } from 'cloudflare:workers'
import { StreamSession } from './session.ts'
import type { StreamDeps } from './stream-context.ts'
import type { StreamHost, StreamOptions } from './stream-options.ts'

/** Carries the opening from the Worker to the object. The object can be reached through the Worker's binding alone. */
const OPTIONS_HEADER = 'verge-opening'

/** Streams in Durable Objects, one object per stream, near the client. */
export class DurableStreams implements StreamHost {
  readonly #namespace: DurableObjectNamespace

  constructor(namespace: DurableObjectNamespace) {
    this.#namespace = namespace
  }

  open(options: StreamOptions): Promise<Response> {
    const stub = this.#namespace.get(this.#namespace.newUniqueId())
    return stub.fetch('https://stream/', {
      headers: { upgrade: 'websocket', [OPTIONS_HEADER]: encodeURIComponent(JSON.stringify(options)) },
    })
  }
}

/**
 * The object of one stream. It hibernates between messages: the platform keeps the socket and its attachment, and
 * creates a new object for the next message. An alarm closes the socket of a silent client.
 */
export class StreamObject extends DurableObject {
  #deps: StreamDeps | undefined
  /** As long as this object is in memory. */
  #session: StreamSession | undefined

  constructor(state: DurableObjectState, env: unknown, deps: () => Promise<StreamDeps>) {
    super(state, env as never)
    // No event is delivered before: messages keep their order.
    void state.blockConcurrencyWhile(async () => {
      this.#deps = await deps()
    })
  }

  override async fetch(request: Request): Promise<Response> {
    const { clock, limits } = this.#ready()
    const options = JSON.parse(decodeURIComponent(request.headers.get(OPTIONS_HEADER) ?? '')) as StreamOptions
    const { 0: client, 1: server } = new WebSocketPair()
    this.ctx.acceptWebSocket(server)
    this.#session = StreamSession.begin(server, this.#ready(), options)
    await this.ctx.storage.setAlarm(clock.now() + limits.streamIdleMs)
    return new Response(null, { status: 101, webSocket: client })
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    await this.#awake(socket)?.receive(message, (work) => this.ctx.waitUntil(work))
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    try {
      // Completes the closing handshake where the runtime does not.
      socket.close(1000)
    } catch {
      // It has, or the connection is gone.
    }
    await this.#forget()
  }

  override async webSocketError(): Promise<void> {
    await this.#forget()
  }

  override async alarm(): Promise<void> {
    const { clock, limits } = this.#ready()
    const [socket] = this.ctx.getWebSockets()
    const session = socket && this.#awake(socket)
    const due = (session?.lastMessageAt ?? 0) + limits.streamIdleMs
    if (due > clock.now()) {
      await this.ctx.storage.setAlarm(due)
      return
    }
    session?.expire()
    await this.#forget()
  }

  #ready(): StreamDeps {
    if (this.#deps === undefined) throw new Error('an event came before the object was ready')
    return this.#deps
  }

  #awake(socket: WebSocket): StreamSession | undefined {
    this.#session ??= StreamSession.awake(socket, this.#ready())
    return this.#session
  }

  /** Without an alarm and anything stored, the object ceases to exist. */
  async #forget(): Promise<void> {
    this.#session?.leave()
    this.#session = undefined
    await this.ctx.storage.deleteAlarm()
    await this.ctx.storage.deleteAll()
  }
}
