import { availableParallelism } from 'node:os'
import { parseCommand } from '../src/cli/command.ts'
import { runScript } from '../src/cli/terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../src/cli/terminal/options.ts'
import { LIMITS } from '../src/core/limits.ts'
import { type Machine, machine } from './lib/machine.ts'
import { plainText, type Table } from './lib/table.ts'
import { BATCHING_MODEL, BATCHING_TOKENS, type BatchingFigures, measureBatching } from './measures/batching.ts'

const OPTIONS = {
  rounds: { type: 'string', value: 'N', help: 'measurements of every way, in turn (5)' },
  seconds: { type: 'string', value: 'N', help: 'length of each (2)' },
  threads: { type: 'string', value: 'N', help: 'threads within one operator (all cores)' },
  batch: { type: 'string', value: 'N', help: `most rows in a batch (${LIMITS.batchRows})` },
  wait: { type: 'string', value: 'MS', help: `longest wait for company (${LIMITS.batchWaitMs})` },
  json: { type: 'boolean', help: 'the figures as JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Measures what merging requests into batches gains on an origin's processor.

Usage: node bench/batching.ts [options]

${helpOf(OPTIONS)}

Texts of ${BATCHING_TOKENS} tokens, every one another, go to the encoder of MiniLM's shape in fp32 by onnxruntime-node's CPU provider.
Callers are in this process, without HTTP; each asks again as soon as it is answered. "One by one" is the same engine,
queue and threads with batches of one; "bare" is onnxruntime-node in a loop. Ways take turns in every round; the figures
are medians over the rounds.`

const CALLERS = [1, 4, 32]
const TARGET_CALLERS = 32
const LEAST_GAIN = 1.5
const MOST_DIFFERENCE = 1e-4

await runScript(HELP, async () => {
  const { values } = parseCommand(process.argv.slice(2), OPTIONS, { operands: false })
  if (values.help) return HELP
  const threads = Number(values.threads ?? availableParallelism())
  const figures = await measureBatching({
    threads,
    maxBatch: Number(values.batch ?? LIMITS.batchRows),
    maxWaitMs: Number(values.wait ?? LIMITS.batchWaitMs),
    callers: CALLERS,
    rounds: Number(values.rounds ?? 5),
    seconds: Number(values.seconds ?? 2),
  })
  const host = machine()
  return values.json ? JSON.stringify({ machine: host, threads, ...figures }) : plainText(table(figures, host, threads))
})

function table({ gain, largestDifference, rows }: BatchingFigures, host: Machine, threads: number): Table {
  const { cores, cpu, memoryGiB, node, onnxruntime } = host
  const reached = (gain[TARGET_CALLERS] ?? 0) >= LEAST_GAIN
  return {
    title: `Batching, ${BATCHING_MODEL}, ${BATCHING_TOKENS} tokens, ${threads} threads: ${cores} cores of ${cpu}, ${memoryGiB} GiB; Node ${node}, onnxruntime-node ${onnxruntime}`,
    head: ['way', 'callers', 'answers/s', 'p50 ms', 'p95 ms', 'runs a turn', 'by one by one', ''],
    rows: [
      ...rows.map(({ callers, p50, p95, perSecond, runsEach, way }) => [
        way,
        String(callers),
        perSecond.toFixed(0),
        p50.toFixed(1),
        p95.toFixed(1),
        runsEach.toFixed(1),
        way === 'batched' ? `${(gain[callers] ?? Number.NaN).toFixed(2)}x` : '',
        way === 'batched' && callers === TARGET_CALLERS
          ? `at least ${LEAST_GAIN}x: ${reached ? 'reached' : 'missed'}`
          : '',
      ]),
      [
        'largest difference',
        '',
        '',
        '',
        '',
        '',
        largestDifference.toExponential(1),
        `at most ${MOST_DIFFERENCE}: ${largestDifference <= MOST_DIFFERENCE ? 'reached' : 'missed'}`,
      ],
    ],
  }
}
