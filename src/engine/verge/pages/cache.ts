import { LruMap } from '../../../core/lru.ts'

/** What an entry takes beside its bytes: objects and the text of its key. */
const ENTRY_BYTES = 256

/**
 * Pages that were read and verified, by their SHA-256, up to a number of bytes: whoever was used longest ago goes first. They
 * are of no model: one that is loaded again, or another version of it, finds those that it shares.
 */
export class PageCache {
  readonly #maxBytes: number
  readonly #pages: LruMap<Uint8Array>

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#pages = new LruMap(maxBytes, bytesOf)
  }

  /** @param bytes of the page: one of another length is none */
  get(sha256: string, bytes: number): Uint8Array | undefined {
    const page = this.#pages.get(sha256)
    return page?.length === bytes ? page : undefined
  }

  /** Keeps a copy. */
  keep(sha256: string, page: Uint8Array): void {
    if (bytesOf(page) <= this.#maxBytes) this.#pages.set(sha256, page.slice())
  }
}

function bytesOf({ length }: Uint8Array): number {
  return length + ENTRY_BYTES
}
