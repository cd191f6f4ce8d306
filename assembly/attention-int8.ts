// Attention of one head in whole numbers, by online softmax, for models whose products are of 8 bits. Queries have 7 bits around
// 64, keys 8 bits, both with a scale for each row; weights have 14 bits with a scale for each row and block of keys, values
// 11 bits with a scale for each key, which is a factor of the weight. So no number depends on another position's, sums of products
// are exact, and floats meet in a fixed order. Eight queries are the lanes of all vectors; blocks begin at the first shown key.

import { HIDES, countShown, firstShown, maskInt8 } from "./attention-masks";
import { LEAST, packKeys, packValues, quantizeFour, storeRows, topOfRows } from "./attention-rows";
import { pairs, splat0, splat1, splat2, splat3 } from "./lanes";
import { LOG2E, MAGIC, constant, power4 } from "./math";

/** Keys whose scores are held at a time. A sum of so many products of a weight and a value stays below 2^31. */
// @ts-ignore: decorator
@inline
const KEYS: i32 = 128;
// @ts-ignore: decorator
@inline
const QUERIES: i32 = 8;
// @ts-ignore: decorator
@inline
const MOST_WEIGHT: f32 = 16383;

/** Bytes of scratch for one head of T keys and D channels. */
export function attentionInt8Scratch(T: i32, D: i32): i32 {
  const t = (T + 3) & ~3, d = (D + 3) & ~3;
  return 3 * t * d + 12 * t + 40 * d + KEYS * QUERIES * 6 + 160;
}

/** Scores of eight queries with `count` keys, as floats [count][8]; there is room for keys behind the last. Keeps the greatest at `most`. */
export function scoreInt8(q: usize, k: usize, scores: usize, count: i32, D: i32, keyScales: usize, starts: usize, queryScales: usize, most: usize): void {
  let most0 = v128.load(most), most1 = v128.load(most, 16);
  const end = q + (<usize>((D + 3) & ~3) << 3);
  for (let n = 0; n < count; n += 4) {
    let y00: v128, y01: v128, y10: v128, y11: v128, y20: v128, y21: v128, y30: v128, y31: v128;
    const start = v128.load(starts);
    if (ASC_FEATURE_RELAXED_SIMD) {
      let c00 = splat0(start), c01 = c00, c10 = splat1(start), c11 = c10, c20 = splat2(start), c21 = c20, c30 = splat3(start), c31 = c30;
      for (let a = q; a < end; a += 32, k += 16) {
        const x = v128.load(k), b0 = v128.load(a), b1 = v128.load(a, 16);
        const x0 = splat0(x), x1 = splat1(x), x2 = splat2(x), x3 = splat3(x);
        c00 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x0, b0, c00); c01 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x0, b1, c01);
        c10 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x1, b0, c10); c11 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x1, b1, c11);
        c20 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x2, b0, c20); c21 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x2, b1, c21);
        c30 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x3, b0, c30); c31 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x3, b1, c31);
      }
      y00 = c00; y01 = c01; y10 = c10; y11 = c11; y20 = c20; y21 = c21; y30 = c30; y31 = c31;
    } else {
      // Four queries at a time; an accumulator holds two of them as two halves that are added at the end.
      y00 = y01 = y10 = y11 = y20 = y21 = y30 = y31 = start;
      for (let half = 0; half < 2; half++) {
        let c00 = i32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
        let p = k;
        for (let a = q + (<usize>half << 4); a < end; a += 32, p += 16) {
          const x = v128.load(p), w = v128.load(a);
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
        const d0 = i32x4.add(splat0(start), pairs(c00, c01)), d1 = i32x4.add(splat1(start), pairs(c10, c11));
        const d2 = i32x4.add(splat2(start), pairs(c20, c21)), d3 = i32x4.add(splat3(start), pairs(c30, c31));
        if (half == 0) { y00 = d0; y10 = d1; y20 = d2; y30 = d3; }
        else { y01 = d0; y11 = d1; y21 = d2; y31 = d3; k = p; }
      }
    }
    const s0 = v128.load(queryScales), s1 = v128.load(queryScales, 16), s = v128.load(keyScales);
    starts += 16; keyScales += 16;
    let factor = splat0(s);
    y00 = f32x4.mul(f32x4.convert_i32x4_s(y00), f32x4.mul(s0, factor)); y01 = f32x4.mul(f32x4.convert_i32x4_s(y01), f32x4.mul(s1, factor));
    factor = splat1(s);
    y10 = f32x4.mul(f32x4.convert_i32x4_s(y10), f32x4.mul(s0, factor)); y11 = f32x4.mul(f32x4.convert_i32x4_s(y11), f32x4.mul(s1, factor));
    factor = splat2(s);
    y20 = f32x4.mul(f32x4.convert_i32x4_s(y20), f32x4.mul(s0, factor)); y21 = f32x4.mul(f32x4.convert_i32x4_s(y21), f32x4.mul(s1, factor));
    factor = splat3(s);
    y30 = f32x4.mul(f32x4.convert_i32x4_s(y30), f32x4.mul(s0, factor)); y31 = f32x4.mul(f32x4.convert_i32x4_s(y31), f32x4.mul(s1, factor));
    v128.store(scores, y00); v128.store(scores, y01, 16); v128.store(scores, y10, 32); v128.store(scores, y11, 48);
    v128.store(scores, y20, 64); v128.store(scores, y21, 80); v128.store(scores, y30, 96); v128.store(scores, y31, 112);
    scores += 128;
    // A group that is not full ends in copies of the last key.
    most0 = f32x4.pmax(most0, f32x4.pmax(f32x4.pmax(y00, y10), f32x4.pmax(y20, y30)));
    most1 = f32x4.pmax(most1, f32x4.pmax(f32x4.pmax(y01, y11), f32x4.pmax(y21, y31)));
  }
  v128.store(most, most0); v128.store(most, most1, 16);
}

