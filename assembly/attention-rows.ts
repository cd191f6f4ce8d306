// Rows of queries, keys and values to whole numbers, in the order in which `attention-int8.ts` multiplies them, and its sums back to
// rows.

import { MAGIC, max4 } from "./math";

// @ts-ignore: decorator
@inline
const MOST_VALUE: f32 = 1023;
/** Rows below it are zeros: a quotient by less would not be finite. */
// @ts-ignore: decorator
@inline
export const LEAST: f32 = 1e-30;

// @ts-ignore: decorator
@inline
function nearest4(x: v128, inverse: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(x, inverse), f32x4.splat(MAGIC)), i32x4.splat(0x4b400000));
}

/** The greatest absolute value of D floats; NaN where one of them is no finite number. */
function topOfRow(x: usize, D: i32): f32 {
  let top = f32x4.splat(0), bad = f32x4.splat(0);
  const end = x + (<usize>(D & ~3) << 2);
  for (; x < end; x += 16) {
    const v = v128.load(x);
    top = f32x4.pmax(top, f32x4.abs(v));
    bad = v128.or(bad, f32x4.ne(v, v));
  }
  let most = max4(top), nan = v128.any_true(bad);
  for (let k = D & ~3; k < D; k++, x += 4) {
    const v = abs(load<f32>(x));
    if (v > most) most = v;
    if (v != v) nan = true;
  }
  return nan || most == Infinity ? f32.NaN : most;
}

/** The greatest absolute values of four rows of D floats, `topOfRow` of each. Bits of numbers without a sign are in the numbers' order, NaN above all. */
// @ts-ignore: decorator
@inline
function topsOfFour(x0: usize, x1: usize, x2: usize, x3: usize, D: i32): v128 {
  const unsigned = i32x4.splat(0x7fffffff), none = i32x4.splat(0);
  let t0 = none, t1 = none, t2 = none, t3 = none;
  let k = 0;
  for (; k + 4 <= D; k += 4, x0 += 16, x1 += 16, x2 += 16, x3 += 16) {
    t0 = i32x4.max_s(t0, v128.and(v128.load(x0), unsigned)); t1 = i32x4.max_s(t1, v128.and(v128.load(x1), unsigned));
    t2 = i32x4.max_s(t2, v128.and(v128.load(x2), unsigned)); t3 = i32x4.max_s(t3, v128.and(v128.load(x3), unsigned));
  }
  for (; k < D; k++, x0 += 4, x1 += 4, x2 += 4, x3 += 4) {
    t0 = i32x4.max_s(t0, v128.and(v128.load32_splat(x0), unsigned)); t1 = i32x4.max_s(t1, v128.and(v128.load32_splat(x1), unsigned));
    t2 = i32x4.max_s(t2, v128.and(v128.load32_splat(x2), unsigned)); t3 = i32x4.max_s(t3, v128.and(v128.load32_splat(x3), unsigned));
  }
  const a = i32x4.max_s(v128.shuffle<i32>(t0, t1, 0, 4, 1, 5), v128.shuffle<i32>(t0, t1, 2, 6, 3, 7));
  const b = i32x4.max_s(v128.shuffle<i32>(t2, t3, 0, 4, 1, 5), v128.shuffle<i32>(t2, t3, 2, 6, 3, 7));
  const top = i32x4.max_s(v128.shuffle<i64>(a, b, 0, 2), v128.shuffle<i64>(a, b, 1, 3));
  return v128.or(top, i32x4.gt_s(top, i32x4.splat(0x7f7fffff)));
}

// @ts-ignore: decorator
@inline
function inverseOf(top: v128, limit: f32): v128 {
  return v128.and(f32x4.div(f32x4.splat(limit), top), f32x4.gt(top, f32x4.splat(LEAST)));
}

// @ts-ignore: decorator
@inline
function bytes16(x: usize, inverse: v128, centre: v128): v128 {
  const a = nearest4(v128.load(x), inverse), b = nearest4(v128.load(x, 16), inverse);
  const c = nearest4(v128.load(x, 32), inverse), d = nearest4(v128.load(x, 48), inverse);
  return i8x16.add_sat_s(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)), centre);
}

