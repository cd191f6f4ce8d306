import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { WORKER_NAME, type WorkerdProcess } from '../../src/cli/local/workerd.ts'

const targets = z.array(z.object({ id: z.string(), webSocketDebuggerUrl: z.string() }))
/** Some calls are answered without a result. */
const answer = z.object({ id: z.number(), result: z.unknown().optional() })

/** Miniflare's name for the Worker itself among its own services. */
const USER_WORKER = `core:user:${WORKER_NAME}`
/** An isolate that computes does not answer; longer than any load. */
const PATIENCE_MS = 10_000

/** V8's inspector of a Worker's isolate. */
export class Inspector {
  readonly #socket: WebSocket
  #calls = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  /** @param worker started with `inspected` */
  static async open(worker: Pick<WorkerdProcess, 'miniflare'>): Promise<Inspector> {
    const { host } = await worker.miniflare.getInspectorURL()
    const list = targets.parse(await (await fetch(`http://${host}/json`)).json())
    const target = list.find(({ id }) => id === USER_WORKER)
    if (!target) throw new Error('the Worker has no inspector')
    const socket = new WebSocket(target.webSocketDebuggerUrl)
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve, { once: true })
      socket.addEventListener('error', () => reject(new Error('the inspector does not answer')), { once: true })
    })
    return new Inspector(socket)
  }

  /** Calls a method of the DevTools protocol. @returns its result, unchecked */
  async call(method: string): Promise<unknown> {
    const call = ++this.#calls
    const late = new AbortController()
    try {
      return await Promise.race([
        new Promise<unknown>((resolve) => {
          this.#socket.addEventListener(
            'message',
            ({ data }) => {
              const message = answer.safeParse(JSON.parse(String(data)))
              if (message.success && message.data.id === call) resolve(message.data.result)
            },
            { signal: late.signal },
          )
          this.#socket.send(JSON.stringify({ id: call, method }))
        }),
        sleep(PATIENCE_MS, undefined, { signal: late.signal }).then((): never => {
          throw new Error(`the isolate did not answer ${method}`)
        }),
      ])
    } finally {
      late.abort()
    }
  }

  close(): void {
    this.#socket.close()
  }
}
