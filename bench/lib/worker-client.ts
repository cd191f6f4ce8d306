import * as z from 'zod'
import { serverTiming } from '../../src/cli/oip-client.ts'
import { type Answer, Connection, requestBytes } from './connection.ts'
import { OPERATOR_KEY, type WorkerProcess } from './worker-process.ts'

const health = z.object({ heap_bytes: z.number() })

/** Sends a request. @throws Error with the Worker's own words unless it answers 200 */
export async function ask(connection: Connection, request: Buffer): Promise<Answer> {
  const answer = await connection.exchange(request)
  if (answer.status !== 200) throw new Error(`HTTP ${answer.status}: ${answer.body.toString().slice(0, 500)}`)
  return answer
}

/**
 * Bytes of WebAssembly memory of the engines that have started, by the Worker's own word.
 * @param way of running a model in a Worker, Verge's own ones among them
 */
export async function wasmHeapBytes(connection: Connection, way: string): Promise<number> {
  const request =
    way === 'plain' || way === 'uncapped'
      ? requestBytes({ path: '/heap' })
      : requestBytes({ path: '/healthz', headers: { authorization: `Bearer ${OPERATOR_KEY}` } })
  return health.parse(JSON.parse((await ask(connection, request)).body.toString())).heap_bytes
}

/** Parts of an answer's `Server-Timing`, in milliseconds; a part that measured nothing is absent. */
export function timingsOf({ headers }: Answer): Readonly<Record<string, number>> {
  return serverTiming(headers.get('server-timing'))
}

/** Runs `work` with a connection to a Worker, and closes it. */
export async function connected<T>(
  { url }: Pick<WorkerProcess, 'url'>,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await Connection.open(url)
  try {
    return await work(connection)
  } finally {
    connection.close()
  }
}
