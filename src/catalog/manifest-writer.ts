import { isVergeError, VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Logger, Sha256Factory } from '../core/runtime.ts'
import { sha256Hex } from '../core/sha256.ts'
import type { Store } from '../weights/store.ts'
import { existsAlready } from './alias-changes.ts'
import type { WriteOptions } from './alias-writer.ts'
import { canonicalBytes } from './canonical-json.ts'
import { readStored } from './change-record.ts'
import { equal } from './copies.ts'
import { manifestKey } from './keys.ts'
import type { Manifest } from './manifest.ts'
import { checkManifest } from './parse.ts'
import { checkBlobs } from './servable.ts'
import { readStoredAlias } from './stored-alias.ts'

export interface ManifestWriterOptions {
  readonly sha256: Sha256Factory
  readonly logger: Logger
  readonly limits: Pick<Limits, 'aliasBytes' | 'chunkBytes' | 'manifestBytes' | 'pageBytes'>
}

export interface ManifestPut {
  /** SHA-256 of the manifest's canonical JSON. */
  readonly digest: string
  /** Writes that it took, over all stores; 0 if the same manifest was everywhere already. */
  readonly written: number
}

/** Writes manifests, which are only added: the source of truth first, then the copies. */
export class ManifestWriter {
  readonly #truth: Store
  readonly #copies: readonly Store[]
  readonly #options: ManifestWriterOptions

  constructor(truth: Store, copies: readonly Store[], options: ManifestWriterOptions) {
    this.#truth = truth
    this.#copies = copies
    this.#options = options
  }

  /**
   * Stores a version's manifest, which never changes afterwards. A stored manifest that differs from its alias is
   * damaged, and is overwritten.
   * @throws manifest_invalid, conflict if the version exists with other contents, store_unavailable, the signal's
   * reason
   */
  async put(manifest: Manifest, { signal }: WriteOptions = {}): Promise<ManifestPut> {
    const { limits, logger, sha256 } = this.#options
    const { model, version } = manifest
    checkManifest(manifest, model, version)
    checkBlobs(manifest, limits)
    const bytes = canonicalBytes(manifest)
    if (bytes.length > limits.manifestBytes) {
      throw new VergeError(
        'manifest_invalid',
        `The manifest of model "${model}" has ${bytes.length} bytes; the limit is ${limits.manifestBytes}. ` +
          'Shorten its labels or descriptions.',
      )
    }
    const digest = await sha256Hex(sha256, bytes)
    const key = manifestKey(model, version)
    let written = 0
    let present = await readStored(this.#truth, key, limits.manifestBytes, signal)
    if (present === null) {
      if (await this.#truth.put(key, bytes, { onlyIf: 'absent', signal })) written++
      else present = await readStored(this.#truth, key, limits.manifestBytes, signal)
    }
    if (written === 0 && !equal(present?.bytes ?? null, bytes)) {
      const alias = await readStoredAlias(this.#truth, model, limits.aliasBytes, signal)
      const known = alias !== null && Object.hasOwn(alias.value.versions, version) && alias.value.versions[version]
      const etag = present?.etag
      if (known !== digest || etag === undefined) throw existsAlready(model, version)
      if (!(await this.#truth.put(key, bytes, { onlyIf: { etag }, signal }))) throw existsAlready(model, version)
      logger.warn('manifest_mended', { model, version, digest })
      written++
    }
    for (const copy of this.#copies) written += await this.#copyManifest(copy, key, bytes, signal)
    return { digest, written }
  }

  async #copyManifest(copy: Store, key: string, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<number> {
    const { limits, logger } = this.#options
    try {
      if (equal((await readStored(copy, key, limits.manifestBytes, signal))?.bytes ?? null, bytes)) return 0
      await copy.put(key, bytes, { signal })
      return 1
    } catch (error) {
      if (!isVergeError(error, 'store_unavailable')) throw error
      // readers find it in the truth
      logger.warn('manifest_not_copied', { store: copy.name, key, error })
      return 0
    }
  }
}
