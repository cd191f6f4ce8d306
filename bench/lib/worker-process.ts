import { join } from 'node:path'
import { startWorkerd, type WorkerdOptions, type WorkerdProcess } from '../../src/cli/local/workerd.ts'
import { CACHE } from '../models/index.ts'

export { bundleBytes, killAllWorkers } from '../../src/cli/local/workerd.ts'

export interface WorkerProcess extends WorkerdProcess {
  stop(): Promise<void>
}

/** Local R2 and KV that every Worker of a run shares, so that a fresh process finds the models. */
export const STORAGE = join(CACHE, 'storage')

/** Of a Worker that only this machine reaches and that ends with the run: opens the engine's figures in /healthz. */
export const OPERATOR_KEY = 'bench-operator-key'

const running = new Set<WorkerProcess>()

/** Starts a bundled Worker, on the storage that all share. Its log goes nowhere: a line a request would be measured too. */
export async function startWorker(
  directory: string,
  { vars, ...options }: Omit<WorkerdOptions, 'storage' | 'log'> = {},
): Promise<WorkerProcess> {
  const started = await startWorkerd(directory, {
    ...options,
    vars: { VERGE_API_KEY: OPERATOR_KEY, ...vars },
    storage: STORAGE,
  })
  const worker: WorkerProcess = {
    ...started,
    async stop() {
      running.delete(worker)
      await started.miniflare.dispose()
    },
  }
  running.add(worker)
  return worker
}

/** Ends every Worker that is still running. */
export async function stopAllWorkers(): Promise<void> {
  await Promise.allSettled([...running].map((worker) => worker.stop()))
}
