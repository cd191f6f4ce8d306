// Element by element: unary functions, binary operators with broadcast, where, cast.

import { BEYOND, HOLDS, NO_QUOTIENT } from "./checks";
import { gelu } from "./gelu";
import { erf4, exp4, sigmoid4, tanh4 } from "./math";

export const enum Unary {
  relu, gelu, geluTanh, erf, tanh, sigmoid, silu, exp, log, sqrt, neg, abs, reciprocal, floor, ceil, round,
  hardSigmoid, hardSwish, leakyRelu, clip, elu, softplus, sin, cos, sign, mish, quickGelu,
}

// @ts-ignore: decorator
@inline
function log4(v: v128): v128 {
  let y = f32x4.splat(<f32>Math.log(<f64>f32x4.extract_lane(v, 0)));
  y = f32x4.replace_lane(y, 1, <f32>Math.log(<f64>f32x4.extract_lane(v, 1)));
  y = f32x4.replace_lane(y, 2, <f32>Math.log(<f64>f32x4.extract_lane(v, 2)));
  return f32x4.replace_lane(y, 3, <f32>Math.log(<f64>f32x4.extract_lane(v, 3)));
}

// @ts-ignore: decorator
@inline
function softplus4(x: v128): v128 {
  // max(x, 0) + log(1 + e^-|x|)
  const e = exp4(f32x4.neg(f32x4.abs(x)));
  return f32x4.add(f32x4.pmax(x, f32x4.splat(0)), log4(f32x4.add(f32x4.splat(1), e)));
}

// @ts-ignore: decorator
@inline
function apply(kind: i32, x: v128, a: v128, b: v128): v128 {
  const zero = f32x4.splat(0), one = f32x4.splat(1);
  if (kind == Unary.relu) return f32x4.pmax(x, zero);
  if (kind == Unary.geluTanh) {
    const inner = f32x4.mul(f32x4.splat(0.79788456), f32x4.add(x, f32x4.mul(f32x4.splat(0.044715), f32x4.mul(x, f32x4.mul(x, x)))));
    return f32x4.mul(f32x4.mul(x, f32x4.splat(0.5)), f32x4.add(one, tanh4(inner)));
  }
  if (kind == Unary.erf) return erf4(x);
  if (kind == Unary.tanh) return tanh4(x);
  if (kind == Unary.sigmoid) return sigmoid4(x);
  if (kind == Unary.silu) return f32x4.mul(x, sigmoid4(x));
  if (kind == Unary.quickGelu) return f32x4.mul(x, sigmoid4(f32x4.mul(x, f32x4.splat(1.702))));
  if (kind == Unary.exp) return exp4(x);
  if (kind == Unary.sqrt) return f32x4.sqrt(x);
  if (kind == Unary.neg) return f32x4.neg(x);
  if (kind == Unary.abs) return f32x4.abs(x);
  if (kind == Unary.reciprocal) return f32x4.div(one, x);
  if (kind == Unary.floor) return f32x4.floor(x);
  if (kind == Unary.ceil) return f32x4.ceil(x);
  if (kind == Unary.round) return f32x4.nearest(x);
  if (kind == Unary.hardSigmoid) return f32x4.pmin(f32x4.pmax(f32x4.add(f32x4.mul(x, a), b), zero), one);
  if (kind == Unary.hardSwish) return f32x4.mul(x, f32x4.pmin(f32x4.pmax(f32x4.add(f32x4.mul(x, f32x4.splat(<f32>(1.0 / 6.0))), f32x4.splat(0.5)), zero), one));
  if (kind == Unary.leakyRelu) return v128.bitselect(f32x4.mul(x, a), x, f32x4.lt(x, zero));
  if (kind == Unary.clip) return f32x4.pmin(f32x4.pmax(x, a), b);
  if (kind == Unary.elu) return v128.bitselect(f32x4.mul(a, f32x4.sub(exp4(x), one)), x, f32x4.lt(x, zero));
  if (kind == Unary.softplus) return softplus4(x);
  if (kind == Unary.mish) return f32x4.mul(x, tanh4(softplus4(x)));
  if (kind == Unary.sign) {
    const s = v128.or(v128.and(f32x4.gt(x, zero), one), v128.and(f32x4.lt(x, zero), f32x4.splat(-1)));
    return v128.bitselect(x, s, f32x4.ne(x, x));
  }
  return x;
}