/**
 * Of 2^f in -0.5..0.5: the polynomial of degree 3 that is 1 at 0 and has the least relative error among those, 1.1e-4. Then the
 * magic number, and what is 0. They are loaded before a loop: V8 makes a constant of a vector anew in each round.
 */
const POWER: usize = memory.data<f32>([0.05500895157456398, 0.2422110140323639, 0.6932829022407532, 1, 12582912, -125]);

/**
 * Scores [count][8] to 2^(s - most) times the scale of the key's value, in place. Adds up 2^(s - most) at `sums`, and leaves the
 * greatest at `tops`.
 */
export function exponentsInt8(scores: usize, count: i32, most: usize, valueScales: usize, sums: usize, tops: usize): void {
  const cube = constant(POWER, 0), square = constant(POWER, 1), slope = constant(POWER, 2);
  const one = constant(POWER, 3), magic = constant(POWER, 4), least = constant(POWER, 5);
  const most0 = v128.load(most), most1 = v128.load(most, 16);
  let sum0 = v128.load(sums), sum1 = v128.load(sums, 16), top0 = f32x4.splat(0), top1 = top0;
  for (const end = scores + (<usize>count << 5); scores < end; scores += 32, valueScales += 4) {
    const t0 = f32x4.sub(v128.load(scores), most0), t1 = f32x4.sub(v128.load(scores, 16), most1);
    const n0 = f32x4.add(t0, magic), n1 = f32x4.add(t1, magic);
    const f0 = f32x4.sub(t0, f32x4.sub(n0, magic)), f1 = f32x4.sub(t1, f32x4.sub(n1, magic));
    let p0 = f32x4.add(f32x4.mul(f0, cube), square), p1 = f32x4.add(f32x4.mul(f1, cube), square);
    p0 = f32x4.add(f32x4.mul(p0, f0), slope); p1 = f32x4.add(f32x4.mul(p1, f1), slope);
    p0 = f32x4.add(f32x4.mul(p0, f0), one); p1 = f32x4.add(f32x4.mul(p1, f1), one);
    // The bits of 1 and n in the exponent: 2^n.
    p0 = v128.andnot(f32x4.mul(p0, i32x4.add(i32x4.shl(n0, 23), one)), f32x4.lt(t0, least));
    p1 = v128.andnot(f32x4.mul(p1, i32x4.add(i32x4.shl(n1, 23), one)), f32x4.lt(t1, least));
    sum0 = f32x4.add(sum0, p0); sum1 = f32x4.add(sum1, p1);
    const scale = v128.load32_splat(valueScales);
    p0 = f32x4.mul(p0, scale); p1 = f32x4.mul(p1, scale);
    v128.store(scores, p0); v128.store(scores, p1, 16);
    top0 = f32x4.pmax(top0, p0); top1 = f32x4.pmax(top1, p1);
  }
  v128.store(sums, sum0); v128.store(sums, sum1, 16);
  v128.store(tops, top0); v128.store(tops, top1, 16);
}

