const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

/** The bits of the half that is nearest to a number, ties to even (IEEE 754 binary16). */
export function halfBits(value: number): number {
  float[0] = value
  const [word = 0] = bits
  const sign = (word >>> 16) & 0x8000
  const magnitude = word & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  // From 65520 on the nearest half is infinite.
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude < 0x38800000) {
    // A multiple of 2 to the power of -24: the addition rounds to even.
    float[0] = Math.abs(value) + 0.5
    return sign | ((bits[0] ?? 0) - 0x3f000000)
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1)
  return sign | ((rounded - 0x38000000) >>> 13)
}

/** The number that the bits of a half are. */
export function halfValue(half: number): number {
  const exponent = (half >>> 10) & 0x1f
  const fraction = half & 0x3ff
  const sign = half & 0x8000 ? -1 : 1
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
