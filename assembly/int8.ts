// Products of 8-bit weights with activations that are quantized here, by row, to 7 bits: x = scale * (q - zero), q in 0..127.
// Integer sums are exact, so both builds give the same bits. Weights lie as [N/8][K/4][8][4], activations as [M/4][K/4][4][4]:
// a step loads 8 columns by 4 k and 4 rows by 4 k, and does 8 dots on 8 accumulators, which is what 16 registers hold.

import { geluRows } from "./gelu";
import { pairs, splat0, splat1, splat2, splat3 } from "./lanes";
import { MAGIC, MAGIC_BITS, max4, min4 } from "./math";

/** Scale and zero point of a row whose values lie in lo..hi, with 0 among them. @param bad whether a NaN was seen */
// @ts-ignore: decorator
@inline
function storeRow(rows: usize, lo: f32, hi: f32, bad: bool): void {
  const range = bad ? f32.NaN : hi - lo;
  store<f32>(rows, range / 127.0);
  const inverse: f32 = range > 0 ? 127.0 / range : 0;
  // Nearest, as the elements are rounded: lo gives 0 exactly.
  store<i32>(rows, <i32>nearest<f32>(-lo * inverse), 4);
  store<f32>(rows, inverse, 8);
}

// @ts-ignore: decorator
@inline
function quantize4(x: v128, inverse: v128, offset: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(x, inverse), f32x4.splat(MAGIC)), offset);
}

// @ts-ignore: decorator
@inline
function row16(x: usize, inverse: v128, offset: v128): v128 {
  const a = quantize4(v128.load(x), inverse, offset);
  const b = quantize4(v128.load(x, 16), inverse, offset);
  const c = quantize4(v128.load(x, 32), inverse, offset);
  const d = quantize4(v128.load(x, 48), inverse, offset);
  const q = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
  return i8x16.max_s(q, i8x16.splat(0));
}

/** Range of one row: writes scale, zero point and inverse of the scale at `rows`. */
export function rangeOfRow(x: usize, K: i32, rows: usize): void {
  let lo = f32x4.splat(0), hi = f32x4.splat(0), bad = f32x4.splat(0);
  const end = x + (<usize>(K & ~3) << 2);
  let p = x;
  for (; p < end; p += 16) {
    const v = v128.load(p);
    lo = f32x4.pmin(lo, v);
    hi = f32x4.pmax(hi, v);
    bad = v128.or(bad, f32x4.ne(v, v));
  }
  let low = min4(lo), high = max4(hi), nan = v128.any_true(bad);
  for (let k = K & ~3; k < K; k++, p += 4) {
    const v = load<f32>(p);
    if (v < low) low = v;
    if (v > high) high = v;
    if (v != v) nan = true;
  }
  storeRow(rows, low, high, nan);
}

/**
 * Quantizes M rows of K floats into strips of four rows. Rows behind the last are copies of it.
 * @param rows 16 bytes a row: scale f32, zero point i32, inverse f32; rounded up to whole strips
 */
export function quantizeRows(x: usize, M: i32, K: i32, a: usize, rows: usize): void {
  const stride = <usize>K << 2;
  const whole = K & ~15;
  for (let m = 0; m < M; m += 4) {
    const x0 = x + <usize>m * stride;
    const x1 = m + 1 < M ? x0 + stride : x0;
    const x2 = m + 2 < M ? x1 + stride : x1;
    const x3 = m + 3 < M ? x2 + stride : x2;
    rangeOfRow(x0, K, rows); rangeOfRow(x1, K, rows + 16); rangeOfRow(x2, K, rows + 32); rangeOfRow(x3, K, rows + 48);
    quantizeStrip(x0, x1, x2, x3, K, whole, a, rows);
    rows += 64;
    a += <usize>((K + 3) & ~3) << 2;
  }
}

