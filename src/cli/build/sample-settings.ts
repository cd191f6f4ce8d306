import type { SampleParts } from '../samples/items.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { Options } from '../terminal/options.ts'
import { integerIn, numberIn, type OptionValues, text } from '../terminal/values.ts'
import { refuseUnusedSamples } from './contradictions.ts'

/** How the result is compared with the original. */
export interface SampleSettings {
  /** Folder or file of samples. */
  readonly samples: string | undefined
  readonly limit: number
  readonly part: SampleParts | undefined
  /** Least cosine between the outputs of the original and of the result. */
  readonly tolerance: number | undefined
}

export const SAMPLE_OPTIONS = {
  samples: {
    type: 'string',
    value: 'PATH',
    help: [
      'folder of images (subfolders are labels), .jsonl of texts, IDX files, ONNX test data, or',
      'Open Inference Protocol requests (default: random inputs)',
    ],
  },
  'samples-limit': {
    type: 'string',
    value: 'N',
    help: 'at most N, chosen at random with a fixed seed (default: 200; 2000 for --max-drop)',
  },
  'samples-part': {
    type: 'string',
    value: 'R/N',
    help: 'only samples whose index divided by N leaves the remainder R: those not used for training',
  },
  tolerance: {
    type: 'string',
    value: 'C',
    help: 'minimum cosine similarity to the original (default: depends on the precision)',
  },
} as const satisfies Options

/** @throws UsageError */
export function sampleSettings(values: OptionValues): SampleSettings {
  refuseUnusedSamples(values)
  return {
    samples: text(values, 'samples'),
    limit: integerIn(values, 'samples-limit', 1, 100_000) ?? (values['max-drop'] === undefined ? 200 : 2000),
    part: partOf(text(values, 'samples-part')),
    tolerance: numberIn(values, 'tolerance', 0, 1),
  }
}

/** @throws UsageError where it is not of the form R/N */
function partOf(value: string | undefined): SampleParts | undefined {
  if (value === undefined) return undefined
  const [, remainder, divisor] = /^(\d{1,6})\/(\d{1,6})$/.exec(value)?.map(Number) ?? []
  if (remainder === undefined || divisor === undefined || remainder >= divisor) {
    throw new UsageError(`--samples-part takes a remainder and a divisor, such as 3/4, not "${value}".`)
  }
  return { remainder, divisor }
}
