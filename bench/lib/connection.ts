import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface Answer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}

export interface RequestParts {
  readonly method?: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
}

/** Serializes a request once, so that sending it again and again costs the client next to nothing. */
export function requestBytes({ method = 'GET', path, headers = {}, body }: RequestParts): Buffer {
  const content = Buffer.from(body ?? '')
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'host: 127.0.0.1',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(method === 'POST' ? [`content-length: ${content.length}`] : []),
  ]
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), content])
}

/** workerd closes a connection on which nothing was asked for five seconds. */
const KEPT_IDLE_MS = 2_500

/**
 * One kept-alive HTTP connection, written to its socket directly: Node's own client takes more CPU time for a request
 * than a Worker does for an echo, and on two cores a benchmark with it would measure the client.
 */
export class Connection {
  #socket: Socket
  readonly #url: string
  #usedAt = performance.now()
  #parts: Buffer[] = []
  #answered: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined

  private constructor(url: string, socket: Socket) {
    this.#url = url
    this.#socket = socket
    this.#listen(socket)
  }

  #listen(socket: Socket): void {
    socket.on('data', (data: Buffer) => {
      this.#parts.push(data)
      this.#settle()
    })
    // A socket that was replaced because it was idle has nothing to say any more.
    const fail = (error: Error): void => {
      if (socket === this.#socket) this.#fail(error)
    }
    socket.on('error', fail)
    socket.on('close', () => fail(new Error('the server closed the connection')))
  }

  /** @param url of a server on this machine */
  static async open(url: string): Promise<Connection> {
    return new Connection(url, await connected(url))
  }

  /** Sends a request and waits for its answer; one at a time. */
  async exchange(request: Buffer): Promise<Answer> {
    if (this.#answered) throw new Error('an answer is still awaited')
    // A large model's turn in another runtime may take longer than workerd keeps a connection.
    if (performance.now() - this.#usedAt > KEPT_IDLE_MS) await this.#reopen()
    return new Promise((resolve, reject) => {
      this.#answered = { resolve, reject }
      this.#socket.write(request)
    })
  }

  async #reopen(): Promise<void> {
    const idle = this.#socket
    this.#socket = await connected(this.#url)
    this.#listen(this.#socket)
    idle.destroy()
  }

  close(): void {
    this.#socket.destroy()
  }

  #fail(error: Error): void {
    this.#answered?.reject(error)
    this.#answered = undefined
  }

  #settle(): void {
    const answer = parseAnswer(this.#parts)
    if (answer === null) return
    this.#parts = []
    this.#usedAt = performance.now()
    const waiting = this.#answered
    this.#answered = undefined
    waiting?.resolve(answer)
  }
}

async function connected(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  if (hostname !== '127.0.0.1') throw new Error('load goes to this machine alone')
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  await once(socket, 'connect')
  return socket
}

const HEAD_END = '\r\n\r\n'
const LAST_CHUNK = '0\r\n\r\n'

/** The answer that the parts make up, or null while it is not complete. Joins parts into one when it has to look. */
export function parseAnswer(parts: Buffer[]): Answer | null {
  const first = parts[0]
  if (!first) return null
  if (!first.includes(HEAD_END) && parts.length > 1) parts.splice(0, parts.length, Buffer.concat(parts))
  const start = parts[0] as Buffer
  const end = start.indexOf(HEAD_END)
  if (end < 0) return null
  const [statusLine = '', ...lines] = start.subarray(0, end).toString('latin1').split('\r\n')
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
    }),
  )
  const status = Number(statusLine.split(' ')[1])
  const from = end + HEAD_END.length
  const have = parts.reduce((sum, part) => sum + part.length, 0) - from
  if (headers.get('transfer-encoding') === 'chunked') {
    const tail = parts.at(-1)?.subarray(-LAST_CHUNK.length).toString('latin1') ?? ''
    if (!LAST_CHUNK.endsWith(tail)) return null
    const body = dechunk(Buffer.concat(parts).subarray(from))
    return body && { status, headers, body }
  }
  if (have < Number(headers.get('content-length') ?? 0)) return null
  return { status, headers, body: Buffer.concat(parts).subarray(from) }
}

/** The contents of a body in chunks, or null while its last chunk is missing. */
function dechunk(coded: Buffer): Buffer | null {
  const chunks: Buffer[] = []
  for (let at = 0; ; ) {
    const line = coded.indexOf('\r\n', at)
    if (line < 0) return null
    const size = Number.parseInt(coded.subarray(at, line).toString('latin1'), 16)
    if (size === 0) return Buffer.concat(chunks)
    const begin = line + 2
    if (begin + size + 2 > coded.length) return null
    chunks.push(coded.subarray(begin, begin + size))
    at = begin + size + 2
  }
}
