/** Steps (docs/limits.md) of one butterfly; a transform of n numbers has n/2 of them for each doubling. */
export const STEPS_PER_BUTTERFLY = 10

/**
 * The discrete Fourier transform of real numbers, whose count is a power of two (J. W. Cooley and J. W. Tukey, 1965). Its
 * tables and buffers are made once, for many transforms.
 */
export class Fourier {
  readonly size: number
  readonly #cosines: Float64Array
  readonly #sines: Float64Array
  readonly #reversed: Uint32Array
  readonly #real: Float64Array
  readonly #imaginary: Float64Array

  constructor(size: number) {
    this.size = size
    const angle = (i: number): number => (2 * Math.PI * i) / size
    this.#cosines = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos(angle(i)))
    this.#sines = Float64Array.from({ length: size / 2 }, (_, i) => Math.sin(angle(i)))
    const bits = Math.log2(size)
    this.#reversed = Uint32Array.from({ length: size }, (_, i) => {
      let reversed = 0
      for (let bit = 0; bit < bits; bit++) reversed |= ((i >> bit) & 1) << (bits - 1 - bit)
      return reversed
    })
    this.#real = new Float64Array(size)
    this.#imaginary = new Float64Array(size)
  }

  /** The squared magnitudes of the frequencies from 0 to half of the rate, into `powers` of half the size and one. */
  powers(values: Float64Array, powers: Float64Array): void {
    const [real, imaginary] = [this.#real, this.#imaginary]
    for (let i = 0; i < this.size; i++) real[i] = values[this.#reversed[i] ?? 0] ?? 0
    imaginary.fill(0)
    for (let half = 1; half < this.size; half *= 2) this.#combine(half)
    for (let i = 0; i < powers.length; i++) powers[i] = (real[i] ?? 0) ** 2 + (imaginary[i] ?? 0) ** 2
  }

  /** Makes transforms of twice `half` numbers of those of `half`. */
  #combine(half: number): void {
    const [real, imaginary] = [this.#real, this.#imaginary]
    const stride = this.size / (2 * half)
    for (let begin = 0; begin < this.size; begin += 2 * half) {
      for (let k = 0; k < half; k++) {
        const [upper, lower] = [begin + k, begin + k + half]
        const [cosine, sine] = [this.#cosines[k * stride] ?? 0, this.#sines[k * stride] ?? 0]
        const [x, y] = [real[lower] ?? 0, imaginary[lower] ?? 0]
        const [a, b] = [x * cosine + y * sine, y * cosine - x * sine]
        const [c, d] = [real[upper] ?? 0, imaginary[upper] ?? 0]
        real[upper] = c + a
        imaginary[upper] = d + b
        real[lower] = c - a
        imaginary[lower] = d - b
      }
    }
  }
}
