import { buildContext } from '../build/context.ts'
import { describeInspection, inspectModel } from '../build/inspect.ts'
import { SOURCE_OPTIONS } from '../build/options.ts'
import { defineCommand, onlyArgument } from '../command.ts'
import { untilInterrupted } from '../terminal/interrupt.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'

const OPTIONS = {
  ...SOURCE_OPTIONS,
  json: { type: 'boolean', help: 'for programs' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Says what a model is: inputs and outputs, operators, weights, what each precision would make of its size, and whether
it would fit a Worker. Loads it in onnxruntime-node, and changes nothing.

Usage: npx verge inspect MODEL [options]

MODEL is an .onnx file, a folder, an https:// address, or hf:org/name[@revision]; docs/sources.md says more.

${helpOf(OPTIONS)}

Examples:
  npx verge inspect model.onnx
  npx verge inspect hf:sentence-transformers/all-MiniLM-L6-v2 --json`

export const inspectCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: 'files',
  async run({ values, positionals }) {
    const spec = onlyArgument(positionals, 'which model: npx verge inspect model.onnx')
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
