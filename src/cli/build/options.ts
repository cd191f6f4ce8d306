import { helpOf } from '../terminal/options.ts'
import { TRIM_OPTIONS } from '../trim/options.ts'
import { MODEL_OPTIONS } from './model-settings.ts'
import { QUANTIZE_OPTIONS } from './quantize-settings.ts'
import { SAMPLE_OPTIONS } from './sample-settings.ts'

/** Width of the column of options in the helps of commands that build a model, so that their parts line up. */
export const BUILD_COLUMN = 21

export const QUANTIZE_HELP = `Quantization (default: chosen for the model):
${helpOf(QUANTIZE_OPTIONS, BUILD_COLUMN)}`

export const TRIM_HELP = `Vocabulary of a model of texts (default: all tokens stay):
${helpOf(TRIM_OPTIONS, BUILD_COLUMN)}`

export const MODEL_HELP = `Description (default: read from the files beside the model):
${helpOf(MODEL_OPTIONS, BUILD_COLUMN)}`

export const SAMPLE_HELP = `Samples:
${helpOf(SAMPLE_OPTIONS, BUILD_COLUMN)}`