export function quantizeStrip(x0: usize, x1: usize, x2: usize, x3: usize, K: i32, whole: i32, a: usize, rows: usize): void {
  const i0 = v128.load32_splat(rows, 8), i1 = v128.load32_splat(rows, 24), i2 = v128.load32_splat(rows, 40), i3 = v128.load32_splat(rows, 56);
  const bits = i32x4.splat(MAGIC_BITS);
  const o0 = i32x4.sub(bits, v128.load32_splat(rows, 4)), o1 = i32x4.sub(bits, v128.load32_splat(rows, 20));
  const o2 = i32x4.sub(bits, v128.load32_splat(rows, 36)), o3 = i32x4.sub(bits, v128.load32_splat(rows, 52));
  let k = 0;
  for (; k < whole; k += 16) {
    const r0 = row16(x0, i0, o0), r1 = row16(x1, i1, o1), r2 = row16(x2, i2, o2), r3 = row16(x3, i3, o3);
    const t0 = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5), t1 = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
    const t2 = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7), t3 = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
    v128.store(a, v128.shuffle<i64>(t0, t1, 0, 2));
    v128.store(a, v128.shuffle<i64>(t0, t1, 1, 3), 16);
    v128.store(a, v128.shuffle<i64>(t2, t3, 0, 2), 32);
    v128.store(a, v128.shuffle<i64>(t2, t3, 1, 3), 48);
    x0 += 64; x1 += 64; x2 += 64; x3 += 64; a += 64;
  }
  for (; k < K; k += 4) {
    const left = min(K - k, 4);
    v128.store(a, i32x4.splat(0));
    for (let j = 0; j < left; j++) {
      store<u8>(a + j, quantize1(x0, i0, o0));
      store<u8>(a + 4 + j, quantize1(x1, i1, o1));
      store<u8>(a + 8 + j, quantize1(x2, i2, o2));
      store<u8>(a + 12 + j, quantize1(x3, i3, o3));
      x0 += 4; x1 += 4; x2 += 4; x3 += 4;
    }
    a += 16;
  }
}

function quantize1(x: usize, inverse: v128, offset: v128): u8 {
  return <u8>max(0, min(127, i32x4.extract_lane(quantize4(v128.load32_splat(x), inverse, offset), 0)));
}

/** Quantizes a strip of four patches [K][4] of floats, each four `apart` bytes behind the last, with a range for each of the four. */
export function quantizePatches(x: usize, K: i32, apart: usize, a: usize, rows: usize): void {
  let lo = f32x4.splat(0), hi = f32x4.splat(0), bad = f32x4.splat(0);
  for (let p = x, k = 0; k < K; k++, p += apart) {
    const v = v128.load(p);
    lo = f32x4.pmin(lo, v);
    hi = f32x4.pmax(hi, v);
    bad = v128.or(bad, f32x4.ne(v, v));
  }
  storeRow(rows, f32x4.extract_lane(lo, 0), f32x4.extract_lane(hi, 0), i32x4.extract_lane(bad, 0) != 0);
  storeRow(rows + 16, f32x4.extract_lane(lo, 1), f32x4.extract_lane(hi, 1), i32x4.extract_lane(bad, 1) != 0);
  storeRow(rows + 32, f32x4.extract_lane(lo, 2), f32x4.extract_lane(hi, 2), i32x4.extract_lane(bad, 2) != 0);
  storeRow(rows + 48, f32x4.extract_lane(lo, 3), f32x4.extract_lane(hi, 3), i32x4.extract_lane(bad, 3) != 0);
  let inverse = v128.load32_zero(rows, 8);
  inverse = v128.load_lane<f32>(rows, inverse, 1, 24);
  inverse = v128.load_lane<f32>(rows, inverse, 2, 40);
  inverse = v128.load_lane<f32>(rows, inverse, 3, 56);
  let zero = v128.load32_zero(rows, 4);
  zero = v128.load_lane<i32>(rows, zero, 1, 20);
  zero = v128.load_lane<i32>(rows, zero, 2, 36);
  zero = v128.load_lane<i32>(rows, zero, 3, 52);
  const offset = i32x4.sub(i32x4.splat(MAGIC_BITS), zero);
  const none = i32x4.splat(0), most = i32x4.splat(127);
  const whole = K & ~3, two = apart << 1;
  for (let k = 0; k < whole; k += 4, x += two << 1, a += 16) {
    const q0 = i32x4.max_s(none, i32x4.min_s(most, quantize4(v128.load(x), inverse, offset)));
    const q1 = i32x4.max_s(none, i32x4.min_s(most, quantize4(v128.load(x + apart), inverse, offset)));
    const q2 = i32x4.max_s(none, i32x4.min_s(most, quantize4(v128.load(x + two), inverse, offset)));
    const q3 = i32x4.max_s(none, i32x4.min_s(most, quantize4(v128.load(x + two + apart), inverse, offset)));
    v128.store(a, v128.or(v128.or(q0, i32x4.shl(q1, 8)), v128.or(i32x4.shl(q2, 16), i32x4.shl(q3, 24))));
  }
  if (whole < K) {
    let q = none;
    for (let shift = 0; shift < (K - whole) << 3; x += apart, shift += 8) {
      q = v128.or(q, i32x4.shl(i32x4.max_s(none, i32x4.min_s(most, quantize4(v128.load(x), inverse, offset))), shift));
    }
    v128.store(a, q);
  }
}

