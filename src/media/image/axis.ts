/**
 * Where the samples of a picture lie between those of a map that a model made of it: bilinear, by the centres of pixels, as
 * PyTorch's `interpolate(align_corners=False)` and ONNX's `Resize` have it.
 */

/** How one side of a picture lies in the model's input. */
export interface Span {
  /** Samples of the picture. */
  readonly to: number
  /** Pixels of the model's input that it takes, from `start` on, of `whole`. */
  readonly inner: number
  readonly start: number
  readonly whole: number
}

export interface Axis {
  /** The two samples of the map for each of the picture; the same twice at the edges. */
  readonly first: Int32Array
  readonly second: Int32Array
  /** Weight of the second. */
  readonly share: Float64Array
  /** Neighbours with the same two samples: where each group begins, and the end of the last. */
  readonly groups: Int32Array
}

/** @param from samples of the map, at least 1 */
export function axisOf(from: number, { to, inner, start, whole }: Span): Axis {
  const first = new Int32Array(to)
  const second = new Int32Array(to)
  const share = new Float64Array(to)
  const groups = new Int32Array(to + 1)
  let count = 0
  for (let i = 0; i < to; i++) {
    const exact = (((i + 0.5) * inner) / to + start) * (from / whole) - 0.5
    const at = Math.min(from - 1, Math.max(0, exact))
    const low = Math.floor(at)
    first[i] = low
    second[i] = Math.min(low + 1, from - 1)
    share[i] = at - low
    if (i === 0 || first[i - 1] !== low) groups[count++] = i
  }
  groups[count++] = to
  return { first, second, share, groups: groups.subarray(0, count) }
}
