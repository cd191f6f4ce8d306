import { throwIfAborted, VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Clock, Logger, Sha256Factory } from '../../core/runtime.ts'
import { sha256Hex } from '../../core/sha256.ts'
import type { PageInfo, PageSource } from '../../engine/engine.ts'
import { type BlobInfo, checkBlob } from '../blob.ts'
import { faultError, isTransient } from '../fault.ts'
import type { PageFault, PageLayer, WantedPage } from './page-layer.ts'

/** An unusable copy of a page in a store, for logs and repairs. */
export interface PageReport {
  readonly store: string
  readonly page: PageInfo
  readonly fault: PageFault
}

export interface PageLoaderOptions {
  readonly sha256: Sha256Factory
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Pick<Limits, 'chunkBytes' | 'chunkRetryPauseMs' | 'pageBytes'>
  readonly report?: (report: PageReport) => void
}

type Use = (index: number, bytes: Uint8Array) => void
type Faulty = readonly (readonly [WantedPage, PageFault])[]

/**
 * Reads pages of embedding tables from layers, nearest first, the truth last. Each page is verified by its SHA-256, which the
 * artifact has; pages whose copy is missing, damaged, late or unavailable are reported, and read together from the next layer.
 * Keeps nothing between calls.
 */
export class PageLoader {
  readonly #layers: readonly PageLayer[]
  readonly #options: PageLoaderOptions

  constructor(layers: readonly PageLayer[], options: PageLoaderOptions) {
    this.#layers = layers
    this.#options = options
  }

  /**
   * The pages in a file. Its size is bounded by the stores alone: a run holds few of them.
   * @throws manifest_invalid if the file's declaration is invalid
   */
  source(file: BlobInfo): PageSource {
    checkBlob(file, { ...this.#options.limits, artifactBytes: Number.POSITIVE_INFINITY })
    return { bytes: file.bytes, read: (pages, use, signal) => this.#read(file, pages, use, signal) }
  }

  async #read(file: BlobInfo, pages: readonly PageInfo[], use: Use, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    const { clock, limits } = this.#options
    for (const page of pages) this.#assertWithin(file, page)
    let left = pages.map((page, index): WantedPage => ({ ...page, index }))
    let faulty: Faulty = []
    for (const layer of this.#layers) {
      if (left.length === 0) return
      faulty = await this.#readFrom(layer, file, left, use, signal)
      left = faulty.map(([page]) => page)
    }
    const truth = this.#layers.at(-1)
    if (truth !== undefined && faulty.length > 0 && faulty.every(([, fault]) => isTransient(fault))) {
      await clock.sleep(limits.chunkRetryPauseMs, signal)
      faulty = await this.#readFrom(truth, file, left, use, signal)
    }
    const [first] = faulty
    if (first !== undefined) throw failure(...first)
  }

  /** @returns pages that the layer did not have, or not as they should be */
  async #readFrom(
    layer: PageLayer,
    file: BlobInfo,
    pages: readonly WantedPage[],
    use: Use,
    signal: AbortSignal,
  ): Promise<Faulty> {
    const faulty: [WantedPage, PageFault][] = []
    const fault = (page: WantedPage, fault: PageFault): void => {
      faulty.push([page, fault])
      const { offset, bytes, sha256 } = page
      this.#options.report?.({ store: layer.name, page: { offset, bytes, sha256 }, fault })
    }
    const sink = {
      fault,
      found: async (page: WantedPage, bytes: Uint8Array, inner: AbortSignal): Promise<void> => {
        const sha256 = await sha256Hex(this.#options.sha256, bytes)
        throwIfAborted(inner)
        if (sha256 === page.sha256) use(page.index, bytes)
        else fault(page, { kind: 'corrupt', sha256 })
      },
    }
    await layer.read(file, pages, sink, signal)
    this.#log(layer, file, faulty)
    return faulty
  }

  /** A line for each kind of fault: a layer without any copies would else fill the log. */
  #log(layer: PageLayer, { sha256 }: BlobInfo, faulty: Faulty): void {
    const kinds = Map.groupBy(faulty, ([, { kind }]) => kind)
    for (const [kind, all] of kinds) {
      // a copy is a cache, and its absence is not news
      const level = kind === 'missing' && layer !== this.#layers.at(-1) ? 'info' : 'warn'
      const offset = all[0]?.[0].offset
      this.#options.logger[level]('pages_unusable', {
        store: layer.name,
        file: sha256,
        fault: kind,
        count: all.length,
        offset,
      })
    }
  }

  /** @throws manifest_invalid before anything is allocated for the page */
  #assertWithin(file: BlobInfo, { offset, bytes }: PageInfo): void {
    const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(bytes)
    if (whole && offset >= 0 && bytes > 0 && bytes <= this.#options.limits.pageBytes && offset + bytes <= file.bytes)
      return
    throw new VergeError(
      'manifest_invalid',
      `The weights name a page of ${bytes} bytes at byte ${offset}, which their file of pages does not have. Pack this version again.`,
    )
  }
}

function failure({ offset, sha256 }: WantedPage, fault: PageFault): VergeError {
  return faultError(fault, `The page at byte ${offset} of the weights' pages (sha256 ${sha256})`, { sha256, offset })
}
