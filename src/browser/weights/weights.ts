import { isVergeError, throwIfAborted, VergeError } from '../../core/errors.ts'
import { type Clock, type Logger, silentLogger } from '../../core/runtime.ts'
import { sha256Hex } from '../../core/sha256.ts'
import type { ByteSource, PageSource } from '../../engine/engine.ts'
import { type BlobInfo, type ChunkInfo, checkBlob } from '../../weights/blob.ts'
import { bodyOf, byteReader, unavailable } from '../../weights/body.ts'
import { inLanes } from '../../weights/lanes.ts'
import { PageLoader } from '../../weights/pages/page-loader.ts'
import { StorePages } from '../../weights/pages/store-pages.ts'
import type { GetOptions, StoredValue } from '../../weights/store.ts'
import { downloadChunk } from './download.ts'
import { type BlobAddress, type Fetch, type WeightsCredentials, WeightsHttp } from './http.ts'
import { chunkName, type KeptFiles, StorageFull } from './kept.ts'
import { KeptPages } from './kept-pages.ts'
import type { WeightsLimits } from './limits.ts'
import type { Locks } from './locks.ts'
import { IncrementalSha256 } from './sha256.ts'
import { type Owner, Shelf, type ShelfOptions, type StorageUsage } from './shelf.ts'
import { ShelfIndex } from './shelf-index.ts'

/** What happened to weights that the page may want to tell: none of it fails an answer. */
export type WeightsEvent =
  /** There is no room, or storage is not allowed: the model stays in memory, and is downloaded again on the next visit. */
  | { readonly type: 'not-kept'; readonly model: string; readonly reason: string }
  /** What was stored had other bytes than its name says. It was removed, and is downloaded again. */
  | { readonly type: 'damaged'; readonly model: string }

/** A version whose blobs may be read. */
export interface WeightsOwner extends Owner {
  /** Requests name the version: it need not be live. */
  readonly pinned: boolean
}

export interface WeightsOptions extends Pick<ShelfOptions, 'estimate' | 'quotaBytes'> {
  readonly base: string
  readonly credentials?: WeightsCredentials | undefined
  readonly fetch: Fetch
  readonly files: KeptFiles
  readonly locks: Locks
  readonly clock: Clock
  readonly random: () => number
  readonly limits: WeightsLimits
  readonly logger?: Logger
  /** SHA-256 of bytes in memory, where the browser has one: it takes a tenth of the time. */
  readonly digest?: ((bytes: Uint8Array<ArrayBuffer>) => Promise<string>) | undefined
  readonly onEvent: (event: WeightsEvent) => void
  /** Bytes that have come, of a version. */
  readonly onBytes: (owner: Owner, bytes: number, from: 'network' | 'storage') => void
}

type Write = (offset: number, data: Uint8Array) => void

/** Weights of models over HTTP: verified, and kept for later visits. */
export class BrowserWeights {
  readonly #options: WeightsOptions
  readonly #http: WeightsHttp
  readonly #shelf: Shelf
  readonly #keptPages: KeptPages
  /** Of which version a blob is, by its SHA-256. */
  readonly #owners = new Map<string, WeightsOwner>()
  readonly #unkeptModels = new Set<string>()
  /** Ends the downloads of a version. */
  readonly #stops = new Map<string, AbortController>()