// @ts-ignore: decorator
@inline
function each(kind: i32, x: usize, out: usize, n: i32, a: f32, b: f32): void {
  const p = f32x4.splat(a), q = f32x4.splat(b);
  const end = x + (<usize>(n & ~3) << 2);
  for (; x < end; x += 16, out += 16) v128.store(out, apply(kind, v128.load(x), p, q));
  for (let i = n & 3; i > 0; i--, x += 4, out += 4) v128.store_lane<f32>(out, apply(kind, v128.load32_splat(x), p, q), 0);
}

// Functions of their own, so that each is compiled when it is used.
export function geluTanh(x: usize, out: usize, n: i32): void { each(Unary.geluTanh, x, out, n, 0, 0); }
export function tanh(x: usize, out: usize, n: i32): void { each(Unary.tanh, x, out, n, 0, 0); }
export function silu(x: usize, out: usize, n: i32): void { each(Unary.silu, x, out, n, 0, 0); }

function scalar(kind: i32, x: usize, out: usize, n: i32): void {
  for (let i = 0; i < n; i++, x += 4, out += 4) {
    const v = <f64>load<f32>(x);
    store<f32>(out, <f32>(kind == Unary.log ? Math.log(v) : kind == Unary.sin ? Math.sin(v) : Math.cos(v)));
  }
}

/** n floats. `a` and `b` are what the kind takes: alpha and beta, or least and greatest. `out` may be `x`. */
export function unaryF32(kind: i32, x: usize, out: usize, n: i32, a: f32, b: f32): void {
  switch (kind) {
    case Unary.relu: each(Unary.relu, x, out, n, a, b); break;
    case Unary.gelu: gelu(x, out, n); break;
    case Unary.geluTanh: geluTanh(x, out, n); break;
    case Unary.erf: each(Unary.erf, x, out, n, a, b); break;
    case Unary.tanh: tanh(x, out, n); break;
    case Unary.sigmoid: each(Unary.sigmoid, x, out, n, a, b); break;
    case Unary.silu: silu(x, out, n); break;
    case Unary.exp: each(Unary.exp, x, out, n, a, b); break;
    case Unary.sqrt: each(Unary.sqrt, x, out, n, a, b); break;
    case Unary.neg: each(Unary.neg, x, out, n, a, b); break;
    case Unary.abs: each(Unary.abs, x, out, n, a, b); break;
    case Unary.reciprocal: each(Unary.reciprocal, x, out, n, a, b); break;
    case Unary.floor: each(Unary.floor, x, out, n, a, b); break;
    case Unary.ceil: each(Unary.ceil, x, out, n, a, b); break;
    case Unary.round: each(Unary.round, x, out, n, a, b); break;
    case Unary.hardSigmoid: each(Unary.hardSigmoid, x, out, n, a, b); break;
    case Unary.hardSwish: each(Unary.hardSwish, x, out, n, a, b); break;
    case Unary.leakyRelu: each(Unary.leakyRelu, x, out, n, a, b); break;
    case Unary.clip: each(Unary.clip, x, out, n, a, b); break;
    case Unary.elu: each(Unary.elu, x, out, n, a, b); break;
    case Unary.softplus: each(Unary.softplus, x, out, n, a, b); break;
    case Unary.sign: each(Unary.sign, x, out, n, a, b); break;
    case Unary.mish: each(Unary.mish, x, out, n, a, b); break;
    case Unary.quickGelu: each(Unary.quickGelu, x, out, n, a, b); break;
    default: scalar(kind, x, out, n);
  }
}

/** @returns `HOLDS`, or `BEYOND` where the lowest number is turned around, which gives itself */
export function unaryI32(kind: i32, x: usize, out: usize, n: i32, a: i32, b: i32): i32 {
  const turns = kind == Unary.neg || kind == Unary.abs;
  let result = HOLDS;
  for (let i = 0; i < n; i++, x += 4, out += 4) {
    const v = load<i32>(x);
    if (turns && v == i32.MIN_VALUE) result = BEYOND;
    let y = v;
    if (kind == Unary.neg) y = -v;
    else if (kind == Unary.abs) y = v < 0 ? -v : v;
    else if (kind == Unary.relu) y = max(v, 0);
    else if (kind == Unary.sign) y = v > 0 ? 1 : v < 0 ? -1 : 0;
    else if (kind == Unary.clip) y = min(max(v, a), b);
    store<i32>(out, y);
  }
  return result;
}

