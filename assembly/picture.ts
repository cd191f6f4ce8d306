// Pooling and resizing of pictures.

/**
 * Greatest or mean values of windows of `planes` pictures [H, W].
 * @param mode 0 greatest; 1 mean of what lies inside; 2 mean with the padding (up to H + bottom, W + right) counted as 0
 */
export function pool(
  mode: i32, x: usize, out: usize, planes: i32, H: i32, W: i32, OH: i32, OW: i32,
  kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32, bottom: i32, right: i32, dh: i32, dw: i32,
): void {
  for (let p = 0; p < planes; p++, x += <usize>(H * W) << 2) {
    for (let oy = 0; oy < OH; oy++) {
      poolRow(mode, x, out, H, W, OW, kh, kw, oy * sh - top, sw, left, bottom, right, dh, dw);
      out += <usize>OW << 2;
    }
  }
}

export function poolRow(
  mode: i32, x: usize, out: usize, H: i32, W: i32, OW: i32,
  kh: i32, kw: i32, y: i32, sw: i32, left: i32, bottom: i32, right: i32, dh: i32, dw: i32,
): void {
  let ox = 0;
  if (sw == 2 && dw == 1 && left == 0 && y >= 0 && y + (kh - 1) * dh < H) {
    // Four windows inside the picture: every other of eight values.
    const scale: f32 = <f32>(kh * kw);
    for (; ox + 4 <= OW && ox * 2 + kw + 7 <= W; ox += 4, out += 16) {
      let v = f32x4.splat(mode == 0 ? -Infinity : 0);
      let row = x + (<usize>(y * W + ox * 2) << 2);
      for (let i = 0; i < kh; i++, row += <usize>(W * dh) << 2) {
        for (let j = 0; j < kw; j++) {
          const p = row + (<usize>j << 2);
          const u = v128.shuffle<i32>(v128.load(p), v128.load(p, 16), 0, 2, 4, 6);
          v = mode == 0 ? f32x4.max(v, u) : f32x4.add(v, u);
        }
      }
      v128.store(out, mode == 0 ? v : f32x4.div(v, f32x4.splat(scale)));
    }
  }
  for (; ox < OW; ox++, out += 4) {
    const z = ox * sw - left;
    let value: f32 = mode == 0 ? -Infinity : 0, count = 0;
    for (let i = 0; i < kh; i++) {
      const row = y + i * dh;
      if (row >= H + bottom) break;
      for (let j = 0; j < kw; j++) {
        const column = z + j * dw;
        if (column >= W + right) break;
        if (row < 0 || row >= H || column < 0 || column >= W) {
          if (mode == 2) count++;
          continue;
        }
        const v = load<f32>(x + (<usize>(row * W + column) << 2));
        if (mode != 0) value += v;
        else if (v > value || v != v) value = v;
        count++;
      }
    }
    store<f32>(out, mode == 0 || count == 0 ? value : value / <f32>count);
  }
}

// @ts-ignore: decorator
@inline
function source(mode: i32, at: i32, size: i32, result: i32, scale: f32): f32 {
  if (mode == 0) return (<f32>at + 0.5) / scale - 0.5; // half_pixel
  if (mode == 1) return <f32>at / scale; // asymmetric
  if (mode == 2) return result == 1 ? 0 : <f32>(at * (size - 1)) / <f32>(result - 1); // align_corners
  return result == 1 ? 0 : (<f32>at + 0.5) / scale - 0.5; // pytorch_half_pixel
}

// @ts-ignore: decorator
@inline
function nearestOf(rounding: i32, at: f32): i32 {
  if (rounding == 0) return <i32>ceil<f32>(at - 0.5); // round_prefer_floor
  if (rounding == 1) return <i32>floor<f32>(at + 0.5); // round_prefer_ceil
  return rounding == 2 ? <i32>floor<f32>(at) : <i32>ceil<f32>(at);
}

/** `planes` pictures [H, W] to [OH, OW]; coordinates and roundings as ONNX's Resize has them. */
export function resize(
  linear: bool, mode: i32, rounding: i32, x: usize, out: usize, planes: i32, H: i32, W: i32, OH: i32, OW: i32, sy: f32, sx: f32,
): void {
  for (let p = 0; p < planes; p++, x += <usize>(H * W) << 2) {
    for (let oy = 0; oy < OH; oy++) {
      const fy = source(mode, oy, H, OH, sy);
      if (linear) {
        const y = max<f32>(0, min<f32>(<f32>(H - 1), fy)), y0 = <i32>y, y1 = min(y0 + 1, H - 1), b = y - <f32>y0;
        const r0 = x + (<usize>(y0 * W) << 2), r1 = x + (<usize>(y1 * W) << 2);
        for (let ox = 0; ox < OW; ox++, out += 4) {
          const z = max<f32>(0, min<f32>(<f32>(W - 1), source(mode, ox, W, OW, sx))), z0 = <usize>(<i32>z), z1 = <usize>min(<i32>z + 1, W - 1), a = z - <f32>(<i32>z);
          const top = load<f32>(r0 + (z0 << 2)) * (1 - a) + load<f32>(r0 + (z1 << 2)) * a;
          const under = load<f32>(r1 + (z0 << 2)) * (1 - a) + load<f32>(r1 + (z1 << 2)) * a;
          store<f32>(out, top * (1 - b) + under * b);
        }
      } else {
        const row = x + (<usize>(max(0, min(H - 1, nearestOf(rounding, fy))) * W) << 2);
        for (let ox = 0; ox < OW; ox++, out += 4) {
          store<i32>(out, load<i32>(row + (<usize>max(0, min(W - 1, nearestOf(rounding, source(mode, ox, W, OW, sx)))) << 2)));
        }
      }
    }
  }
}
