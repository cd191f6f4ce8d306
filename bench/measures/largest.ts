import { requestBytes } from '../lib/connection.ts'
import { HeapProbe } from '../lib/heap.ts'
import { binaryRequest } from '../lib/oip.ts'
import { forgetPeak, peakBytes } from '../lib/peak.ts'
import { edgeArtifact } from '../lib/ways.ts'
import { ask, connected, wasmHeapBytes } from '../lib/worker-client.ts'
import { startWorker } from '../lib/worker-process.ts'
import type { Subject } from '../models/subjects.ts'
import type { Bench } from './context.ts'

/** What an isolate holds that serves one large encoder. */
export interface LargestRow {
  readonly model: string
  /** Of the artifact that it loads. */
  readonly weightsBytes: number
  /** Of the longest text that it answered. */
  readonly size: string
  /** Linear memory after each size, smallest first. */
  readonly linearBytes: readonly number[]
  /** JavaScript's objects and ArrayBuffers at their most, while the weights were loaded and after each answer. */
  readonly heapBytes: number
  /** Greatest resident size of the process during all that, less the size that it had before the first load. */
  readonly residentBytes: number
}

/** Loads each encoder into a fresh isolate, and asks it texts of every size. */
export async function measureLargest(bench: Bench, models: readonly Subject[]): Promise<LargestRow[]> {
  const rows: LargestRow[] = []
  for (const model of models) rows.push(await measure(bench, model))
  return rows
}

async function measure({ bundles, progress }: Bench, { name, packed, sizes }: Subject): Promise<LargestRow> {
  progress(`an isolate with ${name}`)
  const worker = await startWorker(bundles.verge, { inspected: true })
  try {
    return await connected(worker, async (connection) => {
      await ask(connection, requestBytes({ path: '/v2/health/ready' }))
      await ask(connection, requestBytes({ path: `/v2/models/${name}` }))
      const probe = await HeapProbe.open(worker)
      try {
        const residentBefore = worker.residentBytes()
        forgetPeak(worker.pid)
        const linearBytes: number[] = []
        let heapBytes = 0
        for (const { inputs } of sizes) {
          let answered = false
          const answer = ask(connection, binaryRequest(name, inputs)).finally(() => {
            answered = true
          })
          // Awaited below; until then its failure must not count as one that nobody handles.
          answer.catch(() => {})
          do {
            const { usedSize, backingStorageSize } = await probe.usage()
            heapBytes = Math.max(heapBytes, usedSize + backingStorageSize)
          } while (!answered)
          await answer
          linearBytes.push(await wasmHeapBytes(connection, 'verge'))
        }
        return {
          model: name,
          weightsBytes: edgeArtifact(packed, 'verge')?.bytes ?? 0,
          size: sizes.at(-1)?.label ?? '',
          linearBytes,
          heapBytes,
          residentBytes: peakBytes(worker.pid) - residentBefore,
        }
      } finally {
        probe.close()
      }
    })
  } finally {
    await worker.stop()
  }
}
