/** Adds up a value's elements by channel. */
export class ChannelMeans {
  readonly #axis: number
  #sums: Float64Array | undefined
  #count = 0
  #even = true

  /** @param axis dimension that runs over the channels; from the end if negative */
  constructor(axis: number) {
    this.#axis = axis
  }

  add(values: Float32Array, shape: readonly number[]): void {
    const axis = this.#axis < 0 ? shape.length + this.#axis : this.#axis
    const channels = shape[axis] ?? 0
    this.#sums ??= new Float64Array(channels)
    const sums = this.#sums
    if (channels !== sums.length || channels === 0) {
      this.#even = false
      return
    }
    const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1)
    for (let start = 0, channel = 0; start < values.length; start += inner) {
      let sum = 0
      for (let index = start; index < start + inner; index++) sum += values[index] as number
      sums[channel] = (sums[channel] as number) + sum
      channel = channel + 1 === channels ? 0 : channel + 1
    }
    this.#count += values.length / channels
  }

  /** Undefined where there is nothing, or the samples have different numbers of channels. */
  means(): Float64Array | undefined {
    return this.#even ? this.#sums?.map((sum) => sum / this.#count) : undefined
  }
}
