import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type OriginProcess, startOriginProcess } from '../../src/cli/local/origin-process.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { CACHE } from '../models/index.ts'
import { newKey, type SharedKey } from './signing.ts'
import { startWorker, type WorkerProcess } from './worker-process.ts'

/** A Worker and an origin on this machine, as an operator has them: the origin takes its models from the Worker. */
export interface Rig {
  readonly worker: WorkerProcess
  readonly origin: OriginProcess
  readonly key: SharedKey
  /** What the origin computes with: `cpu`, `cuda`, `webgpu`. */
  readonly provider: string
  stop(): Promise<void>
}

export interface RigOptions {
  /** Bundle of the Worker. */
  readonly directory: string
  /** The origin's models; it is ready when they are in memory. */
  readonly models: readonly string[]
  /** Of `npm run origin`. */
  readonly args?: readonly string[]
  /** More entries of `ORIGINS`. */
  readonly others?: readonly object[]
}

/** @throws Error if the origin does not come up */
export async function startRig({ args = [], directory, models, others = [] }: RigOptions): Promise<Rig> {
  const key = await newKey()
  const port = await freePort()
  const own = { name: 'local', url: `http://127.0.0.1:${port}`, models, auth: { type: 'hmac', key: 'ORIGIN_KEY' } }
  const worker = await startWorker(directory, {
    direct: true,
    vars: { ORIGIN_KEY: key.secret, ORIGINS: JSON.stringify([own, ...others]) },
  })
  const cache = join(CACHE, `origin-cache-${port}`)
  let origin: OriginProcess | undefined
  const stop = async (): Promise<void> => {
    await origin?.stop()
    await worker.stop()
    await rm(cache, { recursive: true, force: true })
  }
  try {
    origin = await startOriginProcess({
      from: worker.url,
      cache,
      keys: [key.secret],
      args: [...['--port', String(port), '--preload', models.join(',')], ...args],
    })
    const engine = await origin.logged('engine')
    await origin.logged('origin_ready')
    return { worker, origin, key, provider: String(engine.provider), stop }
  } catch (error) {
    await stop()
    throw error
  }
}
