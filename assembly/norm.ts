// Layer norm, RMS norm, softmax and reductions. An element's lane is its index modulo 4, the last ones included, so that a row
// that is longer by masked elements has the same sums.

import { BEYOND, HOLDS } from "./checks";
import { exp4, max4, min4, sum4 } from "./math";

/** 1 to 4 floats, the other lanes filled. */
// @ts-ignore: decorator
@inline
function part(p: usize, n: i32, fill: f32): v128 {
  if (n >= 4) return v128.load(p);
  let v = f32x4.splat(fill);
  v = v128.load_lane<f32>(p, v, 0);
  if (n > 1) v = v128.load_lane<f32>(p, v, 1, 4);
  if (n > 2) v = v128.load_lane<f32>(p, v, 2, 8);
  return v;
}

// @ts-ignore: decorator
@inline
function storePart(p: usize, v: v128, n: i32): void {
  if (n >= 4) {
    v128.store(p, v);
    return;
  }
  v128.store_lane<f32>(p, v, 0);
  if (n > 1) v128.store_lane<f32>(p, v, 1, 4);
  if (n > 2) v128.store_lane<f32>(p, v, 2, 8);
}

/**
 * M rows of K floats.
 * @param skip added to x first; 0 where there is none
 * @param sum gets x + skip; 0 where nobody wants it
 * @param centred layer norm; false: RMS norm, without the mean
 */
export function normRows(x: usize, skip: usize, gamma: usize, beta: usize, out: usize, sum: usize, M: i32, K: i32, epsilon: f32, centred: bool): void {
  const row = <usize>K << 2;
  let m = 0;
  if ((K & 3) == 0 && gamma != 0 && (beta != 0 || !centred)) {
    for (; m + 4 <= M; m += 4) {
      normFour(x, skip, gamma, beta, out, sum != 0 ? sum : out, row, epsilon, centred);
      x += row << 2;
      out += row << 2;
      if (skip != 0) skip += row << 2;
      if (sum != 0) sum += row << 2;
    }
  }
  for (; m < M; m++) {
    normRow(x, skip, gamma, beta, out, sum, K, epsilon, centred);
    x += row;
    out += row;
    if (skip != 0) skip += row;
    if (sum != 0) sum += row;
  }
}

/** The factor that a row is multiplied by, from the sum of its squares. */
// @ts-ignore: decorator
@inline
function factorOf(squares: v128, count: f32, epsilon: f32): v128 {
  return f32x4.splat(1.0 / sqrt<f32>(sum4(squares) / count + epsilon));
}

