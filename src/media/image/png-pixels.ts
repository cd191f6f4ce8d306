/** Unfiltered PNG rows to 8-bit grey or RGB over white. */

/** PNG's colour types. */
export const GREY = 0
export const RGB = 2
export const PALETTE = 3
export const GREY_ALPHA = 4
export const RGB_ALPHA = 6

/** Writes one row's pixels from `at` on, `step` apart. */
export type Convert = (row: Uint8Array, columns: number, out: Uint8Array, at: number, step: number) => void

/**
 * @param palette content of the PLTE chunk
 * @param transparency content of the tRNS chunk
 */
export function converter(
  depth: number,
  colour: number,
  palette: Uint8Array | undefined,
  transparency: Uint8Array | undefined,
): Convert {
  const size = depth === 16 ? 2 : 1
  switch (colour) {
    case PALETTE:
      return byTable(depth, paletteTable(palette ?? new Uint8Array(0), transparency), 3)
    case GREY:
      if (depth <= 8) return byTable(depth, greyTable(depth, transparency), 1)
      return greyRow(size, transparency === undefined ? undefined : key(transparency, 1))
    case GREY_ALPHA:
      return (row, columns, out, at, step) => {
        for (let x = 0, from = 1; x < columns; x++, from += 2 * size, at += step) {
          out[at] = overWhite(row[from] ?? 0, row[from + size] ?? 0)
        }
      }
    case RGB_ALPHA:
      return (row, columns, out, at, step) => {
        for (let x = 0, from = 1; x < columns; x++, from += 4 * size, at += step) {
          const alpha = row[from + 3 * size] ?? 0
          out[at] = overWhite(row[from] ?? 0, alpha)
          out[at + 1] = overWhite(row[from + size] ?? 0, alpha)
          out[at + 2] = overWhite(row[from + 2 * size] ?? 0, alpha)
        }
      }
    default:
      return rgbRow(size, transparency === undefined ? undefined : key(transparency, 3), depth)
  }
}

/** The samples that a tRNS chunk makes transparent, as 16-bit values. */
function key(transparency: Uint8Array, samples: number): readonly number[] | undefined {
  if (transparency.length < 2 * samples) return undefined
  return Array.from({ length: samples }, (_, i) => ((transparency[2 * i] ?? 0) << 8) | (transparency[2 * i + 1] ?? 0))
}

/** Rounded to the nearest: for products of two bytes, this is division by 255. */
function overWhite(sample: number, alpha: number): number {
  const product = sample * alpha + 255 * (255 - alpha) + 128
  return (product + (product >> 8)) >> 8
}

/** The transparent one becomes white. */
function greyTable(depth: number, transparency: Uint8Array | undefined): Uint8Array {
  const levels = 2 ** depth
  const table = Uint8Array.from({ length: levels }, (_, i) => (i * 255) / (levels - 1))
  const transparent = transparency === undefined ? undefined : key(transparency, 1)?.[0]
  if (transparent !== undefined && transparent < levels) table[transparent] = 255
  return table
}

/** Colours by index; indices beyond the palette are black. */
function paletteTable(palette: Uint8Array, transparency: Uint8Array | undefined): Uint8Array {
  const table = new Uint8Array(3 * 256)
  table.set(palette.subarray(0, table.length))
  transparency?.subarray(0, 256).forEach((alpha, i) => {
    for (let channel = 3 * i; channel < 3 * i + 3; channel++) table[channel] = overWhite(table[channel] ?? 0, alpha)
  })
  return table
}

/** Pixels of `depth` bits, at most 8, that stand for `channels` samples of a table each. */
function byTable(depth: number, table: Uint8Array, channels: 1 | 3): Convert {
  const mask = 2 ** depth - 1
  return (row, columns, out, at, step) => {
    for (let x = 0, bit = 0; x < columns; x++, bit += depth, at += step) {
      const index = ((row[1 + (bit >> 3)] ?? 0) >> (8 - depth - (bit & 7))) & mask
      if (channels === 1) {
        out[at] = table[index] ?? 0
      } else {
        out[at] = table[3 * index] ?? 0
        out[at + 1] = table[3 * index + 1] ?? 0
        out[at + 2] = table[3 * index + 2] ?? 0
      }
    }
  }
}

function greyRow(size: number, transparent: readonly number[] | undefined): Convert {
  return (row, columns, out, at, step) => {
    for (let x = 0, from = 1; x < columns; x++, from += size, at += step) {
      out[at] = transparent !== undefined && wide(row, from) === transparent[0] ? 255 : (row[from] ?? 0)
    }
  }
}

function rgbRow(size: number, transparent: readonly number[] | undefined, depth: number): Convert {
  const sample = depth === 16 ? wide : (row: Uint8Array, from: number): number => row[from] ?? 0
  return (row, columns, out, at, step) => {
    for (let x = 0, from = 1; x < columns; x++, from += 3 * size, at += step) {
      const clear =
        transparent !== undefined &&
        sample(row, from) === transparent[0] &&
        sample(row, from + size) === transparent[1] &&
        sample(row, from + 2 * size) === transparent[2]
      out[at] = clear ? 255 : (row[from] ?? 0)
      out[at + 1] = clear ? 255 : (row[from + size] ?? 0)
      out[at + 2] = clear ? 255 : (row[from + 2 * size] ?? 0)
    }
  }
}

function wide(row: Uint8Array, from: number): number {
  return ((row[from] ?? 0) << 8) | (row[from + 1] ?? 0)
}
