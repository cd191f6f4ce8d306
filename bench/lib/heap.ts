import * as z from 'zod'
import { Inspector } from './inspector.ts'
import type { WorkerProcess } from './worker-process.ts'

/** V8's figures for an isolate, in bytes. WebAssembly memories are not among them. */
export interface HeapUsage {
  /** Objects, garbage not yet collected included. */
  readonly usedSize: number
  /** Contents of ArrayBuffers, garbage included. */
  readonly backingStorageSize: number
}

const usage = z.object({ usedSize: z.number(), backingStorageSize: z.number() })

/** Asks a Worker's isolate, through V8's inspector, how large its JavaScript heap is. */
export class HeapProbe {
  readonly #inspector: Inspector

  private constructor(inspector: Inspector) {
    this.#inspector = inspector
  }

  /** @param worker started with `inspected` */
  static async open(worker: WorkerProcess): Promise<HeapProbe> {
    return new HeapProbe(await Inspector.open(worker))
  }

  async usage(): Promise<HeapUsage> {
    return usage.parse(await this.#inspector.call('Runtime.getHeapUsage'))
  }

  close(): void {
    this.#inspector.close()
  }
}
