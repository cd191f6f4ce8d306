// Moving elements: strided copies (transpose, slice, concat, expand, pad), gather.

import { BEYOND, HOLDS } from "./checks";

/** Copies a box of six axes, the outermost first. `size` is 4 or 1; strides are in elements and may be negative or 0. */
export function copy(
  x: usize, out: usize, size: i32,
  d0: i32, d1: i32, d2: i32, d3: i32, d4: i32, d5: i32,
  s0: i32, s1: i32, s2: i32, s3: i32, s4: i32, s5: i32,
  t0: i32, t1: i32, t2: i32, t3: i32, t4: i32, t5: i32,
): void {
  for (let i0 = 0; i0 < d0; i0++) {
    for (let i1 = 0; i1 < d1; i1++) {
      for (let i2 = 0; i2 < d2; i2++) {
        for (let i3 = 0; i3 < d3; i3++) {
          const from = x + (i0 * s0 + i1 * s1 + i2 * s2 + i3 * s3) * size;
          const to = out + (i0 * t0 + i1 * t1 + i2 * t2 + i3 * t3) * size;
          copyPlane(from, to, size, d4, d5, s4, s5, t4, t5);
        }
      }
    }
  }
}

export function copyPlane(x: usize, out: usize, size: i32, d4: i32, d5: i32, s4: i32, s5: i32, t4: i32, t5: i32): void {
  if (s5 == 1 && t5 == 1) {
    for (let i = 0; i < d4; i++, x += s4 * size, out += t4 * size) memory.copy(out, x, <usize>(d5 * size));
  } else if (size == 4 && s4 == 1 && t5 == 1) {
    // A transpose: four by four.
    let i = 0;
    const row = <usize>(s5 << 2), to = <usize>(t4 << 2);
    for (; i + 4 <= d4; i += 4) {
      let p = x + (<usize>i << 2), q = out + <usize>i * to, j = 0;
      for (; j + 4 <= d5; j += 4, q += 16) {
        const r0 = v128.load(p), r1 = v128.load(p + row), r2 = v128.load(p + row * 2), r3 = v128.load(p + row * 3);
        p += row * 4;
        const u0 = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5), u1 = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
        const u2 = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7), u3 = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
        v128.store(q, v128.shuffle<i64>(u0, u1, 0, 2));
        v128.store(q + to, v128.shuffle<i64>(u0, u1, 1, 3));
        v128.store(q + to * 2, v128.shuffle<i64>(u2, u3, 0, 2));
        v128.store(q + to * 3, v128.shuffle<i64>(u2, u3, 1, 3));
      }
      for (; j < d5; j++, p += row, q += 4) {
        for (let l = 0; l < 4; l++) store<i32>(q + <usize>l * to, load<i32>(p + (<usize>l << 2)));
      }
    }
    for (; i < d4; i++) {
      for (let j = 0; j < d5; j++) store<i32>(out + <usize>i * to + (<usize>j << 2), load<i32>(x + (<usize>i << 2) + <usize>j * row));
    }
  } else {
    for (let i = 0; i < d4; i++) {
      let p = x + i * s4 * size, q = out + i * t4 * size;
      for (let j = 0; j < d5; j++, p += s5 * size, q += t5 * size) {
        if (size == 4) store<i32>(q, load<i32>(p));
        else store<u8>(q, load<u8>(p));
      }
    }
  }
}

export function fill32(out: usize, n: i32, bits: i32): void {
  const v = i32x4.splat(bits);
  let i = 0;
  for (; i + 4 <= n; i += 4, out += 16) v128.store(out, v);
  for (; i < n; i++, out += 4) store<i32>(out, bits);
}

export function fill8(out: usize, n: i32, value: i32): void {
  memory.fill(out, <u8>value, n);
}

export function iota(out: usize, n: i32, start: i32, step: i32): void {
  for (let i = 0; i < n; i++, out += 4, start += step) store<i32>(out, start);
}

/**
 * Takes slices of `bytes` from the middle axis (of `axis` slices) of O blocks, by n ids; negative ids count from the end.
 * @returns -1, or the place of the first id that is out of range; nothing is read for it
 */
export function gather(x: usize, ids: usize, out: usize, O: i32, axis: i32, n: i32, bytes: i32): i32 {
  for (let i = 0; i < n; i++) {
    const id = load<i32>(ids + (<usize>i << 2));
    if (id < -axis || id >= axis) return i;
  }
  for (let o = 0; o < O; o++) {
    for (let i = 0; i < n; i++, out += bytes) {
      let id = load<i32>(ids + (<usize>i << 2));
      if (id < 0) id += axis;
      const from = x + <usize>id * <usize>bytes;
      if (bytes == 4) store<i32>(out, load<i32>(from));
      else memory.copy(out, from, bytes);
    }
    x += <usize>axis * <usize>bytes;
  }
  return -1;
}

