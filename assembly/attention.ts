// Attention of one head in floats, by online softmax: scores exist for four queries and one block of keys at a time. Blocks
// begin at key 0 and lanes are queries, so that a row's sums have the same order whatever stands beside or behind it; a masked
// key adds an exact 0. Scores are kept as exponents of 2: the queries are scaled by log2(e) beside what the model says.

import { LOG2E, power4 } from "./math";
import { packColumns, packColumnsTransposed, packRows } from "./f32";

/** Keys whose scores are held at a time. */
// @ts-ignore: decorator
@inline
const KEYS: i32 = 128;

/** Bytes of scratch for one head of T keys and D channels. */
export function attentionScratch(T: i32, D: i32): i32 {
  const t = (T + 7) & ~7, d = (D + 7) & ~7;
  return (t * D + d * T + D * 4 + KEYS * 4 + d * 4 + 64) * 4;
}

/** Scores of four queries with `keys` keys, as [keys][4]. Gives the greatest of each row, and of `most`. */
export function scoreStrip(q: usize, k: usize, scores: usize, keys: i32, D: i32, most: v128): v128 {
  for (let n = 0; n < keys; n += 8) {
    let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
    let a = q;
    for (let d = 0; d < D; d++) {
      const b0 = v128.load(k), b1 = v128.load(k, 16), x = v128.load(a);
      k += 32; a += 16;
      const x0 = v128.shuffle<i32>(x, x, 0, 0, 0, 0), x1 = v128.shuffle<i32>(x, x, 1, 1, 1, 1);
      const x2 = v128.shuffle<i32>(x, x, 2, 2, 2, 2), x3 = v128.shuffle<i32>(x, x, 3, 3, 3, 3);
      c00 = f32x4.add(c00, f32x4.mul(b0, x0)); c01 = f32x4.add(c01, f32x4.mul(b1, x0));
      c10 = f32x4.add(c10, f32x4.mul(b0, x1)); c11 = f32x4.add(c11, f32x4.mul(b1, x1));
      c20 = f32x4.add(c20, f32x4.mul(b0, x2)); c21 = f32x4.add(c21, f32x4.mul(b1, x2));
      c30 = f32x4.add(c30, f32x4.mul(b0, x3)); c31 = f32x4.add(c31, f32x4.mul(b1, x3));
    }
    let t0 = v128.shuffle<i32>(c00, c10, 0, 4, 1, 5), t1 = v128.shuffle<i32>(c20, c30, 0, 4, 1, 5);
    let t2 = v128.shuffle<i32>(c00, c10, 2, 6, 3, 7), t3 = v128.shuffle<i32>(c20, c30, 2, 6, 3, 7);
    const s0 = v128.shuffle<i64>(t0, t1, 0, 2), s1 = v128.shuffle<i64>(t0, t1, 1, 3);
    const s2 = v128.shuffle<i64>(t2, t3, 0, 2), s3 = v128.shuffle<i64>(t2, t3, 1, 3);
    t0 = v128.shuffle<i32>(c01, c11, 0, 4, 1, 5); t1 = v128.shuffle<i32>(c21, c31, 0, 4, 1, 5);
    t2 = v128.shuffle<i32>(c01, c11, 2, 6, 3, 7); t3 = v128.shuffle<i32>(c21, c31, 2, 6, 3, 7);
    const s4 = v128.shuffle<i64>(t0, t1, 0, 2), s5 = v128.shuffle<i64>(t0, t1, 1, 3);
    const s6 = v128.shuffle<i64>(t2, t3, 0, 2), s7 = v128.shuffle<i64>(t2, t3, 1, 3);
    // There is room for keys behind the last; they must not count.
    v128.store(scores, s0); v128.store(scores, s1, 16); v128.store(scores, s2, 32); v128.store(scores, s3, 48);
    v128.store(scores, s4, 64); v128.store(scores, s5, 80); v128.store(scores, s6, 96); v128.store(scores, s7, 112);
    if (n + 8 <= keys) {
      most = f32x4.pmax(most, f32x4.pmax(f32x4.pmax(f32x4.pmax(s0, s1), f32x4.pmax(s2, s3)), f32x4.pmax(f32x4.pmax(s4, s5), f32x4.pmax(s6, s7))));
      scores += 128;
    } else {
      for (let i = n; i < keys; i++, scores += 16) most = f32x4.pmax(most, v128.load(scores));
    }
  }
  return most;
}

