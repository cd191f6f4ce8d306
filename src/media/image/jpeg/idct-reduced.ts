/**
 * The inverse cosine transform of a block's lowest `side` x `side` coefficients into as many samples: the picture 8/side
 * times smaller, low-pass filtered by what is left out.
 */

/** By side: the share of coefficient k in sample x, at `x * side + k`. */
const BASES: Readonly<Record<number, Float64Array>> = { 4: basis(4), 2: basis(2), 1: basis(1) }

/** Scaled so that a block's mean stays what the eight-point transform makes of it. */
function basis(side: number): Float64Array {
  return Float64Array.from({ length: side * side }, (_, i) => {
    const [x, k] = [Math.floor(i / side), i % side]
    return Math.sqrt((k === 0 ? 1 : 2) / 8) * Math.cos(((2 * x + 1) * k * Math.PI) / (2 * side))
  })
}

const half = new Float64Array(16)

/** As `inverse`, for a `side` of 4, 2 or 1. */
export function reduced(
  block: Int16Array,
  quantization: Uint16Array,
  side: number,
  data: Uint8Array,
  to: number,
  stride: number,
): void {
  const base = BASES[side]
  if (base === undefined) return
  for (let column = 0; column < side; column++) {
    for (let y = 0; y < side; y++) {
      let sum = 0
      for (let k = 0; k < side; k++) {
        const at = 8 * k + column
        sum += (base[y * side + k] ?? 0) * (block[at] ?? 0) * (quantization[at] ?? 0)
      }
      half[y * side + column] = sum
    }
  }
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      let sum = 128.5
      for (let k = 0; k < side; k++) sum += (base[x * side + k] ?? 0) * (half[y * side + k] ?? 0)
      data[to + y * stride + x] = sum < 0 ? 0 : sum > 255 ? 255 : sum
    }
  }
}
