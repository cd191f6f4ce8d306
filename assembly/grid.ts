// Activations of eight bits whose scale and zero point a model brings. They stay floats that lie on the grid of these eight bits,
// so that a product takes whole numbers 0..255 of them without a loss. The relaxed dot takes seven: the upper seven bits are
// multiplied first, the sums doubled, and the lowest bit multiplied then. The sums are those of eight bits exactly.

import { MAGIC, MAGIC_BITS } from "./math";
import { eight, storeTile } from "./int8";
import { pairs, splat0, splat1, splat2, splat3 } from "./lanes";

/** n floats, kept to lo..hi, to the nearest multiple of `step`, ties to even. `out` may be `x`. */
export function roundTo(x: usize, out: usize, n: i32, step: f32, lo: f32, hi: f32): void {
  const s = f32x4.splat(step), low = f32x4.splat(lo), high = f32x4.splat(hi);
  let i = 0;
  for (; i + 4 <= n; i += 4, x += 16, out += 16) v128.store(out, onGrid(f32x4.pmin(f32x4.pmax(v128.load(x), low), high), s));
  for (; i < n; i++, x += 4, out += 4) v128.store_lane<f32>(out, onGrid(f32x4.pmin(f32x4.pmax(v128.load32_splat(x), low), high), s), 0);
}

// @ts-ignore: decorator
@inline
function onGrid(v: v128, step: v128): v128 {
  return f32x4.mul(f32x4.nearest(f32x4.div(v, step)), step);
}

// @ts-ignore: decorator
@inline
function byte(x: usize, inverse: v128, offset: v128): v128 {
  const q = i32x4.sub(f32x4.add(f32x4.mul(v128.load(x), inverse), f32x4.splat(MAGIC)), offset);
  return i32x4.max_s(i32x4.splat(0), i32x4.min_s(i32x4.splat(255), q));
}

/**
 * Strips of patches [depth][4], of floats on a grid, to strips of whole numbers: [depth / 4][4][4] of their upper seven bits,
 * and the same of the lowest. `strip` and `apart` are as `quantizeStrips` has them.
 */
export function gridStrips(from: usize, count: i32, depth: i32, strip: usize, apart: usize, to: usize, scale: f32, zero: i32): void {
  const inverse = f32x4.splat(<f32>1 / scale), offset = i32x4.splat(MAGIC_BITS - zero);
  const whole = depth & ~3, lowest = <usize>((depth + 3) & ~3) << 2;
  const two = apart << 1;
  for (let m = 0; m < count; m += 4, to += lowest, from += strip) {
    let x = from;
    for (let k = 0; k < whole; k += 4, x += two << 1, to += 16) {
      const low = v128.or(byte(x, inverse, offset), i32x4.shl(byte(x + apart, inverse, offset), 8));
      const high = v128.or(byte(x + two, inverse, offset), i32x4.shl(byte(x + two + apart, inverse, offset), 8));
      storeBits(v128.or(low, i32x4.shl(high, 16)), to, lowest);
    }
    if (whole == depth) continue;
    let q = i32x4.splat(0);
    for (let shift = 0; shift < (depth - whole) << 3; shift += 8, x += apart) q = v128.or(q, i32x4.shl(byte(x, inverse, offset), shift));
    storeBits(q, to, lowest);
    to += 16;
  }
}

// @ts-ignore: decorator
@inline
function storeBits(q: v128, to: usize, lowest: usize): void {
  v128.store(to, v128.and(i32x4.shr_u(q, 1), i32x4.splat(0x7f7f7f7f)));
  v128.store(to + lowest, v128.and(q, i32x4.splat(0x01010101)));
}

/** Four columns: their sums with the bias, which is a whole number of them, times `scale`; then the whole numbers of the result. */
// @ts-ignore: decorator
@inline
function finish(sums: v128, more: v128, scale: v128, lo: v128, hi: v128, step: v128): v128 {
  const y = f32x4.mul(f32x4.convert_i32x4_s(i32x4.add(sums, more)), scale);
  return f32x4.mul(f32x4.pmin(f32x4.pmax(f32x4.nearest(y), lo), hi), step);
}

// @ts-ignore: decorator
@inline
function finishFloats(sums: v128, more: v128, scale: v128, bias: v128, lo: v128, hi: v128): v128 {
  const y = f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.add(sums, more)), scale), bias);
  return f32x4.pmin(f32x4.pmax(y, lo), hi);
}

// @ts-ignore: decorator
@inline
function wholeBias(bias: v128, scale: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.div(bias, scale)));
}