// @ts-ignore: decorator
@inline
function inverse4(top: v128): v128 {
  return v128.and(f32x4.div(f32x4.splat(MOST_WEIGHT), top), f32x4.gt(top, f32x4.splat(LEAST)));
}

/** Weights [count][8] to 14 bits, as [count/2][8][2]. */
export function packWeights(scores: usize, count: i32, tops: usize, weights: usize): void {
  const i0 = inverse4(v128.load(tops)), i1 = inverse4(v128.load(tops, 16)), magic = f32x4.splat(MAGIC), bits = i32x4.splat(0x4b400000);
  for (let t = 0; t < count; t += 2, scores += 64, weights += 32) {
    const a0 = f32x4.add(f32x4.mul(v128.load(scores), i0), magic), b0 = f32x4.add(f32x4.mul(v128.load(scores, 32), i0), magic);
    const a1 = f32x4.add(f32x4.mul(v128.load(scores, 16), i1), magic), b1 = f32x4.add(f32x4.mul(v128.load(scores, 48), i1), magic);
    v128.store(weights, v128.or(i32x4.sub(a0, bits), i32x4.shl(b0, 16)));
    v128.store(weights, v128.or(i32x4.sub(a1, bits), i32x4.shl(b1, 16)), 16);
  }
}

// @ts-ignore: decorator
@inline
function addTo(acc: usize, factor: v128, sum: v128, scale: v128): void {
  v128.store(acc, f32x4.add(f32x4.mul(v128.load(acc), factor), f32x4.mul(f32x4.convert_i32x4_s(sum), scale)));
}

/** Adds the values of `count` keys, weighted, to `acc` [D][8], after scaling it by a factor a query. @param column bytes of four channels of the values */
export function weightInt8(p: usize, v: usize, acc: usize, count: i32, column: usize, D: i32, factors: usize, tops: usize): void {
  const end = p + (<usize>((count + 1) & ~1) << 4);
  for (let d = 0; d < D; d += 4, v += column, acc += 128) {
    let c00 = i32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
    let b = v;
    for (let a = p; a < end; a += 32, b += 16) {
      const x = v128.load(b), b0 = v128.load(a), b1 = v128.load(a, 16);
      const x0 = splat0(x), x1 = splat1(x), x2 = splat2(x), x3 = splat3(x);
      c00 = i32x4.add(c00, i32x4.dot_i16x8_s(x0, b0)); c01 = i32x4.add(c01, i32x4.dot_i16x8_s(x0, b1));
      c10 = i32x4.add(c10, i32x4.dot_i16x8_s(x1, b0)); c11 = i32x4.add(c11, i32x4.dot_i16x8_s(x1, b1));
      c20 = i32x4.add(c20, i32x4.dot_i16x8_s(x2, b0)); c21 = i32x4.add(c21, i32x4.dot_i16x8_s(x2, b1));
      c30 = i32x4.add(c30, i32x4.dot_i16x8_s(x3, b0)); c31 = i32x4.add(c31, i32x4.dot_i16x8_s(x3, b1));
    }
    const f0 = v128.load(factors), f1 = v128.load(factors, 16);
    const s0 = f32x4.mul(v128.load(tops), f32x4.splat(1.0 / MOST_WEIGHT)), s1 = f32x4.mul(v128.load(tops, 16), f32x4.splat(1.0 / MOST_WEIGHT));
    addTo(acc, f0, c00, s0); addTo(acc + 16, f1, c01, s1); addTo(acc + 32, f0, c10, s0); addTo(acc + 48, f1, c11, s1);
    addTo(acc + 64, f0, c20, s0); addTo(acc + 80, f1, c21, s1); addTo(acc + 96, f0, c30, s0); addTo(acc + 112, f1, c31, s1);
  }
}

