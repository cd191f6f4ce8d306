import { reduced } from './idct-reduced.ts'

/**
 * The inverse cosine transform of libjpeg's "islow" (Loeffler, Ligtenberg and Moschytz 1989, in 13-bit fixed point): bit
 * for bit what libjpeg, and with it Pillow, computes.
 */

const CONST_BITS = 13
const PASS1_BITS = 2

/** A component's samples, `stride` to a row. */
export interface Plane {
  readonly data: Uint8Array
  readonly stride: number
  readonly width: number
  readonly height: number
}

const work = new Int32Array(64)

/**
 * Transforms a block of coefficients into `side` x `side` samples.
 * @param quantization steps, in natural order as the coefficients
 * @param to where in `data` the first sample goes; each row is `stride` further
 */
export function inverse(
  block: Int16Array,
  quantization: Uint16Array,
  side: number,
  data: Uint8Array,
  to: number,
  stride: number,
): void {
  if (side !== 8) {
    reduced(block, quantization, side, data, to, stride)
    return
  }
  columns(block, quantization, work)
  rows(work, data, to, stride)
}

function columns(block: Int16Array, quantization: Uint16Array, work: Int32Array): void {
  for (let i = 0; i < 8; i++) {
    const c = (row: number): number => (block[8 * row + i] ?? 0) * (quantization[8 * row + i] ?? 0)
    const c0 = c(0)
    const c1 = c(1)
    const c2 = c(2)
    const c3 = c(3)
    const c4 = c(4)
    const c5 = c(5)
    const c6 = c(6)
    const c7 = c(7)
    if ((c1 | c2 | c3 | c4 | c5 | c6 | c7) === 0) {
      const flat = c0 << PASS1_BITS
      for (let row = 0; row < 8; row++) work[8 * row + i] = flat
      continue
    }
    butterfly(c0, c1, c2, c3, c4, c5, c6, c7)
    const shift = CONST_BITS - PASS1_BITS
    const half = 1 << (shift - 1)
    for (let row = 0; row < 8; row++) work[8 * row + i] = ((out[row] ?? 0) + half) >> shift
  }
}

function rows(work: Int32Array, data: Uint8Array, at: number, stride: number): void {
  const shift = CONST_BITS + PASS1_BITS + 3
  const half = 1 << (shift - 1)
  for (let row = 0; row < 8; row++) {
    const from = 8 * row
    butterfly(
      work[from] ?? 0,
      work[from + 1] ?? 0,
      work[from + 2] ?? 0,
      work[from + 3] ?? 0,
      work[from + 4] ?? 0,
      work[from + 5] ?? 0,
      work[from + 6] ?? 0,
      work[from + 7] ?? 0,
    )
    const to = at + row * stride
    for (let i = 0; i < 8; i++) {
      const sample = (((out[i] ?? 0) + half) >> shift) + 128
      data[to + i] = sample < 0 ? 0 : sample > 255 ? 255 : sample
    }
  }
}

/** Holds what `butterfly` computes, scaled by 2^13; one for all blocks, because it runs for every row and column. */
const out = new Float64Array(8)

function butterfly(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  c4: number,
  c5: number,
  c6: number,
  c7: number,
): void {
  const e = (c2 + c6) * 4433
  const e2 = e - c6 * 15137
  const e3 = e + c2 * 6270
  const e0 = (c0 + c4) * 8192
  const e1 = (c0 - c4) * 8192
  const t10 = e0 + e3
  const t13 = e0 - e3
  const t11 = e1 + e2
  const t12 = e1 - e2

  const z5 = (c7 + c3 + c5 + c1) * 9633
  const z1 = (c7 + c1) * -7373
  const z2 = (c5 + c3) * -20995
  const z3 = (c7 + c3) * -16069 + z5
  const z4 = (c5 + c1) * -3196 + z5
  const o0 = c7 * 2446 + z1 + z3
  const o1 = c5 * 16819 + z2 + z4
  const o2 = c3 * 25172 + z2 + z3
  const o3 = c1 * 12299 + z1 + z4

  out[0] = t10 + o3
  out[7] = t10 - o3
  out[1] = t11 + o2
  out[6] = t11 - o2
  out[2] = t12 + o1
  out[5] = t12 - o1
  out[3] = t13 + o0
  out[4] = t13 - o0
}
