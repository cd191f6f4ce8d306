import { silentLogger, systemClock } from '../core/runtime.ts'
import { type PutBlobResult, putBlob } from '../weights/put-blob.ts'
import type { Store } from '../weights/store.ts'
import type { Alias, Visibility } from './alias.ts'
import {
  type AliasChange,
  type PublishOptions,
  published,
  released,
  rolledBack,
  shown,
  withoutVersion,
} from './alias-changes.ts'
import {
  type AliasUpdate,
  AliasWriter,
  type AliasWriterOptions,
  type UpdateOptions,
  type WriteOptions,
} from './alias-writer.ts'
import type { Manifest } from './manifest.ts'
import { type ManifestPut, ManifestWriter } from './manifest-writer.ts'

/** Without a clock and a logger: the system's clock, and no log. */
export type CatalogWriterOptions = Omit<AliasWriterOptions, 'clock' | 'logger'> &
  Partial<Pick<AliasWriterOptions, 'clock' | 'logger'>>

/**
 * Writes the catalogue: the source of truth first, then the copies. Blobs and manifests are only added. An alias
 * changes by a conditional write, and only to versions that are complete in the source of truth.
 */
export class CatalogWriter {
  readonly #truth: Store
  readonly #copies: readonly Store[]
  readonly #options: Pick<AliasWriterOptions, 'clock' | 'limits' | 'sha256'>
  readonly #manifests: ManifestWriter
  readonly #aliases: AliasWriter

  constructor(truth: Store, copies: readonly Store[], { clock, logger, ...options }: CatalogWriterOptions) {
    const complete = { ...options, clock: clock ?? systemClock, logger: logger ?? silentLogger }
    this.#truth = truth
    this.#copies = copies
    this.#options = complete
    this.#manifests = new ManifestWriter(truth, copies, complete)
    this.#aliases = new AliasWriter(truth, copies, complete)
  }

  /** The stores to write to. */
  get stores(): { readonly truth: Store; readonly copies: readonly Store[] } {
    return { truth: this.#truth, copies: this.#copies }
  }

  /**
   * Stores a blob in the given chunks (see `splitChunks`); intact stored chunks are not written again. `hot` also
   * copies it near the readers. `verify: false` trusts the size of stored chunks, and repairs nothing.
   * @throws manifest_invalid if a chunk is too large, store_unavailable, the signal's reason
   */
  putBlob(
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options: WriteOptions & { readonly hot?: boolean; readonly verify?: boolean } = {},
  ): Promise<PutBlobResult> {
    return putBlob(options.hot ? [this.#truth, ...this.#copies] : [this.#truth], chunks, {
      ...this.#options,
      verify: options.verify ?? true,
      signal: options.signal,
    })
  }

  /**
   * Stores a version's manifest, which never changes afterwards. A stored manifest that differs from its alias is
   * damaged, and is overwritten.
   * @throws manifest_invalid, conflict if the version exists with other contents, store_unavailable, the signal's
   * reason
   */
  putManifest(manifest: Manifest, options?: WriteOptions): Promise<ManifestPut> {
    return this.#manifests.put(manifest, options)
  }

  /**
   * Changes a model's alias by one conditional write, retries with the newer alias if another writer was faster, then
   * updates the copies. `change` may be called repeatedly; an unchanged result is not written.
   * @throws errors of `change`; alias_invalid; conflict if a version would change its contents, or too many races were
   * lost; manifest_invalid and weights_unavailable if a live or new version is incomplete in the source of truth;
   * signature_invalid if the model is signed and the change cannot be; store_unavailable, the signal's reason
   */
  updateAlias(model: string, change: AliasChange, options?: UpdateOptions): Promise<AliasUpdate> {
    return this.#aliases.update(model, change, options)
  }

  /** Stores a version's manifest and adds the version to its model. Its blobs have to be stored already. */
  async publishVersion(
    manifest: Manifest,
    { signal, ...options }: PublishOptions & WriteOptions,
  ): Promise<AliasUpdate & ManifestPut> {
    const put = await this.putManifest(manifest, { signal })
    const { model, version } = manifest
    const at = Math.floor(this.#options.clock.now() / 1000)
    const update = await this.updateAlias(model, published(model, version, put.digest, { at, ...options }), { signal })
    return { ...put, ...update }
  }

  /**
   * Makes versions live with these weights: a release, a canary, or a rollback.
   * @throws model_not_found, version_not_found, and what `updateAlias` throws
   */
  release(model: string, live: Alias['live'], options?: WriteOptions): Promise<AliasUpdate> {
    return this.updateAlias(model, released(model, live), options)
  }

  /**
   * Makes live the version that answered alone before; a second time goes further back.
   * @throws model_not_found, conflict if there is no such version, and what `updateAlias` throws
   */
  rollback(model: string, options?: WriteOptions): Promise<AliasUpdate> {
    return this.updateAlias(model, rolledBack(model), { ...options, action: 'rollback' })
  }

  /**
   * Takes a version that is not live out of the alias. Its manifest and its weights stay where they are.
   * @throws model_not_found, version_not_found, conflict if the version is live, and what `updateAlias` throws
   */
  dropVersion(model: string, version: string, options?: WriteOptions): Promise<AliasUpdate> {
    return this.updateAlias(model, withoutVersion(model, version), options)
  }

  /**
   * Removes a model by removing its alias, in the source of truth first and then in the copies. Manifests and weights
   * stay. A missing alias is not an error: leftover copies are removed anyway.
   * @param etag of the alias on which the decision is based, null if there was none
   * @throws conflict if the alias has changed since, store_unavailable if a copy may remain, the signal's reason
   */
  dropModel(model: string, etag: string | null, options?: WriteOptions): Promise<void> {
    return this.#aliases.drop(model, etag, options)
  }

  /** @throws model_not_found, and what `updateAlias` throws */
  setVisibility(model: string, visibility: Visibility, options?: WriteOptions): Promise<AliasUpdate> {
    return this.updateAlias(model, shown(model, visibility), options)
  }
}
