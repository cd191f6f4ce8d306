import { throwIfAborted } from '../../core/errors.ts'
import { LruMap } from '../../core/lru.ts'
import type { BlobInfo } from '../../weights/blob.ts'
import { inLanes } from '../../weights/lanes.ts'
import type { PageLayer, PageSink, WantedPage } from '../../weights/pages/page-layer.ts'
import { pageName } from './kept.ts'
import type { WeightsLimits } from './limits.ts'
import type { Owner, Shelf } from './shelf.ts'

export interface KeptPagesOptions {
  readonly shelf: Shelf
  /** Whose a file of pages is. */
  readonly owner: (sha256: string) => Owner | undefined
  readonly onUnkept: (owner: Owner, cause: unknown) => void
  readonly limits: Pick<WeightsLimits, 'heldPageBytes' | 'parallelFetches'>
}

/** Pages that earlier runs needed: in memory, and in storage for later visits. */
export class KeptPages implements PageLayer {
  readonly name = 'kept'
  readonly #options: KeptPagesOptions
  readonly #held: LruMap<Uint8Array>

  constructor(options: KeptPagesOptions) {
    this.#options = options
    this.#held = new LruMap(options.limits.heldPageBytes, ({ length }) => length)
  }

  async read(file: BlobInfo, pages: readonly WantedPage[], sink: PageSink, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    const { limits, shelf } = this.#options
    const readOne = async (page: WantedPage, inner: AbortSignal): Promise<void> => {
      const name = pageName(file.sha256, page)
      const held = this.#held.get(name)
      const bytes = held ?? (await shelf.read(name, page.bytes))
      if (bytes === null) return sink.fault(page, { kind: 'missing' })
      // The beginning of a page that was being written when the tab was closed.
      if (bytes.length < page.bytes) return sink.fault(page, { kind: 'short', bytes: bytes.length })
      if (held === undefined) this.#held.set(name, bytes)
      await sink.found(page, bytes, inner)
    }
    await inLanes(pages, limits.parallelFetches, readOne, signal)
  }

  /** Keeps a page that was verified. */
  async keep(file: string, page: Pick<WantedPage, 'bytes' | 'offset'>, bytes: Uint8Array): Promise<void> {
    const { onUnkept, owner: ownerOf, shelf } = this.#options
    const name = pageName(file, page)
    this.#held.set(name, bytes.slice())
    const owner = ownerOf(file)
    if (owner === undefined) return
    try {
      const writer = await shelf.write({ name, sha256: file, bytes: page.bytes }, owner, 0)
      await writer?.append(bytes)
      await writer?.close(true)
    } catch (cause) {
      onUnkept(owner, cause)
    }
  }

  /** Forgets a page whose bytes are damaged. */
  async forget(file: string, page: Pick<WantedPage, 'bytes' | 'offset'>): Promise<void> {
    this.#held.delete(pageName(file, page))
    await this.#options.shelf.remove(pageName(file, page))
  }
}