  constructor(options: WeightsOptions) {
    this.#options = options
    const { clock, estimate, files, limits, locks, quotaBytes } = options
    this.#http = new WeightsHttp(options)
    const index = new ShelfIndex(files, locks, limits.indexBytes)
    this.#shelf = new Shelf({ files, index, quotaBytes, clock, ...(estimate && { estimate }) })
    this.#keptPages = new KeptPages({
      shelf: this.#shelf,
      owner: (sha256) => this.#owners.get(sha256),
      onUnkept: (owner, cause) => this.#unkept(owner, cause),
      limits,
    })
  }

  /** Announces blobs of a version, so that they can be requested. */
  know(owner: WeightsOwner, blobs: readonly BlobInfo[]): void {
    for (const { chunks, sha256 } of blobs) {
      this.#owners.set(sha256, owner)
      for (const chunk of chunks) this.#owners.set(chunk.sha256, owner)
    }
  }

  /** @throws manifest_invalid, model_too_large if the blob's declaration is invalid */
  source(blob: BlobInfo): ByteSource {
    checkBlob(blob, this.#options.limits)
    return { bytes: blob.bytes, deliver: (write, signal) => this.#deliver(blob, write, signal) }
  }

  /** The pages in a file. @throws manifest_invalid if the file's declaration is invalid */
  pages(file: BlobInfo): PageSource {
    const { clock, limits, logger = silentLogger } = this.#options
    const truth = { name: 'server', get: this.#part }
    const layers = [this.#keptPages, new StorePages(truth, { clock, limits })]
    const loader = new PageLoader(layers, {
      sha256: () => new IncrementalSha256(),
      clock,
      logger,
      limits,
      report: ({ fault, page, store }) => {
        if (store === 'kept' && fault.kind === 'corrupt') this.#keptPages.forget(file.sha256, page)
      },
    })
    const source = loader.source(file)
    return {
      bytes: source.bytes,
      read: (pages, use, signal) =>
        source.read(
          pages,
          (index, bytes) => {
            use(index, bytes)
            const page = pages[index]
            if (page !== undefined) this.#keptPages.keep(file.sha256, page, bytes)
          },
          signal,
        ),
    }
  }

  /**
   * Ends the downloads of a version, because no caller waits for it any more: loads are shared, and do not end with a caller of
   * theirs. What has come is kept.
   */
  stop(owner: Owner): void {
    this.#stops.get(idOf(owner))?.abort(new VergeError('cancelled', 'No call waits for the download any more.'))
    this.#stops.delete(idOf(owner))
  }

  /** Bytes of blobs that have to be downloaded, as far as is known without reading what is kept. */
  async missing(blobs: readonly BlobInfo[]): Promise<number> {
    const all = blobs.reduce((sum, { bytes }) => sum + bytes, 0)
    const kept = await this.#shelf.bytesOf(blobs.flatMap(({ chunks }) => chunks.map((c) => ({ name: chunkName(c) }))))
    return all - kept
  }

  async usage(): Promise<StorageUsage> {
    await this.#keptPages.settled
    return this.#shelf.usage()
  }

  clear(model?: string): Promise<void> {
    return this.#shelf.clear(model)
  }

  async #deliver(blob: BlobInfo, write: Write, signal?: AbortSignal): Promise<void> {
    const owner = this.#ownerOf(blob.sha256)
    if (this.#shelf.kind === 'memory') {
      this.#unkept(owner, new StorageFull('This browser does not let the page store anything.'))
    }
    await this.#shelf.used(
      owner,
      blob.chunks.map(({ sha256 }) => sha256),
    )
    let end = 0
    const located = blob.chunks.map((chunk) => {
      const offset = end
      end += chunk.bytes
      return { chunk, offset }
    })
    const fetchOne = ({ chunk, offset }: (typeof located)[number], inner: AbortSignal): Promise<void> =>
      this.#chunk(owner, chunk, (within, data) => write(offset + within, data), inner)
    const stop = this.#stops.get(idOf(owner)) ?? new AbortController()
    this.#stops.set(idOf(owner), stop)
    const ending = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
    await inLanes(located, this.#options.limits.parallelFetches, fetchOne, ending)
  }

  async #chunk(owner: WeightsOwner, chunk: ChunkInfo, write: Write, signal: AbortSignal): Promise<void> {
    const name = chunkName(chunk)
    const kept = await this.#shelf.read(name, chunk.bytes)
    if (kept?.length === chunk.bytes && (await this.#intact(owner, chunk, kept))) return this.#hand(owner, kept, write)
    // One tab downloads it; the others find it afterwards.
    await this.#options.locks.alone(
      name,
      async () => {
        const now = (await this.#shelf.read(name, chunk.bytes)) ?? new Uint8Array()
        if (now.length === chunk.bytes && (await this.#intact(owner, chunk, now))) return this.#hand(owner, now, write)
        const beginning = now.length < chunk.bytes ? now : now.subarray(0, 0)
        await this.#download(owner, chunk, beginning, write, signal)
      },
      signal,
    )
  }

  async #download(
    owner: WeightsOwner,
    chunk: ChunkInfo,
    beginning: Uint8Array,
    write: Write,
    signal: AbortSignal,
  ): Promise<void> {
    const { bytes, sha256 } = chunk
    const file = { name: chunkName(chunk), sha256, bytes }
    let from: 'network' | 'storage' = 'storage'
    const download = {
      address: this.#address(owner, sha256),
      bytes,
      beginning,
      keep: (at: number) => this.#shelf.write(file, owner, at),
      onUnkept: (cause: unknown) => {
        this.#unkept(owner, cause)
        void this.#shelf.remove(file.name)
      },
      write: (offset: number, data: Uint8Array) => {
        write(offset, data)
        if (offset >= beginning.length) from = 'network'
        this.#options.onBytes(owner, data.length, from)
      },
      signal,
    }
    try {
      await downloadChunk(download, { ...this.#options, http: this.#http })
    } catch (error) {
      if (isVergeError(error, 'weights_corrupt')) await this.#shelf.remove(file.name)
      throw error
    }
  }

  #hand(owner: WeightsOwner, bytes: Uint8Array, write: Write): void {
    write(0, bytes)
    this.#options.onBytes(owner, bytes.length, 'storage')
  }

  async #intact(owner: WeightsOwner, chunk: ChunkInfo, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    const sha256 = await (this.#options.digest?.(bytes) ?? sha256Hex(() => new IncrementalSha256(), bytes))
    if (sha256 === chunk.sha256) return true
    await this.#shelf.remove(chunkName(chunk))
    this.#options.onEvent({ type: 'damaged', model: owner.model })
    return false
  }

  /** Once for a model: as a rule none of its chunks finds room then. */
  #unkept({ model }: Owner, cause: unknown): void {
    if (this.#unkeptModels.has(model)) return
    this.#unkeptModels.add(model)
    const reason = cause instanceof StorageFull ? cause.message : 'The browser could not store the weights.'
    this.#options.onEvent({ type: 'not-kept', model, reason })
  }

  #ownerOf(sha256: string): WeightsOwner {
    const owner = this.#owners.get(sha256)
    if (owner !== undefined) return owner
    throw new VergeError('weights_unavailable', `No model of this page has the weights ${sha256}.`)
  }

  #address({ model, pinned, version }: WeightsOwner, sha256: string): BlobAddress {
    return { model, sha256, version: pinned ? version : undefined }
  }

  /** A part of a chunk, for pages: unverified, as a store gives it. */
  readonly #part = async (key: string, { range, signal }: GetOptions = {}): Promise<StoredValue> => {
    const sha256 = key.slice(key.lastIndexOf('/') + 1)
    const owner = this.#ownerOf(sha256)
    const { length, offset = 0 } = range ?? {}
    const to = length === undefined ? undefined : offset + length
    try {
      const request = { from: offset, ...(to !== undefined && { to }), signal: signal ?? new AbortController().signal }
      const { body, from } = await this.#http.open(this.#address(owner, sha256), request)
      const part = { store: 'server', skip: offset - from, ...(length !== undefined && { take: length }), signal }
      return { bytes: length ?? 0, body: bodyOf(byteReader(body), part) }
    } catch (cause) {
      throwIfAborted(signal)
      throw isVergeError(cause) ? cause : unavailable('server', cause)
    }
  }
}

function idOf({ model, version }: Owner): string {
  return `${model}@${version}`
}
