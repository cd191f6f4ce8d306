// Lanes of vectors that several products move in the same way.

// @ts-ignore: decorator
@inline
export function splat0(x: v128): v128 { return v128.shuffle<i32>(x, x, 0, 0, 0, 0); }
// @ts-ignore: decorator
@inline
export function splat1(x: v128): v128 { return v128.shuffle<i32>(x, x, 1, 1, 1, 1); }
// @ts-ignore: decorator
@inline
export function splat2(x: v128): v128 { return v128.shuffle<i32>(x, x, 2, 2, 2, 2); }
// @ts-ignore: decorator
@inline
export function splat3(x: v128): v128 { return v128.shuffle<i32>(x, x, 3, 3, 3, 3); }

/** Neighbouring lanes of a, then of b, added. */
// @ts-ignore: decorator
@inline
export function pairs(a: v128, b: v128): v128 {
  return i32x4.add(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7));
}