/** Four rows as `normRow` has them, side by side: a sum waits for itself, and the others fill the time. `row` bytes each, a multiple of 16. */
export function normFour(x: usize, skip: usize, gamma: usize, beta: usize, out: usize, sum: usize, row: usize, epsilon: f32, centred: bool): void {
  const zero = f32x4.splat(0), count: f32 = <f32>(<i32>row >> 2);
  const b = row, c = row << 1, d = row * 3;
  let s0 = zero, s1 = zero, s2 = zero, s3 = zero;
  if (skip != 0) {
    const to = sum - x, other = skip - x;
    for (let p = x, end = x + row; p < end; p += 16) {
      const y0 = f32x4.add(v128.load(p), v128.load(p + other)), y1 = f32x4.add(v128.load(p + b), v128.load(p + b + other));
      const y2 = f32x4.add(v128.load(p + c), v128.load(p + c + other)), y3 = f32x4.add(v128.load(p + d), v128.load(p + d + other));
      const q = p + to;
      v128.store(q, y0); v128.store(q + b, y1); v128.store(q + c, y2); v128.store(q + d, y3);
      s0 = f32x4.add(s0, y0); s1 = f32x4.add(s1, y1); s2 = f32x4.add(s2, y2); s3 = f32x4.add(s3, y3);
    }
    x = sum;
  } else {
    if (sum != out) memory.copy(sum, x, row << 2);
    for (let p = x, end = x + row; p < end; p += 16) {
      s0 = f32x4.add(s0, v128.load(p)); s1 = f32x4.add(s1, v128.load(p + b)); s2 = f32x4.add(s2, v128.load(p + c)); s3 = f32x4.add(s3, v128.load(p + d));
    }
  }
  let m0 = zero, m1 = zero, m2 = zero, m3 = zero;
  if (centred) {
    m0 = f32x4.splat(sum4(s0) / count); m1 = f32x4.splat(sum4(s1) / count); m2 = f32x4.splat(sum4(s2) / count); m3 = f32x4.splat(sum4(s3) / count);
  }
  s0 = zero; s1 = zero; s2 = zero; s3 = zero;
  for (let p = x, end = x + row; p < end; p += 16) {
    const y0 = f32x4.sub(v128.load(p), m0), y1 = f32x4.sub(v128.load(p + b), m1), y2 = f32x4.sub(v128.load(p + c), m2), y3 = f32x4.sub(v128.load(p + d), m3);
    s0 = f32x4.add(s0, f32x4.mul(y0, y0)); s1 = f32x4.add(s1, f32x4.mul(y1, y1)); s2 = f32x4.add(s2, f32x4.mul(y2, y2)); s3 = f32x4.add(s3, f32x4.mul(y3, y3));
  }
  s0 = factorOf(s0, count, epsilon); s1 = factorOf(s1, count, epsilon); s2 = factorOf(s2, count, epsilon); s3 = factorOf(s3, count, epsilon);
  const to = out - x;
  for (let p = x, end = x + row; p < end; p += 16, gamma += 16) {
    const g = v128.load(gamma), q = p + to;
    let y0 = f32x4.mul(f32x4.mul(f32x4.sub(v128.load(p), m0), s0), g), y1 = f32x4.mul(f32x4.mul(f32x4.sub(v128.load(p + b), m1), s1), g);
    let y2 = f32x4.mul(f32x4.mul(f32x4.sub(v128.load(p + c), m2), s2), g), y3 = f32x4.mul(f32x4.mul(f32x4.sub(v128.load(p + d), m3), s3), g);
    if (beta != 0) {
      const e = v128.load(beta);
      beta += 16;
      y0 = f32x4.add(y0, e); y1 = f32x4.add(y1, e); y2 = f32x4.add(y2, e); y3 = f32x4.add(y3, e);
    }
    v128.store(q, y0); v128.store(q + b, y1); v128.store(q + c, y2); v128.store(q + d, y3);
  }
}

export function normRow(x: usize, skip: usize, gamma: usize, beta: usize, out: usize, sum: usize, K: i32, epsilon: f32, centred: bool): void {
  const size = <usize>K << 2;
  if (skip != 0) {
    const to = sum != 0 ? sum : out;
    for (let i: usize = 0; i < size; i += 16) {
      const n = <i32>((size - i) >> 2);
      storePart(to + i, f32x4.add(part(x + i, n, 0), part(skip + i, n, 0)), n);
    }
    x = to;
  } else if (sum != 0) memory.copy(sum, x, size);
  const count: f32 = <f32>K, whole = size & ~(<usize>15), left = K & 3;
  let mean: f32 = 0;
  if (centred) {
    let s = f32x4.splat(0);
    for (let i: usize = 0; i < whole; i += 16) s = f32x4.add(s, v128.load(x + i));
    if (left > 0) s = f32x4.add(s, part(x + whole, left, 0));
    mean = sum4(s) / count;
  }
  const centre = f32x4.splat(mean);
  let v = f32x4.splat(0);
  for (let i: usize = 0; i < whole; i += 16) {
    const d = f32x4.sub(v128.load(x + i), centre);
    v = f32x4.add(v, f32x4.mul(d, d));
  }
  if (left > 0) {
    const d = f32x4.sub(part(x + whole, left, mean), centre);
    v = f32x4.add(v, f32x4.mul(d, d));
  }
  const factor = factorOf(v, count, epsilon);
  if (gamma != 0 && beta != 0) {
    for (let i: usize = 0; i < whole; i += 16) {
      const y = f32x4.mul(f32x4.sub(v128.load(x + i), centre), factor);
      v128.store(out + i, f32x4.add(f32x4.mul(y, v128.load(gamma + i)), v128.load(beta + i)));
    }
    if (left > 0) storePart(out + whole, scaled(x, whole, left, centre, factor, gamma, beta), left);
  } else {
    for (let i: usize = 0; i < size; i += 16) {
      const n = <i32>((size - i) >> 2);
      storePart(out + i, scaled(x, i, n, centre, factor, gamma, beta), n);
    }
  }
}