// @ts-ignore: decorator
@inline
function finish(sums: v128, zero: v128, total: v128, scale: v128, column: v128, bias: v128): v128 {
  const exact = i32x4.sub(sums, i32x4.mul(zero, total));
  return f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(exact), f32x4.mul(scale, column)), bias);
}

// @ts-ignore: decorator
@inline
function clamp(y: v128, lo: v128, hi: v128): v128 { return f32x4.pmin(f32x4.pmax(y, lo), hi); }

/**
 * Where a tile of 4 rows by 8 columns goes: rows `rowStride` apart, columns side by side; or, transposed, columns
 * `columnStride` apart and rows side by side. A tile at an edge is written to `tile` first.
 */
// @ts-ignore: decorator
@inline
export function storeTile(
  y00: v128, y01: v128, y10: v128, y11: v128, y20: v128, y21: v128, y30: v128, y31: v128,
  out: usize, rowStride: usize, columnStride: usize, rows: i32, columns: i32, tile: usize,
): void {
  if (columnStride == 4 && rows >= 4 && columns >= 8) {
    v128.store(out, y00); v128.store(out, y01, 16); out += rowStride;
    v128.store(out, y10); v128.store(out, y11, 16); out += rowStride;
    v128.store(out, y20); v128.store(out, y21, 16); out += rowStride;
    v128.store(out, y30); v128.store(out, y31, 16);
  } else if (rowStride == 4 && rows >= 4 && columns >= 8) {
    let t0 = v128.shuffle<i32>(y00, y10, 0, 4, 1, 5), t1 = v128.shuffle<i32>(y20, y30, 0, 4, 1, 5);
    let t2 = v128.shuffle<i32>(y00, y10, 2, 6, 3, 7), t3 = v128.shuffle<i32>(y20, y30, 2, 6, 3, 7);
    v128.store(out, v128.shuffle<i64>(t0, t1, 0, 2)); out += columnStride;
    v128.store(out, v128.shuffle<i64>(t0, t1, 1, 3)); out += columnStride;
    v128.store(out, v128.shuffle<i64>(t2, t3, 0, 2)); out += columnStride;
    v128.store(out, v128.shuffle<i64>(t2, t3, 1, 3)); out += columnStride;
    t0 = v128.shuffle<i32>(y01, y11, 0, 4, 1, 5); t1 = v128.shuffle<i32>(y21, y31, 0, 4, 1, 5);
    t2 = v128.shuffle<i32>(y01, y11, 2, 6, 3, 7); t3 = v128.shuffle<i32>(y21, y31, 2, 6, 3, 7);
    v128.store(out, v128.shuffle<i64>(t0, t1, 0, 2)); out += columnStride;
    v128.store(out, v128.shuffle<i64>(t0, t1, 1, 3)); out += columnStride;
    v128.store(out, v128.shuffle<i64>(t2, t3, 0, 2)); out += columnStride;
    v128.store(out, v128.shuffle<i64>(t2, t3, 1, 3));
  } else {
    v128.store(tile, y00); v128.store(tile, y01, 16); v128.store(tile, y10, 32); v128.store(tile, y11, 48);
    v128.store(tile, y20, 64); v128.store(tile, y21, 80); v128.store(tile, y30, 96); v128.store(tile, y31, 112);
    copyTile(tile, out, rowStride, columnStride, rows, columns);
  }
}

