/** What an entry takes beside its bytes: objects and the text of its key. */
const ENTRY_BYTES = 256

/**
 * Pages that were read and verified, by their SHA-256, up to a number of bytes: whoever was used longest ago goes first. They
 * are of no model: one that is loaded again, or another version of it, finds those that it shares.
 */
export class PageCache {
  readonly #maxBytes: number
  /** The first was used longest ago. */
  readonly #pages = new Map<string, Uint8Array>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** @param bytes of the page: one of another length is none */
  get(sha256: string, bytes: number): Uint8Array | undefined {
    const page = this.#pages.get(sha256)
    if (page === undefined || page.length !== bytes) return undefined
    this.#pages.delete(sha256)
    this.#pages.set(sha256, page)
    return page
  }

  /** Keeps a copy. */
  keep(sha256: string, page: Uint8Array): void {
    const bytes = page.length + ENTRY_BYTES
    if (bytes > this.#maxBytes || this.#pages.has(sha256)) return
    for (const [key, oldest] of this.#pages) {
      if (this.#bytes + bytes <= this.#maxBytes) break
      this.#pages.delete(key)
      this.#bytes -= oldest.length + ENTRY_BYTES
    }
    this.#pages.set(sha256, page.slice())
    this.#bytes += bytes
  }
}