// @ts-ignore: decorator
@inline
function byteOf(x: usize, inverse: v128, centre: i32, least: i32): i32 {
  return max(least, min(127, i32x4.extract_lane(nearest4(v128.load32_splat(x), inverse), 0) + centre));
}

/**
 * Quantizes four rows of D floats, `stride` bytes apart, to [D/4][4 rows][4], groups `step` bytes apart. A row that is not there
 * is the last one again. Queries are 7 bits around 64, keys are 8 bits around 0.
 * @param tops the greatest absolute values of the rows
 */
export function quantizeFour(x: usize, rows: i32, stride: usize, D: i32, limit: f32, centre: i32, to: usize, step: usize, tops: usize): void {
  let x0 = x, x1 = rows > 1 ? x0 + stride : x0, x2 = rows > 2 ? x1 + stride : x1, x3 = rows > 3 ? x2 + stride : x2;
  const top = topsOfFour(x0, x1, x2, x3, D), inverse = inverseOf(top, limit);
  v128.store(tops, top);
  const i0 = v128.shuffle<i32>(inverse, inverse, 0, 0, 0, 0), i1 = v128.shuffle<i32>(inverse, inverse, 1, 1, 1, 1);
  const i2 = v128.shuffle<i32>(inverse, inverse, 2, 2, 2, 2), i3 = v128.shuffle<i32>(inverse, inverse, 3, 3, 3, 3);
  const middle = i8x16.splat(<i8>centre), least = i8x16.splat(<i8>(centre - 64 << 1));
  let k = 0;
  for (; k + 16 <= D; k += 16) {
    const r0 = i8x16.max_s(bytes16(x0, i0, middle), least), r1 = i8x16.max_s(bytes16(x1, i1, middle), least);
    const r2 = i8x16.max_s(bytes16(x2, i2, middle), least), r3 = i8x16.max_s(bytes16(x3, i3, middle), least);
    const a = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5), b = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
    const c = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7), d = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<i64>(a, b, 0, 2)); to += step;
    v128.store(to, v128.shuffle<i64>(a, b, 1, 3)); to += step;
    v128.store(to, v128.shuffle<i64>(c, d, 0, 2)); to += step;
    v128.store(to, v128.shuffle<i64>(c, d, 1, 3)); to += step;
    x0 += 64; x1 += 64; x2 += 64; x3 += 64;
  }
  for (; k < D; k += 4, to += step) {
    v128.store(to, i32x4.splat(0));
    const left = min(4, D - k), low = centre - 64 << 1;
    for (let j = 0; j < left; j++, x0 += 4, x1 += 4, x2 += 4, x3 += 4) {
      store<i8>(to + j, <i8>byteOf(x0, i0, centre, low));
      store<i8>(to + 4 + j, <i8>byteOf(x1, i1, centre, low));
      store<i8>(to + 8 + j, <i8>byteOf(x2, i2, centre, low));
      store<i8>(to + 12 + j, <i8>byteOf(x3, i3, centre, low));
    }
  }
}

/** Keys to [T/4][D/4][4][4], with a scale for each, and what makes up for the middle of the queries. */
export function packKeys(k: usize, T: i32, D: i32, stride: usize, keys: usize, scales: usize, starts: usize): void {
  const d4 = (D + 3) & ~3;
  for (let t = 0; t < T; t += 4, k += stride << 2, scales += 16, starts += 16) {
    quantizeFour(k, min(4, T - t), stride, D, 127, 0, keys, 16, scales);
    v128.store(scales, f32x4.mul(v128.load(scales), f32x4.splat(1.0 / 127.0)));
    let sum = i32x4.splat(0);
    for (const end = keys + (<usize>d4 << 2); keys < end; keys += 16) {
      sum = i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(v128.load(keys))));
    }
    v128.store(starts, i32x4.shl(i32x4.neg(sum), 6));
  }
}

/** Values of two keys, times their inverses, to 16 bits side by side; four channels at a time, `column` bytes apart. */
function packPair(x: usize, y: usize, i: v128, j: v128, D: i32, to: usize, column: usize): void {
  const whole = D & ~3;
  for (let d = 0; d < whole; d += 4, x += 16, y += 16, to += column) {
    const a = nearest4(v128.load(x), i), b = nearest4(v128.load(y), j);
    v128.store(to, v128.or(v128.and(a, i32x4.splat(0xffff)), i32x4.shl(b, 16)));
  }
  if (whole < D) {
    v128.store(to, i32x4.splat(0));
    for (let d = whole; d < D; d++, x += 4, y += 4, to += 4) {
      store<i16>(to, <i16>i32x4.extract_lane(nearest4(v128.load32_splat(x), i), 0));
      store<i16>(to, <i16>i32x4.extract_lane(nearest4(v128.load32_splat(y), j), 0), 2);
    }
  }
}

