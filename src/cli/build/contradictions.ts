import { UsageError } from '../terminal/command-line.ts'
import type { OptionValues } from '../terminal/values.ts'
import type { QuantizeSettings } from './options.ts'

/** Precisions that `--max-drop` can begin with. */
const MIXED: readonly string[] = ['auto', 'q8', 'int8', 'q4']

/**
 * Options that would do nothing in this company are refused: whoever gives one expects it to do something.
 * @throws UsageError naming the option, and what goes with it
 */
export function refuseContradictions(values: OptionValues, settings: QuantizeSettings): void {
  const { blockSize, calibration, dtype, maxDrop, method, percentile } = settings
  const given = (name: string): boolean => values[name] !== undefined
  const floats = dtype === 'fp32' || dtype === 'fp16'
  const four = dtype === 'q4' || dtype === 'q4f16'
  if (method === 'static' && !given('samples')) {
    throw new UsageError('--method static needs --samples to calibrate with. Without any, use --method weights.')
  }
  if (method !== 'auto' && (floats || four)) {
    throw new UsageError(`--method is for 8-bit precisions; --dtype ${dtype} has no choice of method.`)
  }
  if (maxDrop !== undefined && !given('samples')) {
    throw new UsageError('--max-drop needs --samples to measure the loss on.')
  }
  if (maxDrop !== undefined && method !== 'auto') {
    throw new UsageError('--max-drop mixes precisions layer by layer, without --method: leave one of them out.')
  }
  if (maxDrop !== undefined && !MIXED.includes(dtype)) {
    throw new UsageError(
      `--max-drop mixes 4 bits (--dtype auto, q4) or 8 bits (--dtype q8, int8) with 32-bit floats; --dtype ${dtype} cannot be mixed.`,
    )
  }
  if (blockSize !== undefined && !four && !(maxDrop !== undefined && dtype === 'auto')) {
    throw new UsageError(`--block-size is for 4-bit precisions, and --dtype is ${dtype}: add --dtype q4.`)
  }
  for (const name of ['per-channel', 'symmetric', 'reduce-range']) {
    if (given(name) && floats)
      throw new UsageError(`--${name} is for 8 bits and fewer; --dtype ${dtype} has no scales.`)
  }
  for (const name of ['calibration', 'percentile']) {
    if (!given(name)) continue
    if (floats || four || method === 'dynamic' || method === 'weights' || maxDrop !== undefined) {
      throw new UsageError(`--${name} is for --method static, which takes 8 bits and --samples.`)
    }
    if (!given('samples')) throw new UsageError(`--${name} needs --samples to calibrate with.`)
  }
  if (percentile !== undefined && calibration !== 'percentile') {
    throw new UsageError(`--percentile is for --calibration percentile, and not for ${calibration}.`)
  }
}

/** @throws UsageError where it is said how to read samples, and not which */
export function refuseUnusedSamples(values: OptionValues): void {
  if (values.samples !== undefined) return
  for (const name of ['samples-limit', 'samples-part']) {
    if (values[name] !== undefined) throw new UsageError(`--${name} needs --samples to choose from.`)
  }
}