/** One head, with the same parameters as `attentionHead`. */
export function attentionInt8(
  q: usize, k: usize, v: usize, out: usize, qStride: usize, kStride: usize, vStride: usize, outStride: usize,
  S: i32, T: i32, D: i32, scale: f32, mask: usize, maskRow: usize, maskKey: usize, keep: usize, scratch: usize,
): void {
  // Hidden keys before and behind all shown ones are as good as not there: the same bits for less work.
  if ((keep != 0 || mask != 0) && (mask == 0 || (maskRow == 0 && maskKey == 4))) {
    const first = firstShown(mask, keep, T);
    let count = countShown(mask, keep, first, T, HIDES);
    if (count == 0 && mask != 0 && countShown(mask, keep, 0, T, -90) > 0) {
      // A mask of -10000 hides as well where no score is so high that a weight would not be exactly 0 in floats.
      const most = topOfRows(q, S, D, qStride) * topOfRows(k, T, D, kStride) * <f32>D * abs(scale);
      count = countShown(mask, keep, 0, T, <f32>-2.01 * most - 90);
    }
    if (count > 0) {
      k += <usize>first * kStride; v += <usize>first * vStride;
      T = count; mask = 0; keep = 0;
    }
  }
  const t4 = (T + 3) & ~3, d4 = (D + 3) & ~3;
  const keys = scratch, keyScales = keys + <usize>(t4 * d4), starts = keyScales + (<usize>t4 << 2);
  const values = starts + (<usize>t4 << 2), valueScales = values + (<usize>(t4 * d4) << 1);
  const strip = valueScales + (<usize>t4 << 2), scores = strip + (<usize>d4 << 3), weights = scores + (<usize>KEYS << 5);
  const acc = weights + (<usize>KEYS << 4), state = acc + (<usize>d4 << 5);
  packKeys(k, T, D, kStride, keys, keyScales, starts);
  const good = packValues(v, T, D, vStride, values, valueScales);
  for (let s = 0; s < S; s += QUERIES) {
    const rows = min(QUERIES, S - s);
    const x = q + <usize>s * qStride;
    quantizeFour(x, rows, qStride, D, 63, 64, strip, 32, state);
    quantizeFour(rows > 4 ? x + (qStride << 2) : x, rows > 4 ? rows - 4 : 1, qStride, D, 63, 64, strip + 16, 32, state + 16);
    const unit = f32x4.splat(scale * LOG2E / 63.0);
    v128.store(state, f32x4.mul(v128.load(state), unit)); v128.store(state, f32x4.mul(v128.load(state, 16), unit), 16);
    attendInt8(strip, keys, keyScales, starts, values, valueScales, scores, weights, acc, state, T, D, rows, mask + <usize>s * maskRow, maskRow, maskKey, keep, mask != 0);
    const row = out + <usize>s * outStride;
    // A row that sees no key at all is 0, as PyTorch has it.
    let sum0 = v128.load(state, 64), sum1 = v128.load(state, 80);
    sum0 = v128.andnot(f32x4.div(f32x4.splat(good), sum0), f32x4.eq(sum0, f32x4.splat(0)));
    sum1 = v128.andnot(f32x4.div(f32x4.splat(good), sum1), f32x4.eq(sum1, f32x4.splat(0)));
    storeRows(acc, D, sum0, min(4, rows), row, outStride);
    if (rows > 4) storeRows(acc + 16, D, sum1, rows - 4, row + (outStride << 2), outStride);
  }
}

