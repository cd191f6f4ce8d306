import { isVergeError, throwIfAborted, VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { LruMap } from '../core/lru.ts'
import type { Clock, Logger, Sha256Factory } from '../core/runtime.ts'
import { sha256Hex } from '../core/sha256.ts'
import { readAtMost } from '../weights/body.ts'
import type { Store } from '../weights/store.ts'
import type { Alias } from './alias.ts'
import { type CanaryStop, inForce } from './canary.ts'
import { ALIAS_PREFIX, aliasKey, manifestKey } from './keys.ts'
import { type Manifest, MODEL_NAME, VERSION_NAME } from './manifest.ts'
import { aliasJson, checkAlias, parseManifest } from './parse.ts'
import type { ReleaseCheck } from './signing/release-check.ts'

type ReaderLimits = Pick<
  Limits,
  | 'aliasBytes'
  | 'aliasTtlMs'
  | 'aliasesCached'
  | 'unknownModelsCached'
  | 'manifestBytes'
  | 'manifestsCached'
  | 'modelsListed'
  | 'parallelFetches'
>

export interface CatalogReaderOptions {
  readonly sha256: Sha256Factory
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: ReaderLimits
  /** Where only signed releases count. */
  readonly releases?: ReleaseCheck | undefined
}

interface Kept<T> {
  readonly value: T
  /** By the clock, in milliseconds. */
  readonly until: number
}

/** Failures of one store's record that say nothing about another's. */
const OF_A_RECORD = ['alias_invalid', 'manifest_invalid', 'signature_invalid', 'release_outdated'] as const

/**
 * Reads the catalogue from layers of stores, nearest first, the source of truth last. An invalid copy is reported, and
 * the next layer is read. Where only signed releases count, nothing of any other alias is used. The isolate caches values, never promises, because in workerd a request must not wait for
 * another request's work.
 */
export class CatalogReader {
  readonly #layers: readonly Store[]
  readonly #truth: Store
  readonly #options: CatalogReaderOptions
  readonly #limits: ReaderLimits
  readonly #aliases: LruMap<Kept<Alias>>
  readonly #unknown: LruMap<Kept<null>>
  /** Why the truth's aliases are not used, so that requests for them do not read every store each time. */
  readonly #refused: LruMap<Kept<VergeError>>
  readonly #manifests: LruMap<Manifest>
  /** Canaries that were taken out, as this isolate was told. */
  readonly #stops: LruMap<CanaryStop>
  #list: Kept<readonly Alias[]> | undefined

  constructor(layers: readonly Store[], options: CatalogReaderOptions) {
    const truth = layers.at(-1)
    if (truth === undefined) throw new RangeError('A catalogue needs at least one store.')
    this.#layers = layers
    this.#truth = truth
    this.#options = options
    this.#limits = options.limits
    this.#aliases = new LruMap(this.#limits.aliasesCached)
    this.#unknown = new LruMap(this.#limits.unknownModelsCached)
    this.#refused = new LruMap(this.#limits.aliasesCached)
    this.#manifests = new LruMap(this.#limits.manifestsCached)
    this.#stops = new LruMap(this.#limits.aliasesCached)
  }

  /**
   * A model's alias, at most `aliasTtlMs` older than the nearest store's; null if there is no such model.
   * @throws alias_invalid, signature_invalid, release_outdated, store_unavailable, cancelled, deadline_exceeded
   */
  async alias(model: string, signal?: AbortSignal): Promise<Alias | null> {
    throwIfAborted(signal)
    if (!MODEL_NAME.test(model)) return null
    const known = this.#aliases.get(model)
    if (known !== undefined && this.#isFresh(known) && !this.#options.releases?.hasEnded(known.value))
      return known.value
    const refused = this.#refused.get(model)
    if (refused !== undefined && this.#isFresh(refused)) throw refused.value
    const unknown = this.#unknown.get(model)
    if (unknown !== undefined && this.#isFresh(unknown)) return null

    const alias = await this.#readAlias(model, known?.value, signal).catch((error: unknown) => {
      const lasting = isVergeError(error, 'signature_invalid') || isVergeError(error, 'release_outdated')
      if (lasting) this.#refused.set(model, this.#keep(error))
      throw error
    })
    this.#refused.delete(model)
    if (alias === null) {
      this.#aliases.delete(model)
      this.#unknown.set(model, this.#keep(null))
    } else {
      this.#unknown.delete(model)
      this.#aliases.set(model, this.#keep(alias))
    }
    return alias
  }

  /**
   * Takes a canary out before the stores say so. Where another generation is read meanwhile, the stop means nothing.
   */
  stop(model: string, stop: CanaryStop): void {
    this.#stops.set(model, stop)
    const known = this.#aliases.get(model)
    if (known !== undefined) this.#aliases.set(model, { ...known, value: stoppedBy(known.value, stop) })
  }

  /**
   * The manifest of a version. Its bytes must have the digest in the alias.
   * @throws manifest_invalid, store_unavailable, cancelled, deadline_exceeded
   */
  async manifest(model: string, version: string, digest: string, signal?: AbortSignal): Promise<Manifest> {
    throwIfAborted(signal)
    // the names are part of the key: one digest named by two models' aliases must not pass for the other's
    const cacheKey = `${digest} ${model}/${version}`
    const cached = this.#manifests.get(cacheKey)
    if (cached !== undefined) return cached
    const manifest =
      MODEL_NAME.test(model) && VERSION_NAME.test(version)
        ? await this.#fromLayers(manifestKey(model, version), this.#limits.manifestBytes, signal, async (bytes) => {
            const found = await sha256Hex(this.#options.sha256, bytes)
            if (found === digest) return parseManifest(bytes, model, version)
            throw new VergeError(
              'manifest_invalid',
              `The manifest of model "${model}", version "${version}", differs from the published manifest: its digest ` +
                'does not match. Push this version again, or roll back to another.',
              { details: { model, version, expected: digest, found } },
            )
          })
        : null
    if (manifest === null) {
      throw new VergeError(
        'manifest_invalid',
        `The manifest of model "${model}", version "${version}", is missing in every store. Push this version again, or roll ` +
          'back to another.',
        { details: { model, version } },
      )
    }
    this.#manifests.set(cacheKey, manifest)
    return manifest
  }

  /** Manifests that are kept, so those of the versions that were asked for last. */
  kept(): readonly Manifest[] {
    return [...this.#manifests.values()]
  }

  /**
   * Every model's alias in the source of truth, by name. Unreadable aliases are reported and left out.
   * @throws store_unavailable, cancelled, deadline_exceeded
   */
  async list(signal?: AbortSignal): Promise<readonly Alias[]> {
    throwIfAborted(signal)
    if (this.#list !== undefined && this.#isFresh(this.#list)) return this.#list.value
    const models = await this.#listModels(signal)
    const aliases: (Alias | null)[] = models.map(() => null)
    let next = 0
    const readInTurn = async (): Promise<void> => {
      while (next < models.length) {
        const index = next++
        aliases[index] = await this.#listed(models[index] ?? '', signal)
      }
    }
    await Promise.all(Array.from({ length: this.#limits.parallelFetches }, readInTurn))
    const found = aliases.filter((alias) => alias !== null)
    this.#list = this.#keep(found)
    return found
  }

  async #listModels(signal?: AbortSignal): Promise<string[]> {
    const models: string[] = []
    let cursor: string | undefined
    do {
      const page = await this.#truth.list(ALIAS_PREFIX, { cursor, signal })
      models.push(...page.keys.map((key) => key.slice(ALIAS_PREFIX.length)).filter((name) => MODEL_NAME.test(name)))
      cursor = page.cursor
    } while (cursor !== undefined && models.length < this.#limits.modelsListed)
    if (models.length > this.#limits.modelsListed || cursor !== undefined) {
      this.#options.logger.warn('list_truncated', { limit: this.#limits.modelsListed })
    }
    return models.slice(0, this.#limits.modelsListed)
  }

  async #listed(model: string, signal?: AbortSignal): Promise<Alias | null> {
    try {
      return await this.#fromStore(this.#truth, aliasKey(model), this.#limits.aliasBytes, signal, (bytes) =>
        this.#checkedAlias(bytes, model, false, signal),
      )
    } catch (error) {
      if (!isVergeError(error) || !OF_A_RECORD.some((code) => code === error.code)) throw error
      this.#options.logger.error(error.code, { model, error })
      return null
    }
  }

  /** @param ask whether what remembers generations beyond this process has to be asked, too */
  async #checkedAlias(bytes: Uint8Array, model: string, ask: boolean, signal: AbortSignal | undefined): Promise<Alias> {
    const value = aliasJson(bytes, model)
    const alias = checkAlias(value, model)
    const { generation } = alias
    await this.#options.releases?.admit({ model, bytes, value, generation }, { ask, signal })
    return stoppedBy(alias, this.#stops.get(model))
  }

  async #readAlias(model: string, known: Alias | undefined, signal?: AbortSignal): Promise<Alias | null> {
    return this.#fromLayers(aliasKey(model), this.#limits.aliasBytes, signal, async (bytes, store) => {
      const alias = await this.#checkedAlias(bytes, model, true, signal)
      if (store !== this.#truth && known !== undefined && isOlder(alias, known)) {
        // KV may return an older value than before, which must undo neither a release nor the stop of a canary
        throw new VergeError('alias_invalid', `The copy of the alias of model "${model}" is out of date.`)
      }
      return alias
    })
  }

  /** The first layer's value that `parse` accepts; null if the truth has none. */
  async #fromLayers<T>(
    key: string,
    maxBytes: number,
    signal: AbortSignal | undefined,
    parse: (bytes: Uint8Array, store: Store) => Promise<T>,
  ): Promise<T | null> {
    for (const store of this.#layers) {
      try {
        const value = await this.#fromStore(store, key, maxBytes, signal, parse)
        if (value !== null) return value
      } catch (error) {
        const passable =
          isVergeError(error, 'store_unavailable') ||
          (isVergeError(error) && OF_A_RECORD.some((code) => code === error.code))
        if (!passable || store === this.#truth) throw error
        this.#options.logger.warn('copy_unusable', { store: store.name, key, error })
      }
    }
    return null
  }

  async #fromStore<T>(
    store: Store,
    key: string,
    maxBytes: number,
    signal: AbortSignal | undefined,
    parse: (bytes: Uint8Array, store: Store) => Promise<T>,
  ): Promise<T | null> {
    const found = await store.get(key, { signal })
    if (found === null) return null
    const bytes = await readAtMost(found.body, maxBytes, signal)
    if (bytes !== null) return parse(bytes, store)
    const code = key.startsWith(ALIAS_PREFIX) ? 'alias_invalid' : 'manifest_invalid'
    throw new VergeError(code, `A record of the catalogue is larger than ${maxBytes} bytes. Push the model again.`)
  }

  #keep<T>(value: T): Kept<T> {
    return { value, until: this.#options.clock.now() + this.#limits.aliasTtlMs }
  }

  #isFresh(kept: Kept<unknown>): boolean {
    return this.#options.clock.now() < kept.until
  }
}

/** An alias that the stores have as it was before a stop. */
function stoppedBy(alias: Alias, stop: CanaryStop | undefined): Alias {
  return stop === undefined || alias.canary === undefined ? alias : inForce({ ...alias, stopped: stop })
}

/** A release that was stopped is newer than the same release before. */
function isOlder(alias: Alias, known: Alias): boolean {
  if (alias.generation !== known.generation) return alias.generation < known.generation
  return alias.stopped === undefined && known.stopped !== undefined
}
