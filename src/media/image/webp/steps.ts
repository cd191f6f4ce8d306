import { type Refusal, tooManySteps } from '../../../core/work.ts'

/** What decoding a WebP costs, in steps (docs/limits.md), measured with the costliest content of each kind. */

/** A chunk of the file. */
export const CHUNK = 150
/** A byte of a lossy picture's data. */
export const LOSSY_BYTE = 95
/** A square of 16 x 16 pixels of a lossy picture: predicted, transformed, smoothed. */
export const MACROBLOCK = 5_500
/** A pixel of a lossy picture made of its brightness and its colours. */
export const LOSSY_PIXEL = 11
/** A pixel of a lossless picture, read. */
export const LOSSLESS_PIXEL = 70
/** A transform of a lossless picture undone, by pixel. */
export const TRANSFORMED_PIXEL = 15
/** The codes of one group. */
export const CODE_GROUP = 25_000

export const refusal: Refusal = tooManySteps('This WebP', 'Send a smaller image')
