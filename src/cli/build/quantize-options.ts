import type { QuantizeOptions } from '../../quantize/quantize.ts'
import type { TableOptions } from '../../quantize/tables/tables.ts'
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
    tables: tablesAsked(settings),
  }
}

/** Where a form is named. Otherwise tables are in 8 bits, or their form is chosen by comparing. */
function tablesAsked({ embeddings, embeddingRank, embeddingLoss }: QuantizeSettings): TableOptions | undefined {
  if (embeddings === undefined || embeddings === 'auto') return undefined
  return { form: embeddings, rank: embeddingRank, loss: embeddingLoss }
}