export function notU8(x: usize, out: usize, n: i32): void {
  for (let i = 0; i < n; i++) store<u8>(out + i, load<u8>(x + i) == 0 ? 1 : 0);
}

export const enum Binary { add, sub, mul, div, pow, min, max, mod, fmod, equal, less, lessEqual, greater, greaterEqual, and, or, xor, prelu }

// @ts-ignore: decorator
@inline
function pair4(kind: i32, a: v128, b: v128): v128 {
  if (kind == Binary.add) return f32x4.add(a, b);
  if (kind == Binary.sub) return f32x4.sub(a, b);
  if (kind == Binary.mul) return f32x4.mul(a, b);
  if (kind == Binary.div) return f32x4.div(a, b);
  if (kind == Binary.min) return f32x4.min(a, b);
  if (kind == Binary.max) return f32x4.max(a, b);
  if (kind == Binary.prelu) return v128.bitselect(f32x4.mul(a, b), a, f32x4.lt(a, f32x4.splat(0)));
  return a;
}

/** A row of n results; a step of 0 repeats one element of that side. */
// @ts-ignore: decorator
@inline
function row4(kind: i32, a: usize, b: usize, out: usize, n: i32, aStep: i32, bStep: i32): void {
  let i = 0;
  if (aStep == 1 && bStep == 1) {
    for (; i + 4 <= n; i += 4, a += 16, b += 16, out += 16) v128.store(out, pair4(kind, v128.load(a), v128.load(b)));
  } else if (aStep == 1 && bStep == 0) {
    const y = v128.load32_splat(b);
    for (; i + 4 <= n; i += 4, a += 16, out += 16) v128.store(out, pair4(kind, v128.load(a), y));
  } else if (aStep == 0 && bStep == 1) {
    const x = v128.load32_splat(a);
    for (; i + 4 <= n; i += 4, b += 16, out += 16) v128.store(out, pair4(kind, x, v128.load(b)));
  }
  for (; i < n; i++, a += <usize>aStep << 2, b += <usize>bStep << 2, out += 4) {
    v128.store_lane<f32>(out, pair4(kind, v128.load32_splat(a), v128.load32_splat(b)), 0);
  }
}

export function rowF32(kind: i32, a: usize, b: usize, out: usize, n: i32, aStep: i32, bStep: i32): void {
  switch (kind) {
    case Binary.add: row4(Binary.add, a, b, out, n, aStep, bStep); break;
    case Binary.sub: row4(Binary.sub, a, b, out, n, aStep, bStep); break;
    case Binary.mul: row4(Binary.mul, a, b, out, n, aStep, bStep); break;
    case Binary.div: row4(Binary.div, a, b, out, n, aStep, bStep); break;
    case Binary.min: row4(Binary.min, a, b, out, n, aStep, bStep); break;
    case Binary.max: row4(Binary.max, a, b, out, n, aStep, bStep); break;
    case Binary.prelu: row4(Binary.prelu, a, b, out, n, aStep, bStep); break;
    default: rowScalar(kind, a, b, out, n, aStep, bStep);
  }
}

/** pow and mod give floats, comparisons bytes. */
function rowScalar(kind: i32, a: usize, b: usize, out: usize, n: i32, aStep: i32, bStep: i32): void {
  for (let i = 0; i < n; i++, a += <usize>aStep << 2, b += <usize>bStep << 2) {
    const x = load<f32>(a), y = load<f32>(b);
    if (kind == Binary.pow) store<f32>(out + (<usize>i << 2), y == 2 ? x * x : y == 0.5 ? sqrt<f32>(x) : y == 3 ? x * x * x : <f32>Math.pow(<f64>x, <f64>y));
    else if (kind == Binary.fmod) store<f32>(out + (<usize>i << 2), <f32>(<f64>x % <f64>y));
    else if (kind == Binary.mod) {
      const r = <f32>(<f64>x % <f64>y);
      store<f32>(out + (<usize>i << 2), r != 0 && (r < 0) != (y < 0) ? r + y : r);
    } else store<u8>(out + i, <u8>(kind == Binary.equal ? x == y : kind == Binary.less ? x < y : kind == Binary.lessEqual ? x <= y : kind == Binary.greater ? x > y : x >= y));
  }
}

