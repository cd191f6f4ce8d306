import { parseCommand } from '../src/cli/command.ts'
import { runScript, UsageError } from '../src/cli/terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../src/cli/terminal/options.ts'
import { LIMITS } from '../src/core/limits.ts'
import { bundle } from './lib/bundle.ts'
import { machine } from './lib/machine.ts'
import { originReport } from './lib/origin-report.ts'
import { type Rig, startRig } from './lib/origin-rig.ts'
import { type StandIn, startStandIn } from './lib/stand-in.ts'
import { fillStorage } from './lib/storage.ts'
import { plainText } from './lib/table.ts'
import { killAllWorkers } from './lib/worker-process.ts'
import { measureHttpBatching } from './measures/origin-batching.ts'
import { largeOrigins, measureLarge } from './measures/origin-large.ts'
import { measureOverhead } from './measures/origin-overhead.ts'
import { measureProviders } from './measures/origin-provider.ts'
import { LANGUAGE_MODEL, measureStreams, TALKER } from './measures/origin-stream.ts'
import { originSubjects } from './models/origin-subjects.ts'

const PARTS = ['overhead', 'stream', 'large', 'batching', 'provider'] as const
type Part = (typeof PARTS)[number]

const OPTIONS = {
  only: { type: 'string', value: 'PART', multiple: true, help: `one of ${PARTS.join(', ')}; may be repeated (all)` },
  rounds: { type: 'string', value: 'N', help: 'measurements of each way, in turn, where one takes milliseconds (200)' },
  quick: { type: 'boolean', help: 'a fifth of everything' },
  json: { type: 'boolean', help: 'the figures as JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Measures what lies between a caller and an origin, on this machine's loopback address.

Usage: node bench/origin.ts [options]

${helpOf(OPTIONS)}

The bundled Worker runs in workerd, the origin is npm run origin with the Worker's models. "overhead" asks both for the
same; "stream" and "large" have a server of this process's own behind the Worker, which notes when it sends; "batching"
asks two origins, one of which makes no batches; "provider" runs the origin's engine on whatever this machine has.`

await runScript(HELP, async () => {
  const { values } = parseCommand(process.argv.slice(2), OPTIONS, { operands: false })
  if (values.help) return HELP
  const stranger = values.only?.find((each) => !PARTS.includes(each as Part))
  if (stranger !== undefined) throw new UsageError(`--only ${stranger}: there is ${PARTS.join(', ')}.`)
  const wanted = (part: Part): boolean => values.only === undefined || values.only.includes(part)
  const scale = values.quick ? 0.2 : 1
  const rounds = Math.ceil(Number(values.rounds ?? 200) * scale)
  process.on('exit', killAllWorkers)

  const directory = await bundle('verge')
  await fillStorage(directory, await originSubjects())
  const standIn = await startStandIn()
  try {
    const figures = {
      machine: machine(),
      ...(wanted('overhead') || wanted('stream') ? await passing(directory, standIn, wanted, rounds) : {}),
      ...(wanted('large') && { large: await large(directory, standIn, values.quick ? 1 : 3) }),
      ...(wanted('batching') && {
        batching: await measureHttpBatching({
          directory,
          maxBatch: LIMITS.batchRows,
          callers: 32,
          rounds: Math.ceil(5 * scale),
          seconds: 2,
        }),
      }),
      ...(wanted('provider') && { providers: await measureProviders(Math.ceil(10 * scale)) }),
    }
    return values.json ? JSON.stringify(figures) : originReport(figures).map(plainText).join('\n\n')
  } finally {
    await standIn.close()
  }
})

async function passing(directory: string, standIn: StandIn, wanted: (part: Part) => boolean, rounds: number) {
  const talker = { name: 'talker', kind: 'openai', url: standIn.url, models: { [TALKER]: standIn.models.told } }
  const models = ['reviews', 'encoder-fp32', 'cnn-fp32', LANGUAGE_MODEL]
  // Threads that spin while they wait for work would take the Worker's and the client's cores, which no origin shares.
  const rig: Rig = await startRig({ directory, models, others: [talker], args: ['--threads', '1'] })
  try {
    return {
      provider: rig.provider,
      ...(wanted('overhead') && { overhead: await measureOverhead(rig, await bundle('pass'), rounds) }),
      ...(wanted('stream') && { streams: await measureStreams(rig, standIn, Math.ceil(rounds / 4)) }),
    }
  } finally {
    await rig.stop()
  }
}

function large(directory: string, standIn: StandIn, processes: number) {
  return measureLarge(directory, { ORIGINS: JSON.stringify(largeOrigins(standIn)) }, processes)
}
