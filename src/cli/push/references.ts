import { parseManifest } from '../../catalog/parse.ts'
import { blobsOf } from '../../catalog/servable.ts'
import { isVergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { ChunkInfo } from '../../weights/blob.ts'
import { readAtMost } from '../../weights/body.ts'
import type { Store } from '../../weights/store.ts'
import { inParallel } from './pool.ts'

export const MANIFEST_PREFIX = 'manifest/'

/** Every key of a store that begins with `prefix`. */
export async function allKeys(store: Store, prefix: string, signal?: AbortSignal): Promise<string[]> {
  const keys: string[] = []
  let cursor: string | undefined
  do {
    const page = await store.list(prefix, { cursor, signal })
    keys.push(...page.keys)
    cursor = page.cursor
  } while (cursor !== undefined)
  return keys
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
 * Who needs which chunks, by every manifest in the bucket: of versions that are live, of those that are not, and of those
 * that are just being pushed and are in no alias yet.
 */
export class References {
  readonly #truth: Store
  readonly #signal: AbortSignal
  /** Digests of chunks and of files of pages by the manifest's key; null where it cannot be read. */
  readonly #manifests = new Map<string, ReadonlySet<string> | null>()

  constructor(truth: Store, signal: AbortSignal) {
    this.#truth = truth
    this.#signal = signal
  }

  /** Looks again for what has come and gone; manifests never change, so each is read once. @throws store_unavailable */
  async refresh(): Promise<void> {
    const keys = await allKeys(this.#truth, MANIFEST_PREFIX, this.#signal)
    const present = new Set(keys)
    for (const key of this.#manifests.keys()) if (!present.has(key)) this.#manifests.delete(key)
    const read = async (key: string): Promise<void> => {
      const [model = '', version = ''] = key.slice(MANIFEST_PREFIX.length).split('/')
      const bytes = await readManifestRecord(this.#truth, key, LIMITS.manifestBytes, this.#signal)
      const named = namedIn(bytes, model, version)
      this.#manifests.set(key, named && new Set([...named.chunks.map(({ sha256 }) => sha256), ...named.pages]))
    }
    const fresh = keys.filter((key) => !this.#manifests.has(key))
    await inParallel(fresh, LIMITS.parallelFetches, read, this.#signal)
  }

  /** Whether the bucket lists a manifest under this key. */
  lists(key: string): boolean {
    return this.#manifests.has(key)
  }

  /** Keys of manifests, `except` those, that name a chunk or a file of pages; or that might, because they cannot be read. */
  holders(sha256: string, except: ReadonlySet<string> = new Set()): string[] {
    return [...this.#manifests].flatMap(([key, named]) =>
      !except.has(key) && (named === null || named.has(sha256)) ? [key] : [],
    )
  }

  /** Keys of manifests that cannot be read, `except` those. */
  unreadable(except: ReadonlySet<string> = new Set()): string[] {
    return [...this.#manifests].flatMap(([key, named]) => (named === null && !except.has(key) ? [key] : []))
  }
}
