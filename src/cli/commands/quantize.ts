import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, relative, resolve } from 'node:path'
import { agreementOf } from '../build/agreement.ts'
import { buildContext } from '../build/context.ts'
import { loadModel } from '../build/load.ts'
import { SOURCE_OPTIONS } from '../build/model-settings.ts'
import { BUILD_COLUMN, QUANTIZE_HELP, SAMPLE_HELP, TRIM_HELP } from '../build/options.ts'
import { choosePrecision } from '../build/precision.ts'
import { QUANTIZE_OPTIONS, quantizeSettings } from '../build/quantize-settings.ts'
import { refuseRandom } from '../build/random.ts'
import { SAMPLE_OPTIONS, sampleSettings } from '../build/sample-settings.ts'
import { describeLoaded } from '../build/samples.ts'
import { defineCommand, onlyArgument } from '../command.ts'
import { writeWhole } from '../files/whole-file.ts'
import { UsageError } from '../terminal/command-line.ts'
import { binarySize, printable, table } from '../terminal/format.ts'
import { untilInterrupted } from '../terminal/interrupt.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'
import { TRIM_OPTIONS, trimSettings } from '../trim/options.ts'
import { trimStage } from '../trim/stage.ts'
import { toleranceFor } from '../verify/tolerance.ts'

const FILE_OPTIONS = {
  out: {
    type: 'string',
    short: 'o',
    value: 'FILE',
    shown: '-o, --out FILE',
    help: 'output file (default: NAME.DTYPE.onnx in the current folder)',
  },
  ...SOURCE_OPTIONS,
  'dry-run': { type: 'boolean', help: 'show the result; write nothing' },
} as const satisfies Options

const OUTPUT_OPTIONS = { json: { type: 'boolean', help: 'for programs' }, ...HELP_OPTION } as const satisfies Options

const OPTIONS = {
  ...FILE_OPTIONS,
  ...QUANTIZE_OPTIONS,
  ...TRIM_OPTIONS,
  ...SAMPLE_OPTIONS,
  ...OUTPUT_OPTIONS,
} as const satisfies Options

const HELP = `Writes a quantized copy of a model, and reports the loss per layer. "verge push" does the same, verifies the result in
workerd, and stores it. This command only writes the file.

Usage: npx verge quantize MODEL [options]

MODEL is an .onnx file, a folder, an https:// address, or hf:org/name[@revision].

${helpOf(FILE_OPTIONS, BUILD_COLUMN)}

${QUANTIZE_HELP}

${TRIM_HELP}

${SAMPLE_HELP}

${helpOf(OUTPUT_OPTIONS, BUILD_COLUMN)}

Examples:
  npx verge quantize model.onnx
  npx verge quantize model.onnx --dtype q4 --block-size 32 -o small.onnx
  npx verge quantize model.onnx --samples pictures/ --method static --exclude '/head/*'`

const LAYERS_SHOWN = 12

export const quantizeCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: 'files',
  async run({ values, positionals }) {
    const spec = onlyArgument(positionals, 'a model: npx verge quantize model.onnx')
    const settings = quantizeSettings(values)
    const trim = trimSettings(values)
    const wanted = sampleSettings(values)
    if (values.out !== undefined) await checkOut(values.out, spec)
    const context = buildContext(untilInterrupted(), values.json === true)
    try {
      const original = await loadModel(spec, { ...context, file: values.file, insecure: values.insecure === true })
      refuseRandom(original)
      const { description } = await describeLoaded(original, undefined, trim !== undefined)
      const stage = await trimStage(original, description, { trim, quantize: settings, samples: wanted }, context)
      const { loaded, set, trimming } = stage
      const chosen = await choosePrecision(loaded, stage.quantize, set, { ...context, tolerance: wanted.tolerance })
      const tolerance = toleranceFor(chosen.dtype, wanted.tolerance === undefined ? {} : { cosine: wanted.tolerance })
      const { differences, unexercised } = await agreementOf({
        original: loaded.onnx,
        candidate: chosen.onnx,
        samples: set.samples,
        tolerance,
        classes: set.classes !== undefined && !set.synthetic,
        signal: context.signal,
      })
      const out = resolve(values.out ?? `${description.name}.${chosen.dtype}.onnx`)
      if (out === resolve(loaded.source.modelFile))
        throw new UsageError('--out would overwrite the original. Choose another file.')
      const tokenizer = trimming === null ? undefined : `${out.replace(/\.onnx$/, '')}.tokenizer.json`
      if (!values['dry-run']) {
        await writeOut(out, chosen.onnx)
        const trimmed = loaded.source.files.get('tokenizer.json')
        if (tokenizer !== undefined && trimmed !== undefined) await writeOut(tokenizer, await readFile(trimmed))
      }
      const { layers = [], skipped = [] } = chosen.quantized ?? {}
      const summary = {
        source: loaded.source.label,
        out: values['dry-run'] ? null : relative(process.cwd(), out) || basename(out),
        tokenizer: values['dry-run'] || tokenizer === undefined ? null : relative(process.cwd(), tokenizer),
        dtype: chosen.dtype,
        bytesBefore: original.onnx.length,
        bytesAfter: chosen.onnx.length,
        notes: [...stage.notes, ...chosen.notes],
        trimming,
        differences,
        unexercised,
        layers,
        skipped,
      }
      if (differences.length > 0) process.exitCode = 1
      return values.json ? JSON.stringify(summary, null, 2) : describe(summary)
    } finally {
      context.progress.close()
    }
  },
})

