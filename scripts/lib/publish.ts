import type { CatalogWriter } from '../../src/catalog/writer.ts'
import type { PackedModel } from './packer.ts'
import { pushModel } from './push/push.ts'

export interface Published {
  readonly model: string
  readonly version: string
  /** SHA-256 of the manifest. */
  readonly digest: string
  readonly generation: number
  /** Writes that it took; 0 if everything was there already. */
  readonly written: number
}

/**
 * Stores a packed model where a writer writes, makes its version the live one, and shows it to whom its package says.
 * @throws conflict if the version exists with other contents, store_unavailable
 */
export async function publish(writer: CatalogWriter, packed: PackedModel): Promise<Published> {
  const target = { ...writer.stores, writer }
  return pushModel(target, packed, { live: true, visibility: packed.visibility })
}
