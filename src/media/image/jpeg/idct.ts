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
  const shift = CONST_BITS - PASS1_BITS
  const half = 1 << (shift - 1)
  for (let i = 0; i < 8; i++) {
    const c0 = Math.imul(block[i] ?? 0, quantization[i] ?? 0)
    const c1 = Math.imul(block[8 + i] ?? 0, quantization[8 + i] ?? 0)
    const c2 = Math.imul(block[16 + i] ?? 0, quantization[16 + i] ?? 0)
    const c3 = Math.imul(block[24 + i] ?? 0, quantization[24 + i] ?? 0)
    const c4 = Math.imul(block[32 + i] ?? 0, quantization[32 + i] ?? 0)
    const c5 = Math.imul(block[40 + i] ?? 0, quantization[40 + i] ?? 0)
    const c6 = Math.imul(block[48 + i] ?? 0, quantization[48 + i] ?? 0)
    const c7 = Math.imul(block[56 + i] ?? 0, quantization[56 + i] ?? 0)
    if ((c1 | c2 | c3 | c4 | c5 | c6 | c7) === 0) {
      const flat = c0 << PASS1_BITS
      for (let row = 0; row < 8; row++) work[8 * row + i] = flat
      continue
    }
    butterfly(c0, c1, c2, c3, c4, c5, c6, c7)
    for (let row = 0; row < 8; row++) work[8 * row + i] = ((out[row] ?? 0) + half) >> shift
  }
}

function rows(work: Int32Array, data: Uint8Array, at: number, stride: number): void {
  const shift = CONST_BITS + PASS1_BITS + 3
  const half = 1 << (shift - 1)
  for (let row = 0; row < 8; row++) {
    const from = 8 * row
    const to = at + row * stride
    const c0 = work[from] ?? 0
    const c1 = work[from + 1] ?? 0
    const c2 = work[from + 2] ?? 0
    const c3 = work[from + 3] ?? 0
    const c4 = work[from + 4] ?? 0
    const c5 = work[from + 5] ?? 0
    const c6 = work[from + 6] ?? 0
    const c7 = work[from + 7] ?? 0
    if ((c1 | c2 | c3 | c4 | c5 | c6 | c7) === 0) {
      const flat = sampleOf(((c0 << CONST_BITS) + half) >> shift)
      for (let i = 0; i < 8; i++) data[to + i] = flat
      continue
    }
    butterfly(c0, c1, c2, c3, c4, c5, c6, c7)
    for (let i = 0; i < 8; i++) data[to + i] = sampleOf(((out[i] ?? 0) + half) >> shift)
  }
}

function sampleOf(value: number): number {
  return value < -128 ? 0 : value > 127 ? 255 : value + 128
}

/** Holds what `butterfly` computes, scaled by 2^13; one for all blocks, because it runs for every row and column. */
const out = new Int32Array(8)

/** Whole numbers of 32 bits throughout: what only a damaged picture makes larger wraps around. */
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
  const e = Math.imul(c2 + c6, 4433)
  const e2 = (e + Math.imul(c6, -15137)) | 0
  const e3 = (e + Math.imul(c2, 6270)) | 0
  const e0 = (c0 + c4) << CONST_BITS
  const e1 = (c0 - c4) << CONST_BITS
  const t10 = (e0 + e3) | 0
  const t13 = (e0 - e3) | 0
  const t11 = (e1 + e2) | 0
  const t12 = (e1 - e2) | 0

  const z5 = Math.imul(c7 + c3 + c5 + c1, 9633)
  const z1 = Math.imul(c7 + c1, -7373)
  const z2 = Math.imul(c5 + c3, -20995)
  const z3 = (Math.imul(c7 + c3, -16069) + z5) | 0
  const z4 = (Math.imul(c5 + c1, -3196) + z5) | 0
  const o0 = (Math.imul(c7, 2446) + z1 + z3) | 0
  const o1 = (Math.imul(c5, 16819) + z2 + z4) | 0
  const o2 = (Math.imul(c3, 25172) + z2 + z3) | 0
  const o3 = (Math.imul(c1, 12299) + z1 + z4) | 0

  out[0] = t10 + o3
  out[7] = t10 - o3
  out[1] = t11 + o2
  out[6] = t11 - o2
  out[2] = t12 + o1
  out[5] = t12 - o1
  out[3] = t13 + o0
  out[4] = t13 - o0
}
