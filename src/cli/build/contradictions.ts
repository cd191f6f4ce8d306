import { UsageError } from '../terminal/command-line.ts'
import type { OptionValues } from '../terminal/values.ts'
import type { QuantizeSettings } from './quantize-settings.ts'

/** Precisions that `--max-drop` can begin with. */
const MIXED: readonly string[] = ['auto', 'q8', 'int8', 'q4']

/**
 * Refuses options that have no effect together with the others, because a person expects an effect.
 * @throws UsageError that names the option and the options that it needs
 */
export function refuseContradictions(values: OptionValues, settings: QuantizeSettings): void {
  const { blockSize, calibration, dtype, embeddings, maxDrop, method, percentile } = settings
  const given = (name: string): boolean => values[name] !== undefined
  const floats = dtype === 'fp32' || dtype === 'fp16'
  const four = dtype === 'q4' || dtype === 'q4f16'
  if (method === 'static' && !given('samples')) {
    throw new UsageError('--method static needs --samples for calibration. Without samples, use --method weights.')
  }
  if (method !== 'auto' && (floats || four)) {
    throw new UsageError(`--method applies to 8-bit precisions only, not to --dtype ${dtype}. Remove one of them.`)
  }
  if (maxDrop !== undefined && !given('samples')) {
    throw new UsageError('--max-drop needs --samples to measure the loss of accuracy.')
  }
  if (maxDrop !== undefined && method !== 'auto') {
    throw new UsageError(
      '--max-drop chooses the precision of each layer and cannot be combined with --method. Remove one of them.',
    )
  }
  if (maxDrop !== undefined && !MIXED.includes(dtype)) {
    throw new UsageError(
      `--max-drop mixes 4 bits (--dtype auto, q4) or 8 bits (--dtype q8, int8) with 32-bit floats. It does not support --dtype ${dtype}.`,
    )
  }
  const fourBitTables = embeddings === 'int4' || embeddings === 'auto'
  if (blockSize !== undefined && !four && !fourBitTables && !(maxDrop !== undefined && dtype === 'auto')) {
    throw new UsageError(
      `--block-size applies to 4 bits only, and --dtype is ${dtype}. Set --dtype q4, or --embeddings int4 for tables.`,
    )
  }
  refuseTables(given, settings)
  for (const name of ['per-channel', 'symmetric', 'reduce-range']) {
    if (given(name) && floats)
      throw new UsageError(`--${name} applies to 8 bits or fewer only. --dtype ${dtype} has no scales.`)
  }
  for (const name of ['calibration', 'percentile']) {
    if (!given(name)) continue
    if (floats || four || method === 'dynamic' || method === 'weights' || maxDrop !== undefined) {
      throw new UsageError(`--${name} applies to --method static only, which needs 8 bits and --samples.`)
    }
    if (!given('samples')) throw new UsageError(`--${name} needs --samples for calibration.`)
  }
  if (percentile !== undefined && calibration !== 'percentile') {
    throw new UsageError(`--percentile applies to --calibration percentile only, not to ${calibration}.`)
  }
}

function refuseTables(given: (name: string) => boolean, { dtype, embeddings, maxDrop }: QuantizeSettings): void {
  if (embeddings !== undefined && !['auto', 'q8', 'int8', 'uint8'].includes(dtype)) {
    throw new UsageError(`--embeddings applies to 8-bit precisions only, not to --dtype ${dtype}. Remove one of them.`)
  }
  if (embeddings !== undefined && maxDrop !== undefined) {
    throw new UsageError('--max-drop chooses the precision of tables too. Remove --embeddings or --max-drop.')
  }
  for (const name of ['embedding-rank', 'embedding-loss']) {
    if (given(name) && embeddings !== 'low-rank')
      throw new UsageError(`--${name} applies to --embeddings low-rank only. Set --embeddings low-rank.`)
  }
  if (given('embedding-rank') && given('embedding-loss')) {
    throw new UsageError('--embedding-rank and --embedding-loss both choose the rank. Remove one of them.')
  }
}

/** @throws UsageError where it is said how to read samples, and not which */
export function refuseUnusedSamples(values: OptionValues): void {
  if (values.samples !== undefined) return
  for (const name of ['samples-limit', 'samples-part']) {
    if (values[name] !== undefined) throw new UsageError(`--${name} needs --samples to choose from.`)
  }
}
