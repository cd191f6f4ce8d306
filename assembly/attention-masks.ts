// Masks of `attention-int8.ts`: which keys are hidden, and what is added to the scores of eight queries.

import { LOG2E } from "./math";

/** Below it no score makes up for a mask. */
// @ts-ignore: decorator
@inline
export const HIDES: f32 = -1e30;

/** Whether key t is hidden by `keep`, or by a mask that is no more than `low`. */
// @ts-ignore: decorator
@inline
function isHidden(mask: usize, keep: usize, t: i32, low: f32): bool {
  const at = <usize>t << 2;
  return (keep != 0 && load<i32>(keep + at) == 0) || (mask != 0 && load<f32>(mask + at) <= low);
}

// @ts-ignore: decorator
@inline
function isShown(mask: usize, keep: usize, t: i32): bool {
  const at = <usize>t << 2;
  return (keep == 0 || load<i32>(keep + at) != 0) && (mask == 0 || load<f32>(mask + at) == 0);
}

/** Where the shown keys begin. */
export function firstShown(mask: usize, keep: usize, T: i32): i32 {
  let t = 0;
  while (t < T && isHidden(mask, keep, t, HIDES)) t++;
  return t;
}

/** How many keys are shown from `first` on, where all others are hidden; 0 where some lie elsewhere, or a mask does more than hide. */
export function countShown(mask: usize, keep: usize, first: i32, T: i32, low: f32): i32 {
  let t = first;
  while (t < T && isShown(mask, keep, t)) t++;
  const end = t;
  while (t < T && isHidden(mask, keep, t, low)) t++;
  return t < T ? 0 : end - first;
}

// @ts-ignore: decorator
@inline
function lanes(m: usize, row: usize): v128 {
  return v128.load_lane<f32>(m + row * 3, v128.load_lane<f32>(m + row * 2, v128.load_lane<f32>(m + row, v128.load32_zero(m), 1), 2), 3);
}

// @ts-ignore: decorator
@inline
function low4(m: v128): v128 {
  // In powers of 2 the lowest float would be -inf, which hides a key for good.
  const low = f32x4.pmax(f32x4.mul(m, f32x4.splat(LOG2E)), f32x4.splat(-f32.MAX_VALUE));
  return v128.bitselect(m, low, f32x4.eq(m, f32x4.splat(-Infinity)));
}

/** Adds the masks to scores [count][8], and keeps the greatest at `most`. `row` is 0 where all queries have the same mask. */
export function maskInt8(scores: usize, count: i32, mask: usize, row: usize, step: usize, rows: i32, keep: usize, most: usize): void {
  let most0 = v128.load(most), most1 = v128.load(most, 16);
  for (let t = 0; t < count; t++, scores += 32) {
    let s0 = v128.load(scores), s1 = v128.load(scores, 16);
    if (mask != 0) {
      let m0: v128, m1: v128;
      if (row == 0) { m0 = v128.load32_splat(mask); m1 = m0; }
      else if (rows == 8) { m0 = lanes(mask, row); m1 = lanes(mask + (row << 2), row); }
      else {
        m0 = f32x4.splat(0); m1 = m0;
        const room = scores;
        for (let r = 0; r < 8; r++) store<f32>(room + (<usize>r << 2), load<f32>(mask + <usize>min(r, rows - 1) * row));
        m0 = v128.load(room); m1 = v128.load(room, 16);
      }
      s0 = f32x4.add(s0, low4(m0)); s1 = f32x4.add(s1, low4(m1));
      mask += step;
    }
    if (keep != 0) {
      if (load<i32>(keep) == 0) {
        s0 = f32x4.add(s0, f32x4.splat(-f32.MAX_VALUE)); s1 = f32x4.add(s1, f32x4.splat(-f32.MAX_VALUE));
      }
      keep += 4;
    }
    v128.store(scores, s0); v128.store(scores, s1, 16);
    most0 = f32x4.pmax(most0, s0); most1 = f32x4.pmax(most1, s1);
  }
  v128.store(most, most0); v128.store(most, most1, 16);
}
