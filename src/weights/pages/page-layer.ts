import type { PageInfo } from '../../engine/engine.ts'
import type { BlobInfo } from '../blob.ts'
import type { CopyFault } from '../fault.ts'

/** Why a layer's copy of a page could not be used. */
export type PageFault = CopyFault

/** A page that a run needs. */
export interface WantedPage extends PageInfo {
  /** Its place among those that were asked for. */
  readonly index: number
}

/** Takes what a layer finds. Each page is found or faulty, once. */
export interface PageSink {
  /**
   * Takes a page of the declared length, which is not verified yet. The bytes are used until the promise resolves.
   * @throws what ends the whole read
   */
  found(page: WantedPage, bytes: Uint8Array, signal: AbortSignal): Promise<void>
  fault(page: WantedPage, fault: PageFault): void
}

/** A place that has pages: copies, or the truth. Every implementation passes `test/contract/page-layer.ts`. */
export interface PageLayer {
  readonly name: string
  /**
   * Reads pages of a file, in as few and as parallel requests as the place allows. What it holds at once is bounded, however
   * many pages are asked for. Resolves or rejects only when the sink is not used any more.
   * @param pages within the file, each within the limits
   * @throws the signal's reason, and what the sink throws
   */
  read(file: BlobInfo, pages: readonly WantedPage[], sink: PageSink, signal: AbortSignal): Promise<void>
}
