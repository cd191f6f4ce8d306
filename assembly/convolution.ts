// Convolutions of [C, H, W] pictures. Four neighbouring places of the result are a strip of four rows of a product: their patches
// are gathered as [channels * kernel][4] (implicit im2col, a few strips at a time), multiplied with the panels of the weight, and
// the result is stored by channel. Depthwise convolution and pooling are direct.

import { quantizePatches } from "./int8";

/**
 * Patches of the places `first`.. of the result, in strips [C * kh * kw][4]; what lies in the padding is 0, places behind the last
 * are copies of it.
 * @param x the first channel of the group in its picture
 */
export function packPatches(
  x: usize, out: usize, first: i32, count: i32, C: i32, H: i32, W: i32, OW: i32,
  kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32, dh: i32, dw: i32,
): void {
  const depth = <usize>(C * kh * kw) << 4;
  for (let m = 0; m < count; m += 4, out += depth) {
    const p0 = first + m, rows = min(4, count - m);
    const oy = p0 / OW, ox = p0 % OW;
    const y = oy * sh - top, z = ox * sw - left;
    if (rows == 4 && ox + 3 < OW) {
      if (kh == 1 && kw == 1 && sw == 1 && y >= 0 && y < H && z >= 0 && z + 3 < W) {
        stripPointwise(x + (<usize>(y * W + z) << 2), out, C, <usize>(H * W) << 2);
        continue;
      }
      if (z >= 0 && z + 3 * sw + (kw - 1) * dw < W && y >= 0 && y + (kh - 1) * dh < H) {
        if (sw == 1) stripInside(x + (<usize>(y * W + z) << 2), out, C, H, W, kh, kw, dh, dw);
        else stripStrided(x + (<usize>(y * W + z) << 2), out, C, H, W, kh, kw, dh, dw, sw);
        continue;
      }
    }
    stripAnywhere(x, out, p0, rows, C, H, W, OW, kh, kw, sh, sw, top, left, dh, dw);
  }
}

/** Four places anywhere, in two rows or at the sides: what lies outside is read from the first place, and becomes 0. */
export function stripAnywhere(
  x: usize, out: usize, first: i32, rows: i32, C: i32, H: i32, W: i32, OW: i32,
  kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32, dh: i32, dw: i32,
): void {
  const p1 = first + min(1, rows - 1), p2 = first + min(2, rows - 1), p3 = first + min(3, rows - 1);
  const y0 = (first / OW) * sh - top, y1 = (p1 / OW) * sh - top, y2 = (p2 / OW) * sh - top, y3 = (p3 / OW) * sh - top;
  const z0 = (first % OW) * sw - left, z1 = (p1 % OW) * sw - left, z2 = (p2 % OW) * sw - left, z3 = (p3 % OW) * sw - left;
  const plane = <usize>(H * W) << 2, apart = <usize>(kh * kw) << 4;
  for (let i = 0; i < kh; i++) {
    for (let j = 0; j < kw; j++, out += 16) {
      const r0 = y0 + i * dh, r1 = y1 + i * dh, r2 = y2 + i * dh, r3 = y3 + i * dh;
      const c0 = z0 + j * dw, c1 = z1 + j * dw, c2 = z2 + j * dw, c3 = z3 + j * dw;
      const in0 = r0 >= 0 && r0 < H && c0 >= 0 && c0 < W, in1 = r1 >= 0 && r1 < H && c1 >= 0 && c1 < W;
      const in2 = r2 >= 0 && r2 < H && c2 >= 0 && c2 < W, in3 = r3 >= 0 && r3 < H && c3 >= 0 && c3 < W;
      let mask = i32x4.splat(in0 ? -1 : 0);
      mask = i32x4.replace_lane(mask, 1, in1 ? -1 : 0);
      mask = i32x4.replace_lane(mask, 2, in2 ? -1 : 0);
      mask = i32x4.replace_lane(mask, 3, in3 ? -1 : 0);
      gatherPlanes(
        x + (in0 ? <usize>(r0 * W + c0) << 2 : 0), x + (in1 ? <usize>(r1 * W + c1) << 2 : 0),
        x + (in2 ? <usize>(r2 * W + c2) << 2 : 0), x + (in3 ? <usize>(r3 * W + c3) << 2 : 0),
        out, C, plane, apart, mask,
      );
    }
  }
}

function gatherPlanes(a: usize, b: usize, c: usize, d: usize, out: usize, C: i32, plane: usize, apart: usize, mask: v128): void {
  for (let k = 0; k < C; k++, a += plane, b += plane, c += plane, d += plane, out += apart) {
    let v = v128.load32_zero(a);
    v = v128.load_lane<f32>(b, v, 1);
    v = v128.load_lane<f32>(c, v, 2);
    v = v128.load_lane<f32>(d, v, 3);
    v128.store(out, v128.and(v, mask));
  }
}

function stripPointwise(x: usize, out: usize, C: i32, plane: usize): void {
  for (let c = 0; c < C; c++, x += plane, out += 16) v128.store(out, v128.load(x));
}

