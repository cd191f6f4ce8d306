import { parseCommand } from '../src/cli/command.ts'
import { median } from '../src/cli/statistics.ts'
import { runScript } from '../src/cli/terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../src/cli/terminal/options.ts'
import { bundle } from './lib/bundle.ts'
import type { Connection } from './lib/connection.ts'
import { hitsAndMisses, timed } from './lib/hits-and-misses.ts'
import { binaryRequest, type Input } from './lib/oip.ts'
import { summarise } from './lib/stats.ts'
import { fillStorage } from './lib/storage.ts'
import { plainText } from './lib/table.ts'
import { connected } from './lib/worker-client.ts'
import { startWorker } from './lib/worker-process.ts'
import { madeSubject, type Subject, tokens } from './models/subjects.ts'

const OPTIONS = {
  rounds: { type: 'string', value: 'N', help: 'rounds of five misses and twenty hits (8)' },
  json: { type: 'boolean', help: 'the figures as JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Measures what an answer from the result cache takes beside one from a run, on the encoder of MiniLM's shape.

Usage: node bench/cache.ts [options]

${helpOf(OPTIONS)}

A miss is asked, not found, run, and kept. Misses and hits take turns, so that a disturbance of the machine hits both. The
target: a hit within a tenth of a miss.`

const TARGET = 0.1
const TARGET_TOKENS = 128
/** V8 compiles WebAssembly once more, and better, after some runs. */
const WARM_UP_RUNS = 25

interface Row {
  readonly size: string
  readonly missMs: number
  readonly hitMs: number
  readonly ratio: number
  /** Null where there is no target. */
  readonly reached: boolean | null
}

await runScript(HELP, async () => {
  const { values } = parseCommand(process.argv.slice(2), OPTIONS, { operands: false })
  if (values.help) return HELP
  const directory = await bundle('verge')
  const model = await madeSubject('encoder-int8')
  await fillStorage(directory, [model])
  const worker = await startWorker(directory, { vars: { RESULT_CACHE_TTL_SECONDS: '3600' } })
  try {
    const rows = await connected(worker, (connection) => measure(connection, model, Number(values.rounds ?? 8)))
    return values.json ? JSON.stringify(rows) : plainText(table(rows))
  } finally {
    await worker.stop()
  }
})

async function measure(connection: Connection, model: Subject, rounds: number): Promise<Row[]> {
  const rows: Row[] = []
  let next = 0
  for (const length of [16, TARGET_TOKENS]) {
    const fresh = (): Buffer => binaryRequest(model.name, distinct(length, next++))
    const kept = fresh()
    for (let i = 0; i < WARM_UP_RUNS; i++) await timed(connection, fresh(), 'miss')
    await timed(connection, kept, 'miss')
    // Kept after the answer: by the time of the next answer but one, it is there.
    for (let i = 0; i < 2; i++) await timed(connection, fresh(), 'miss')
    const { hits, misses } = await hitsAndMisses(connection, { fresh, kept, rounds })
    const missMs = summarise(misses).p50
    const hitMs = median(hits)
    rows.push({
      size: `${length} tokens`,
      missMs,
      hitMs,
      ratio: hitMs / missMs,
      reached: length === TARGET_TOKENS ? hitMs <= TARGET * missMs : null,
    })
  }
  return rows
}

/** A text that was never sent before. */
function distinct(length: number, number: number): Input[] {
  return tokens(length).map((input) => {
    if (input.name !== 'input_ids' || !(input.data instanceof BigInt64Array)) return input
    const data = input.data.slice()
    data[0] = BigInt(10 + (number % 900))
    data[1] = BigInt(10 + Math.floor(number / 900))
    return { ...input, data }
  })
}

function table(rows: readonly Row[]) {
  return {
    title: 'Result cache, encoder-int8: p50 in ms seen from outside; target: a hit within a tenth of a miss',
    head: ['input', 'miss', 'hit', 'hit / miss', ''],
    rows: rows.map(({ size, missMs, hitMs, ratio, reached }) => [
      size,
      missMs.toFixed(2),
      hitMs.toFixed(2),
      ratio.toFixed(3),
      reached === null ? '' : reached ? 'reached' : 'missed',
    ]),
  }
}
