import { isVergeError, throwIfAborted, VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { type Clock, type Logger, type Sha256Factory, silentLogger, systemClock } from '../core/runtime.ts'
import { sha256Hex } from '../core/sha256.ts'
import { type PutBlobResult, putBlob } from '../weights/put-blob.ts'
import type { Store } from '../weights/store.ts'
import type { Alias, Visibility } from './alias.ts'
import {
  type AliasChange,
  actionOf,
  existsAlready,
  isUnchanged,
  nextAlias,
  type PublishOptions,
  published,
  released,
  rolledBack,
  shown,
  withoutVersion,
} from './alias-changes.ts'
import { canonicalBytes } from './canonical-json.ts'
import type { ChangeLog } from './change-log.ts'
import { changeRecord, readStored, type StoredRecord } from './change-record.ts'
import { equal, refreshCopies } from './copies.ts'
import { aliasKey, manifestKey } from './keys.ts'
import type { Manifest } from './manifest.ts'
import { aliasJson, checkAlias, checkManifest } from './parse.ts'
import { assertServable, checkBlobs } from './servable.ts'
import { keepLastRelease, readLastRelease } from './signing/last-release.ts'
import { ReleaseSigning, type SignRequest } from './signing/release-signing.ts'

type WriterLimits = Pick<
  Limits,
  | 'aliasBytes'
  | 'aliasWriteAttempts'
  | 'pageBytes'
  | 'chunkBytes'
  | 'chunkStallMs'
  | 'kvWritePauseMs'
  | 'manifestBytes'
  | 'parallelFetches'
>

export interface CatalogWriterOptions {
  readonly sha256: Sha256Factory
  /** Counts from 1970: versions are recorded with the time at which they were added. */
  readonly clock?: Clock
  readonly logger?: Logger
  readonly limits: WriterLimits
  /** Has every change of an alias before it is made. */
  readonly audit?: ChangeLog | undefined
  /** Signs changes of aliases; asked for when the first of them is made. Without it signed models are left as they are. */
  readonly signing?: (() => Promise<ReleaseSigning>) | undefined
}

export interface WriteOptions {
  /** Cancels the work before the write of the alias. That write and the update of the copies always complete. */
  readonly signal?: AbortSignal | undefined
}

export interface UpdateOptions extends WriteOptions {
  /** What the audit log calls the change; by what has changed if left out. */
  readonly action?: 'rollback' | 'sign'
  /** Signs the alias even if the change leaves it as it is. */
  readonly sign?: SignRequest
}

export interface AliasUpdate {
  readonly alias: Alias
  /** False if the alias was already as wanted, so that its generation stayed. */
  readonly changed: boolean
  /** Writes of copies that were out of date. */
  readonly copied: number
}

export interface ManifestPut {
  /** SHA-256 of the manifest's canonical JSON. */
  readonly digest: string
  /** Writes that it took, over all stores; 0 if the same manifest was everywhere already. */
  readonly written: number
}

interface StoredAlias {
  /** As stored, fields of a newer Verge included. */
  readonly value: Alias
  readonly bytes: Uint8Array
  readonly etag: string | undefined
}

/**
 * Writes the catalogue: the source of truth first, then the copies. Blobs and manifests are only added. An alias
 * changes by a conditional write, and only to versions that are complete in the source of truth.
 */
export class CatalogWriter {
  readonly #truth: Store
  readonly #copies: readonly Store[]
  readonly #sha256: Sha256Factory
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #limits: WriterLimits
  readonly #audit: ChangeLog | undefined
  readonly #signing: () => Promise<ReleaseSigning>

  constructor(truth: Store, copies: readonly Store[], options: CatalogWriterOptions) {
    this.#truth = truth
    this.#copies = copies
    this.#sha256 = options.sha256
    this.#clock = options.clock ?? systemClock
    this.#logger = options.logger ?? silentLogger
    this.#limits = options.limits
    this.#audit = options.audit
    this.#signing = options.signing ?? (async () => new ReleaseSigning({}))
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
      sha256: this.#sha256,
      clock: this.#clock,
      limits: this.#limits,
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
  async putManifest(manifest: Manifest, { signal }: WriteOptions = {}): Promise<ManifestPut> {
    const { model, version } = manifest
    checkManifest(manifest, model, version)
    checkBlobs(manifest, this.#limits)
    const bytes = canonicalBytes(manifest)
    if (bytes.length > this.#limits.manifestBytes) {
      throw new VergeError(
        'manifest_invalid',
        `The manifest of model "${model}" has ${bytes.length} bytes; the limit is ${this.#limits.manifestBytes}. ` +
          'Shorten its labels or descriptions.',
      )
    }
    const digest = await sha256Hex(this.#sha256, bytes)
    const key = manifestKey(model, version)
    let written = 0
    let present = await readStored(this.#truth, key, this.#limits.manifestBytes, signal)
    if (present === null) {
      if (await this.#truth.put(key, bytes, { onlyIf: 'absent', signal })) written++
      else present = await readStored(this.#truth, key, this.#limits.manifestBytes, signal)
    }
    if (written === 0 && !equal(present?.bytes ?? null, bytes)) {
      const alias = await this.#readAlias(model, signal)
      const known = alias !== null && Object.hasOwn(alias.value.versions, version) && alias.value.versions[version]
      const etag = present?.etag
      if (known !== digest || etag === undefined) throw existsAlready(model, version)
      if (!(await this.#truth.put(key, bytes, { onlyIf: { etag }, signal }))) throw existsAlready(model, version)
      this.#logger.warn('manifest_mended', { model, version, digest })
      written++
    }
    for (const copy of this.#copies) written += await this.#copyManifest(copy, key, bytes, signal)
    return { digest, written }
  }

  /**
   * Changes a model's alias by one conditional write, retries with the newer alias if another writer was faster, then
   * updates the copies. `change` may be called repeatedly; an unchanged result is not written.
   * @throws errors of `change`; alias_invalid; conflict if a version would change its contents, or too many races were
   * lost; manifest_invalid and weights_unavailable if a live or new version is incomplete in the source of truth;
   * signature_invalid if the model is signed and the change cannot be; store_unavailable, the signal's reason
   */
  async updateAlias(model: string, change: AliasChange, options: UpdateOptions = {}): Promise<AliasUpdate> {
    const { signal, action, sign } = options
    const checked = new Set<string>()
    for (let attempt = 0; attempt < this.#limits.aliasWriteAttempts; attempt++) {
      const old = await this.#readAlias(model, signal)
      // generations of a model that was removed are not given out again
      const signing = await this.#signing()
      const last = old ?? (await readLastRelease(this.#truth, model, signing, this.#limits, signal))
      const after = Math.max(last?.value.generation ?? 0, sign?.above ?? 0)
      const unsigned = nextAlias(model, old?.value ?? null, change, after)
      const unchanged = old !== null && sign === undefined && isUnchanged(old.value, unsigned)
      if (!unchanged) {
        const at = Math.floor(this.#clock.now() / 1000)
        const next = await signing.sealed(unsigned, last, at, sign)
        await this.#assertAllowed(next, old?.value ?? null, checked, signal)
        const bytes = canonicalBytes(next)
        throwIfAborted(signal)
        if (old?.value.signature !== undefined && next.signature === undefined) {
          await keepLastRelease(this.#truth, model, old.bytes, signing, this.#limits)
        }
        const named = action ?? actionOf(old?.value ?? null, next)
        const made = await this.#change(model, named, old, bytes)
        if (!made) continue
        const copied = await this.#refreshCopies(model, false)
        return { alias: next, changed: true, copied }
      }
      return { alias: old.value, changed: false, copied: await this.#refreshCopies(model, true) }
    }
    throw new VergeError(
      'conflict',
      `Other commands keep changing model "${model}" at the same time. Nothing was changed. Try again.`,
      { details: { model }, retryAfter: 1 },
    )
  }

  /** Stores a version's manifest and adds the version to its model. Its blobs have to be stored already. */
  async publishVersion(
    manifest: Manifest,
    { signal, ...options }: PublishOptions & WriteOptions,
  ): Promise<AliasUpdate & ManifestPut> {
    const put = await this.putManifest(manifest, { signal })
    const { model, version } = manifest
    const at = Math.floor(this.#clock.now() / 1000)
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
  async dropModel(model: string, etag: string | null, { signal }: WriteOptions = {}): Promise<void> {
    // stores have no conditional deletion, so a write between this check and the deletion is lost
    const present = await readStored(this.#truth, aliasKey(model), this.#limits.aliasBytes, signal)
    if ((present?.etag ?? null) !== etag) {
      throw new VergeError(
        'conflict',
        `Model "${model}" was changed by another command. Check its state, then try again.`,
        {
          details: { model },
        },
      )
    }
    if (present?.bytes) await keepLastRelease(this.#truth, model, present.bytes, await this.#signing(), this.#limits)
    throwIfAborted(signal)
    if (present !== null) await this.#change(model, 'remove-model', present, null)
    await this.#refreshCopies(model, present === null)
  }

  /** @throws model_not_found, and what `updateAlias` throws */
  setVisibility(model: string, visibility: Visibility, options?: WriteOptions): Promise<AliasUpdate> {
    return this.updateAlias(model, shown(model, visibility), options)
  }

  #change(model: string, action: string, before: StoredRecord | null, after: Uint8Array | null): Promise<boolean> {
    const change = { key: aliasKey(model), maxBytes: this.#limits.aliasBytes, action, before, after }
    return changeRecord(this.#truth, change, { sha256: this.#sha256, audit: this.#audit })
  }

  #refreshCopies(model: string, compare: boolean): Promise<number> {
    const record = { key: aliasKey(model), name: `alias of model "${model}"`, maxBytes: this.#limits.aliasBytes }
    return refreshCopies(this.#truth, this.#copies, record, {
      clock: this.#clock,
      logger: this.#logger,
      limits: this.#limits,
      compare,
    })
  }

  /** `checked` remembers versions that were found complete, since those never change. */
  async #assertAllowed(
    next: Alias,
    old: Alias | null,
    checked: Set<string>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { model } = next
    checkAlias(next, model)
    const live = new Set(next.live.map(({ version }) => version))
    if (live.size < next.live.length) {
      throw new VergeError('alias_invalid', `A version of model "${model}" is listed twice among the live versions.`)
    }
    if (canonicalBytes(next).length > this.#limits.aliasBytes) {
      throw new VergeError('alias_invalid', `Model "${model}" has too many versions. Remove some that are not live.`)
    }
    for (const [version, digest] of Object.entries(next.versions)) {
      const before = old !== null && Object.hasOwn(old.versions, version) ? old.versions[version] : undefined
      if (before !== undefined && before !== digest) throw existsAlready(model, version)
      const known = checked.has(`${digest} ${version}`)
      if (known || (before !== undefined && !live.has(version))) continue
      const options = { sha256: this.#sha256, limits: this.#limits, signal }
      await assertServable(this.#truth, model, version, digest, options)
      checked.add(`${digest} ${version}`)
    }
  }

  async #readAlias(model: string, signal: AbortSignal | undefined): Promise<StoredAlias | null> {
    const key = aliasKey(model)
    const found = await readStored(this.#truth, key, this.#limits.aliasBytes, signal)
    if (found === null) return null
    if (found.bytes === null) {
      throw new VergeError(
        'alias_invalid',
        `The record ${key} in the bucket is larger than ${this.#limits.aliasBytes} bytes. Delete it in the bucket and push ` +
          'the model again.',
      )
    }
    const value = aliasJson(found.bytes, model)
    checkAlias(value, model)
    return { value: value as Alias, bytes: found.bytes, etag: found.etag }
  }

  async #copyManifest(copy: Store, key: string, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<number> {
    try {
      if (equal((await readStored(copy, key, this.#limits.manifestBytes, signal))?.bytes ?? null, bytes)) return 0
      await copy.put(key, bytes, { signal })
      return 1
    } catch (error) {
      if (!isVergeError(error, 'store_unavailable')) throw error
      // readers find it in the truth
      this.#logger.warn('manifest_not_copied', { store: copy.name, key, error })
      return 0
    }
  }
}
