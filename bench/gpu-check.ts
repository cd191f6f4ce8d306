import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseCommand } from '../src/cli/command.ts'
import { ROOT } from '../src/cli/files/project.ts'
import { runScript, UsageError } from '../src/cli/terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../src/cli/terminal/options.ts'
import { LIMITS } from '../src/core/limits.ts'
import { systemClock } from '../src/core/runtime.ts'
import { PROVIDERS, type Provider } from '../src/engine/native/support.ts'
import { ProcessEngine } from '../src/engine/process/engine.ts'
import { gpuCheck } from './gpu/check.ts'
import { TOLERANCE } from './gpu/compare.ts'
import { nvidiaDevice } from './gpu/devices.ts'
import { faultsOf, gpuTable, isGpu, noGpu } from './gpu/report.ts'
import { gpuSubjects } from './gpu/subjects.ts'
import { machine } from './lib/machine.ts'
import { withLastRun } from './lib/readme.ts'
import { markdown, plainText } from './lib/table.ts'
import { madeModel } from './models/index.ts'

const DOCUMENT = 'docs/origin/gpu.md'
const OPTIONS = {
  providers: { type: 'string', value: 'a,b', help: 'to be checked (cuda,webgpu); cpu checks the check itself' },
  minutes: { type: 'string', value: 'N', help: 'after these, nothing more is begun (7)' },
  require: { type: 'boolean', help: 'fail where there is no GPU' },
  write: { type: 'boolean', help: `write the table into ${DOCUMENT}` },
  json: { type: 'boolean', help: 'the figures as JSON, without the answers' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Checks what an origin does on a GPU: its answers, batching, generation and memory, beside the CPU provider.

Usage: npm run gpu-check -- [options]

${helpOf(OPTIONS)}

The engine is the origin's, in a process of its own, over models that the repository makes. Where no provider runs on a GPU,
the exit code is 0, and the output names what is unproven. Where answers differ, a model falls back to the processor or
memory grows, it is 1.`

/** Milliseconds with fractions: a run on a GPU may take less than one. */
const CLOCK = { ...systemClock, now: () => performance.now() }
const ROUNDS = 50
const MEASURE_MS = 4_000
/** A model that hangs its driver is ended. */
const WORK_LIMIT_MS = 120_000
/** CUDA compiles kernels for a new GPU when it first starts. */
const START_LIMIT_MS = 120_000

await runScript(HELP, async () => {
  const { values } = parseCommand(process.argv.slice(2), OPTIONS, { operands: false })
  if (values.help) return HELP
  const providers = (values.providers ?? 'cuda,webgpu').split(',')
  const stranger = providers.find((name) => !PROVIDERS.includes(name as Provider))
  if (stranger !== undefined) throw new UsageError(`--providers ${stranger}: there is ${PROVIDERS.join(', ')}.`)
  const minutes = Number(values.minutes ?? 7)
  if (!(minutes > 0)) throw new UsageError('--minutes must be a number above 0.')

  const begun = CLOCK.now()
  const say = (line: string): void => console.error(`${((CLOCK.now() - begun) / 1000).toFixed(0)} s  ${line}`)
  const wanted = providers as Provider[]
  const device = await nvidiaDevice()
  say(device === undefined ? 'no NVIDIA driver' : `${device.name}, driver ${device.driver}`)
  const bytesOf = (name: 'encoder-fp32' | 'decoder-fp32') => async () => (await madeModel(name)).bytes
  const results = await gpuCheck({
    providers: wanted,
    engine: (provider, logger) =>
      new ProcessEngine({
        clock: systemClock,
        logger,
        providers: [provider],
        maxArtifactBytes: LIMITS.nativeArtifactBytes,
        turnLeaseMs: LIMITS.turnLeaseMs,
        workLimitMs: WORK_LIMIT_MS,
        startLimitMs: START_LIMIT_MS,
      }),
    subjects: gpuSubjects(),
    batched: { name: 'encoder-fp32', bytes: bytesOf('encoder-fp32'), tolerance: TOLERANCE },
    writer: { name: 'decoder-fp32', bytes: bytesOf('decoder-fp32'), tolerance: TOLERANCE },
    clock: CLOCK,
    limitMs: minutes * 60_000,
    rounds: ROUNDS,
    measureMs: MEASURE_MS,
    device: nvidiaDevice,
    say,
  })
  const faults = faultsOf(results, device)
  const found = results.some(isGpu)
  if (faults.length > 0 || (values.require && !found)) process.exitCode = 1
  const table = gpuTable(results, { date: new Date().toISOString().slice(0, 10), device, machine: machine() })
  if (values.write && found) {
    const file = join(ROOT, DOCUMENT)
    await writeFile(file, withLastRun(await readFile(file, 'utf8'), markdown(table), 'gpu check', DOCUMENT))
  }
  if (values.json)
    return JSON.stringify({ device, results, faults }, (key, value) => (key === 'answer' ? undefined : value))
  return [
    ...(found || wanted.includes('cpu') ? [plainText(table)] : []),
    ...(found ? [] : [noGpu(results)]),
    ...faults.map((fault) => `FAULT  ${fault}`),
  ].join('\n\n')
})