/** Eight queries. `state`, eight floats each: the queries' scales, the greatest scores, sums of weights, factors, tops. */
export function attendInt8(
  strip: usize, keys: usize, keyScales: usize, starts: usize, values: usize, valueScales: usize, scores: usize, weights: usize, acc: usize, state: usize,
  T: i32, D: i32, rows: i32, mask: usize, maskRow: usize, maskKey: usize, keep: usize, masked: bool,
): void {
  const d4 = (D + 3) & ~3, column = <usize>((T + 3) & ~3) << 3;
  const most = state + 32, sums = state + 64, factors = state + 96, tops = state + 128;
  const lowest = f32x4.splat(-Infinity), none = f32x4.splat(0);
  memory.fill(acc, 0, <usize>d4 << 5);
  v128.store(most, lowest); v128.store(most, lowest, 16);
  v128.store(sums, none); v128.store(sums, none, 16);
  for (let t = 0; t < T; t += KEYS) {
    const count = min(KEYS, T - t), at = <usize>t << 2;
    const before0 = v128.load(most), before1 = v128.load(most, 16);
    scoreInt8(strip, keys + <usize>(t * d4), scores, count, D, keyScales + at, starts + at, state, most);
    if (masked || keep != 0) {
      // Only what is left of the scores counts.
      v128.store(most, before0); v128.store(most, before1, 16);
      maskInt8(scores, count, masked ? mask + <usize>t * maskKey : 0, maskRow, maskKey, rows, keep != 0 ? keep + at : 0, most);
    }
    // A row without any key so far has -inf; its weights are 0 all the same.
    const higher0 = v128.load(most), higher1 = v128.load(most, 16);
    const from0 = v128.andnot(higher0, f32x4.eq(higher0, lowest)), from1 = v128.andnot(higher1, f32x4.eq(higher1, lowest));
    const factor0 = power4(f32x4.sub(before0, from0)), factor1 = power4(f32x4.sub(before1, from1));
    v128.store(factors, factor0); v128.store(factors, factor1, 16);
    v128.store(sums, f32x4.mul(v128.load(sums), factor0)); v128.store(sums, f32x4.mul(v128.load(sums, 16), factor1), 16);
    v128.store(most, from0); v128.store(most, from1, 16);
    exponentsInt8(scores, count, most, valueScales + at, sums, tops);
    v128.store(most, higher0); v128.store(most, higher1, 16);
    packWeights(scores, count, tops, weights);
    weightInt8(weights, values + (<usize>t << 3), acc, count, column, D, factors, tops);
  }
}

/** Heads side by side, with the same parameters as one. @param maskHead bytes between the masks of two heads, 0 to repeat */
export function attentionInt8Heads(
  q: usize, k: usize, v: usize, out: usize, qStride: usize, kStride: usize, vStride: usize, outStride: usize,
  S: i32, T: i32, D: i32, scale: f32, mask: usize, maskRow: usize, maskKey: usize, keep: usize, scratch: usize,
  heads: i32, maskHead: usize,
): void {
  const size = <usize>D << 2;
  for (let head = 0; head < heads; head++) {
    attentionInt8(q, k, v, out, qStride, kStride, vStride, outStride, S, T, D, scale, mask, maskRow, maskKey, keep, scratch);
    q += size; k += size; v += size; out += size; mask += maskHead;
  }
}
