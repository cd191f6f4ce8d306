import { basename, resolve } from 'node:path'
import { heldTo, precisionOf } from '../../quantize/precision.ts'
import { DTYPES } from '../../quantize/types.ts'
import { KEPT_NOTE } from '../build/build.ts'
import { buildContext } from '../build/context.ts'
import { type LoadedModel, loadModel } from '../build/load.ts'
import { engineList, MODEL_OPTIONS, SOURCE_OPTIONS } from '../build/model-settings.ts'
import { BUILD_COLUMN, SAMPLE_HELP } from '../build/options.ts'
import { prove } from '../build/prove.ts'
import { refuseRandom } from '../build/random.ts'
import { reportOf } from '../build/report.ts'
import { SAMPLE_OPTIONS, sampleSettings } from '../build/sample-settings.ts'
import { describeLoaded, samplesFor } from '../build/samples.ts'
import { noEvidence } from '../build/unproven.ts'
import { defineCommand } from '../command.ts'
import type { Description } from '../pack/description.ts'
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
      `precision of the candidate: ${DTYPES.join(', ')}`,
      '(default: read from its graph, which also sets the tolerance)',
    ],
  },
  file: { ...SOURCE_OPTIONS.file, help: 'which .onnx file of the original, if there are several' },
  insecure: SOURCE_OPTIONS.insecure,
  engines: MODEL_OPTIONS.engines,
  'same-bits': MODEL_OPTIONS['same-bits'],
  measure: { type: 'boolean', help: 'also measure latency, memory and cost in workerd' },
} as const satisfies Options

const OUTPUT_OPTIONS = { json: { type: 'boolean', help: 'for programs' }, ...HELP_OPTION } as const satisfies Options

const OPTIONS = {
  ...VERIFY_OPTIONS,
  ...SAMPLE_OPTIONS,
  ...OUTPUT_OPTIONS,
} as const satisfies Options

const HELP = `Verifies that a model agrees with its original: packs it as "verge push" would, loads it with the Worker's engine in
workerd, and compares its outputs with those of the original in onnxruntime-node. If they differ too much, reports
which output differs and where in the graph the error begins. Exits with 0 if they agree, else with 1.

Usage: npx verge verify ORIGINAL [CANDIDATE] [options]

ORIGINAL is an .onnx file, a folder, an https:// address, or hf:org/name[@revision]; so is CANDIDATE. Without a
candidate, the original itself is verified in a Worker.

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
    if (first === undefined)
      throw new UsageError('Specify an original and a candidate: npx verge verify model.onnx model.q8.onnx')
    if (more.length > 0) throw new UsageError('Specify only an original and a candidate.')
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
      const packFor = (engines: Description['engines']) =>
        packCandidate(candidate, {
          name: description.name,
          ...(engines && { engines }),
          ...(values['same-bits'] === true && { sameBits: true }),
          artifacts: [{ file: basename(candidate.source.modelFile), dtype }],
        })
      const settings = { verify: true, measure: values.measure === true, tolerance: wanted.tolerance }
      const { packed, verification, measured, kept } = await prove(
        await packFor(engineList(values)),
        original,
        set,
        settings,
        context,
        () => packFor(['onnxruntime']),
      )
      if (verification?.ok !== true) process.exitCode = 1
      const report = await reportOf(original, packed, {
        options: {},
        choices:
          named === undefined || named === dtype
            ? []
            : [
                {
                  what: 'precision',
                  why: `${dtype} by its graph, so the tolerance of ${dtype} applies instead of that of ${named}`,
                },
              ],
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

function packCandidate(
  { source, onnx }: LoadedModel,
  described: Pick<Description, 'name' | 'engines' | 'sameBits' | 'artifacts'>,
) {
  const file = basename(source.modelFile)
  return pack(
    {
      version: '1',
      visibility: 'private',
      hot: true,
      licence: 'unknown',
      ...described,
    },
    resolve(source.modelFile, '..'),
    new Map([[file, onnx]]),
  )
}
