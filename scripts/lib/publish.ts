import type { Blob } from '../../src/catalog/manifest.ts'
import type { CatalogWriter } from '../../src/catalog/writer.ts'
import type { PackedModel } from './packer.ts'

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
 * Stores a packed model and makes its version the live one. Blobs first, then the manifest, then the alias, so that a
 * reader never finds a name whose contents are not there yet.
 * @throws conflict if the version exists with other contents, store_unavailable
 */
export async function publish(writer: CatalogWriter, packed: PackedModel): Promise<Published> {
  const { manifest, visibility, chunks } = packed
  let written = 0
  const put = async (blob: Blob, hot: boolean): Promise<void> => {
    const pieces = blob.chunks.map(({ sha256 }) => chunks.get(sha256) ?? new Uint8Array(0))
    const result = await writer.putBlob(pieces, { hot: hot && packed.hot })
    if (result.blob.sha256 !== blob.sha256) throw new Error(`packed chunks do not add up to ${blob.sha256}`)
    written += result.written
  }
  for (const artifact of manifest.artifacts) await put(artifact, artifact.places.includes('edge'))
  for (const file of Object.values(manifest.files ?? {})) await put(file, true)
  const release = await writer.publishVersion(manifest, { live: true, visibility })
  return {
    model: manifest.model,
    version: manifest.version,
    digest: release.digest,
    generation: release.alias.generation,
    written: written + release.written + release.copied + (release.changed ? 1 : 0),
  }
}
