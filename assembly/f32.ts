// Products of floats. The right side lies as [N/8][K][8] (floats, or half floats that are widened a panel at a time), the left
// side in strips [M/4][K][4]. Multiply, then add, k by k: the same bits on every processor. `fast` uses the relaxed madd
// instead, whose rounding is the processor's: 1.5 times as fast.

import { half4 } from "./math";
import { eight, storeTile } from "./int8";

/** Rows of K floats, `stride` bytes apart, into strips of four; rows behind the last are copies of it. */
export function packRows(x: usize, M: i32, K: i32, stride: usize, a: usize, factor: f32): void {
  const f = f32x4.splat(factor);
  for (let m = 0; m < M; m += 4) {
    let x0 = x + <usize>m * stride;
    let x1 = m + 1 < M ? x0 + stride : x0;
    let x2 = m + 2 < M ? x1 + stride : x1;
    let x3 = m + 3 < M ? x2 + stride : x2;
    let k = 0;
    for (; k + 4 <= K; k += 4) {
      const r0 = f32x4.mul(v128.load(x0), f), r1 = f32x4.mul(v128.load(x1), f), r2 = f32x4.mul(v128.load(x2), f), r3 = f32x4.mul(v128.load(x3), f);
      const t0 = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5), t1 = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
      const t2 = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7), t3 = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
      v128.store(a, v128.shuffle<i64>(t0, t1, 0, 2));
      v128.store(a, v128.shuffle<i64>(t0, t1, 1, 3), 16);
      v128.store(a, v128.shuffle<i64>(t2, t3, 0, 2), 32);
      v128.store(a, v128.shuffle<i64>(t2, t3, 1, 3), 48);
      x0 += 16; x1 += 16; x2 += 16; x3 += 16; a += 64;
    }
    for (; k < K; k++) {
      store<f32>(a, load<f32>(x0) * factor);
      store<f32>(a, load<f32>(x1) * factor, 4);
      store<f32>(a, load<f32>(x2) * factor, 8);
      store<f32>(a, load<f32>(x3) * factor, 12);
      x0 += 4; x1 += 4; x2 += 4; x3 += 4; a += 16;
    }
  }
}

/** A [K, N] matrix, rows `stride` bytes apart, into panels [N/8][K][8]; columns behind the last are zeros. */
export function packColumns(x: usize, K: i32, N: i32, stride: usize, b: usize): void {
  for (let n = 0; n < N; n += 8) {
    let p = x + (<usize>n << 2);
    if (n + 8 <= N) {
      for (let k = 0; k < K; k++, p += stride, b += 32) {
        v128.store(b, v128.load(p));
        v128.store(b, v128.load(p, 16), 16);
      }
    } else {
      for (let k = 0; k < K; k++, p += stride, b += 32) eight(p, 0, N - n, b);
    }
  }
}

/** The transpose of an [N, K] matrix, rows `stride` bytes apart, into panels [N/8][K][8]. */
export function packColumnsTransposed(x: usize, K: i32, N: i32, stride: usize, b: usize): void {
  for (let n = 0; n < N; n += 8) {
    const count = min(8, N - n);
    if (count < 8) memory.fill(b, 0, <usize>K << 5);
    let j = 0;
    for (; j + 4 <= count; j += 4) {
      let x0 = x + <usize>(n + j) * stride, x1 = x0 + stride, x2 = x1 + stride, x3 = x2 + stride;
      let to = b + (<usize>j << 2);
      let k = 0;
      for (; k + 4 <= K; k += 4) {
        const r0 = v128.load(x0), r1 = v128.load(x1), r2 = v128.load(x2), r3 = v128.load(x3);
        const t0 = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5), t1 = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
        const t2 = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7), t3 = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
        v128.store(to, v128.shuffle<i64>(t0, t1, 0, 2));
        v128.store(to, v128.shuffle<i64>(t0, t1, 1, 3), 32);
        v128.store(to, v128.shuffle<i64>(t2, t3, 0, 2), 64);
        v128.store(to, v128.shuffle<i64>(t2, t3, 1, 3), 96);
        x0 += 16; x1 += 16; x2 += 16; x3 += 16; to += 128;
      }
      for (; k < K; k++, to += 32) {
        store<f32>(to, load<f32>(x0)); store<f32>(to, load<f32>(x1), 4); store<f32>(to, load<f32>(x2), 8); store<f32>(to, load<f32>(x3), 12);
        x0 += 4; x1 += 4; x2 += 4; x3 += 4;
      }
    }
    for (; j < count; j++) {
      let p = x + <usize>(n + j) * stride, to = b + (<usize>j << 2);
      for (let k = 0; k < K; k++, p += 4, to += 32) store<f32>(to, load<f32>(p));
    }
    b += <usize>K << 5;
  }
}

