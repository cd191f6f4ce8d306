import { BLOCK_SIZES, type BlockSize } from '../../quantize/shared/blocks.ts'
import { TABLE_FORMS, type TableForm } from '../../quantize/tables/tables.ts'
import { DTYPES, type Dtype } from '../../quantize/types.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { Options } from '../terminal/options.ts'
import { flag, integerIn, list, numberIn, type OptionValues, oneOf, text } from '../terminal/values.ts'
import { refuseContradictions } from './contradictions.ts'

/** Quantization settings. Missing settings are chosen for the model. */
export interface QuantizeSettings {
  readonly dtype: Dtype | 'auto'
  readonly method: 'auto' | 'dynamic' | 'static' | 'weights'
  readonly perChannel: boolean | undefined
  readonly symmetric: boolean | undefined
  readonly reduceRange: boolean
  readonly blockSize: BlockSize | undefined
  readonly excludeNodes: readonly string[]
  readonly excludeOps: readonly string[]
  readonly calibration: 'minmax' | 'percentile' | 'entropy'
  readonly percentile: number | undefined
  /** Share of each weight set to zero. */
  readonly prune: number | undefined
  /** Points of accuracy (per cent) that may be lost. */
  readonly maxDrop: number | undefined
  /** How lookup tables are stored in 8-bit precisions. */
  readonly embeddings: TableForm | 'auto' | undefined
  readonly embeddingRank: number | undefined
  /** Share of a table's sum of squares that may be lost. */
  readonly embeddingLoss: number | undefined
}

const DTYPE_CHOICES = ['auto', ...DTYPES] as const
const EMBEDDINGS = ['auto', ...TABLE_FORMS] as const
const METHODS = ['auto', 'dynamic', 'static', 'weights'] as const
const CALIBRATIONS = ['minmax', 'percentile', 'entropy'] as const

export const QUANTIZE_OPTIONS = {
  dtype: { type: 'string', value: 'D', choices: DTYPE_CHOICES, help: `auto, ${DTYPES.join(', ')}` },
  method: {
    type: 'string',
    value: 'M',
    choices: METHODS,
    help: [
      'auto; dynamic (activations quantized at run time), static (calibrated with --samples), weights',
      '(quantizes only weights; computes in floats)',
    ],
  },
  'per-channel': { type: 'boolean', help: 'one scale per output channel; --no-per-channel for one per tensor' },
  symmetric: { type: 'boolean', help: 'zero points at zero; --no-symmetric for the full range' },
  'reduce-range': { type: 'boolean', help: '7 bits per weight, for processors whose 8-bit products saturate' },
  'block-size': {
    type: 'string',
    value: 'N',
    choices: BLOCK_SIZES.map(String),
    help: 'weights per scale in 4-bit precision: 16, 32 (default), 64, 128, 256',
  },
  exclude: {
    type: 'string',
    multiple: true,
    value: 'NAME',
    help: 'do not quantize this node; * matches anything; may be repeated',
  },
  'exclude-op': {
    type: 'string',
    multiple: true,
    value: 'OP',
    help: 'do not quantize nodes of this operator; may be repeated',
  },
  calibration: {
    type: 'string',
    value: 'C',
    choices: CALIBRATIONS,
    help: `${CALIBRATIONS.join(', ')}: how ranges are computed from the samples (default: percentile)`,
  },
  percentile: { type: 'string', value: 'P', help: 'for percentile (default: 99.999)' },
  prune: {
    type: 'string',
    value: 'SHARE',
    help: 'set this fraction of each weight to zero, smallest values first: 0 to 0.95',
  },
  'max-drop': {
    type: 'string',
    value: 'POINTS',
    help: 'mix precisions: the smallest model whose accuracy on --samples drops by at most N points',
  },
  embeddings: {
    type: 'string',
    value: 'FORM',
    choices: EMBEDDINGS,
    help: [
      'lookup tables of 8-bit models: int8 (default), int4, low-rank (two factors); auto: the smallest that agrees,',
      'which is also the default with --tolerance',
    ],
  },
  'embedding-rank': { type: 'string', value: 'N', help: 'rank of the factors of low-rank tables: 1 to 1024' },
  'embedding-loss': {
    type: 'string',
    value: 'SHARE',
    help: 'chooses the rank: fraction of the sum of squares that may be lost, 0 to 0.5 (default: 0.01)',
  },
} as const satisfies Options

/** @throws UsageError if an option does not accept the value, or options contradict each other */
export function quantizeSettings(values: OptionValues): QuantizeSettings {
  const settings: QuantizeSettings = {
    dtype: oneOf(values, 'dtype', DTYPE_CHOICES) ?? 'auto',
    method: oneOf(values, 'method', METHODS) ?? 'auto',
    perChannel: flag(values, 'per-channel'),
    symmetric: flag(values, 'symmetric'),
    reduceRange: flag(values, 'reduce-range') ?? false,
    blockSize: blockSizeOf(values),
    excludeNodes: list(values, 'exclude'),
    excludeOps: list(values, 'exclude-op'),
    calibration: oneOf(values, 'calibration', CALIBRATIONS) ?? 'percentile',
    percentile: numberIn(values, 'percentile', 50, 100),
    prune: numberIn(values, 'prune', 0, 0.95),
    maxDrop: numberIn(values, 'max-drop', 0, 100),
    embeddings: oneOf(values, 'embeddings', EMBEDDINGS),
    embeddingRank: integerIn(values, 'embedding-rank', 1, 1024),
    embeddingLoss: numberIn(values, 'embedding-loss', 0, 0.5),
  }
  refuseContradictions(values, settings)
  return settings
}

/** @throws UsageError where it is no size of a block */
function blockSizeOf(values: OptionValues): QuantizeSettings['blockSize'] {
  const value = text(values, 'block-size')
  const size = BLOCK_SIZES.find((known) => String(known) === value)
  if (value === undefined || size !== undefined) return size
  throw new UsageError(`--block-size takes ${BLOCK_SIZES.join(', ')}, not "${value}".`)
}
