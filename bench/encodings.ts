import { parseCommand } from '../src/cli/command.ts'
import { runScript } from '../src/cli/terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../src/cli/terminal/options.ts'
import { bundle } from './lib/bundle.ts'
import { both, verdict } from './lib/format.ts'
import { type Machine, machine } from './lib/machine.ts'
import { fillStorage } from './lib/storage.ts'
import { plainText, type Table } from './lib/table.ts'
import { type EncodingsMeasured, measureEncodings, TEXTS } from './measures/encodings.ts'
import { staticSubject } from './models/task-subjects.ts'

const OPTIONS = {
  rounds: { type: 'string', value: 'N', help: 'answers in each encoding (30)' },
  json: { type: 'boolean', help: 'the figures as JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Measures one request of ${TEXTS} short texts to /v1/embeddings, answered in each encoding.

Usage: node bench/encodings.ts [options]

${helpOf(OPTIONS)}

The model has static embeddings of 384 channels and costs next to nothing, so that reading the texts and writing the answer
show. Encodings take turns. Targets: bits take at most 1.05x the time of floats, and a thirtieth of the bytes.`

const MOST_TIME = 1.05
const MOST_BYTES = 1 / 30

interface Figures extends EncodingsMeasured {
  readonly machine: Machine
}

await runScript(HELP, async () => {
  const { values } = parseCommand(process.argv.slice(2), OPTIONS, { operands: false })
  if (values.help) return HELP
  const directory = await bundle('verge')
  const model = await staticSubject()
  await fillStorage(directory, [model])
  const figures: Figures = {
    machine: machine(),
    ...(await measureEncodings(directory, model.name, Number(values.rounds ?? 30))),
  }
  return values.json ? JSON.stringify(figures) : plainText(table(figures))
})

function table({ machine: { cores, cpu, memoryGiB, node, workerd }, rows, tokens }: Figures): Table {
  const floats = rows.find(({ encoding }) => encoding === 'float')
  return {
    title: `${TEXTS} texts, ${tokens} tokens, static-fp32: ${cores} cores of ${cpu}, ${memoryGiB} GiB; Node ${node}, workerd ${workerd}`,
    head: ['encoding', 'p50 / p95', 'by float', 'bytes', 'by float', ''],
    rows: rows.map(({ bytes, encoding, time }) => {
      const [slower, smaller] = [time.p50 / (floats?.time.p50 ?? 0), bytes / (floats?.bytes ?? 0)]
      const judged = encoding === 'binary' || encoding === 'ubinary'
      return [
        encoding,
        both(time),
        `${slower.toFixed(2)}x`,
        bytes.toLocaleString('en'),
        `1/${(1 / smaller).toFixed(1)}`,
        judged ? verdict(slower <= MOST_TIME && smaller <= MOST_BYTES) : '',
      ]
    }),
  }
}
