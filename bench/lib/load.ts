import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { percentile } from '../../src/cli/statistics.ts'
import { Connection } from './connection.ts'
import type { WorkerProcess } from './worker-process.ts'

export interface LoadOptions {
  /** A Worker, or another server whose CPU time is known. */
  readonly worker: Pick<WorkerProcess, 'url' | 'cpuMs'>
  /** The same every time, or made for each: what is signed is good for one use. */
  readonly request: Buffer | (() => Buffer)
  /** Callers at once, each with a connection of its own and one request under way. */
  readonly callers: number
  readonly seconds: number
}

export interface LoadResult {
  readonly perSecond: number
  readonly answered: number
  /** Answers 429. */
  readonly refused: number
  /** Any other status than 200. */
  readonly failed: number
  /** Of the answers 200, in milliseconds; NaN where there was none. */
  readonly p50: number
  readonly p95: number
  readonly p99: number
  /** CPU time of the Worker's process for each answer 200. */
  readonly cpuMsEach: number
  /** How busy the client was, 1 being a whole core: close to that, it is the client that was measured. */
  readonly clientBusy: number
}

/** What a caller that was refused waits; a real one keeps to Retry-After, which is a second. */
const REFUSED_PAUSE_MS = 50

/** Sends requests from so many callers for so long, each as soon as its last one was answered. */
export async function load({ worker, request, callers, seconds }: LoadOptions): Promise<LoadResult> {
  const connections = await Promise.all(Array.from({ length: callers }, () => Connection.open(worker.url)))
  const latencies: number[] = []
  let refused = 0
  let failed = 0
  const cpuBefore = worker.cpuMs()
  const clientBefore = process.cpuUsage()
  const begun = performance.now()
  const end = begun + seconds * 1000
  const call = async (connection: Connection): Promise<void> => {
    for (let now = performance.now(); now < end; ) {
      const { status } = await connection.exchange(typeof request === 'function' ? request() : request)
      const after = performance.now()
      if (status === 200) latencies.push(after - now)
      else if (status === 429) {
        refused++
        await sleep(REFUSED_PAUSE_MS)
      } else failed++
      now = performance.now()
    }
  }
  try {
    await Promise.all(connections.map(call))
  } finally {
    for (const connection of connections) connection.close()
  }
  const elapsed = performance.now() - begun
  const client = process.cpuUsage(clientBefore)
  const answered = latencies.length
  return {
    perSecond: (answered * 1000) / elapsed,
    answered,
    refused,
    failed,
    p50: percentile(latencies, 0.5),
    p95: percentile(latencies, 0.95),
    p99: percentile(latencies, 0.99),
    cpuMsEach: (worker.cpuMs() - cpuBefore) / answered,
    clientBusy: (client.user + client.system) / 1000 / elapsed,
  }
}
