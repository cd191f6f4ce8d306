import type { QuantizeOptions } from '../../quantize/quantize.ts'
import type { QuantizeSettings } from './quantize-settings.ts'

/** The settings of a command in the quantizer's form, without those that are chosen per candidate. */
export function quantizeOptions(settings: QuantizeSettings): Omit<QuantizeOptions, 'dtype' | 'method' | 'samples'> {
  return {
    perChannel: settings.perChannel,
    symmetric: settings.symmetric,
    reduceRange: settings.reduceRange,
    blockSize: settings.blockSize,
    exclude: { nodes: settings.excludeNodes, ops: settings.excludeOps },
    calibration: { method: settings.calibration, percentile: settings.percentile },
    prune: settings.prune,
  }
}
