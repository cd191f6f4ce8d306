import { parseManifest } from '../../catalog/parse.ts'
import { blobsOf } from '../../catalog/servable.ts'
import { isVergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { ChunkInfo } from '../../weights/blob.ts'
import { readAtMost } from '../../weights/body.ts'
import type { Store, StoredInfo } from '../../weights/store.ts'
import { inParallel } from './pool.ts'

export const MANIFEST_PREFIX = 'manifest/'

/** Every key of a store that begins with `prefix`. */
export async function allKeys(store: Store, prefix: string, signal?: AbortSignal): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of eachKey(store, prefix, signal)) keys.push(key)
  return keys
}

interface ListedKey {
  readonly key: string
  /** Where the store's lists tell it. */
  readonly info?: StoredInfo | undefined
}

/** The same one by one, with a page of them in memory at a time. */
export async function* eachKey(store: Store, prefix: string, signal?: AbortSignal): AsyncGenerator<ListedKey> {
  let cursor: string | undefined
  do {
    const page = await store.list(prefix, { cursor, signal })
    for (const [at, key] of page.keys.entries()) yield { key, info: page.infos?.[at] }
    cursor = page.cursor
  } while (cursor !== undefined)
}

/** A stored record of the catalogue; null if it is missing, or longer than any that Verge writes. */
export async function readManifestRecord(
  store: Store,
  key: string,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array | null> {
  const found = await store.get(key, { signal })
  return found && readAtMost(found.body, maxBytes, signal)
}

/** What a stored manifest refers to. */
export interface Named {
  readonly chunks: readonly ChunkInfo[]
  /** Digests of the files whose pages may have copies. */
  readonly pages: readonly string[]
}

/** What a stored manifest refers to; null if it cannot be read. */
export function namedIn(bytes: Uint8Array | null, model: string, version: string): Named | null {
  if (bytes === null) return null
  try {
    const manifest = parseManifest(bytes, model, version)
    // an artifact that a newer Verge stores in another way may need any chunk
    if (manifest.aside?.some(({ blobs }) => blobs === undefined)) return null
    // any blob of an artifact that a newer Verge stores may be a file of pages
    const aside = manifest.aside?.flatMap(({ blobs = [] }) => blobs) ?? []
    const pages = [...manifest.artifacts.flatMap(({ pages }) => pages ?? []), ...aside].map(({ sha256 }) => sha256)
    return { chunks: blobsOf(manifest).flatMap(({ chunks }) => chunks), pages }
  } catch (error) {
    if (isVergeError(error, 'manifest_invalid')) return null
    throw error
  }
}

/**
 * Digests of the chunks and of the files of pages that a stored manifest names; null if it cannot be read.
 * @param prefix what stands before `<model>/<version>` in its key
 */
export async function digestsNamed(
  store: Store,
  key: string,
  prefix: string,
  signal?: AbortSignal,
): Promise<ReadonlySet<string> | null> {
  const [model = '', version = ''] = key.slice(prefix.length).split('/')
  const bytes = await readManifestRecord(store, key, LIMITS.manifestBytes, signal)
  const named = namedIn(bytes, model, version)
  return named && new Set([...named.chunks.map(({ sha256 }) => sha256), ...named.pages])
}

interface Held {
  readonly etag: string | undefined
  /** Null if the manifest cannot be read. */
  readonly digests: ReadonlySet<string> | null
}

/**
 * Who needs which chunks, by every manifest in the bucket: of versions that are live, of those that are not, and of those
 * that are just being pushed and are in no alias yet.
 */
export class References {
  readonly #truth: Store
  readonly #signal: AbortSignal
  /** By the manifest's key. */
  readonly #manifests = new Map<string, Held>()

  constructor(truth: Store, signal: AbortSignal) {
    this.#truth = truth
    this.#signal = signal
  }

  /**
   * Looks again for what has come and gone. A manifest is read once, unless its etag says that another one has taken its
   * place. @throws store_unavailable
   */
  async refresh(): Promise<void> {
    const present = new Map<string, string | undefined>()
    for await (const { key, info } of eachKey(this.#truth, MANIFEST_PREFIX, this.#signal)) present.set(key, info?.etag)
    for (const key of this.#manifests.keys()) if (!present.has(key)) this.#manifests.delete(key)
    const read = async ([key, etag]: readonly [string, string | undefined]): Promise<void> => {
      this.#manifests.set(key, { etag, digests: await digestsNamed(this.#truth, key, MANIFEST_PREFIX, this.#signal) })
    }
    const fresh = [...present].filter(([key, etag]) => {
      const known = this.#manifests.get(key)
      return known === undefined || etag === undefined || known.etag !== etag
    })
    await inParallel(fresh, LIMITS.parallelFetches, read, this.#signal)
  }

  /** Whether the bucket lists a manifest under this key. */
  lists(key: string): boolean {
    return this.#manifests.has(key)
  }

  /** Keys of manifests, `except` those, that name a chunk or a file of pages; or that might, because they cannot be read. */
  holders(sha256: string, except: ReadonlySet<string> = new Set()): string[] {
    return [...this.#manifests].flatMap(([key, { digests }]) =>
      !except.has(key) && (digests === null || digests.has(sha256)) ? [key] : [],
    )
  }

  /** Keys of manifests that cannot be read, `except` those. */
  unreadable(except: ReadonlySet<string> = new Set()): string[] {
    return [...this.#manifests].flatMap(([key, { digests }]) => (digests === null && !except.has(key) ? [key] : []))
  }

  /** Every chunk and file of pages that a readable manifest names. */
  named(): Set<string> {
    return new Set([...this.#manifests.values()].flatMap(({ digests }) => [...(digests ?? [])]))
  }
}
