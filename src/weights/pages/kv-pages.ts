import { throwIfAborted } from '../../core/errors.ts'
import { type Limits, PLATFORM } from '../../core/limits.ts'
import { LruMap } from '../../core/lru.ts'
import type { Clock } from '../../core/runtime.ts'
import type { BlobInfo } from '../blob.ts'
import { asked } from '../body.ts'
import { inLanes } from '../lanes.ts'
import { guardAgainstStall } from '../stall.ts'
import { base64Length, bytesOfBase64 } from './base64.ts'
import { batchesOf, pageKey } from './layout.ts'
import type { PageFault, PageLayer, PageSink, WantedPage } from './page-layer.ts'

/** KV's bulk read, of texts alone: one operation for up to 100 keys. */
export interface KvBulkLike {
  get(keys: string[], options: { type: 'text'; cacheTtl: number }): Promise<Map<string, string | null>>
}

export interface KvPagesOptions {
  readonly name?: string
  readonly clock: Clock
  readonly limits: Pick<Limits, 'pageBulkBytes' | 'pageCopyRestMs' | 'pageCopyWaitMs' | 'parallelFetches'>
}

/** Files of which it is remembered whether they have copies. */
const FILES = 64
/** Pages that are missing together: fewer may not have arrived yet. */
const LEAST_MISSING = 4

/**
 * Copies of pages in KV, as base64: a bulk read takes texts alone. It answers for all pages of a usual request at once, and
 * opens none of the connections of which a request has six. Files that turn out to have no copies, because a push left them out,
 * are not looked for again for a while: KV bills each miss, and a request would wait for them.
 */
export class KvPages implements PageLayer {
  readonly name: string
  readonly #namespace: KvBulkLike
  readonly #options: KvPagesOptions
  /** Files that have copies, and files that have none, with the time until when that is believed. */
  readonly #files = new LruMap<'copied' | number>(FILES)

  constructor(namespace: KvBulkLike, options: KvPagesOptions) {
    this.name = options.name ?? 'kv'
    this.#namespace = namespace
    this.#options = options
  }

  async read(file: BlobInfo, pages: readonly WantedPage[], sink: PageSink, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    const known = this.#files.get(file.sha256)
    if (typeof known === 'number' && known > this.#options.clock.now()) {
      for (const page of pages) sink.fault(page, { kind: 'missing' })
      return
    }
    const { parallelFetches, pageBulkBytes } = this.#options.limits
    const readBatch = (batch: readonly WantedPage[], inner: AbortSignal) => this.#readBatch(file, batch, sink, inner)
    const batches = [...batchesOf(pages, PLATFORM.kvBulkKeys, pageBulkBytes)]
    await inLanes(batches, parallelFetches, readBatch, signal)
  }

  async #readBatch(file: BlobInfo, pages: readonly WantedPage[], sink: PageSink, signal: AbortSignal): Promise<void> {
    const values = await this.#valuesOf(file, pages, signal)
    this.#note(file, values)
    for (const page of pages) {
      const content = values instanceof Map ? contentOf(values.get(pageKey(file.sha256, page)), page) : values
      if (content instanceof Uint8Array) await sink.found(page, content, signal)
      else sink.fault(page, content)
    }
  }

  #note(file: BlobInfo, values: Map<string, unknown> | PageFault): void {
    if (!(values instanceof Map)) return
    const { clock, limits } = this.#options
    if ([...values.values()].some((value) => value !== null)) this.#files.set(file.sha256, 'copied')
    // a push may have copied some pages, and been refused the others
    else if (values.size >= LEAST_MISSING && this.#files.get(file.sha256) !== 'copied')
      this.#files.set(file.sha256, clock.now() + limits.pageCopyRestMs)
  }

  async #valuesOf(
    file: BlobInfo,
    pages: readonly WantedPage[],
    signal: AbortSignal,
  ): Promise<Map<string, unknown> | PageFault> {
    const { clock, limits } = this.#options
    const guard = guardAgainstStall(signal, clock, limits.pageCopyWaitMs)
    const keys = [...new Set(pages.map((page) => pageKey(file.sha256, page)))]
    const options = { type: 'text', cacheTtl: PLATFORM.kvImmutableTtlSeconds } as const
    try {
      const answer: unknown = await asked(this.name, async () => this.#namespace.get(keys, options), guard.signal)
      // a namespace without bulk reads takes the keys for one, and answers null
      return answer instanceof Map ? answer : { kind: 'malformed' }
    } catch (cause) {
      throwIfAborted(signal)
      return guard.stalled() ? { kind: 'stalled' } : { kind: 'unavailable', cause }
    } finally {
      guard.stop()
    }
  }
}

function contentOf(text: unknown, page: WantedPage): Uint8Array | PageFault {
  if (text === null || text === undefined) return { kind: 'missing' }
  if (typeof text !== 'string') return { kind: 'malformed' }
  const length = base64Length(page.bytes)
  if (text.length > length) return { kind: 'long' }
  if (text.length < length) return { kind: 'short', bytes: Math.floor((text.length * 3) / 4) }
  return bytesOfBase64(text, page.bytes) ?? { kind: 'malformed' }
}