export function copyTile(tile: usize, out: usize, rowStride: usize, columnStride: usize, rows: i32, columns: i32): void {
  const m = min(rows, 4), n = min(columns, 8);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      store<f32>(out + <usize>i * rowStride + <usize>j * columnStride, load<f32>(tile + (<usize>(i * 8 + j) << 2)));
    }
  }
}

/**
 * One panel of 8 columns for all rows. Exported so that it stays a function of its own: called once a panel, it is compiled
 * by the optimising compiler after a few calls.
 */
export function panelInt8(
  a: usize, rows: usize, b: usize, scales: usize, sums: usize, bias: usize, out: usize,
  M: i32, columns: i32, k4: i32, rowStride: usize, columnStride: usize, tile: usize, lo: f32, hi: f32,
): void {
  const zero = i32x4.splat(0);
  const limited = lo > -Infinity || hi < Infinity;
  for (let m = 0; m < M; m += 4) {
    let y00 = zero, y01 = zero, y10 = zero, y11 = zero, y20 = zero, y21 = zero, y30 = zero, y31 = zero;
    if (ASC_FEATURE_RELAXED_SIMD) {
      let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
      let p = b;
      for (let k = 0; k < k4; k++) {
        const b0 = v128.load(p), b1 = v128.load(p, 16), x = v128.load(a);
        // Two of four by a load each: shuffles stand in the way of the dots. One after the other, so that no sum leaves its register.
        let r = splat0(x);
        c00 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b0, r, c00); c01 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b1, r, c01);
        r = splat1(x);
        c10 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b0, r, c10); c11 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b1, r, c11);
        r = v128.load32_splat(a, 8);
        c20 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b0, r, c20); c21 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b1, r, c21);
        r = v128.load32_splat(a, 12);
        c30 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b0, r, c30); c31 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b1, r, c31);
        p += 32; a += 16;
      }
      y00 = c00; y01 = c01; y10 = c10; y11 = c11; y20 = c20; y21 = c21; y30 = c30; y31 = c31;
    } else {
      // Four columns at a time; an accumulator holds two columns as two halves that are added at the end.
      for (let half = 0; half < 2; half++) {
        let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
        let p = b + (<usize>half << 4), s = a;
        for (let k = 0; k < k4; k++) {
          const w = v128.load(p), x = v128.load(s);
          p += 32; s += 16;
          const b0 = i16x8.extend_low_i8x16_s(w), b1 = i16x8.extend_high_i8x16_s(w);
          const u = i16x8.extend_low_i8x16_s(x), v = i16x8.extend_high_i8x16_s(x);
          let r = v128.shuffle<i64>(u, u, 0, 0);
          c00 = i32x4.add(c00, i32x4.dot_i16x8_s(b0, r)); c01 = i32x4.add(c01, i32x4.dot_i16x8_s(b1, r));
          r = v128.shuffle<i64>(u, u, 1, 1);
          c10 = i32x4.add(c10, i32x4.dot_i16x8_s(b0, r)); c11 = i32x4.add(c11, i32x4.dot_i16x8_s(b1, r));
          r = v128.shuffle<i64>(v, v, 0, 0);
          c20 = i32x4.add(c20, i32x4.dot_i16x8_s(b0, r)); c21 = i32x4.add(c21, i32x4.dot_i16x8_s(b1, r));
          r = v128.shuffle<i64>(v, v, 1, 1);
          c30 = i32x4.add(c30, i32x4.dot_i16x8_s(b0, r)); c31 = i32x4.add(c31, i32x4.dot_i16x8_s(b1, r));
        }
        const d0 = pairs(c00, c01), d1 = pairs(c10, c11), d2 = pairs(c20, c21), d3 = pairs(c30, c31);
        if (half == 0) { y00 = d0; y10 = d1; y20 = d2; y30 = d3; }
        else { y01 = d0; y11 = d1; y21 = d2; y31 = d3; }
      }
      a += <usize>k4 << 4;
    }
    const s0 = v128.load(scales), s1 = v128.load(scales, 16), t0 = v128.load(sums), t1 = v128.load(sums, 16);
    const g0 = v128.load(bias), g1 = v128.load(bias, 16);
    let scale = v128.load32_splat(rows), point = v128.load32_splat(rows, 4);
    y00 = finish(y00, point, t0, scale, s0, g0); y01 = finish(y01, point, t1, scale, s1, g1);
    scale = v128.load32_splat(rows, 16); point = v128.load32_splat(rows, 20);
    y10 = finish(y10, point, t0, scale, s0, g0); y11 = finish(y11, point, t1, scale, s1, g1);
    scale = v128.load32_splat(rows, 32); point = v128.load32_splat(rows, 36);
    y20 = finish(y20, point, t0, scale, s0, g0); y21 = finish(y21, point, t1, scale, s1, g1);
    scale = v128.load32_splat(rows, 48); point = v128.load32_splat(rows, 52);
    y30 = finish(y30, point, t0, scale, s0, g0); y31 = finish(y31, point, t1, scale, s1, g1);
    if (limited) {
      const low = f32x4.splat(lo), high = f32x4.splat(hi);
      y00 = clamp(y00, low, high); y01 = clamp(y01, low, high); y10 = clamp(y10, low, high); y11 = clamp(y11, low, high);
      y20 = clamp(y20, low, high); y21 = clamp(y21, low, high); y30 = clamp(y30, low, high); y31 = clamp(y31, low, high);
    }
    rows += 64;
    storeTile(y00, y01, y10, y11, y20, y21, y30, y31, out, rowStride, columnStride, M - m, columns, tile);
    out += rowStride << 2;
  }
}

