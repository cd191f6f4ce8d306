// Convolutions of [C, H, W] pictures. Four neighbouring places of the result are a strip of four rows of a product: their patches
// are gathered as [channels * kernel][4] (implicit im2col, a few strips at a time), multiplied with the panels of the weight, and
// the result is stored by channel.

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

/**
 * Strips of patches to strips of 7 bits, with a range for each place. `from` and `to` may not overlap.
 * @param strip bytes from one strip to the next: of packed patches, `depth` * 16; of the places of a picture, 16
 * @param apart bytes from four elements to the next four of their strip: 16; the bytes of a channel
 */
export function quantizeStrips(from: usize, count: i32, depth: i32, strip: usize, apart: usize, to: usize, rows: usize): void {
  for (let m = 0; m < count; m += 4) {
    quantizePatches(from, depth, apart, to, rows);
    from += strip;
    to += <usize>((depth + 3) & ~3) << 2;
    rows += 64;
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
