/** Pillow's resampling filters, by the names that it gives them. */
export const RESAMPLING = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'] as const
export type Resampling = (typeof RESAMPLING)[number]
