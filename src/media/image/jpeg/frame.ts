import { type BlockStore, blockStore } from './blocks.ts'
import type { FrameHeader } from './header.ts'

/** A JPEG's frame: its size and its colour components, each sampled at its own rate. */

/** Natural position of the k-th coefficient in zigzag order. */
export const ZIGZAG = Uint8Array.of(
  0,
  1,
  8,
  16,
  9,
  2,
  3,
  10,
  17,
  24,
  32,
  25,
  18,
  11,
  4,
  5,
  12,
  19,
  26,
  33,
  40,
  48,
  41,
  34,
  27,
  20,
  13,
  6,
  7,
  14,
  21,
  28,
  35,
  42,
  49,
  56,
  57,
  50,
  43,
  36,
  29,
  22,
  15,
  23,
  30,
  37,
  44,
  51,
  58,
  59,
  52,
  45,
  38,
  31,
  39,
  46,
  53,
  60,
  61,
  54,
  47,
  55,
  62,
  63,
)

export interface Component {
  readonly id: number
  /** Horizontal and vertical sampling factors. */
  readonly h: number
  readonly v: number
  readonly quantization: number
  /** Blocks that hold samples of the picture. */
  readonly blocksWide: number
  readonly blocksHigh: number
  /** Blocks of a row as stored: whole groups. */
  readonly stride: number
  /** Samples that a block becomes in either direction: 8, or fewer where the picture is decoded smaller. */
  readonly side: number
  /** Samples that belong to the picture. */
  readonly width: number
  readonly height: number
  readonly blocks: BlockStore
}

export interface Frame {
  readonly progressive: boolean
  /** Of the picture as it is decoded. */
  readonly width: number
  readonly height: number
  /** Samples that a block of the finest component becomes in either direction. */
  readonly side: number
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
  readonly quantization: number
}

/** How many times smaller, in either direction, a picture is decoded. */
export type Reduction = 1 | 2 | 4

/** Lays out a frame and gives memory for it. */
export function layOut(
  { progressive, width: fullWidth, height: fullHeight, specs }: FrameHeader,
  reduction: Reduction,
): Frame {
  // One component alone is never in groups, whatever its factors say.
  const sized = specs.length === 1 ? specs.map((spec) => ({ ...spec, h: 1, v: 1 })) : specs
  const maxH = Math.max(...sized.map(({ h }) => h))
  const maxV = Math.max(...sized.map(({ v }) => v))
  const groupsWide = Math.ceil(fullWidth / (8 * maxH))
  const groupsHigh = Math.ceil(fullHeight / (8 * maxV))
  const smallest = 8 / reduction
  const components = sized.map(({ id, h, v, quantization }) => {
    const side = sideOf(smallest, maxH / h, maxV / v)
    const layout = {
      blocksWide: Math.ceil(Math.ceil((fullWidth * h) / maxH) / 8),
      blocksHigh: Math.ceil(Math.ceil((fullHeight * v) / maxV) / 8),
      stride: groupsWide * h,
      side,
      width: Math.ceil((fullWidth * h * side) / (maxH * 8)),
      height: Math.ceil((fullHeight * v * side) / (maxV * 8)),
    }
    return { id, h, v, quantization, ...layout, blocks: blockStore(layout, groupsHigh * v, progressive) }
  })
  const width = Math.ceil(fullWidth / reduction)
  const height = Math.ceil(fullHeight / reduction)
  return { progressive, width, height, side: smallest, maxH, maxV, groupsWide, groupsHigh, components }
}

/** A coarse component is reduced less, as in libjpeg: what it lacks in samples need not be taken from it twice. */
export function sideOf(smallest: number, coarseX: number, coarseY: number): number {
  let side = smallest
  while (side < 8 && (smallest * coarseX) % (2 * side) === 0 && (smallest * coarseY) % (2 * side) === 0) side *= 2
  return side
}
