import { throwIfAborted, VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Clock, Logger, Sha256Factory } from '../core/runtime.ts'
import type { Store } from '../weights/store.ts'
import type { Alias } from './alias.ts'
import { type AliasChange, actionOf, existsAlready, isUnchanged, nextAlias } from './alias-changes.ts'
import { canonicalBytes } from './canonical-json.ts'
import type { ChangeLog } from './change-log.ts'
import { changeRecord, readStored, type StoredRecord } from './change-record.ts'
import { refreshCopies } from './copies.ts'
import type { DeletionLimits } from './deletion.ts'
import { aliasKey } from './keys.ts'
import { checkAlias } from './parse.ts'
import { assertServable } from './servable.ts'
import { keepLastRelease, readLastRelease } from './signing/last-release.ts'
import { ReleaseSigning, type SignRequest } from './signing/release-signing.ts'
import { readStoredAlias } from './stored-alias.ts'

type AliasWriterLimits = Pick<
  Limits,
  | 'aliasBytes'
  | 'aliasWriteAttempts'
  | 'chunkBytes'
  | 'chunkStallMs'
  | 'kvWritePauseMs'
  | 'manifestBytes'
  | 'pageBytes'
  | 'parallelFetches'
> &
  DeletionLimits

export interface AliasWriterOptions {
  readonly sha256: Sha256Factory
  /** Counts from 1970: signatures are made with the time. */
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: AliasWriterLimits
  /** Has every change before it is made. */
  readonly audit?: ChangeLog | undefined
  /** Signs changes; asked for when the first of them is made. Without it signed models are left as they are. */
  readonly signing?: (() => Promise<ReleaseSigning>) | undefined
  /** Brings the index of lists up to date after a change. Never throws. Without it the Worker does so within a minute. */
  readonly index?: { touch(model: string): Promise<void> } | undefined
}

export interface WriteOptions {
  /** Cancels the work before the write of the alias. That write and the update of the copies always complete. */
  readonly signal?: AbortSignal | undefined
}

export interface UpdateOptions extends WriteOptions {
  /** What the audit log calls the change; by what has changed if left out. */
  readonly action?: 'promote' | 'rollback' | 'sign'
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

/**
 * Changes aliases: by a conditional write to the source of truth, and only to versions that are complete there, then in the
 * copies.
 */
export class AliasWriter {
  readonly #truth: Store
  readonly #copies: readonly Store[]
  readonly #sha256: Sha256Factory
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #limits: AliasWriterLimits
  readonly #audit: ChangeLog | undefined
  readonly #signing: () => Promise<ReleaseSigning>
  readonly #index: AliasWriterOptions['index']

  constructor(truth: Store, copies: readonly Store[], options: AliasWriterOptions) {
    this.#truth = truth
    this.#copies = copies
    this.#sha256 = options.sha256
    this.#clock = options.clock
    this.#logger = options.logger
    this.#limits = options.limits
    this.#audit = options.audit
    this.#signing = options.signing ?? (async () => new ReleaseSigning({}))
    this.#index = options.index
  }

  /**
   * Changes a model's alias by one conditional write, retries with the newer alias if another writer was faster, then
   * updates the copies. `change` may be called repeatedly; an unchanged result is not written.
   * @throws errors of `change`; alias_invalid; conflict if a version would change its contents, or too many races were
   * lost; manifest_invalid and weights_unavailable if a live or new version is incomplete in the source of truth;
   * signature_invalid if the model is signed and the change cannot be; store_unavailable, the signal's reason
   */
  async update(model: string, change: AliasChange, options: UpdateOptions = {}): Promise<AliasUpdate> {
    const { signal, action, sign } = options
    const checked = new Set<string>()
    for (let attempt = 0; attempt < this.#limits.aliasWriteAttempts; attempt++) {
      const old = await readStoredAlias(this.#truth, model, this.#limits.aliasBytes, signal)
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

  /**
   * Removes a model by removing its alias, in the source of truth first and then in the copies. Manifests and weights
   * stay. A missing alias is not an error: leftover copies are removed anyway.
   * @param etag of the alias on which the decision is based, null if there was none
   * @throws conflict if the alias has changed since, store_unavailable if a copy may remain, the signal's reason
   */
  async drop(model: string, etag: string | null, { signal }: WriteOptions = {}): Promise<void> {
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

  #change(model: string, action: string, before: StoredRecord | null, after: Uint8Array | null): Promise<boolean> {
    const change = { key: aliasKey(model), maxBytes: this.#limits.aliasBytes, action, before, after }
    return changeRecord(this.#truth, change, { sha256: this.#sha256, audit: this.#audit })
  }

  /** The copies, and at the same time the index, which lists alone use. */
  async #refreshCopies(model: string, compare: boolean): Promise<number> {
    const listed = this.#index?.touch(model)
    try {
      return await this.#refresh(model, compare)
    } finally {
      await listed
    }
  }

  #refresh(model: string, compare: boolean): Promise<number> {
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
      const options = { sha256: this.#sha256, clock: this.#clock, limits: this.#limits, signal }
      await assertServable(this.#truth, model, version, digest, options)
      checked.add(`${digest} ${version}`)
    }
  }
}