interface Summary {
  readonly source: string
  readonly out: string | null
  /** The trimmed tokenizer, beside the model. */
  readonly tokenizer: string | null
  readonly dtype: string
  readonly bytesBefore: number
  readonly bytesAfter: number
  readonly notes: readonly string[]
  readonly differences: readonly string[]
  readonly unexercised: readonly string[]
  readonly layers: readonly {
    node: string
    op: string
    to: string
    bytesBefore: number
    bytesAfter: number
    sqnrDb: number | null
  }[]
  readonly skipped: readonly { node: string; op: string; reason: string }[]
}

function describe({
  source,
  out,
  tokenizer,
  bytesBefore,
  bytesAfter,
  notes,
  differences,
  unexercised,
  layers,
  skipped,
}: Summary): string {
  const worst = [...layers].sort(
    (a, b) => (a.sqnrDb ?? Number.POSITIVE_INFINITY) - (b.sqnrDb ?? Number.POSITIVE_INFINITY),
  )
  const share = ((100 * bytesAfter) / bytesBefore).toFixed(1)
  return [
    `${printable(source)}: ${binarySize(bytesBefore)} > ${binarySize(bytesAfter)} (${share} %)`,
    ...notes.map((note) => `  ${printable(note)}`),
    '',
    ...(layers.length === 0
      ? []
      : [
          table([
            ['layers with the largest loss', 'op', 'to', 'before', 'after', 'SQNR'],
            ...worst
              .slice(0, LAYERS_SHOWN)
              .map(({ node, op, to, bytesBefore: before, bytesAfter: after, sqnrDb }) => [
                node,
                op,
                to,
                binarySize(before),
                binarySize(after),
                sqnrDb === null ? '-' : `${sqnrDb.toFixed(1)} dB`,
              ]),
          ]),
          ...(layers.length > LAYERS_SHOWN ? [`and ${layers.length - LAYERS_SHOWN} more`] : []),
          '',
        ]),
    ...skipped
      .slice(0, LAYERS_SHOWN)
      .map(({ node, op, reason }) => printable(`not quantized: ${node} (${op}): ${reason}`)),
    ...(skipped.length > LAYERS_SHOWN ? [`and ${skipped.length - LAYERS_SHOWN} more not quantized`] : []),
    ...unexercised.map((what) => printable(`not compared: ${what}`)),
    ...differences.map((what) => printable(`DIFFERS from the original: ${what}`)),
    out === null ? 'Nothing was written (--dry-run).' : `Written to ${printable(out)}`,
    ...(tokenizer === null ? [] : [`Its tokenizer: ${printable(tokenizer)}`]),
  ].join('\n')
}

/** Checks the output path before the work starts, which takes minutes. @throws UsageError */
async function checkOut(out: string, spec: string): Promise<void> {
  if (out === '') throw new UsageError('--out is empty. Give a file name, or remove the option.')
  if (resolve(out) === resolve(spec)) throw new UsageError('--out would overwrite the original. Choose another file.')
  const found = await stat(out).catch(() => undefined)
  if (found?.isDirectory()) throw new UsageError(`--out ${out} is a folder. Give the name of a file in it.`)
  const folder = await stat(dirname(resolve(out))).catch(() => undefined)
  if (!folder?.isDirectory()) throw new UsageError(`--out ${out} is in a folder that does not exist. Create it first.`)
}

async function writeOut(path: string, content: Uint8Array): Promise<void> {
  await writeWhole(path, content).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${path} cannot be written (${error.code}).`, { cause: error })
  })
}