export function rowI32(kind: i32, a: usize, b: usize, out: usize, n: i32, aStep: i32, bStep: i32): void {
  for (let i = 0; i < n; i++, a += <usize>aStep << 2, b += <usize>bStep << 2) {
    const x = load<i32>(a), y = load<i32>(b);
    if (kind >= Binary.equal && kind <= Binary.greaterEqual) {
      store<u8>(out + i, <u8>(kind == Binary.equal ? x == y : kind == Binary.less ? x < y : kind == Binary.lessEqual ? x <= y : kind == Binary.greater ? x > y : x >= y));
      continue;
    }
    let z = 0;
    if (kind == Binary.add) z = x + y;
    else if (kind == Binary.sub) z = x - y;
    else if (kind == Binary.mul) z = x * y;
    else if (kind == Binary.min) z = min(x, y);
    else if (kind == Binary.max) z = max(x, y);
    else if (kind == Binary.pow) z = <i32>Math.pow(<f64>x, <f64>y);
    // A division by 0, or of the lowest by -1, would trap: 0 and the lowest.
    else if (kind == Binary.div) z = y == 0 ? 0 : y == -1 ? -x : x / y;
    else if (kind == Binary.mod || kind == Binary.fmod) {
      z = y == 0 || y == -1 ? 0 : x % y;
      if (kind == Binary.mod && z != 0 && (z < 0) != (y < 0)) z += y;
    }
    store<i32>(out + (<usize>i << 2), z);
  }
}

/** As `rowI32`, of arithmetic whose results may need more than 32 bits or divide by 0. @returns see `BEYOND` */
function rowChecked(kind: i32, a: usize, b: usize, out: usize, n: i32, aStep: i32, bStep: i32): i32 {
  let result = HOLDS;
  for (let i = 0; i < n; i++, a += <usize>aStep << 2, b += <usize>bStep << 2, out += 4) {
    const x = <i64>load<i32>(a), y = <i64>load<i32>(b);
    let z: i64 = 0;
    if (kind == Binary.add) z = x + y;
    else if (kind == Binary.sub) z = x - y;
    else if (kind == Binary.mul) z = x * y;
    else if (kind == Binary.pow) {
      const power = Math.pow(<f64>x, <f64>y);
      if (!(power > -2147483649.0 && power < 2147483648.0)) result = BEYOND;
      z = <i64><i32>power;
    } else if (y == 0) return NO_QUOTIENT;
    else if (kind == Binary.div) z = x / y;
    else {
      z = x % y;
      if (kind == Binary.mod && z != 0 && (z < 0) != (y < 0)) z += y;
    }
    if (<i64><i32>z != z) result = BEYOND;
    store<i32>(out, <i32>z);
  }
  return result;
}

export function rowU8(kind: i32, a: usize, b: usize, out: usize, n: i32, aStep: i32, bStep: i32): void {
  for (let i = 0; i < n; i++, a += aStep, b += bStep) {
    const x = load<u8>(a), y = load<u8>(b);
    store<u8>(out + i, <u8>(kind == Binary.and ? (x != 0) && (y != 0) : kind == Binary.or ? (x != 0) || (y != 0) : kind == Binary.xor ? (x != 0) != (y != 0) : x == y));
  }
}

/**
 * Broadcast over five outer axes and a row. Strides are in elements; `type` is the operands' (0 f32, 1 i32, 2 u8, 3 i32 whose
 * arithmetic is checked), `size` the bytes of a result. @returns see `BEYOND`; `HOLDS` where nothing is checked
 */
