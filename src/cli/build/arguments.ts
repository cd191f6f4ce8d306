import { NOTHING_EXISTS } from '../push/existing.ts'
import type { Report } from '../report/report.ts'
import { helpOf, type Options } from '../terminal/options.ts'
import { TRIM_OPTIONS, trimSettings } from '../trim/options.ts'
import type { BuildSettings } from './build.ts'
import { MODEL_OPTIONS, modelSettings } from './model-settings.ts'
import { BUILD_COLUMN, MODEL_HELP, QUANTIZE_HELP, SAMPLE_HELP, TRIM_HELP } from './options.ts'
import { QUANTIZE_OPTIONS, quantizeSettings } from './quantize-settings.ts'
import { SAMPLE_OPTIONS, sampleSettings } from './sample-settings.ts'

const PROOF_OPTIONS = {
  verify: { type: 'boolean', shown: '--no-verify', help: 'do not verify the model in workerd' },
  measure: {
    type: 'boolean',
    shown: '--no-measure',
    help: 'do not measure latency, memory and cost in workerd',
  },
  compare: { type: 'boolean', help: 'also measure the original in workerd' },
  original: {
    type: 'boolean',
    shown: '--no-original',
    help: 'do not store the 32-bit original for origins beside the quantized artifact',
  },
} as const satisfies Options

/** What every command that builds a model takes. */
export const BUILD_OPTIONS = {
  ...QUANTIZE_OPTIONS,
  ...TRIM_OPTIONS,
  ...MODEL_OPTIONS,
  ...SAMPLE_OPTIONS,
  ...PROOF_OPTIONS,
} as const satisfies Options

export const BUILD_HELP = `${MODEL_HELP}

${QUANTIZE_HELP}

${TRIM_HELP}

${SAMPLE_HELP}
${helpOf(PROOF_OPTIONS, BUILD_COLUMN)}`

type Values = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>

/** @throws UsageError */
export function buildSettings(
  values: Values,
  { folder, existing }: Partial<Pick<BuildSettings, 'folder' | 'existing'>> = {},
): BuildSettings {
  return {
    quantize: quantizeSettings(values),
    trim: trimSettings(values),
    model: modelSettings(values),
    samples: sampleSettings(values),
    verify: values.verify !== false,
    measure: values.measure !== false,
    compare: values.compare === true,
    keepOriginal: values.original !== false,
    asked: askedFor(values),
    folder,
    existing: existing ?? (async () => NOTHING_EXISTS),
  }
}

/** Options that shape the model, as they were given. */
function askedFor(values: Values): Report['options'] {
  const names = Object.keys({ ...QUANTIZE_OPTIONS, ...TRIM_OPTIONS, ...MODEL_OPTIONS, ...SAMPLE_OPTIONS })
  const given = names.flatMap((name) => {
    const value = values[name]
    if (value === undefined) return []
    return [[name, Array.isArray(value) ? value.map(String) : value] as const]
  })
  return Object.fromEntries(given) as Report['options']
}