function scaled(x: usize, i: usize, n: i32, centre: v128, factor: v128, gamma: usize, beta: usize): v128 {
  let y = f32x4.mul(f32x4.sub(part(x + i, n, 0), centre), factor);
  if (gamma != 0) y = f32x4.mul(y, part(gamma + i, n, 0));
  if (beta != 0) y = f32x4.add(y, part(beta + i, n, 0));
  return y;
}

/** Softmax of M rows of K floats, or its logarithm. */
export function softmaxRows(x: usize, out: usize, M: i32, K: i32, logarithm: bool): void {
  const row = <usize>K << 2;
  for (let m = 0; m < M; m++, x += row, out += row) softmaxRow(x, out, K, logarithm);
}

export function softmaxRow(x: usize, out: usize, K: i32, logarithm: bool): void {
  const size = <usize>K << 2;
  let top = f32x4.splat(-Infinity);
  for (let i: usize = 0; i < size; i += 16) top = f32x4.pmax(top, part(x + i, <i32>((size - i) >> 2), -Infinity));
  const most = f32x4.splat(max4(top));
  let s = f32x4.splat(0);
  for (let i: usize = 0; i < size; i += 16) {
    const n = <i32>((size - i) >> 2);
    const d = f32x4.sub(part(x + i, n, -Infinity), most);
    const e = exp4(d);
    storePart(out + i, logarithm ? d : e, n);
    s = f32x4.add(s, e);
  }
  const total = sum4(s);
  if (logarithm) {
    const shift = f32x4.splat(<f32>Math.log(<f64>total));
    for (let i: usize = 0; i < size; i += 16) {
      const n = <i32>((size - i) >> 2);
      storePart(out + i, f32x4.sub(part(out + i, n, 0), shift), n);
    }
  } else {
    const factor = f32x4.splat(1.0 / total);
    for (let i: usize = 0; i < size; i += 16) {
      const n = <i32>((size - i) >> 2);
      storePart(out + i, f32x4.mul(part(out + i, n, 0), factor), n);
    }
  }
}

export const enum Reduce { sum, mean, max, min, l2, sumSquare, prod, l1 }

// @ts-ignore: decorator
@inline
function startOf(kind: i32): f32 {
  if (kind == Reduce.max) return -Infinity;
  if (kind == Reduce.min) return Infinity;
  if (kind == Reduce.prod) return 1;
  return 0;
}

// @ts-ignore: decorator
@inline
function fold(kind: i32, acc: v128, v: v128): v128 {
  if (kind == Reduce.max) return f32x4.max(acc, v);
  if (kind == Reduce.min) return f32x4.min(acc, v);
  if (kind == Reduce.prod) return f32x4.mul(acc, v);
  if (kind == Reduce.l1) return f32x4.add(acc, f32x4.abs(v));
  if (kind == Reduce.l2 || kind == Reduce.sumSquare) return f32x4.add(acc, f32x4.mul(v, v));
  return f32x4.add(acc, v);
}

// @ts-ignore: decorator
@inline
function last(kind: i32, v: v128, count: i32): v128 {
  if (kind == Reduce.mean) return f32x4.div(v, f32x4.splat(<f32>count));
  if (kind == Reduce.l2) return f32x4.sqrt(v);
  return v;
}