/** Elements along the middle axis of [O, A, I] by ids of out's shape [O, n, I]. @returns as `gather` */
export function gatherElements(x: usize, ids: usize, out: usize, O: i32, A: i32, n: i32, I: i32, size: i32): i32 {
  const all = O * n * I;
  for (let i = 0; i < all; i++) {
    const id = load<i32>(ids + (<usize>i << 2));
    if (id < -A || id >= A) return i;
  }
  for (let o = 0; o < O; o++) {
    for (let j = 0; j < n; j++) {
      for (let i = 0; i < I; i++, ids += 4, out += size) {
        let id = load<i32>(ids);
        if (id < 0) id += A;
        const from = x + <usize>(((o * A + id) * I + i) * size);
        if (size == 4) store<i32>(out, load<i32>(from));
        else store<u8>(out, load<u8>(from));
      }
    }
  }
  return -1;
}

/** Rows of a table of half floats, or of bytes with a scale a row, widened. @returns as `gather` */
export function gatherRows(table: usize, scales: usize, ids: usize, out: usize, rows: i32, n: i32, D: i32, byRow: i32): i32 {
  for (let i = 0; i < n; i++) {
    const id = load<i32>(ids + (<usize>i << 2));
    if (id < -rows || id >= rows) return i;
  }
  for (let i = 0; i < n; i++) {
    let id = load<i32>(ids + (<usize>i << 2));
    if (id < 0) id += rows;
    if (scales != 0) {
      let p = table + <usize>id * <usize>D;
      if (byRow) {
        const scale = load<f32>(scales + (<usize>id << 2));
        for (let d = 0; d < D; d++, p++, out += 4) store<f32>(out, <f32>load<i8>(p) * scale);
      } else {
        for (let d = 0, s = scales; d < D; d++, p++, s += 4, out += 4) store<f32>(out, <f32>load<i8>(p) * load<f32>(s));
      }
    } else {
      let p = table + <usize>id * (<usize>D << 1);
      for (let d = 0; d < D; d++, p += 2, out += 4) store<f32>(out, half(load<u16>(p)));
    }
  }
  return -1;
}

/**
 * Rows of a table of four bits, two a byte, each row of whole bytes: level less zero point, times the scale of its block.
 * `zeros` are packed like the levels; without them all are 8. Scales are half floats with `halves`. @returns as `gather`
 */
export function gatherBlocks(
  table: usize, scales: usize, zeros: usize, ids: usize, out: usize,
  rows: i32, n: i32, D: i32, block: i32, halves: i32,
): i32 {
  for (let i = 0; i < n; i++) {
    const id = load<i32>(ids + (<usize>i << 2));
    if (id < -rows || id >= rows) return i;
  }
  const blocks = <usize>((D + block - 1) / block);
  const rowBytes = <usize>((D + 1) >> 1);
  for (let i = 0; i < n; i++) {
    let id = load<i32>(ids + (<usize>i << 2));
    if (id < 0) id += rows;
    const row = <usize>id, levels = table + row * rowBytes, points = zeros + row * ((blocks + 1) >> 1);
    for (let b: usize = 0; b < blocks; b++) {
      const at = row * blocks + b;
      const scale = halves ? half(load<u16>(scales + (at << 1))) : load<f32>(scales + (at << 2));
      const zero = zeros == 0 ? 8 : (<i32>load<u8>(points + (b >> 1)) >> (<i32>(b & 1) << 2)) & 15;
      const first = <i32>b * block, last = min(first + block, D);
      widenBlock(levels, first, last, scale, zero, out);
      out += <usize>(last - first) << 2;
    }
  }
  return -1;
}

export function widenBlock(levels: usize, first: i32, last: i32, scale: f32, zero: i32, out: usize): void {
  const factor = f32x4.splat(scale), middle = i8x16.splat(<i8>zero), low = i8x16.splat(15);
  let d = first;
  for (; (d & 1) == 0 && d + 16 <= last; d += 16, out += 64) {
    const pairs = v128.load64_zero(levels + (<usize>d >> 1));
    const q = i8x16.sub(v128.shuffle<i8>(
      v128.and(pairs, low), i8x16.shr_u(pairs, 4), 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
    ), middle);
    const left = i16x8.extend_low_i8x16_s(q), right = i16x8.extend_high_i8x16_s(q);
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(left)), factor));
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(left)), factor), 16);
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(right)), factor), 32);
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(right)), factor), 48);
  }
  for (; d < last; d++, out += 4) {
    const level = (<i32>load<u8>(levels + (<usize>d >> 1)) >> ((d & 1) << 2)) & 15;
    store<f32>(out, <f32>(level - zero) * scale);
  }
}

function half(h: u32): f32 {
  const rest = (h & 0x7fff) << 13;
  let bits = reinterpret<u32>(reinterpret<f32>(rest) * reinterpret<f32>(0x77800000));
  if (rest >= 0x0f800000) bits |= 0x7f800000;
  return reinterpret<f32>(bits | ((h & 0x8000) << 16));
}

/** i32 running sums along the middle axis of [O, R, I], which wrap around. @returns `HOLDS`, or `BEYOND` where one did */
export function cumulativeI32(x: usize, out: usize, O: i32, R: i32, I: i32): i32 {
  let result = HOLDS;
  for (let o = 0; o < O; o++) {
    for (let i = 0; i < I; i++) {
      let sum: i64 = 0;
      for (let r = 0; r < R; r++) {
        const at = <usize>((o * R + r) * I + i) << 2;
        sum += <i64>load<i32>(x + at);
        if (<i64><i32>sum != sum) result = BEYOND;
        store<i32>(out + at, <i32>sum);
      }
    }
  }
  return result;
}