/** Eight values of a column's data, filled up with zeros behind the last; zeros where there are none. */
export function eight(from: usize, n: i32, N: i32, to: usize): void {
  v128.store(to, i32x4.splat(0));
  v128.store(to, i32x4.splat(0), 16);
  if (from != 0) memory.copy(to, from + (<usize>n << 2), <usize>min(8, N - n) << 2);
}

/**
 * M quantized rows times weights of N columns.
 * @param bias 0 where there is none
 * @param tile 256 bytes for edges
 * @param gelu applied to each panel while it is in the first-level cache; with rows that lie apart alone
 */
export function productInt8(
  a: usize, rows: usize, b: usize, scales: usize, sums: usize, bias: usize, out: usize,
  M: i32, N: i32, K: i32, rowStride: usize, columnStride: usize, tile: usize, lo: f32, hi: f32, gelu: bool,
): void {
  const k4 = (K + 3) >> 2;
  for (let n = 0; n < N; n += 8) {
    const at = <usize>n << 2;
    let s = scales + at, t = sums + at, g = bias + at;
    if (n + 8 > N) {
      eight(scales, n, N, tile + 128); s = tile + 128;
      eight(sums, n, N, tile + 160); t = tile + 160;
    }
    if (n + 8 > N || bias == 0) {
      eight(bias, n, N, tile + 192); g = tile + 192;
    }
    const to = out + <usize>n * columnStride;
    panelInt8(a, rows, b, s, t, g, to, M, N - n, k4, rowStride, columnStride, tile, lo, hi);
    if (gelu) geluRows(to, M, N - n, rowStride);
    b += <usize>k4 << 5;
  }
}
