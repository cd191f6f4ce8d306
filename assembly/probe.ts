// The processor's own limit, for the benchmark: dots on registers alone.

/** n * 8 dots of 16 products. */
export function probeInt8(n: i32): i32 {
  let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
  const x = i32x4.splat(n), y = i32x4.splat(n & 0x7f7f7f7f);
  if (ASC_FEATURE_RELAXED_SIMD) {
    for (let i = 0; i < n; i++) {
      c0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, y, c0); c1 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, y, c1);
      c2 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, y, c2); c3 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, y, c3);
      c4 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, y, c4); c5 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, y, c5);
      c6 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, y, c6); c7 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, y, c7);
    }
  } else {
    for (let i = 0; i < n; i++) {
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(x, c1)); c1 = i32x4.add(c1, i32x4.dot_i16x8_s(x, y));
      c2 = i32x4.add(c2, i32x4.dot_i16x8_s(x, c3)); c3 = i32x4.add(c3, i32x4.dot_i16x8_s(x, y));
      c4 = i32x4.add(c4, i32x4.dot_i16x8_s(x, c5)); c5 = i32x4.add(c5, i32x4.dot_i16x8_s(x, y));
      c6 = i32x4.add(c6, i32x4.dot_i16x8_s(x, c7)); c7 = i32x4.add(c7, i32x4.dot_i16x8_s(x, y));
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(y, c1)); c1 = i32x4.add(c1, i32x4.dot_i16x8_s(y, y));
      c2 = i32x4.add(c2, i32x4.dot_i16x8_s(y, c3)); c3 = i32x4.add(c3, i32x4.dot_i16x8_s(y, y));
      c4 = i32x4.add(c4, i32x4.dot_i16x8_s(y, c5)); c5 = i32x4.add(c5, i32x4.dot_i16x8_s(y, y));
      c6 = i32x4.add(c6, i32x4.dot_i16x8_s(y, c7)); c7 = i32x4.add(c7, i32x4.dot_i16x8_s(y, y));
    }
  }
  return i32x4.extract_lane(i32x4.add(i32x4.add(i32x4.add(c0, c1), i32x4.add(c2, c3)), i32x4.add(i32x4.add(c4, c5), i32x4.add(c6, c7))), 0);
}