// @ts-ignore: decorator
@inline
function step(fast: bool, b: v128, x: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD && fast) return f32x4.relaxed_madd(b, x, c);
  return f32x4.add(c, f32x4.mul(b, x));
}

// @ts-ignore: decorator
@inline
function panel(
  fast: bool, a: usize, b: usize, bias: usize, out: usize,
  M: i32, columns: i32, K: i32, rowStride: usize, columnStride: usize, tile: usize, lo: f32, hi: f32,
): void {
  for (let m = 0; m < M; m += 4) {
    let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
    let p = b;
    for (let k = 0; k < K; k++) {
      const b0 = v128.load(p), b1 = v128.load(p, 16), x = v128.load(a);
      p += 32; a += 16;
      const x0 = v128.shuffle<i32>(x, x, 0, 0, 0, 0), x1 = v128.shuffle<i32>(x, x, 1, 1, 1, 1);
      const x2 = v128.shuffle<i32>(x, x, 2, 2, 2, 2), x3 = v128.shuffle<i32>(x, x, 3, 3, 3, 3);
      c00 = step(fast, b0, x0, c00); c01 = step(fast, b1, x0, c01); c10 = step(fast, b0, x1, c10); c11 = step(fast, b1, x1, c11);
      c20 = step(fast, b0, x2, c20); c21 = step(fast, b1, x2, c21); c30 = step(fast, b0, x3, c30); c31 = step(fast, b1, x3, c31);
    }
    const g0 = v128.load(bias), g1 = v128.load(bias, 16), low = f32x4.splat(lo), high = f32x4.splat(hi);
    c00 = f32x4.pmin(f32x4.pmax(f32x4.add(c00, g0), low), high); c01 = f32x4.pmin(f32x4.pmax(f32x4.add(c01, g1), low), high);
    c10 = f32x4.pmin(f32x4.pmax(f32x4.add(c10, g0), low), high); c11 = f32x4.pmin(f32x4.pmax(f32x4.add(c11, g1), low), high);
    c20 = f32x4.pmin(f32x4.pmax(f32x4.add(c20, g0), low), high); c21 = f32x4.pmin(f32x4.pmax(f32x4.add(c21, g1), low), high);
    c30 = f32x4.pmin(f32x4.pmax(f32x4.add(c30, g0), low), high); c31 = f32x4.pmin(f32x4.pmax(f32x4.add(c31, g1), low), high);
    storeTile(c00, c01, c10, c11, c20, c21, c30, c31, out, rowStride, columnStride, M - m, columns, tile);
    out += rowStride << 2;
  }
}

export function panelF32(
  a: usize, b: usize, bias: usize, out: usize,
  M: i32, columns: i32, K: i32, rowStride: usize, columnStride: usize, tile: usize, lo: f32, hi: f32,
): void {
  panel(false, a, b, bias, out, M, columns, K, rowStride, columnStride, tile, lo, hi);
}

export function panelFast(
  a: usize, b: usize, bias: usize, out: usize,
  M: i32, columns: i32, K: i32, rowStride: usize, columnStride: usize, tile: usize, lo: f32, hi: f32,
): void {
  panel(true, a, b, bias, out, M, columns, K, rowStride, columnStride, tile, lo, hi);
}

/** n half floats, a multiple of 8, to floats. */
export function widenHalves(from: usize, to: usize, n: i32): void {
  for (let i = 0; i < n; i += 8, from += 16, to += 32) {
    const h = v128.load(from);
    v128.store(to, half4(i32x4.extend_low_i16x8_u(h)));
    v128.store(to, half4(i32x4.extend_high_i16x8_u(h)), 16);
  }
}

/**
 * M packed rows times a matrix in panels.
 * @param half the panels hold half floats; `tile` has room for a widened one behind its 256 bytes: K * 32 more
 * @param bias 0 where there is none
 */
export function productF32(
  a: usize, b: usize, bias: usize, out: usize, M: i32, N: i32, K: i32,
  rowStride: usize, columnStride: usize, tile: usize, lo: f32, hi: f32, fast: bool, half: bool,
): void {
  for (let n = 0; n < N; n += 8) {
    let g = bias + (<usize>n << 2), p = b;
    if (n + 8 > N || bias == 0) {
      eight(bias, n, N, tile + 192); g = tile + 192;
    }
    if (half) {
      p = tile + 256;
      widenHalves(b, p, K << 3);
      b += <usize>K << 4;
    } else {
      b += <usize>K << 5;
    }
    const to = out + <usize>n * columnStride;
    if (fast) panelFast(a, p, g, to, M, N - n, K, rowStride, columnStride, tile, lo, hi);
    else panelF32(a, p, g, to, M, N - n, K, rowStride, columnStride, tile, lo, hi);
  }
}
