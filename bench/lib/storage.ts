import { rm } from 'node:fs/promises'
import { nodeSha256 } from '../../scripts/lib/bytes.ts'
import type { PackedModel } from '../../scripts/lib/packer.ts'
import { publish } from '../../scripts/lib/publish.ts'
import { CatalogWriter } from '../../src/catalog/writer.ts'
import { KvStore } from '../../src/weights/kv.ts'
import { R2Store } from '../../src/weights/r2.ts'
import { STORAGE, startWorker } from './worker-process.ts'

export interface Stored {
  readonly name: string
  readonly onnx: Uint8Array
  readonly packed: PackedModel
}

/**
 * Fills the local R2 and KV of this run, from nothing: every model as Verge stores it, and its plain file beside.
 * @param directory bundle of any Worker, whose bindings are used
 */
export async function fillStorage(directory: string, models: readonly Stored[]): Promise<void> {
  await rm(STORAGE, { recursive: true, force: true })
  const worker = await startWorker(directory)
  try {
    const bucket = await worker.miniflare.getR2Bucket('BUCKET')
    const namespace = await worker.miniflare.getKVNamespace('KV')
    const writer = new CatalogWriter(new R2Store(bucket as never), [new KvStore(namespace as never)], {
      sha256: nodeSha256,
    })
    for (const { name, onnx, packed } of models) {
      await publish(writer, packed)
      await bucket.put(`plain/${name}`, onnx)
    }
  } finally {
    await worker.stop()
  }
}
