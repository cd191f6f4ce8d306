import type { Int8Matrix } from '../shared/scales.ts'

/**
 * Chooses anew which way some of a convolution's weights are rounded, so that the errors of each kernel, and of each
 * output channel, add up to about nothing. Pictures and the like are much the same from one position to the next: what
 * counts there is the kernel's sum, whose error grows with the kernel if each weight goes to its nearest level.
 *
 * C. Guo et al., "SQuant: On-the-Fly Data-Free Quantization via Diagonal Hessian Approximation", ICLR 2022: weights
 * that were nearest to the middle between two levels are flipped, as many as the sum is off by whole steps.
 * @param values the weight, [channels, kernels, taps]
 * @param matrix the weight in eight bits, with zero in the middle; its data is changed
 */
export function squant(
  values: Float32Array,
  { data, scales, zeroPoints }: Int8Matrix,
  { kernels, taps }: { readonly kernels: number; readonly taps: number },
): void {
  const errors = new Float64Array(kernels * taps)
  const order = new Int32Array(kernels * taps)
  const channels = values.length / (kernels * taps)
  for (let channel = 0; channel < channels; channel++) {
    const start = channel * kernels * taps
    const at = scales.length === 1 ? 0 : channel
    const [scale, zero] = [scales[at] as number, zeroPoints[at] as number]
    // No weight moves farther out than the farthest, which has the last level.
    let reach = 0
    for (let index = 0; index < errors.length; index++) {
      const level = (data[start + index] as number) - zero
      errors[index] = level - (values[start + index] as number) / scale
      reach = Math.max(reach, Math.abs(level))
    }
    const flip = (from: number, to: number): void => {
      let sum = 0
      for (let index = from; index < to; index++) sum += errors[index] as number
      const step = sum > 0 ? -1 : 1
      let left = Math.round(Math.abs(sum))
      if (left === 0) return
      const candidates = order.subarray(0, to - from)
      for (let index = 0; index < candidates.length; index++) candidates[index] = from + index
      candidates.sort((one, other) => step * ((errors[one] as number) - (errors[other] as number)))
      for (const index of candidates) {
        const level = (data[start + index] as number) + step
        // Past the middle a flip would make the weight itself worse by more than a step.
        if (left === 0 || step * (errors[index] as number) >= 0) return
        if (Math.abs(level - zero) > reach) continue
        data[start + index] = level
        errors[index] = (errors[index] as number) + step
        left--
      }
    }
    for (let kernel = 0; kernel < kernels; kernel++) flip(kernel * taps, (kernel + 1) * taps)
    flip(0, errors.length)
  }
}
