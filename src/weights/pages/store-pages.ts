import { isVergeError, throwIfAborted } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { type Clock, untilAborted } from '../../core/runtime.ts'
import { type BlobInfo, blobKey } from '../blob.ts'
import { forEachPiece } from '../body.ts'
import { inLanes } from '../lanes.ts'
import { guardAgainstStall } from '../stall.ts'
import type { Store } from '../store.ts'
import type { PageFault, PageLayer, PageSink, WantedPage } from './page-layer.ts'
import { type PagePart, type PageRange, rangesOf } from './page-ranges.ts'

export interface StorePagesOptions {
  readonly clock: Clock
  readonly limits: Pick<Limits, 'chunkStallMs' | 'pageGapBytes' | 'pageRangeBytes' | 'parallelFetches'>
}

/** Parts of a page that lies in more than one range. */
interface Assembly {
  readonly bytes: Uint8Array
  missing: number
}

/** Pages in the chunks of their file, read by range from any store: the truth. */
export class StorePages implements PageLayer {
  readonly #store: Pick<Store, 'name' | 'get'>
  readonly #options: StorePagesOptions

  constructor(store: Pick<Store, 'name' | 'get'>, options: StorePagesOptions) {
    this.#store = store
    this.#options = options
  }

  get name(): string {
    return this.#store.name
  }

  read(file: BlobInfo, pages: readonly WantedPage[], sink: PageSink, signal: AbortSignal): Promise<void> {
    const { limits } = this.#options
    const ranges = rangesOf(file.chunks, pages, limits)
    const assemblies = new Map<WantedPage, Assembly>()
    const faulty = new Set<WantedPage>()
    const readRange = async (range: PageRange, inner: AbortSignal): Promise<void> => {
      const { bytes, fault } = await this.#bytesOf(range, inner)
      for (const part of range.parts) {
        if (faulty.has(part.page)) continue
        const from = part.from - range.from
        if (from + part.bytes > bytes.length) {
          faulty.add(part.page)
          assemblies.delete(part.page)
          sink.fault(part.page, fault)
          continue
        }
        const whole = wholePage(assemblies, part, bytes.subarray(from, from + part.bytes))
        if (whole !== undefined) await sink.found(part.page, whole, inner)
      }
    }
    return inLanes(ranges, limits.parallelFetches, readRange, signal)
  }

  /** The beginning of a range, as much as there is, and why there is no more. */
  async #bytesOf(
    { sha256, from, to }: PageRange,
    signal: AbortSignal,
  ): Promise<{ readonly bytes: Uint8Array; readonly fault: PageFault }> {
    const { clock, limits } = this.#options
    const guard = guardAgainstStall(signal, clock, limits.chunkStallMs)
    const range = { offset: from, length: to - from }
    const bytes = new Uint8Array(range.length)
    let received = 0
    const only = (fault: PageFault) => ({ bytes: bytes.subarray(0, received), fault })
    try {
      const asked = this.#store.get(blobKey(sha256), { range, signal: guard.signal })
      const found = await untilAborted(asked, guard.signal, (late) => {
        late?.body.cancel('too late').catch(() => {})
      })
      if (found === null) return only({ kind: 'missing' })
      await forEachPiece(
        found.body,
        (piece) => {
          guard.progress()
          // a store that sends more than it was asked for is not trusted with the length
          const wanted = piece.subarray(0, bytes.length - received)
          bytes.set(wanted, received)
          received += wanted.length
        },
        guard.signal,
      )
      return only({ kind: 'short', bytes: received })
    } catch (error) {
      throwIfAborted(signal)
      if (guard.stalled()) return only({ kind: 'stalled' })
      if (isVergeError(error, 'store_unavailable')) return only({ kind: 'unavailable', cause: error })
      throw error
    } finally {
      guard.stop()
    }
  }
}

/** A page once all of its parts have come: as a rule it is one part, which is used where it lies. */
function wholePage(assemblies: Map<WantedPage, Assembly>, part: PagePart, bytes: Uint8Array): Uint8Array | undefined {
  const { page, at } = part
  if (bytes.length === page.bytes) return bytes
  const assembly = assemblies.get(page) ?? { bytes: new Uint8Array(page.bytes), missing: page.bytes }
  assembly.bytes.set(bytes, at)
  assembly.missing -= bytes.length
  if (assembly.missing > 0) {
    assemblies.set(page, assembly)
    return undefined
  }
  assemblies.delete(page)
  return assembly.bytes
}
