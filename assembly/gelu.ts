// GELU with the exact error function, eight floats at a time: two vectors side by side share the loads of the constants, and the
// processor works on one while it waits for the other. The same steps as `erf4` has, so the same bits.

import { ERF, constant, erf4 } from "./math";

const SCALES: usize = memory.data<f32>([0.70710678, 0.5, 1]);

// @ts-ignore: decorator
@inline
function step(p: v128, s: v128, c: v128): v128 { return f32x4.add(f32x4.mul(p, s), c); }

// @ts-ignore: decorator
@inline
export function gelu4(x: v128): v128 {
  const e = erf4(f32x4.mul(x, constant(SCALES, 0)));
  return f32x4.mul(f32x4.mul(x, constant(SCALES, 1)), f32x4.add(constant(SCALES, 2), e));
}

// @ts-ignore: decorator
@inline
function gelu8(x: usize, out: usize): void {
  const v = v128.load(x), w = v128.load(x, 16);
  let c = constant(SCALES, 0), d = constant(ERF, 0);
  let a = f32x4.pmin(f32x4.mul(v, c), d), b = f32x4.pmin(f32x4.mul(w, c), d);
  c = constant(ERF, 1); a = f32x4.pmax(a, c); b = f32x4.pmax(b, c);
  const s = f32x4.mul(a, a), t = f32x4.mul(b, b);
  c = constant(ERF, 2); d = constant(ERF, 3);
  let p = step(c, s, d), q = step(c, t, d);
  c = constant(ERF, 4); p = step(p, s, c); q = step(q, t, c);
  c = constant(ERF, 5); p = step(p, s, c); q = step(q, t, c);
  c = constant(ERF, 6); p = step(p, s, c); q = step(q, t, c);
  c = constant(ERF, 7); p = step(p, s, c); q = step(q, t, c);
  c = constant(ERF, 8); p = step(p, s, c); q = step(q, t, c);
  p = f32x4.mul(a, p); q = f32x4.mul(b, q);
  c = constant(ERF, 9); d = constant(ERF, 10);
  a = step(c, s, d); b = step(c, t, d);
  c = constant(ERF, 11); a = step(a, s, c); b = step(b, t, c);
  c = constant(ERF, 12); a = step(a, s, c); b = step(b, t, c);
  c = constant(ERF, 13); a = step(a, s, c); b = step(b, t, c);
  p = f32x4.div(p, a); q = f32x4.div(q, b);
  c = constant(SCALES, 1); d = constant(SCALES, 2);
  v128.store(out, f32x4.mul(f32x4.mul(v, c), f32x4.add(d, p)));
  v128.store(out, f32x4.mul(f32x4.mul(w, c), f32x4.add(d, q)), 16);
}

/** n floats. `out` may be `x`. */
export function gelu(x: usize, out: usize, n: i32): void {
  for (; n >= 8; n -= 8, x += 32, out += 32) gelu8(x, out);
  if (n >= 4) { v128.store(out, gelu4(v128.load(x))); n -= 4; x += 16; out += 16; }
  for (; n > 0; n--, x += 4, out += 4) v128.store_lane<f32>(out, gelu4(v128.load32_splat(x)), 0);
}

/** M rows of n floats, at most 8, `stride` bytes apart, in place. */
export function geluRows(x: usize, M: i32, n: i32, stride: usize): void {
  if (n >= 8) for (; M > 0; M--, x += stride) gelu8(x, x);
  else for (; M > 0; M--, x += stride) gelu(x, x, n);
}
