import { throwIfAborted } from '../../core/errors.ts'
import { LruMap } from '../../core/lru.ts'
import type { BlobInfo } from '../../weights/blob.ts'
import { inLanes } from '../../weights/lanes.ts'
import type { PageLayer, PageSink, WantedPage } from '../../weights/pages/page-layer.ts'
import { type NamedFile, pageName, writeWhole } from './kept.ts'
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
  /** Files of pages that the index knows of. */
  readonly #noted = new Set<string>()
  #writing: Promise<void> = Promise.resolve()

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

  /** Keeps a page that was verified, in the background: the run that needs it does not wait. */
  keep(file: string, page: Pick<WantedPage, 'bytes' | 'offset'>, bytes: Uint8Array): void {
    const name = pageName(file, page)
    // It came from here.
    if (this.#held.get(name) !== undefined) return
    const copy = bytes.slice()
    this.#held.set(name, copy)
    this.#later(() => this.#store({ name, sha256: file, bytes: page.bytes }, copy))
  }

  /** Forgets a page whose bytes are damaged. */
  forget(file: string, page: Pick<WantedPage, 'bytes' | 'offset'>): void {
    const name = pageName(file, page)
    this.#held.delete(name)
    this.#later(() => this.#options.shelf.remove(name))
  }

  /** Resolves once all that was to be kept is. */
  get settled(): Promise<void> {
    return this.#writing
  }

  async #store(file: NamedFile, bytes: Uint8Array): Promise<void> {
    const { onUnkept, owner: ownerOf, shelf } = this.#options
    const owner = ownerOf(file.sha256)
    if (owner === undefined) return
    try {
      if (!this.#noted.has(file.sha256)) await shelf.used(owner, [file.sha256])
      this.#noted.add(file.sha256)
      await writeWhole(await shelf.write(file, owner, 0), bytes)
    } catch (cause) {
      // Unlike that of a chunk, the beginning of a page is of no use.
      await shelf.remove(file.name)
      onUnkept(owner, cause)
    }
  }

  /** One after the other: a text may need hundreds of pages. */
  #later(work: () => Promise<void>): void {
    this.#writing = this.#writing.then(work).catch(() => {})
  }
}