/** Adds the values of `keys` keys, weighted by [keys][4], to `acc` [D/8][4][8], after scaling it by a factor a row. */
export function weightStrip(p: usize, v: usize, acc: usize, keys: i32, T: i32, D: i32, factor: v128): void {
  const f0 = v128.shuffle<i32>(factor, factor, 0, 0, 0, 0), f1 = v128.shuffle<i32>(factor, factor, 1, 1, 1, 1);
  const f2 = v128.shuffle<i32>(factor, factor, 2, 2, 2, 2), f3 = v128.shuffle<i32>(factor, factor, 3, 3, 3, 3);
  for (let d = 0; d < D; d += 8) {
    let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
    let a = p, b = v;
    for (let t = 0; t < keys; t++) {
      const b0 = v128.load(b), b1 = v128.load(b, 16), x = v128.load(a);
      b += 32; a += 16;
      const x0 = v128.shuffle<i32>(x, x, 0, 0, 0, 0), x1 = v128.shuffle<i32>(x, x, 1, 1, 1, 1);
      const x2 = v128.shuffle<i32>(x, x, 2, 2, 2, 2), x3 = v128.shuffle<i32>(x, x, 3, 3, 3, 3);
      c00 = f32x4.add(c00, f32x4.mul(b0, x0)); c01 = f32x4.add(c01, f32x4.mul(b1, x0));
      c10 = f32x4.add(c10, f32x4.mul(b0, x1)); c11 = f32x4.add(c11, f32x4.mul(b1, x1));
      c20 = f32x4.add(c20, f32x4.mul(b0, x2)); c21 = f32x4.add(c21, f32x4.mul(b1, x2));
      c30 = f32x4.add(c30, f32x4.mul(b0, x3)); c31 = f32x4.add(c31, f32x4.mul(b1, x3));
    }
    v128.store(acc, f32x4.add(f32x4.mul(v128.load(acc), f0), c00)); v128.store(acc, f32x4.add(f32x4.mul(v128.load(acc, 16), f0), c01), 16);
    v128.store(acc, f32x4.add(f32x4.mul(v128.load(acc, 32), f1), c10), 32); v128.store(acc, f32x4.add(f32x4.mul(v128.load(acc, 48), f1), c11), 48);
    v128.store(acc, f32x4.add(f32x4.mul(v128.load(acc, 64), f2), c20), 64); v128.store(acc, f32x4.add(f32x4.mul(v128.load(acc, 80), f2), c21), 80);
    v128.store(acc, f32x4.add(f32x4.mul(v128.load(acc, 96), f3), c30), 96); v128.store(acc, f32x4.add(f32x4.mul(v128.load(acc, 112), f3), c31), 112);
    acc += 128;
    v += <usize>T << 5;
  }
}

/** Adds the masks to scores [keys][4] and gives the greatest of each row. */
export function maskStrip(scores: usize, keys: i32, m0: usize, m1: usize, m2: usize, m3: usize, step: usize, keep: usize, most: v128): v128 {
  for (let t = 0; t < keys; t++, scores += 16) {
    let s = v128.load(scores);
    if (m0 != 0) {
      let m = v128.load32_zero(m0);
      m = v128.load_lane<f32>(m1, m, 1);
      m = v128.load_lane<f32>(m2, m, 2);
      m = v128.load_lane<f32>(m3, m, 3);
      m0 += step; m1 += step; m2 += step; m3 += step;
      // In powers of 2 the lowest float would be -inf, which hides a key for good.
      const low = f32x4.pmax(f32x4.mul(m, f32x4.splat(LOG2E)), f32x4.splat(-f32.MAX_VALUE));
      s = f32x4.add(s, v128.bitselect(m, low, f32x4.eq(m, f32x4.splat(-Infinity))));
    }
    if (keep != 0) {
      // What exported models add for a key that is not there: the lowest float.
      if (load<i32>(keep) == 0) s = f32x4.add(s, f32x4.splat(-f32.MAX_VALUE));
      keep += 4;
    }
    v128.store(scores, s);
    most = f32x4.pmax(most, s);
  }
  return most;
}

/** Scores to weights, in place: 2^(s - most). Gives the sums of the rows. */
export function exponents(scores: usize, keys: i32, most: v128): v128 {
  let sum = f32x4.splat(0);
  for (let t = 0; t < keys; t++, scores += 16) {
    const e = power4(f32x4.sub(v128.load(scores), most));
    v128.store(scores, e);
    sum = f32x4.add(sum, e);
  }
  return sum;
}

/** How many keys are shown, where they come before all hidden ones; 0 where they do not. */
function shownByKeep(keep: usize, T: i32): i32 {
  let shown = 0;
  while (shown < T && load<i32>(keep + (<usize>shown << 2)) != 0) shown++;
  for (let t = shown; t < T; t++) if (load<i32>(keep + (<usize>t << 2)) != 0) return 0;
  return shown;
}

/** The same by what is added to the scores: 0, then what no score makes up for. */
function shownByMask(mask: usize, T: i32): i32 {
  let shown = 0;
  while (shown < T && load<f32>(mask + (<usize>shown << 2)) == 0) shown++;
  for (let t = shown; t < T; t++) if (!(load<f32>(mask + (<usize>t << 2)) <= -1e30)) return 0;
  return shown;
}

