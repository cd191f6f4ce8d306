// Elementary functions of four floats. Steps are mul and add in a fixed order: the same bits on every processor. Limits are set by
// pmin(x, limit) and pmax(x, limit), which leave NaN as it is.

// Constants lie in tables: V8 makes a vector of a constant anew in each round of a loop, in three steps, and loads one in one.

/** A number of a table in all four lanes. */
// @ts-ignore: decorator
@inline
export function constant(table: usize, index: i32): v128 { return v128.load32_splat(table + (<usize>index << 2)); }

/** 1.5 * 2^23: added to a float below 2^22, it leaves the nearest integer (ties to even) in the low bits. */
export const MAGIC: f32 = 12582912.0;
/** Its bits, which are that integer's 0. */
export const MAGIC_BITS: i32 = 0x4b400000;

/** The logarithm to base 2 of e. */
export const LOG2E: f32 = 1.44269504;

const EXP: usize = memory.data<f32>([89.0, 1.44269504, 12582912, 0.693359375, 2.12194440e-4, 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1.0, -86.9]);

/** e^x within 2 units in the last place. Below -86.9 it is exactly 0, so that masked keys leave a sum as it is. */
// @ts-ignore: decorator
@inline
export function exp4(value: v128): v128 {
  const x = f32x4.pmin(value, constant(EXP, 0));
  const t = f32x4.add(f32x4.mul(x, constant(EXP, 1)), constant(EXP, 2));
  const n = f32x4.sub(t, constant(EXP, 2));
  let r = f32x4.sub(x, f32x4.mul(n, constant(EXP, 3)));
  r = f32x4.add(r, f32x4.mul(n, constant(EXP, 4)));
  let p = constant(EXP, 5);
  p = f32x4.add(f32x4.mul(p, r), constant(EXP, 6));
  p = f32x4.add(f32x4.mul(p, r), constant(EXP, 7));
  p = f32x4.add(f32x4.mul(p, r), constant(EXP, 8));
  p = f32x4.add(f32x4.mul(p, r), constant(EXP, 9));
  p = f32x4.add(f32x4.mul(p, r), constant(EXP, 10));
  p = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), constant(EXP, 11));
  // 2^(n - 1), and twice that at the end: 2^128 is not a float.
  const power = i32x4.shl(i32x4.add(t, i32x4.splat(126)), 23);
  p = f32x4.mul(p, power);
  return v128.andnot(f32x4.add(p, p), f32x4.lt(x, constant(EXP, 12)));
}

const POWER: usize = memory.data<f32>([12582912, 0.001326472731307149, 0.009671512991189957, 0.05550733581185341, 0.24022242426872253, 0.6931470036506653, 1.0, -125.0]);

/**
 * 2^t of t <= 0, within 2e-7 of the true value: for weights of a softmax, where it saves exp's reduction of the argument. 2^0 is
 * 1, and below -125 it is exactly 0. The polynomial of degree 5 has the least relative error in -0.5..0.5 among those.
 */
// @ts-ignore: decorator
@inline
export function power4(t: v128): v128 {
  const shifted = f32x4.add(t, constant(POWER, 0));
  const f = f32x4.sub(t, f32x4.sub(shifted, constant(POWER, 0)));
  let p = constant(POWER, 1);
  p = f32x4.add(f32x4.mul(p, f), constant(POWER, 2));
  p = f32x4.add(f32x4.mul(p, f), constant(POWER, 3));
  p = f32x4.add(f32x4.mul(p, f), constant(POWER, 4));
  p = f32x4.add(f32x4.mul(p, f), constant(POWER, 5));
  p = f32x4.add(f32x4.mul(p, f), constant(POWER, 6));
  p = f32x4.mul(p, i32x4.shl(i32x4.add(shifted, i32x4.splat(127)), 23));
  return v128.andnot(p, f32x4.lt(t, constant(POWER, 7)));
}

export const ERF: usize = memory.data<f32>([4.0, -4.0, -2.72614225801306e-10, 2.77068142495902e-8, -2.10102402082508e-6, -5.69250639462346e-5, -7.34990630326855e-4, -2.95459980854025e-3, -1.60960333262415e-2, -1.45660718464996e-5, -2.13374055278905e-4, -1.68282697438203e-3, -7.37332916720468e-3, -1.42647390514189e-2]);

