import { LEAST_SCALE } from '../shared/weights.ts'

/** What a value was seen to lie between. */
export interface Range {
  readonly min: number
  readonly max: number
}

/** What is known of a value's elements. */
export interface Observed extends Range {
  /** Mean of each channel, where it was asked for and all samples have as many channels. */
  readonly means?: Float64Array
}

export type ActivationType = 'uint8' | 'int8'

export interface ActivationScale {
  /** A single-precision number above zero. */
  readonly scale: number
  readonly zeroPoint: number
}

const LEVELS: Readonly<Record<ActivationType, readonly [least: number, most: number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
}

/** The least range that holds both. */
export function hull(left: Range, right: Range): Range {
  return { min: Math.min(left.min, right.min), max: Math.max(left.max, right.max) }
}

/**
 * Scale and zero point of a tensor of activations, as `onnxruntime.quantization` chooses them: the range is widened to
 * hold zero, which padding and ReLU need to be exact.
 * @param symmetric zero in the middle of the levels, which wastes half of them on what is never negative
 */
export function activationScale(range: Range, type: ActivationType, symmetric: boolean): ActivationScale {
  const [least, most] = LEVELS[type]
  const min = Math.min(0, range.min)
  const max = Math.max(0, range.max)
  if (symmetric) {
    const scale = usable(Math.fround(Math.max(-min, max) / 127))
    return { scale, zeroPoint: type === 'int8' ? 0 : 128 }
  }
  let scale = usable(Math.fround((max - min) / (most - least)))
  const zeroPoint = Math.min(most, Math.max(least, Math.round(least - min / scale)))
  // A Clip or ReLU goes into the quantization where no level lies beyond its bounds, not even by a rounding error.
  if (zeroPoint === least && max > 0) while (Math.fround(scale * (most - least)) > max) scale = below(scale)
  return { scale, zeroPoint }
}

function usable(scale: number): number {
  return scale < LEAST_SCALE ? 1 : scale
}

/** The next single-precision number towards zero. */
function below(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)
  bits[0] = (bits[0] ?? 1) - 1
  return new Float32Array(bits.buffer)[0] ?? value
}
