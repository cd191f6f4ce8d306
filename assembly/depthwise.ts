// Convolutions of [C, H, W] pictures with one filter a channel, direct: no patch is gathered.

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
  memory.fill(plane, 0, <usize>(PH * PW) << 2);
  for (let c = 0; c < C; c++, x += size, weight += filter, out += result) {
    const b: f32 = bias != 0 ? load<f32>(bias + (<usize>c << 2)) : 0;
    layPlane(x, plane + (<usize>(top * PW + left) << 2), min(H, PH - top), W, min(W, PW - left), PW);
    depthwisePlane(plane, weight, b, out, OH, OW, kh, kw, sh, sw, dh, dw, lo, hi, PW);
  }
}

export function depthwisePlane(
  plane: usize, weight: usize, bias: f32, out: usize, OH: i32, OW: i32,
  kh: i32, kw: i32, sh: i32, sw: i32, dh: i32, dw: i32, lo: f32, hi: f32, PW: i32,
): void {
  const three = kh == 3 && kw == 3 && dh == 1 && dw == 1, down = <usize>(PW * sh) << 2;
  if (three && sw == 1) depthwise3(plane, weight, bias, out, OH, OW, down, <usize>PW << 2, lo, hi);
  else if (three && sw == 2) depthwise3by2(plane, weight, bias, out, OH, OW, down, <usize>PW << 2, lo, hi);
  else depthwiseAny(plane, weight, bias, out, OH, OW, kh, kw, down, <usize>(PW * dh) << 2, <usize>sw << 2, <usize>dw << 2, lo, hi);
}

/**
 * The same of floats on a grid of eight bits, with filters of whole numbers: sums are whole and exact, and results are rounded
 * to multiples of `step` in the steps that ONNX Runtime takes.
 * @param scales of the filters
 */
export function depthwiseGrid(
  x: usize, weight: usize, bias: usize, out: usize, C: i32, H: i32, W: i32, OH: i32, OW: i32,
  kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32, dh: i32, dw: i32, lo: f32, hi: f32, plane: usize, PH: i32, PW: i32,
  scales: usize, grid: f32, step: f32,
): void {
  const size = <usize>(H * W) << 2, count = OH * OW, filter = <usize>(kh * kw) << 2;
  const low = nearest<f32>(lo / step), high = nearest<f32>(hi / step);
  memory.fill(plane, 0, <usize>(PH * PW) << 2);
  for (let c = 0; c < C; c++, x += size, weight += filter, out += <usize>count << 2) {
    const scale = load<f32>(scales + (<usize>c << 2)) * grid;
    const b: f32 = bias != 0 ? nearest<f32>(load<f32>(bias + (<usize>c << 2)) / scale) : 0;
    layPlane(x, plane + (<usize>(top * PW + left) << 2), min(H, PH - top), W, min(W, PW - left), PW);
    wholePlane(plane, PH * PW, <f32>1 / grid);
    depthwisePlane(plane, weight, b, out, OH, OW, kh, kw, sh, sw, dh, dw, -Infinity, Infinity, PW);
    roundSums(out, count, scale / step, low, high, step);
  }
}

export function wholePlane(plane: usize, n: i32, inverse: f32): void {
  const factor = f32x4.splat(inverse);
  let i = 0;
  for (; i + 4 <= n; i += 4, plane += 16) v128.store(plane, f32x4.nearest(f32x4.mul(v128.load(plane), factor)));
  for (; i < n; i++, plane += 4) store<f32>(plane, nearest<f32>(load<f32>(plane) * inverse));
}

export function roundSums(x: usize, n: i32, scale: f32, lo: f32, hi: f32, step: f32): void {
  const s = f32x4.splat(scale), low = f32x4.splat(lo), high = f32x4.splat(hi), t = f32x4.splat(step);
  let i = 0;
  for (; i + 4 <= n; i += 4, x += 16) v128.store(x, roundSum(v128.load(x), s, low, high, t));
  for (; i < n; i++, x += 4) v128.store_lane<f32>(x, roundSum(v128.load32_splat(x), s, low, high, t), 0);
}

// @ts-ignore: decorator
@inline
function roundSum(sums: v128, scale: v128, lo: v128, hi: v128, step: v128): v128 {
  return f32x4.mul(f32x4.pmin(f32x4.pmax(f32x4.nearest(f32x4.mul(sums, scale)), lo), hi), step);
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
