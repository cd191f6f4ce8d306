import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { parseCommand } from '../src/cli/command.ts'
import { runScript } from '../src/cli/terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../src/cli/terminal/options.ts'
import { decodeModel, encodeModel } from '../src/onnx/codec.ts'
import { type Pass, runPasses } from '../src/onnx/pass.ts'
import { dynamicInt8 } from '../src/quantize/products/dynamic.ts'
import { weightOnly4 } from '../src/quantize/products/weight-only.ts'
import { embeddings } from '../src/quantize/tables/embeddings.ts'
import { BERT_BASE, encoderModel } from './models/encoder.ts'
import { madeModel } from './models/index.ts'

const OPTIONS = {
  bert: { type: 'boolean', help: "an encoder of BERT-base's shape too (436 MB of weights), about a minute" },
  json: { type: 'boolean', help: 'one JSON object a line' },
  ...HELP_OPTION,
  // For the processes that this one starts.
  measure: { type: 'string' },
  model: { type: 'string' },
} as const satisfies Options

const HELP = `Measures how long quantizing takes and how much memory it needs, on encoders with made-up weights.

Usage: node bench/quantize.ts [options]

${helpOf(OPTIONS)}

Each preset runs in a process of its own, which reads the model from its file. Memory is the process's peak, with Node's
own, as a multiple of the model beside it.`

const MINILM_FILE = 'encoder-fp32'

const PRESETS = {
  int8: () => [embeddings(), dynamicInt8()],
  q4: () => [embeddings({ bits: 4 }), weightOnly4()],
} as const satisfies Readonly<Record<string, () => readonly Pass[]>>
type Preset = keyof typeof PRESETS

interface Figures {
  readonly model: string
  readonly preset: Preset
  readonly bytesBefore: number
  readonly bytesAfter: number
  /** From the file's bytes in memory to the new file's. */
  readonly seconds: number
  /** Largest resident set of the process. */
  readonly peakBytes: number
  /** Resident before the model was read. */
  readonly idleBytes: number
}

await runScript(HELP, async () => {
  const { values } = parseCommand(process.argv.slice(2), OPTIONS, { operands: false })
  if (values.help) return HELP
  if (values.measure !== undefined) return JSON.stringify(await measure(values.model ?? '', values.measure as Preset))
  const { file } = await madeModel(MINILM_FILE)
  const models = values.bert ? [file, 'bert-base'] : [file]
  const lines: string[] = []
  for (const model of models) {
    for (const preset of Object.keys(PRESETS)) {
      const args = [import.meta.filename, '--measure', preset, '--model', model]
      const { stdout } = await promisify(execFile)(process.execPath, args)
      const figures = JSON.parse(stdout) as Figures
      lines.push(values.json ? JSON.stringify(figures) : described(figures))
    }
  }
  return lines.join('\n')
})

async function measure(model: string, preset: Preset): Promise<Figures> {
  const idleBytes = process.memoryUsage.rss()
  const made = model === 'bert-base'
  const bytes = made ? encoderModel(BERT_BASE, 'fp32') : await readFile(model)
  const begun = performance.now()
  const { model: quantized } = await runPasses(decodeModel(bytes), PRESETS[preset](), {
    signal: new AbortController().signal,
  })
  const after = encodeModel(quantized)
  return {
    model: made ? 'bert-base-fp32' : MINILM_FILE,
    preset,
    bytesBefore: bytes.length,
    bytesAfter: after.length,
    seconds: (performance.now() - begun) / 1000,
    peakBytes: process.resourceUsage().maxRSS * 1024,
    idleBytes,
  }
}

function described({ model, preset, bytesBefore, bytesAfter, seconds, peakBytes, idleBytes }: Figures): string {
  const mega = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
  const share = ((100 * bytesAfter) / bytesBefore).toFixed(2)
  const multiple = (peakBytes / bytesBefore).toFixed(2)
  const own = ((peakBytes - idleBytes) / bytesBefore).toFixed(2)
  return `${model} ${preset}: ${mega(bytesBefore)} -> ${mega(bytesAfter)} (${share} %), ${seconds.toFixed(2)} s, peak ${mega(peakBytes)} = ${multiple}x the model, ${own}x without Node's own ${mega(idleBytes)}`
}
