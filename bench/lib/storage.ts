import { rm } from 'node:fs/promises'
import type { CatalogWriter } from '../../src/catalog/writer.ts'
import type { WorkerdProcess } from '../../src/cli/local/workerd.ts'
import type { PackedModel } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { localStores } from '../../src/cli/target/local.ts'
import { STORAGE, startWorker } from './worker-process.ts'

export interface Stored {
  readonly name: string
  /** For ways that load the plain file. */
  readonly onnx?: Uint8Array
  /** For the Worker without a cap. */
  readonly compiled?: Uint8Array
  readonly packed: PackedModel
}

/**
 * Fills the local R2 and KV of this run, from nothing: every model as Verge stores it, or compiled where it does not fit an
 * isolate, and its plain file beside.
 * @param directory bundle of any Worker, whose bindings are used
 */
export async function fillStorage(directory: string, models: readonly Stored[]): Promise<void> {
  await rm(STORAGE, { recursive: true, force: true })
  const worker = await startWorker(directory)
  try {
    const bucket = await worker.miniflare.getR2Bucket('BUCKET')
    const writer = await writerFor(worker)
    for (const { name, onnx, compiled, packed } of models) {
      if (compiled === undefined) await publish(writer, packed)
      else await bucket.put(`compiled/${name}`, compiled)
      if (onnx !== undefined) await bucket.put(`plain/${name}`, onnx)
    }
  } finally {
    await worker.stop()
  }
}

/** A writer over a running Worker's own R2 and KV. */
export async function writerFor({ miniflare }: Pick<WorkerdProcess, 'miniflare'>): Promise<CatalogWriter> {
  const bucket = await miniflare.getR2Bucket('BUCKET')
  const kv = await miniflare.getKVNamespace('KV')
  return localStores({ BUCKET: bucket as never, KV: kv as never }).writer
}