export function binary(
  kind: i32, type: i32, size: i32, a: usize, b: usize, out: usize,
  d0: i32, d1: i32, d2: i32, d3: i32, d4: i32, n: i32,
  a0: i32, a1: i32, a2: i32, a3: i32, a4: i32, a5: i32,
  b0: i32, b1: i32, b2: i32, b3: i32, b4: i32, b5: i32,
): i32 {
  const shift = type == 2 ? 0 : 2;
  let result = HOLDS;
  for (let i0 = 0; i0 < d0; i0++) {
    for (let i1 = 0; i1 < d1; i1++) {
      for (let i2 = 0; i2 < d2; i2++) {
        for (let i3 = 0; i3 < d3; i3++) {
          for (let i4 = 0; i4 < d4; i4++) {
            const x = a + (<usize>(i0 * a0 + i1 * a1 + i2 * a2 + i3 * a3 + i4 * a4) << shift);
            const y = b + (<usize>(i0 * b0 + i1 * b1 + i2 * b2 + i3 * b3 + i4 * b4) << shift);
            if (type == 0) rowF32(kind, x, y, out, n, a5, b5);
            else if (type == 1) rowI32(kind, x, y, out, n, a5, b5);
            else if (type == 2) rowU8(kind, x, y, out, n, a5, b5);
            else {
              const row = rowChecked(kind, x, y, out, n, a5, b5);
              if (row == NO_QUOTIENT) return NO_QUOTIENT;
              if (row != HOLDS) result = row;
            }
            out += <usize>n * <usize>size;
          }
        }
      }
    }
  }
  return result;
}

/** condition ? a : b over six axes, elements of 4 or 1 bytes. The result is contiguous; strides are in elements. */
export function select(
  size: i32, c: usize, a: usize, b: usize, out: usize,
  d0: i32, d1: i32, d2: i32, d3: i32, d4: i32, d5: i32,
  c0: i32, c1: i32, c2: i32, c3: i32, c4: i32, c5: i32,
  a0: i32, a1: i32, a2: i32, a3: i32, a4: i32, a5: i32,
  b0: i32, b1: i32, b2: i32, b3: i32, b4: i32, b5: i32,
): void {
  for (let i0 = 0; i0 < d0; i0++) {
    for (let i1 = 0; i1 < d1; i1++) {
      for (let i2 = 0; i2 < d2; i2++) {
        for (let i3 = 0; i3 < d3; i3++) {
          for (let i4 = 0; i4 < d4; i4++) {
            const z = c + <usize>(i0 * c0 + i1 * c1 + i2 * c2 + i3 * c3 + i4 * c4);
            const x = a + <usize>((i0 * a0 + i1 * a1 + i2 * a2 + i3 * a3 + i4 * a4) * size);
            const y = b + <usize>((i0 * b0 + i1 * b1 + i2 * b2 + i3 * b3 + i4 * b4) * size);
            selectRow(z, x, y, out, d5, c5, a5 * size, b5 * size, size);
            out += <usize>d5 * <usize>size;
          }
        }
      }
    }
  }
}

export function selectRow(c: usize, a: usize, b: usize, out: usize, n: i32, cStep: i32, aStep: i32, bStep: i32, size: i32): void {
  for (let i = 0; i < n; i++, c += cStep, a += aStep, b += bStep, out += size) {
    const from = load<u8>(c) != 0 ? a : b;
    if (size == 4) store<i32>(out, load<i32>(from));
    else store<u8>(out, load<u8>(from));
  }
}

/**
 * From and to: 0 f32, 1 i32, 2 u8 as a truth value. Floats outside of i32 become its ends, NaN 0. @returns `HOLDS`, or `BEYOND`
 * where one is that 64 bits would hold: what is made of others is left open by ONNX, and attention with relative positions
 * casts the logarithm of 0
 */
export function cast(from: i32, to: i32, x: usize, out: usize, n: i32): i32 {
  let result = HOLDS;
  for (let i = 0; i < n; i++) {
    if (from == 0) {
      const v = load<f32>(x + (<usize>i << 2));
      if (to == 1) {
        const size = abs(v);
        if (size >= 2147483648.0 && size < 9223372036854775808.0 && v != -2147483648.0) result = BEYOND;
        store<i32>(out + (<usize>i << 2), <i32>v);
      }
      else store<u8>(out + i, <u8>(v != 0));
    } else if (from == 1) {
      const v = load<i32>(x + (<usize>i << 2));
      if (to == 0) store<f32>(out + (<usize>i << 2), <f32>v);
      else store<u8>(out + i, <u8>(v != 0));
    } else {
      const v = load<u8>(x + i);
      if (to == 0) store<f32>(out + (<usize>i << 2), <f32>v);
      else store<i32>(out + (<usize>i << 2), v);
    }
  }
  return result;
}