function stripInside(x: usize, out: usize, C: i32, H: i32, W: i32, kh: i32, kw: i32, dh: i32, dw: i32): void {
  const row = <usize>(W * dh) << 2, step = <usize>dw << 2, plane = <usize>(H * W) << 2;
  for (let c = 0; c < C; c++, x += plane) {
    let from = x;
    for (let i = 0; i < kh; i++, from += row) {
      let p = from;
      for (let j = 0; j < kw; j++, p += step, out += 16) v128.store(out, v128.load(p));
    }
  }
}

function stripStrided(x: usize, out: usize, C: i32, H: i32, W: i32, kh: i32, kw: i32, dh: i32, dw: i32, sw: i32): void {
  const row = <usize>(W * dh) << 2, step = <usize>dw << 2, plane = <usize>(H * W) << 2, apart = <usize>sw << 2;
  for (let c = 0; c < C; c++, x += plane) {
    let from = x;
    for (let i = 0; i < kh; i++, from += row) {
      let p = from;
      for (let j = 0; j < kw; j++, p += step, out += 16) {
        let v = v128.load32_zero(p);
        v = v128.load_lane<f32>(p + apart, v, 1);
        v = v128.load_lane<f32>(p + apart * 2, v, 2);
        v = v128.load_lane<f32>(p + apart * 3, v, 3);
        v128.store(out, v);
      }
    }
  }
}

/** Strips of patches to strips of 7 bits, with a range for each place. `from` and `to` may not overlap. */
export function quantizeStrips(from: usize, count: i32, depth: i32, to: usize, rows: usize): void {
  for (let m = 0; m < count; m += 4) {
    quantizePatches(from, depth, to, rows);
    from += <usize>depth << 4;
    to += <usize>((depth + 3) & ~3) << 2;
    rows += 64;
  }
}

/**
 * One picture, one filter a channel: C channels of [H, W], weights [C][kh][kw]. Each channel is laid into a plane [PH, PW] with its
 * padding, and with room to read whole vectors, so that no place is at a side.
 * @param bias 0 where there is none
 */
export function depthwise(
  x: usize, weight: usize, bias: usize, out: usize, C: i32, H: i32, W: i32, OH: i32, OW: i32,
  kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32, dh: i32, dw: i32, lo: f32, hi: f32, plane: usize, PH: i32, PW: i32,
): void {
  const size = <usize>(H * W) << 2, result = <usize>(OH * OW) << 2, filter = <usize>(kh * kw) << 2;
  const three = kh == 3 && kw == 3 && dh == 1 && dw == 1;
  memory.fill(plane, 0, <usize>(PH * PW) << 2);
  for (let c = 0; c < C; c++, x += size, weight += filter, out += result) {
    const b: f32 = bias != 0 ? load<f32>(bias + (<usize>c << 2)) : 0;
    layPlane(x, plane + (<usize>(top * PW + left) << 2), min(H, PH - top), W, min(W, PW - left), PW);
    if (three && sw == 1) depthwise3(plane, weight, b, out, OH, OW, <usize>(PW * sh) << 2, <usize>PW << 2, lo, hi);
    else if (three && sw == 2) depthwise3by2(plane, weight, b, out, OH, OW, <usize>(PW * sh) << 2, <usize>PW << 2, lo, hi);
    else depthwiseAny(plane, weight, b, out, OH, OW, kh, kw, <usize>(PW * sh) << 2, <usize>(PW * dh) << 2, <usize>sw << 2, <usize>dw << 2, lo, hi);
  }
}

export function layPlane(x: usize, to: usize, rows: i32, W: i32, columns: i32, PW: i32): void {
  for (let r = 0; r < rows; r++, x += <usize>W << 2, to += <usize>PW << 2) {
    let i = 0;
    for (; i + 4 <= columns; i += 4) v128.store(to + (<usize>i << 2), v128.load(x + (<usize>i << 2)));
    for (; i < columns; i++) store<f32>(to + (<usize>i << 2), load<f32>(x + (<usize>i << 2)));
  }
}

// @ts-ignore: decorator
@inline
function storeRow(out: usize, v: v128, n: i32): void {
  if (n >= 4) {
    v128.store(out, v);
    return;
  }
  v128.store_lane<f32>(out, v, 0);
  if (n > 1) v128.store_lane<f32>(out, v, 1, 4);
  if (n > 2) v128.store_lane<f32>(out, v, 2, 8);
}

