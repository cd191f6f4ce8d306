import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'

/** Text as it came, and when. */
export interface Arrival {
  readonly at: number
  readonly text: string
}

const END = '\r\n0\r\n\r\n'

/** A kept-alive HTTP connection whose answers are streams: what comes is noted with its time, chunk lengths and all. */
export class EventConnection {
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  static async open(url: string): Promise<EventConnection> {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    await once(socket, 'connect')
    return new EventConnection(socket)
  }

  /**
   * Sends a request and reads its answer to the end.
   * @throws Error if it is no stream, or breaks off
   */
  async exchange(request: Buffer): Promise<Arrival[]> {
    const arrivals: Arrival[] = []
    const socket = this.#socket
    await new Promise<void>((resolve, reject) => {
      let tail = ''
      const onData = (data: Buffer): void => {
        const at = performance.now()
        const text = data.toString('latin1')
        const first = arrivals.length === 0
        arrivals.push({ at, text })
        tail = (tail + text).slice(-END.length)
        if (first && !/^HTTP\/1\.1 200 [\s\S]*text\/event-stream/i.test(text)) {
          finish(new Error(`no stream: ${text.slice(0, 500)}`))
        } else if (tail === END) finish()
      }
      const onClose = (): void => finish(new Error('the server closed the connection'))
      const finish = (error?: Error): void => {
        socket.off('data', onData)
        socket.off('close', onClose)
        if (error === undefined) resolve()
        else reject(error)
      }
      socket.on('data', onData)
      socket.on('close', onClose)
      socket.write(request)
    })
    return arrivals
  }

  close(): void {
    this.#socket.destroy()
  }
}