/**
 * One head. Positions of q, k, v and out are `…Stride` bytes apart, channels side by side.
 * @param mask added to the scores, 0 where there is none; `maskRow` and `maskKey` bytes between queries and keys, 0 to repeat
 * @param keep an i32 a key: 0 hides it; 0 where there is none
 */
export function attentionHead(
  q: usize, k: usize, v: usize, out: usize, qStride: usize, kStride: usize, vStride: usize, outStride: usize,
  S: i32, T: i32, D: i32, scale: f32, mask: usize, maskRow: usize, maskKey: usize, keep: usize, scratch: usize,
): void {
  // What is hidden behind all others is as good as not there: the same bits for less work.
  if (keep != 0) {
    const shown = shownByKeep(keep, T);
    if (shown > 0) { T = shown; keep = 0; }
  }
  if (mask != 0 && maskRow == 0 && maskKey == 4) {
    const shown = shownByMask(mask, T);
    if (shown > 0) { T = shown; mask = 0; }
  }
  const t8 = (T + 7) & ~7, d8 = (D + 7) & ~7;
  const keys = scratch, values = keys + (<usize>(t8 * D) << 2), strip = values + (<usize>(d8 * T) << 2);
  const scores = strip + (<usize>D << 4), acc = scores + (<usize>KEYS << 4), tile = acc + (<usize>d8 << 4);
  packColumnsTransposed(k, D, T, kStride, keys);
  packColumns(v, T, D, vStride, values);
  for (let s = 0; s < S; s += 4) {
    packRows(q + <usize>s * qStride, min(4, S - s), D, qStride, strip, scale * LOG2E);
    attendStrip(strip, keys, values, scores, acc, tile, out + <usize>s * outStride, outStride, min(4, S - s), T, D, mask + <usize>s * maskRow, maskRow, maskKey, keep, mask != 0);
  }
}

export function attendStrip(
  strip: usize, keys: usize, values: usize, scores: usize, acc: usize, tile: usize, out: usize, outStride: usize,
  rows: i32, T: i32, D: i32, mask: usize, maskRow: usize, maskKey: usize, keep: usize, masked: bool,
): void {
  const lowest = f32x4.splat(-Infinity);
  let most = lowest, sum = f32x4.splat(0);
  memory.fill(acc, 0, <usize>((D + 7) & ~7) << 4);
  const m1 = rows > 1 ? maskRow : 0, m2 = rows > 2 ? maskRow * 2 : m1, m3 = rows > 3 ? maskRow * 3 : m2;
  for (let t = 0; t < T; t += KEYS) {
    const count = min(KEYS, T - t);
    let higher = scoreStrip(strip, keys + (<usize>(t * D) << 2), scores, count, D, most);
    if (masked || keep != 0) {
      const m = masked ? mask + <usize>t * maskKey : 0;
      higher = maskStrip(scores, count, m, m + m1, m + m2, m + m3, maskKey, keep != 0 ? keep + (<usize>t << 2) : 0, most);
    }
    // A row without any key so far has -inf; its weights are 0 all the same.
    const from = v128.andnot(higher, f32x4.eq(higher, lowest));
    const factor = power4(f32x4.sub(most, from));
    sum = f32x4.add(f32x4.mul(sum, factor), exponents(scores, count, from));
    weightStrip(scores, values + (<usize>t << 5), acc, count, T, D, factor);
    most = higher;
  }
  // A row that sees no key at all is 0, as PyTorch has it.
  v128.store(tile, v128.andnot(f32x4.div(f32x4.splat(1), sum), f32x4.eq(sum, f32x4.splat(0))));
  for (let r = 0; r < rows; r++, out += outStride) {
    const inverse = v128.load32_splat(tile + (<usize>r << 2));
    let from = acc + (<usize>r << 5), to = out, d = 0;
    for (; d + 8 <= D; d += 8, from += 128, to += 32) {
      v128.store(to, f32x4.mul(v128.load(from), inverse));
      v128.store(to, f32x4.mul(v128.load(from, 16), inverse), 16);
    }
    for (; d < D; d++, from += 4, to += 4) store<f32>(to, load<f32>(from) * f32x4.extract_lane(inverse, 0));
  }
}

/** Heads side by side, with the same parameters as one. @param maskHead bytes between the masks of two heads, 0 to repeat */
export function attentionHeads(
  q: usize, k: usize, v: usize, out: usize, qStride: usize, kStride: usize, vStride: usize, outStride: usize,
  S: i32, T: i32, D: i32, scale: f32, mask: usize, maskRow: usize, maskKey: usize, keep: usize, scratch: usize,
  heads: i32, maskHead: usize,
): void {
  const size = <usize>D << 2;
  for (let head = 0; head < heads; head++) {
    attentionHead(q, k, v, out, qStride, kStride, vStride, outStride, S, T, D, scale, mask, maskRow, maskKey, keep, scratch);
    q += size; k += size; v += size; out += size; mask += maskHead;
  }
}