/** One panel of 8 columns for all rows. A function of its own, so that it is compiled well after a few calls. */
export function panelGrid(
  a: usize, scale: f32, zero: i32, b: usize, scales: usize, sums: usize, bias: usize, out: usize,
  M: i32, columns: i32, k4: i32, rowStride: usize, columnStride: usize, tile: usize, lo: f32, hi: f32, step: f32,
): void {
  const none = i32x4.splat(0);
  let s0 = f32x4.mul(v128.load(scales), f32x4.splat(scale)), s1 = f32x4.mul(v128.load(scales, 16), f32x4.splat(scale));
  let t0 = i32x4.neg(i32x4.mul(v128.load(sums), i32x4.splat(zero))), t1 = i32x4.neg(i32x4.mul(v128.load(sums, 16), i32x4.splat(zero)));
  const g0 = v128.load(bias), g1 = v128.load(bias, 16), grid = f32x4.splat(step);
  let low = f32x4.splat(lo), high = f32x4.splat(hi);
  if (step != 0) {
    t0 = i32x4.add(t0, wholeBias(g0, s0)); t1 = i32x4.add(t1, wholeBias(g1, s1));
    s0 = f32x4.div(s0, grid); s1 = f32x4.div(s1, grid);
    low = f32x4.nearest(f32x4.div(low, grid)); high = f32x4.nearest(f32x4.div(high, grid));
  }
  for (let m = 0; m < M; m += 4) {
    let y00 = none, y01 = none, y10 = none, y11 = none, y20 = none, y21 = none, y30 = none, y31 = none;
    if (ASC_FEATURE_RELAXED_SIMD) {
      for (let bits = 0; bits < 2; bits++) {
        let c00 = i32x4.shl(y00, 1), c01 = i32x4.shl(y01, 1), c10 = i32x4.shl(y10, 1), c11 = i32x4.shl(y11, 1);
        let c20 = i32x4.shl(y20, 1), c21 = i32x4.shl(y21, 1), c30 = i32x4.shl(y30, 1), c31 = i32x4.shl(y31, 1);
        let p = b;
        for (let k = 0; k < k4; k++) {
          const b0 = v128.load(p), b1 = v128.load(p, 16), x = v128.load(a);
          p += 32; a += 16;
          const x0 = splat0(x), x1 = splat1(x), x2 = splat2(x), x3 = splat3(x);
          c00 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b0, x0, c00); c01 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b1, x0, c01);
          c10 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b0, x1, c10); c11 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b1, x1, c11);
          c20 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b0, x2, c20); c21 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b1, x2, c21);
          c30 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b0, x3, c30); c31 = i32x4.relaxed_dot_i8x16_i7x16_add_s(b1, x3, c31);
        }
        y00 = c00; y01 = c01; y10 = c10; y11 = c11; y20 = c20; y21 = c21; y30 = c30; y31 = c31;
      }
    } else {
      // Four columns at a time; an accumulator holds two columns as two halves that are added at the end.
      for (let half = 0; half < 2; half++) {
        let c00 = none, c01 = none, c10 = none, c11 = none, c20 = none, c21 = none, c30 = none, c31 = none;
        const lowest = <usize>k4 << 4;
        let p = b + (<usize>half << 4), s = a;
        for (let k = 0; k < k4; k++) {
          const w = v128.load(p), x = i8x16.add(i8x16.shl(v128.load(s), 1), v128.load(s + lowest));
          p += 32; s += 16;
          const b0 = i16x8.extend_low_i8x16_s(w), b1 = i16x8.extend_high_i8x16_s(w);
          const u = i16x8.extend_low_i8x16_u(x), v = i16x8.extend_high_i8x16_u(x);
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
      a += <usize>k4 << 5;
    }
    if (step != 0) {
      y00 = finish(y00, t0, s0, low, high, grid); y01 = finish(y01, t1, s1, low, high, grid);
      y10 = finish(y10, t0, s0, low, high, grid); y11 = finish(y11, t1, s1, low, high, grid);
      y20 = finish(y20, t0, s0, low, high, grid); y21 = finish(y21, t1, s1, low, high, grid);
      y30 = finish(y30, t0, s0, low, high, grid); y31 = finish(y31, t1, s1, low, high, grid);
    } else {
      y00 = finishFloats(y00, t0, s0, g0, low, high); y01 = finishFloats(y01, t1, s1, g1, low, high);
      y10 = finishFloats(y10, t0, s0, g0, low, high); y11 = finishFloats(y11, t1, s1, g1, low, high);
      y20 = finishFloats(y20, t0, s0, g0, low, high); y21 = finishFloats(y21, t1, s1, g1, low, high);
      y30 = finishFloats(y30, t0, s0, g0, low, high); y31 = finishFloats(y31, t1, s1, g1, low, high);
    }
    storeTile(y00, y01, y10, y11, y20, y21, y30, y31, out, rowStride, columnStride, M - m, columns, tile);
    out += rowStride << 2;
  }
}

/**
 * M rows of `gridStrips` times weights of N columns, rounded to multiples of `step` where that is not 0: in the steps that ONNX
 * Runtime takes, so that whole numbers come out alike.
 * @param bias 0 where there is none
 * @param tile 256 bytes for edges
 */
export function productGrid(
  a: usize, scale: f32, zero: i32, b: usize, scales: usize, sums: usize, bias: usize, out: usize,
  M: i32, N: i32, K: i32, rowStride: usize, columnStride: usize, tile: usize, lo: f32, hi: f32, step: f32,
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
    panelGrid(a, scale, zero, b, s, t, g, out + <usize>n * columnStride, M, N - n, k4, rowStride, columnStride, tile, lo, hi, step);
    b += <usize>k4 << 5;
  }
}
