import { buildContext } from '../build/context.ts'
import { describeInspection, inspectModel } from '../build/inspect.ts'
import { SOURCE_OPTIONS } from '../build/model-settings.ts'
import { defineCommand, onlyArgument } from '../command.ts'
import { untilInterrupted } from '../terminal/interrupt.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'

const OPTIONS = {
  ...SOURCE_OPTIONS,
  json: { type: 'boolean', help: 'for programs' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Describes a model: inputs, outputs, operators, weights, its size in each precision, and whether
it fits a Worker. Loads the model in onnxruntime-node. Changes nothing.

Usage: npx verge inspect MODEL [options]

MODEL is an .onnx file, a folder, an https:// address, or hf:org/name[@revision]. See docs/sources.md.

${helpOf(OPTIONS)}

Examples:
  npx verge inspect model.onnx
  npx verge inspect hf:sentence-transformers/all-MiniLM-L6-v2 --json`

export const inspectCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: 'files',
  async run({ values, positionals }) {
    const spec = onlyArgument(positionals, 'a model: npx verge inspect model.onnx')
    const { progress, signal } = buildContext(untilInterrupted(), values.json === true)
    try {
      const inspection = await inspectModel(spec, {
        file: values.file,
        insecure: values.insecure === true,
        progress,
        signal,
      })
      return values.json ? JSON.stringify(inspection, null, 2) : describeInspection(inspection)
    } finally {
      progress.close()
    }
  },
})