export function depthwise3(plane: usize, w: usize, bias: f32, out: usize, OH: i32, OW: i32, down: usize, row: usize, lo: f32, hi: f32): void {
  const w0 = v128.load32_splat(w), w1 = v128.load32_splat(w, 4), w2 = v128.load32_splat(w, 8);
  const w3 = v128.load32_splat(w, 12), w4 = v128.load32_splat(w, 16), w5 = v128.load32_splat(w, 20);
  const w6 = v128.load32_splat(w, 24), w7 = v128.load32_splat(w, 28), w8 = v128.load32_splat(w, 32);
  for (let oy = 0; oy < OH; oy++, plane += down) {
    let p = plane;
    for (let ox = 0; ox < OW; ox += 4, p += 16, out += 16) {
      const q = p + row, r = q + row;
      let sum = f32x4.add(f32x4.splat(bias), f32x4.mul(v128.load(p), w0));
      sum = f32x4.add(sum, f32x4.mul(v128.load(p, 4), w1));
      sum = f32x4.add(sum, f32x4.mul(v128.load(p, 8), w2));
      sum = f32x4.add(sum, f32x4.mul(v128.load(q), w3));
      sum = f32x4.add(sum, f32x4.mul(v128.load(q, 4), w4));
      sum = f32x4.add(sum, f32x4.mul(v128.load(q, 8), w5));
      sum = f32x4.add(sum, f32x4.mul(v128.load(r), w6));
      sum = f32x4.add(sum, f32x4.mul(v128.load(r, 4), w7));
      sum = f32x4.add(sum, f32x4.mul(v128.load(r, 8), w8));
      storeRow(out, f32x4.pmin(f32x4.pmax(sum, f32x4.splat(lo)), f32x4.splat(hi)), OW - ox);
    }
    out -= <usize>((OW + 3) & ~3) - OW << 2;
  }
}

// @ts-ignore: decorator
@inline
function threeOf(sum: v128, p: usize, w0: v128, w1: v128, w2: v128): v128 {
  const a = v128.load(p), b = v128.load(p, 16), c = v128.load(p, 8), d = v128.load(p, 24);
  sum = f32x4.add(sum, f32x4.mul(v128.shuffle<i32>(a, b, 0, 2, 4, 6), w0));
  sum = f32x4.add(sum, f32x4.mul(v128.shuffle<i32>(a, b, 1, 3, 5, 7), w1));
  return f32x4.add(sum, f32x4.mul(v128.shuffle<i32>(c, d, 0, 2, 4, 6), w2));
}

export function depthwise3by2(plane: usize, w: usize, bias: f32, out: usize, OH: i32, OW: i32, down: usize, row: usize, lo: f32, hi: f32): void {
  const w0 = v128.load32_splat(w), w1 = v128.load32_splat(w, 4), w2 = v128.load32_splat(w, 8);
  const w3 = v128.load32_splat(w, 12), w4 = v128.load32_splat(w, 16), w5 = v128.load32_splat(w, 20);
  const w6 = v128.load32_splat(w, 24), w7 = v128.load32_splat(w, 28), w8 = v128.load32_splat(w, 32);
  for (let oy = 0; oy < OH; oy++, plane += down) {
    let p = plane;
    for (let ox = 0; ox < OW; ox += 4, p += 32, out += 16) {
      let sum = threeOf(f32x4.splat(bias), p, w0, w1, w2);
      sum = threeOf(sum, p + row, w3, w4, w5);
      sum = threeOf(sum, p + row * 2, w6, w7, w8);
      storeRow(out, f32x4.pmin(f32x4.pmax(sum, f32x4.splat(lo)), f32x4.splat(hi)), OW - ox);
    }
    out -= <usize>((OW + 3) & ~3) - OW << 2;
  }
}

export function depthwiseAny(
  plane: usize, weight: usize, bias: f32, out: usize, OH: i32, OW: i32,
  kh: i32, kw: i32, down: usize, row: usize, apart: usize, step: usize, lo: f32, hi: f32,
): void {
  for (let oy = 0; oy < OH; oy++, plane += down) {
    let from = plane;
    for (let ox = 0; ox < OW; ox += 4, from += apart * 4, out += 16) {
      let sum = f32x4.splat(bias), w = weight, line = from;
      for (let i = 0; i < kh; i++, line += row) {
        let p = line;
        for (let j = 0; j < kw; j++, p += step, w += 4) {
          let v: v128;
          if (apart == 4) v = v128.load(p);
          else {
            v = v128.load32_zero(p);
            v = v128.load_lane<f32>(p + apart, v, 1);
            v = v128.load_lane<f32>(p + apart * 2, v, 2);
            v = v128.load_lane<f32>(p + apart * 3, v, 3);
          }
          sum = f32x4.add(sum, f32x4.mul(v, v128.load32_splat(w)));
        }
      }
      storeRow(out, f32x4.pmin(f32x4.pmax(sum, f32x4.splat(lo)), f32x4.splat(hi)), OW - ox);
    }
    out -= <usize>((OW + 3) & ~3) - OW << 2;
  }
}

/** x + residual, kept to lo..hi. `out` may be `x`. */
export function addClamped(x: usize, residual: usize, out: usize, n: i32, lo: f32, hi: f32): void {
  const low = f32x4.splat(lo), high = f32x4.splat(hi);
  let i = 0;
  for (; i + 4 <= n; i += 4, x += 16, residual += 16, out += 16) {
    v128.store(out, f32x4.pmin(f32x4.pmax(f32x4.add(v128.load(x), v128.load(residual)), low), high));
  }
  for (; i < n; i++, x += 4, residual += 4, out += 4) {
    v128.store_lane<f32>(out, f32x4.pmin(f32x4.pmax(f32x4.add(v128.load32_splat(x), v128.load32_splat(residual)), low), high), 0);
  }
}

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
