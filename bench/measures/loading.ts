import { requestBytes } from '../lib/connection.ts'
import { HeapProbe } from '../lib/heap.ts'
import { binaryRequest } from '../lib/oip.ts'
import { ask, connected } from '../lib/worker-client.ts'
import { startWorker } from '../lib/worker-process.ts'
import type { Subject } from '../models/subjects.ts'
import type { Bench } from './context.ts'

/** What the JavaScript heap of an isolate takes while weights are loaded into the WebAssembly memory. */
export interface LoadingMemory {
  readonly model: string
  /** The most that heap and ArrayBuffers grew by, garbage included, over all loads and samples. */
  readonly extraBytes: number
  readonly loads: number
  readonly samples: number
}

/** Asks V8 again and again while a fresh isolate loads a model, and once after it. */
export async function measureLoading(bench: Bench, { name, sizes }: Subject): Promise<LoadingMemory> {
  const request = binaryRequest(name, sizes[0]?.inputs ?? [])
  const loads = bench.effort.coldRounds
  let extraBytes = 0
  let samples = 0
  for (let load = 0; load < loads; load++) {
    bench.progress(`JavaScript heap while loading, ${load + 1} of ${loads}`)
    const worker = await startWorker(bench.bundles.verge, { inspected: true })
    try {
      await connected(worker, async (connection) => {
        // The script's own heap and the engine are there before the load, and are not what is measured.
        await ask(connection, requestBytes({ path: '/v2/health/ready' }))
        await ask(connection, requestBytes({ path: `/v2/models/${name}` }))
        const probe = await HeapProbe.open(worker)
        try {
          const total = async (): Promise<number> => {
            const { usedSize, backingStorageSize } = await probe.usage()
            return usedSize + backingStorageSize
          }
          const before = await total()
          let loaded = false
          const answer = ask(connection, request).finally(() => {
            loaded = true
          })
          // Awaited below; until then its failure must not count as one that nobody handles.
          answer.catch(() => {})
          while (!loaded) {
            extraBytes = Math.max(extraBytes, (await total()) - before)
            samples++
          }
          await answer
        } finally {
          probe.close()
        }
      })
    } finally {
      await worker.stop()
    }
  }
  return { model: name, extraBytes, loads, samples }
}
