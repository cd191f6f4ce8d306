/** A JPEG's frame: its size and its colour components, each sampled at its own rate. */

/** Natural position of the k-th coefficient in zigzag order. */
export const ZIGZAG = [
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47,
  55, 62, 63,
] as const

export interface Component {
  readonly id: number
  /** Horizontal and vertical sampling factors. */
  readonly h: number
  readonly v: number
  readonly quantisation: number
  /** Blocks that hold samples of the picture. */
  readonly blocksWide: number
  readonly blocksHigh: number
  /** Blocks of a row as stored: whole groups. */
  readonly stride: number
  /** Samples that belong to the picture. */
  readonly width: number
  readonly height: number
  /** All blocks, 64 coefficients each, in natural order. */
  coefficients: Int16Array
}

export interface Frame {
  readonly progressive: boolean
  readonly width: number
  readonly height: number
  readonly maxH: number
  readonly maxV: number
  readonly groupsWide: number
  readonly groupsHigh: number
  readonly components: readonly Component[]
}

export interface ComponentSpec {
  readonly id: number
  readonly h: number
  readonly v: number
  readonly quantisation: number
}

/** Lays out a frame and gives memory for its coefficients. */
export function layOut(progressive: boolean, width: number, height: number, specs: readonly ComponentSpec[]): Frame {
  // One component alone is never in groups, whatever its factors say.
  const sized = specs.length === 1 ? specs.map((spec) => ({ ...spec, h: 1, v: 1 })) : specs
  const maxH = Math.max(...sized.map(({ h }) => h))
  const maxV = Math.max(...sized.map(({ v }) => v))
  const groupsWide = Math.ceil(width / (8 * maxH))
  const groupsHigh = Math.ceil(height / (8 * maxV))
  const components = sized.map(({ id, h, v, quantisation }) => {
    const ownWidth = Math.ceil((width * h) / maxH)
    const ownHeight = Math.ceil((height * v) / maxV)
    const stride = groupsWide * h
    return {
      id,
      h,
      v,
      quantisation,
      blocksWide: Math.ceil(ownWidth / 8),
      blocksHigh: Math.ceil(ownHeight / 8),
      stride,
      width: ownWidth,
      height: ownHeight,
      coefficients: new Int16Array(stride * groupsHigh * v * 64),
    }
  })
  return { progressive, width, height, maxH, maxV, groupsWide, groupsHigh, components }
}
