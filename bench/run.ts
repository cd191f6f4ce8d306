import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseCommand } from '../src/cli/command.ts'
import { runScript, UsageError } from '../src/cli/terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../src/cli/terminal/options.ts'
import { machine } from './lib/machine.ts'
import { plot } from './lib/plot.ts'
import { withLastRun } from './lib/readme.ts'
import { describeRun, tables } from './lib/report.ts'
import type { BenchResult } from './lib/result.ts'
import { markdown, plainText } from './lib/table.ts'
import { bundleBytes, killAllWorkers, stopAllWorkers } from './lib/worker-process.ts'
import { MODELS, measureAll, PARTS, prepare } from './measures/all.ts'
import { FULL, QUICK } from './measures/context.ts'
import { CACHE } from './models/index.ts'

const OPTIONS = {
  quick: {
    type: 'boolean',
    help: 'fewer repetitions and models, about 90 seconds; the ratios hold, the times less',
  },
  only: { type: 'string', value: 'PART', multiple: true, help: `one part: ${PARTS.join(', ')}; may be repeated` },
  model: { type: 'string', value: 'MODEL', multiple: true, help: `one model: ${MODELS.join(', ')}; may be repeated` },
  write: {
    type: 'boolean',
    help: 'keep the run: bench/results/last.json and last.svg, and the tables in bench/README.md',
  },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Measures what ONNX models cost inside a Worker, and what they cost elsewhere on the same machine.

Usage: npm run bench -- [options]

${helpOf(OPTIONS)}

A whole run takes about twelve minutes and wants a machine that does nothing else. It never fails for being slow. Without
--write the results lie in .verge/bench.`

const FOLDER = import.meta.dirname

await runScript(HELP, async () => {
  const { values } = parseCommand(process.argv.slice(2), OPTIONS, { operands: false })
  if (values.help) return HELP
  const parts = new Set(chosenFrom(PARTS, 'part', values.only))
  const models = values.model && new Set(chosenFrom(MODELS, 'model', values.model))
  if (values.write && (values.quick || values.only || values.model)) {
    throw new UsageError('--write keeps whole runs alone: leave out --quick, --only and --model.')
  }
  if (process.platform !== 'linux') throw new UsageError('The benchmark reads sizes and times from /proc: Linux only.')
  endCleanly()
  const begun = performance.now()
  const progress = (line: string): void => {
    console.error(`[${((performance.now() - begun) / 1000).toFixed(0).padStart(4)} s] ${line}`)
  }
  const effort = values.quick ? QUICK : FULL
  const bench = await prepare({ effort, parts, models }, progress)
  const measurements = await measureAll(bench, parts)
  const result: BenchResult = {
    schema: 1,
    date: new Date().toISOString().slice(0, 10),
    effort: values.quick ? 'quick' : 'full',
    seconds: Math.round((performance.now() - begun) / 1000),
    machine: machine(),
    bundle: bundleBytes(bench.bundles.verge),
    ...measurements,
  }
  await keep(result, values.write ? join(FOLDER, 'results') : CACHE)
  if (values.write) {
    const file = join(FOLDER, 'README.md')
    const text = [describeRun(result), ...tables(result).map(markdown)].join('\n\n')
    await writeFile(file, withLastRun(await readFile(file, 'utf8'), text))
  }
  return [describeRun(result), ...tables(result).map(plainText)].join('\n\n')
})

function chosenFrom<T extends string>(all: readonly T[], kind: string, only: readonly string[] = all): T[] {
  return only.map((name) => {
    const found = all.find((candidate) => candidate === name)
    if (!found) throw new UsageError(`There is no ${kind} "${name}". There are: ${all.join(', ')}.`)
    return found
  })
}

async function keep(result: BenchResult, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'last.json'), `${JSON.stringify(result, null, 2)}\n`)
  await writeFile(join(folder, 'last.svg'), plot(result))
}

/** Ctrl-C ends the Workers before this process; whatever else ends it, kills them. */
function endCleanly(): void {
  process.on('exit', killAllWorkers)
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => void stopAllWorkers().finally(() => process.exit(code)))
  }
}