/** Reduces the middle axis of [O, R, I] floats. */
export function reduceF32(kind: i32, x: usize, out: usize, O: i32, R: i32, I: i32): void {
  const start = startOf(kind);
  const row = <usize>I << 2;
  for (let o = 0; o < O; o++) {
    if (I == 1) {
      let acc = f32x4.splat(start);
      // Lanes behind the last element must not count: for a sum of squares 0 is right, for the greatest -inf.
      for (let r = 0; r < R; r += 4) acc = fold(kind, acc, part(x + (<usize>r << 2), R - r, start));
      let y: f32;
      if (kind == Reduce.max) y = max4(acc);
      else if (kind == Reduce.min) y = min4(acc);
      else if (kind == Reduce.prod) y = (f32x4.extract_lane(acc, 0) * f32x4.extract_lane(acc, 1)) * (f32x4.extract_lane(acc, 2) * f32x4.extract_lane(acc, 3));
      else y = sum4(acc);
      store<f32>(out, f32x4.extract_lane(last(kind, f32x4.splat(y), R), 0));
      x += <usize>R << 2;
      out += 4;
    } else {
      for (let i = 0; i < I; i += 4) {
        const n = I - i;
        let acc = f32x4.splat(start), p = x + (<usize>i << 2);
        for (let r = 0; r < R; r++, p += row) acc = fold(kind, acc, part(p, n, 0));
        storePart(out + (<usize>i << 2), last(kind, acc, R), n);
      }
      x += <usize>R * row;
      out += row;
    }
  }
}

/**
 * The same of integers: sum, max, min, prod; sums and products wrap around. @returns `HOLDS`, or `BEYOND` where one did, or
 * where there is nothing to take the greatest or smallest of
 */
export function reduceI32(kind: i32, x: usize, out: usize, O: i32, R: i32, I: i32): i32 {
  let result = R == 0 && O > 0 && I > 0 && (kind == Reduce.max || kind == Reduce.min) ? BEYOND : HOLDS;
  for (let o = 0; o < O; o++) {
    for (let i = 0; i < I; i++) {
      let acc: i64 = kind == Reduce.max ? i32.MIN_VALUE : kind == Reduce.min ? i32.MAX_VALUE : kind == Reduce.prod ? 1 : 0;
      for (let r = 0; r < R; r++) {
        const v = <i64>load<i32>(x + (<usize>(r * I + i) << 2));
        if (kind == Reduce.max) acc = max(acc, v);
        else if (kind == Reduce.min) acc = min(acc, v);
        else if (kind == Reduce.prod) {
          acc *= v;
          if (<i64><i32>acc != acc) result = BEYOND;
          acc = <i64><i32>acc;
        } else acc += v;
      }
      if (<i64><i32>acc != acc) result = BEYOND;
      store<i32>(out, <i32>acc);
      out += 4;
    }
    x += <usize>R * (<usize>I << 2);
  }
  return result;
}

/** Index of the greatest element, the first of equal ones, of the middle axis; `least`: of the smallest. */
// @ts-ignore: decorator
@inline
function argumentOf<T extends number>(x: usize, out: usize, O: i32, R: i32, I: i32, least: bool): void {
  for (let o = 0; o < O; o++) {
    for (let i = 0; i < I; i++) {
      let best = load<T>(x + (<usize>i << 2)), at = 0;
      for (let r = 1; r < R; r++) {
        const v = load<T>(x + (<usize>(r * I + i) << 2));
        if (least ? v < best : v > best) {
          best = v;
          at = r;
        }
      }
      store<i32>(out, at);
      out += 4;
    }
    x += <usize>R * (<usize>I << 2);
  }
}

/** `argumentOf` floats. */
export function argument(x: usize, out: usize, O: i32, R: i32, I: i32, least: bool): void {
  argumentOf<f32>(x, out, O, R, I, least);
}

/** `argumentOf` whole numbers. */
export function argumentI32(x: usize, out: usize, O: i32, R: i32, I: i32, least: bool): void {
  argumentOf<i32>(x, out, O, R, I, least);
}
