import { parseCommand } from '../src/cli/command.ts'
import { runScript } from '../src/cli/terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../src/cli/terminal/options.ts'
import { bundle } from './lib/bundle.ts'
import { both, mega, ms, percent, verdict } from './lib/format.ts'
import { type Machine, machine } from './lib/machine.ts'
import { fillStorage } from './lib/storage.ts'
import { plainText, type Table } from './lib/table.ts'
import {
  type EngineShare,
  type HitAndMiss,
  type LargePicture,
  measureCache,
  measureLargePictures,
  measureShares,
  TEXT_TOKENS,
} from './measures/tasks.ts'
import { pictureSubject, textSubject } from './models/task-subjects.ts'

const OPTIONS = {
  rounds: { type: 'string', value: 'N', help: 'answers to a text and to a picture, each (100)' },
  json: { type: 'boolean', help: 'the figures as JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Measures what tasks cost beside their models' runs, in one run and in workerd.

Usage: node bench/tasks.ts [options]

${helpOf(OPTIONS)}

A text goes to the encoder of MiniLM's shape, pictures to the CNN of MobileNet's. "Inside" is from the request to the
answer's last byte by the Worker's own clock, which ticks in milliseconds; "over HTTP" is the same by the client, with
HTTP and the client's work. Whatever of it is not the run by Server-Timing counts as outside the engine: parsing,
tokenizing, decoding, preparing, waiting for a turn, answering. Shares are judged over all answers together, because the
clock's ticks blur single ones.`

const MOST_TEXT_SHARE = 0.15
const MOST_PICTURE_SHARE = 0.4
const MOST_EXTRA_BYTES = 64e6
const MOST_HIT_SHARE = 0.1
const CACHE_ROUNDS = 8

interface Figures {
  readonly machine: Machine
  readonly text: EngineShare
  readonly picture: EngineShare
  readonly large: readonly LargePicture[]
  readonly cache: HitAndMiss
}

await runScript(HELP, async () => {
  const { values } = parseCommand(process.argv.slice(2), OPTIONS, { operands: false })
  if (values.help) return HELP
  const plain = await bundle('verge')
  const timed = await bundle('inside')
  const text = await textSubject()
  const picture = await pictureSubject()
  await fillStorage(plain, [text, picture])
  const figures: Figures = {
    machine: machine(),
    ...(await measureShares(timed, { text: text.name, picture: picture.name }, Number(values.rounds ?? 100))),
    large: await measureLargePictures(plain, picture.name),
    cache: await measureCache(plain, text.name, CACHE_ROUNDS),
  }
  return values.json ? JSON.stringify(figures) : plainText(table(figures))
})

function table({ cache, large, machine, picture, text }: Figures): Table {
  const { cores, cpu, memoryGiB, node, workerd } = machine
  const ratio = cache.hit.p50 / cache.miss.p50
  return {
    title: `Tasks: ${cores} cores of ${cpu}, ${memoryGiB} GiB; Node ${node}, workerd ${workerd}`,
    head: ['figure', 'model', 'target', 'of all time', 'p50', 'p95', 'baseline: p50 / p95', ''],
    rows: [
      ...shareRows(`text of ${TEXT_TOKENS} tokens`, 'encoder-int8', MOST_TEXT_SHARE, text),
      ...shareRows('JPEG of 640 x 480', 'cnn-fp32', MOST_PICTURE_SHARE, picture),
      ...large.flatMap((row) => largeRows(row)),
      [
        'cache hit by a miss',
        'encoder-int8',
        `at most ${percent(MOST_HIT_SHARE)}`,
        '',
        `${percent(ratio)} (${ms(cache.hit.p50)})`,
        ms(cache.hit.p95),
        `miss: ${both(cache.miss)}`,
        verdict(ratio <= MOST_HIT_SHARE),
      ],
    ],
  }
}

function shareRows(what: string, model: string, most: number, found: EngineShare): string[][] {
  const sides = [
    ['inside', found.totalInside, found.shareInside, found.inside],
    ['over HTTP', found.totalOutside, found.shareOutside, found.outside],
  ] as const
  return sides.map(([side, total, share, whole]) => [
    `${what}: outside the engine, ${side}`,
    model,
    `at most ${percent(most)}`,
    percent(total),
    percent(share.p50),
    percent(share.p95),
    `run: ${both(found.run)} of ${both(whole)}`,
    verdict(total <= most),
  ])
}

function largeRows({ bytes, extraBytes, kind, residentBefore, time }: LargePicture): string[][] {
  const what = `${kind} JPEG of 12 megapixels, ${mega(bytes)}`
  return [
    [
      `${what}: memory more, at most`,
      'cnn-fp32',
      `under ${mega(MOST_EXTRA_BYTES)}`,
      '',
      mega(extraBytes),
      '',
      `resident before: ${mega(residentBefore)}`,
      verdict(extraBytes < MOST_EXTRA_BYTES),
    ],
    [`${what}: time`, 'cnn-fp32', '', '', ms(time.p50), ms(time.p95), '', ''],
  ]
}
