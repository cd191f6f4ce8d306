/** What the page opens and sends: the server's limits, and the page's own for what it makes smaller before. */
import { LIMITS } from '../../src/core/limits.ts'
import type { PictureLimits } from './fit-picture.ts'
import type { TableLimits } from './table-text.ts'

const MiB = 2 ** 20
/** As many as a manifest may name. */
const MOST_COLUMNS = 4096

export const PICTURE_LIMITS: PictureLimits = {
  bytes: LIMITS.imageBytes,
  fullPixels: LIMITS.fullImagePixels,
  pixels: LIMITS.imagePixels,
  // A browser holds four bytes for each pixel: a picture of 128 million takes half a gigabyte for a moment.
  openedPixels: 128 * MiB,
  openedBytes: 64 * MiB,
}

export interface SoundLimits {
  /** Bytes of a sound in a request. */
  readonly bytes: number
  readonly seconds: number
  /** Bytes of a file that the page opens: compressed sound grows tenfold and more when it is decoded. */
  readonly openedBytes: number
}

export const SOUND_LIMITS: SoundLimits = {
  bytes: LIMITS.audioBytes,
  seconds: LIMITS.audioSeconds,
  openedBytes: 64 * MiB,
}

/** Bytes of any file in a request. */
export const FILE_BYTES = LIMITS.requestBodyBytes

export const TABLE_LIMITS: TableLimits & { readonly fileBytes: number } = {
  fileBytes: LIMITS.requestBodyBytes,
  rows: LIMITS.tableRows,
  cells: LIMITS.tableCells,
  columns: MOST_COLUMNS,
  cellLength: LIMITS.stringBytes,
  steps: LIMITS.decodeSteps,
}
