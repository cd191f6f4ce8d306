import { parseCommand } from '../src/cli/command.ts'
import { runScript } from '../src/cli/terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../src/cli/terminal/options.ts'
import { bundle } from './lib/bundle.ts'
import { both, percent, verdict } from './lib/format.ts'
import { machine } from './lib/machine.ts'
import { fillStorage } from './lib/storage.ts'
import { plainText, type Table } from './lib/table.ts'
import { measureSegmentation, PICTURE_SIDE, type SegmentationFigures } from './measures/segmentation.ts'
import { SEGMENTER_SIDE, segmenterSubject } from './models/segmenter.ts'

const OPTIONS = {
  rounds: { type: 'string', value: 'N', help: 'answers as masks and as a map, each (40)' },
  json: { type: 'boolean', help: 'the figures as JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Measures what a segmentation costs beside its model's run, in one run and in workerd.

Usage: node bench/segmentation.ts [options]

${helpOf(OPTIONS)}

A JPEG of ${PICTURE_SIDE} x ${PICTURE_SIDE} goes to SegFormer-B0 with seeded weights and an input of ${SEGMENTER_SIDE} x ${SEGMENTER_SIDE}, once for masks and once
for a map, in turns. "Inside" is from the request to the answer's last byte by the Worker's own clock; "over HTTP" is the
same by the client. Whatever of it is not the run by Server-Timing counts as outside the engine.`

const MOST_SHARE = 0.3

await runScript(HELP, async () => {
  const { values } = parseCommand(process.argv.slice(2), OPTIONS, { operands: false })
  if (values.help) return HELP
  const directory = await bundle('inside')
  const subject = await segmenterSubject()
  await fillStorage(await bundle('verge'), [subject])
  const figures = await measureSegmentation(directory, subject.name, Number(values.rounds ?? 40))
  return values.json ? JSON.stringify({ machine: machine(), ...figures }) : plainText(table(figures))
})

function table({ map, masks }: SegmentationFigures): Table {
  const { cores, cpu, memoryGiB, node, workerd } = machine()
  return {
    title: `Segmentation: ${cores} cores of ${cpu}, ${memoryGiB} GiB; Node ${node}, workerd ${workerd}`,
    head: ['answer', 'bytes', 'measured', 'target', 'of all time', 'p50', 'p95', 'p50 / p95', ''],
    rows: [...rows(`${masks.count} masks`, masks), ...rows(`a map of ${map.count} segments`, map)],
  }
}

function rows(what: string, found: SegmentationFigures['masks']): string[][] {
  const sides = [
    ['inside', found.totalInside, found.shareInside, found.inside],
    ['over HTTP', found.totalOutside, found.shareOutside, found.outside],
  ] as const
  return sides.map(([side, total, share, whole]) => [
    what,
    String(found.bytes),
    `outside the engine, ${side}`,
    `at most ${percent(MOST_SHARE)}`,
    percent(total),
    percent(share.p50),
    percent(share.p95),
    `run: ${both(found.run)} of ${both(whole)}`,
    verdict(total <= MOST_SHARE),
  ])
}
