import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Clock, Sha256Factory } from '../core/runtime.ts'
import { sha256Hex } from '../core/sha256.ts'
import { type BlobInfo, blobKey, checkBlob } from '../weights/blob.ts'
import { readAtMost } from '../weights/body.ts'
import { checkPages } from '../weights/pages/layout.ts'
import type { Store } from '../weights/store.ts'
import { type DeletionLimits, untilNotDeleted } from './deletion.ts'
import { manifestKey } from './keys.ts'
import type { Manifest } from './manifest.ts'
import { parseManifest } from './parse.ts'

export interface ServableOptions {
  readonly sha256: Sha256Factory
  readonly clock: Clock
  readonly limits: Pick<Limits, 'chunkBytes' | 'manifestBytes' | 'pageBytes' | 'parallelFetches'> & DeletionLimits
  readonly signal?: AbortSignal | undefined
}

/** Every blob that a version needs: its artifacts with their pages, those that only a newer Verge understands among them, and its files. */
export function blobsOf({ artifacts, aside = [], files = {} }: Manifest): readonly BlobInfo[] {
  const known = artifacts.flatMap((artifact) => (artifact.pages ? [artifact, artifact.pages] : [artifact]))
  return [...known, ...aside.flatMap(({ blobs }) => blobs ?? []), ...Object.values(files)]
}

/**
 * Checks the declared blobs of a manifest. An artifact for an origin may be larger than an isolate.
 * @throws manifest_invalid
 */
export function checkBlobs(manifest: Manifest, limits: Pick<Limits, 'chunkBytes' | 'pageBytes'>): void {
  const roomy = { chunkBytes: limits.chunkBytes, artifactBytes: Number.POSITIVE_INFINITY }
  for (const blob of blobsOf(manifest)) checkBlob(blob, roomy)
  for (const { pages } of manifest.artifacts) if (pages) checkPages(pages, limits)
}

/**
 * Checks that the source of truth has everything that a version needs: the manifest with this digest, and every chunk
 * in it. From then on no chunk of it is deleted, because the manifest is there (decision 24); while a command deletes some,
 * this waits.
 * @throws manifest_invalid, weights_unavailable, store_unavailable, the signal's reason
 */
export async function assertServable(
  truth: Store,
  model: string,
  version: string,
  digest: string,
  options: ServableOptions,
): Promise<void> {
  const { signal } = options
  const found = await truth.get(manifestKey(model, version), { signal })
  const bytes = found && (await readAtMost(found.body, options.limits.manifestBytes, signal))
  if (bytes === null || (await sha256Hex(options.sha256, bytes)) !== digest) {
    throw new VergeError(
      'manifest_invalid',
      `Version "${version}" of model "${model}" cannot go live: its manifest is missing in the bucket, or differs from the published one. ` +
        'Push this version first.',
      { details: { model, version } },
    )
  }
  const manifest = parseManifest(bytes, model, version)
  checkBlobs(manifest, options.limits)
  const chunks = [...new Map(blobsOf(manifest).flatMap(({ chunks }) => chunks.map((c) => [c.sha256, c]))).values()]
  await untilNotDeleted(truth, new Set(chunks.map((chunk) => chunk.sha256)), options)
  const lookInTurn = async (): Promise<void> => {
    for (let chunk = chunks.pop(); chunk !== undefined; chunk = chunks.pop()) {
      const stored = await truth.head(blobKey(chunk.sha256), { signal })
      if (stored?.bytes === chunk.bytes) continue
      throw new VergeError(
        'weights_unavailable',
        `Version "${version}" of model "${model}" cannot go live: its chunk (sha256 ${chunk.sha256}) is missing in the ` +
          'bucket. Push this version first.',
        { details: { model, version, sha256: chunk.sha256 } },
      )
    }
  }
  await Promise.all(Array.from({ length: options.limits.parallelFetches }, lookInTurn))
}