/** Values to [D/4][T/2][4][2] of 16 bits, with a scale for each key. Gives 1, or NaN where a value is no finite number. */
export function packValues(v: usize, T: i32, D: i32, stride: usize, values: usize, scales: usize): f32 {
  const column = <usize>((T + 3) & ~3) << 3;
  let bad = i32x4.splat(0);
  for (let t = 0; t < T; t += 4, v += stride << 2, scales += 16, values += 32) {
    const x1 = t + 1 < T ? v + stride : v, x2 = t + 2 < T ? x1 + stride : x1, x3 = t + 3 < T ? x2 + stride : x2;
    const top = topsOfFour(v, x1, x2, x3, D);
    v128.store(scales, f32x4.div(top, f32x4.splat(MOST_VALUE)));
    bad = v128.or(bad, f32x4.ne(top, top));
    // Keys behind the last are zeros.
    const there = i32x4.gt_s(i32x4.splat(T - t), i32x4(0, 1, 2, 3));
    const inverse = v128.and(inverseOf(top, MOST_VALUE), there);
    packPair(v, x1, v128.shuffle<i32>(inverse, inverse, 0, 0, 0, 0), v128.shuffle<i32>(inverse, inverse, 1, 1, 1, 1), D, values, column);
    packPair(x2, x3, v128.shuffle<i32>(inverse, inverse, 2, 2, 2, 2), v128.shuffle<i32>(inverse, inverse, 3, 3, 3, 3), D, values + 16, column);
  }
  return v128.any_true(bad) ? f32.NaN : 1;
}

/** The greatest absolute value of some rows of D floats; NaN where one of them is no finite number. */
export function topOfRows(x: usize, rows: i32, D: i32, stride: usize): f32 {
  let top: f32 = 0;
  for (; rows > 0; rows--, x += stride) {
    const own = topOfRow(x, D);
    if (!(own <= top)) top = own;
    if (top != top) break;
  }
  return top;
}

/** Four queries' lanes of `acc` [D][8], each times its factor, as rows of D floats. */
export function storeRows(acc: usize, D: i32, factor: v128, rows: i32, out: usize, stride: usize): void {
  let d = 0;
  for (; d + 4 <= D; d += 4, acc += 128, out += 16) {
    const a = f32x4.mul(v128.load(acc), factor), b = f32x4.mul(v128.load(acc, 32), factor);
    const c = f32x4.mul(v128.load(acc, 64), factor), e = f32x4.mul(v128.load(acc, 96), factor);
    const t0 = v128.shuffle<i32>(a, b, 0, 4, 1, 5), t1 = v128.shuffle<i32>(c, e, 0, 4, 1, 5);
    v128.store(out, v128.shuffle<i64>(t0, t1, 0, 2));
    if (rows > 1) v128.store(out + stride, v128.shuffle<i64>(t0, t1, 1, 3));
    if (rows > 2) {
      const t2 = v128.shuffle<i32>(a, b, 2, 6, 3, 7), t3 = v128.shuffle<i32>(c, e, 2, 6, 3, 7);
      v128.store(out + stride * 2, v128.shuffle<i64>(t2, t3, 0, 2));
      if (rows > 3) v128.store(out + stride * 3, v128.shuffle<i64>(t2, t3, 1, 3));
    }
  }
  for (; d < D; d++, acc += 32, out += 4) {
    const a = f32x4.mul(v128.load(acc), factor);
    store<f32>(out, f32x4.extract_lane(a, 0));
    if (rows > 1) store<f32>(out + stride, f32x4.extract_lane(a, 1));
    if (rows > 2) store<f32>(out + stride * 2, f32x4.extract_lane(a, 2));
    if (rows > 3) store<f32>(out + stride * 3, f32x4.extract_lane(a, 3));
  }
}
