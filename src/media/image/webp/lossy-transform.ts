/** The inverse transforms of VP8 (RFC 6386, 14). */

const work = new Int32Array(16)

/** From the second level to the DC coefficients of sixteen blocks, each sixteen apart. */
export function inverseHadamard(input: Int16Array, out: Int16Array): void {
  for (let i = 0; i < 4; i++) {
    const a0 = (input[i] ?? 0) + (input[12 + i] ?? 0)
    const a1 = (input[4 + i] ?? 0) + (input[8 + i] ?? 0)
    const a2 = (input[4 + i] ?? 0) - (input[8 + i] ?? 0)
    const a3 = (input[i] ?? 0) - (input[12 + i] ?? 0)
    work[i] = a0 + a1
    work[8 + i] = a0 - a1
    work[4 + i] = a3 + a2
    work[12 + i] = a3 - a2
  }
  for (let i = 0; i < 4; i++) {
    const dc = (work[4 * i] ?? 0) + 3
    const a0 = dc + (work[4 * i + 3] ?? 0)
    const a1 = (work[4 * i + 1] ?? 0) + (work[4 * i + 2] ?? 0)
    const a2 = (work[4 * i + 1] ?? 0) - (work[4 * i + 2] ?? 0)
    const a3 = dc - (work[4 * i + 3] ?? 0)
    out[64 * i] = (a0 + a1) >> 3
    out[64 * i + 16] = (a3 + a2) >> 3
    out[64 * i + 32] = (a0 - a1) >> 3
    out[64 * i + 48] = (a3 - a2) >> 3
  }
}

function byCosine(value: number): number {
  return ((value * 20091) >> 16) + value
}

function bySine(value: number): number {
  return (value * 35468) >> 16
}

/** Adds a block of 4 x 4 to what was predicted. */
export function addInverse(input: Int16Array, from: number, data: Uint8ClampedArray, to: number, stride: number): void {
  for (let i = 0; i < 4; i++) {
    const c0 = input[from + i] ?? 0
    const c1 = input[from + 4 + i] ?? 0
    const c2 = input[from + 8 + i] ?? 0
    const c3 = input[from + 12 + i] ?? 0
    const a = c0 + c2
    const b = c0 - c2
    const c = bySine(c1) - byCosine(c3)
    const d = byCosine(c1) + bySine(c3)
    work[4 * i] = a + d
    work[4 * i + 1] = b + c
    work[4 * i + 2] = b - c
    work[4 * i + 3] = a - d
  }
  for (let i = 0, at = to; i < 4; i++, at += stride) {
    const c0 = (work[i] ?? 0) + 4
    const c1 = work[4 + i] ?? 0
    const c2 = work[8 + i] ?? 0
    const c3 = work[12 + i] ?? 0
    const a = c0 + c2
    const b = c0 - c2
    const c = bySine(c1) - byCosine(c3)
    const d = byCosine(c1) + bySine(c3)
    data[at] = (data[at] ?? 0) + ((a + d) >> 3)
    data[at + 1] = (data[at + 1] ?? 0) + ((b + c) >> 3)
    data[at + 2] = (data[at + 2] ?? 0) + ((b - c) >> 3)
    data[at + 3] = (data[at + 3] ?? 0) + ((a - d) >> 3)
  }
}
