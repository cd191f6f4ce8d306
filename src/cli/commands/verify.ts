import { basename, resolve } from 'node:path'
import { heldTo, precisionOf } from '../../quantize/precision.ts'
import { DTYPES } from '../../quantize/types.ts'
import { KEPT_NOTE } from '../build/build.ts'
import { buildContext } from '../build/context.ts'
import { type LoadedModel, loadModel } from '../build/load.ts'
import { BUILD_COLUMN, SAMPLE_HELP, SAMPLE_OPTIONS, SOURCE_OPTIONS, sampleSettings } from '../build/options.ts'
import { prove } from '../build/prove.ts'
import { refuseRandom } from '../build/random.ts'
import { reportOf } from '../build/report.ts'
import { describeLoaded, samplesFor } from '../build/samples.ts'
import { noEvidence } from '../build/unproven.ts'
import { defineCommand } from '../command.ts'
import { pack } from '../pack/packer.ts'
import { renderJson } from '../report/report.ts'
import { renderText } from '../report/text.ts'
import { UsageError } from '../terminal/command-line.ts'
import { untilInterrupted } from '../terminal/interrupt.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'

const VERIFY_OPTIONS = {
  dtype: {
    type: 'string',
    value: 'D',
    choices: DTYPES,
    help: [
      `what the candidate is called: ${DTYPES.join(', ')}`,
      '(default: what it is by its graph, which its tolerance goes by in any case)',
    ],
  },
  file: { ...SOURCE_OPTIONS.file, help: 'which .onnx of the original, where there are several' },
  insecure: SOURCE_OPTIONS.insecure,
  measure: { type: 'boolean', help: 'also measure latency, memory and cost in workerd' },
} as const satisfies Options

const OUTPUT_OPTIONS = { json: { type: 'boolean', help: 'for programs' }, ...HELP_OPTION } as const satisfies Options

const OPTIONS = {
  ...VERIFY_OPTIONS,
  ...SAMPLE_OPTIONS,
  ...OUTPUT_OPTIONS,
} as const satisfies Options

const HELP = `Proves that a model says the same as its original: packs it as it would be stored, loads it with the Worker's own
engine in workerd, and compares its answers with what onnxruntime-node says of the original. Where they differ too much, it
says which output, and where in the graph the error begins. Exit code 0 if they agree, 1 if not.

Usage: npx verge verify ORIGINAL [CANDIDATE] [options]

ORIGINAL is an .onnx file, a folder, an https:// address, or hf:org/name[@revision]; CANDIDATE likewise. Without a
candidate it is the original itself that has to run in a Worker.

${helpOf(VERIFY_OPTIONS, BUILD_COLUMN)}

${SAMPLE_HELP}

${helpOf(OUTPUT_OPTIONS, BUILD_COLUMN)}

Examples:
  npx verge verify model.onnx model.q8.onnx
  npx verge verify model.onnx small.onnx --dtype q4 --samples reviews.jsonl`

export const verifyCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: 'files',
  async run({ values, positionals }) {
    const [first, second, ...more] = positionals
    if (first === undefined) throw new UsageError('Say what to compare: npx verge verify model.onnx model.q8.onnx')
    if (more.length > 0) throw new UsageError('Give an original and a candidate, and no more.')
    const named = values.dtype
    if (named !== undefined && !(DTYPES as readonly string[]).includes(named)) {
      throw new UsageError(`--dtype "${named}" is unknown. It takes ${DTYPES.join(', ')}.`)
    }
    const wanted = sampleSettings(values)
    const context = buildContext(untilInterrupted(), values.json === true)
    try {
      const fetching = { ...context, insecure: values.insecure === true }
      const original = await loadModel(first, { ...fetching, file: values.file })
      const candidate = second === undefined ? original : await loadModel(second, fetching)
      refuseRandom(original)
      const real = precisionOf(candidate.model)
      const dtype = named === undefined ? real : heldTo(named, real)
      const { description } = await describeLoaded(original)
      const set = await samplesFor(original, description, wanted, context)
      const packed = await packCandidate(candidate, description.name, dtype)
      const settings = { verify: true, measure: values.measure === true, tolerance: wanted.tolerance }
      const { verification, measured, kept } = await prove(packed, original, set, settings, context)
      if (verification?.ok !== true) process.exitCode = 1
      const report = await reportOf(original, packed, {
        options: {},
        choices:
          named === undefined || named === dtype
            ? []
            : [{ what: 'precision', why: `${dtype} by its graph, and held to that instead of ${named}` }],
        verification,
        measured,
        notes: [
          ...(kept ? [KEPT_NOTE] : []),
          ...(verification?.verdict === 'none' ? noEvidence(original.signature, set, verification) : []),
        ],
      })
      return values.json ? renderJson(report) : renderText(report)
    } finally {
      context.progress.close()
    }
  },
})

function packCandidate({ source, onnx }: LoadedModel, name: string, dtype: string) {
  const file = basename(source.modelFile)
  return pack(
    { name, version: '1', visibility: 'private', hot: true, licence: 'unknown', artifacts: [{ file, dtype }] },
    resolve(source.modelFile, '..'),
    new Map([[file, onnx]]),
  )
}