/** erf by Eigen's rational function (7 over 5 terms): within 7e-7 of the true value. */
// @ts-ignore: decorator
@inline
export function erf4(value: v128): v128 {
  const x = f32x4.pmax(f32x4.pmin(value, constant(ERF, 0)), constant(ERF, 1));
  const s = f32x4.mul(x, x);
  let p = constant(ERF, 2);
  p = f32x4.add(f32x4.mul(p, s), constant(ERF, 3));
  p = f32x4.add(f32x4.mul(p, s), constant(ERF, 4));
  p = f32x4.add(f32x4.mul(p, s), constant(ERF, 5));
  p = f32x4.add(f32x4.mul(p, s), constant(ERF, 6));
  p = f32x4.add(f32x4.mul(p, s), constant(ERF, 7));
  p = f32x4.add(f32x4.mul(p, s), constant(ERF, 8));
  let q = constant(ERF, 9);
  q = f32x4.add(f32x4.mul(q, s), constant(ERF, 10));
  q = f32x4.add(f32x4.mul(q, s), constant(ERF, 11));
  q = f32x4.add(f32x4.mul(q, s), constant(ERF, 12));
  q = f32x4.add(f32x4.mul(q, s), constant(ERF, 13));
  return f32x4.div(f32x4.mul(x, p), q);
}

const TANH: usize = memory.data<f32>([7.9053111, -7.9053111, -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-8, 1.48572235717979e-5, 6.37261928875436e-4, 4.89352455891786e-3, 1.19825839466702e-6, 1.18534705686654e-4, 2.26843463243900e-3, 4.89352518554385e-3]);

/** tanh by Eigen's rational function (7 over 4 terms). */
// @ts-ignore: decorator
@inline
export function tanh4(value: v128): v128 {
  const x = f32x4.pmax(f32x4.pmin(value, constant(TANH, 0)), constant(TANH, 1));
  const s = f32x4.mul(x, x);
  let p = constant(TANH, 2);
  p = f32x4.add(f32x4.mul(p, s), constant(TANH, 3));
  p = f32x4.add(f32x4.mul(p, s), constant(TANH, 4));
  p = f32x4.add(f32x4.mul(p, s), constant(TANH, 5));
  p = f32x4.add(f32x4.mul(p, s), constant(TANH, 6));
  p = f32x4.add(f32x4.mul(p, s), constant(TANH, 7));
  p = f32x4.add(f32x4.mul(p, s), constant(TANH, 8));
  let q = constant(TANH, 9);
  q = f32x4.add(f32x4.mul(q, s), constant(TANH, 10));
  q = f32x4.add(f32x4.mul(q, s), constant(TANH, 11));
  q = f32x4.add(f32x4.mul(q, s), constant(TANH, 12));
  return f32x4.div(f32x4.mul(x, p), q);
}

// @ts-ignore: decorator
@inline
export function sigmoid4(x: v128): v128 {
  return f32x4.div(f32x4.splat(1.0), f32x4.add(f32x4.splat(1.0), exp4(f32x4.neg(x))));
}

/** The four lanes added up in a fixed order. */
// @ts-ignore: decorator
@inline
export function sum4(v: v128): f32 {
  return (f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1)) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

// @ts-ignore: decorator
@inline
export function max4(v: v128): f32 {
  return max(max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)), max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)));
}

// @ts-ignore: decorator
@inline
export function min4(v: v128): f32 {
  return min(min(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)), min(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)));
}

/** Four half floats, in the low lanes of a load, as floats: all values, denormals, infinities and NaN included. */
// @ts-ignore: decorator
@inline
export function half4(h: v128): v128 {
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  const rest = i32x4.shl(v128.and(h, i32x4.splat(0x7fff)), 13);
  // Times 2^112 moves the exponent's bias, and makes denormals right too.
  const scaled = f32x4.mul(rest, f32x4.splat(reinterpret<f32>(0x77800000)));
  const special = i32x4.ge_s(rest, i32x4.splat(0x0f800000));
  return v128.or(sign, v128.or(scaled, v128.and(special, i32x4.splat(0x7f800000))));
}
