import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { WORKER_NAME } from '../../src/cli/local/workerd.ts'
import type { WorkerProcess } from './worker-process.ts'

/** V8's figures for an isolate, in bytes. WebAssembly memories are not among them. */
export interface HeapUsage {
  /** Objects, garbage not yet collected included. */
  readonly usedSize: number
  /** Contents of ArrayBuffers, garbage included. */
  readonly backingStorageSize: number
}

const targets = z.array(z.object({ id: z.string(), webSocketDebuggerUrl: z.string() }))
const usage = z.object({
  id: z.number(),
  result: z.object({ usedSize: z.number(), backingStorageSize: z.number() }),
})

/** Miniflare's name for the Worker itself among its own services. */
const USER_WORKER = `core:user:${WORKER_NAME}`
/** An isolate that computes does not answer; longer than any load. */
const PATIENCE_MS = 10_000

/** Asks a Worker's isolate, through V8's inspector, how large its JavaScript heap is. */
export class HeapProbe {
  readonly #socket: WebSocket
  #calls = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  /** @param worker started with `inspected` */
  static async open(worker: WorkerProcess): Promise<HeapProbe> {
    const { host } = await worker.miniflare.getInspectorURL()
    const list = targets.parse(await (await fetch(`http://${host}/json`)).json())
    const target = list.find(({ id }) => id === USER_WORKER)
    if (!target) throw new Error('the Worker has no inspector')
    const socket = new WebSocket(target.webSocketDebuggerUrl)
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve, { once: true })
      socket.addEventListener('error', () => reject(new Error('the inspector does not answer')), { once: true })
    })
    return new HeapProbe(socket)
  }

  async usage(): Promise<HeapUsage> {
    const call = ++this.#calls
    const late = new AbortController()
    try {
      return await Promise.race([
        new Promise<HeapUsage>((resolve) => {
          this.#socket.addEventListener(
            'message',
            ({ data }) => {
              const answer = usage.safeParse(JSON.parse(String(data)))
              if (answer.success && answer.data.id === call) resolve(answer.data.result)
            },
            { signal: late.signal },
          )
          this.#socket.send(JSON.stringify({ id: call, method: 'Runtime.getHeapUsage' }))
        }),
        sleep(PATIENCE_MS, undefined, { signal: late.signal }).then((): never => {
          throw new Error('the isolate did not tell its heap usage')
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
