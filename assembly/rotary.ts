// Rotary positions: the two halves of each head's channels, turned by an angle a pair. Two products and a sum, in this order.

/**
 * Rows [heads, D] side by side, each with an angle for each of D / 2 pairs.
 * @param xStride bytes between rows of x; rows of `out` lie one after the other
 * @param angleStride bytes between rows of cos and sin, 0 to repeat one
 * @param second bytes from the angles of the first half to those of the second, 0 where they are the same
 */
export function rotateRows(
  x: usize, cos: usize, sin: usize, out: usize, rows: i32, heads: i32, D: i32, xStride: usize, angleStride: usize, second: usize,
): void {
  const half = D >> 1, behind = <usize>half << 2;
  for (let row = 0; row < rows; row++, x += xStride, cos += angleStride, sin += angleStride) {
    let from = x;
    for (let head = 0; head < heads; head++, from += behind << 1, out += behind << 1) {
      let d = 0;
      for (; d + 4 <= half; d += 4) {
        const at = <usize>d << 2;
        const a = v128.load(from + at), b = v128.load(from + behind + at);
        const c0 = v128.load(cos + at), s0 = v128.load(sin + at), c1 = v128.load(cos + second + at), s1 = v128.load(sin + second + at);
        v128.store(out + at, f32x4.sub(f32x4.mul(a, c0), f32x4.mul(b, s0)));
        v128.store(out + behind + at, f32x4.add(f32x4.mul(b, c1), f32x4.mul(a, s1)));
      }
      for (; d < half; d++) {
        const at = <usize>d << 2;
        const a = load<f32>(from + at), b = load<f32>(from + behind + at);
        store<f32>(out + at, a * load<f32>(cos + at) - b * load<f32>(sin + at));
        store<f32>(out + behind + at, b * load<f32>(cos + second + at) + a * load<f32>(sin + second + at));
      }
    }
  }
}
