import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { throwIfAborted } from '../../core/errors.ts'
import { defineCommand } from '../command.ts'
import { gist, Visitor } from '../doctor/visitor.ts'
import { ROOT } from '../files/project.ts'
import { type Measured, measurePairs, type Outcome } from '../probe/pairs.ts'
import { pinned, requestFrom, requestOf } from '../probe/request.ts'
import { PairReports, type Trial, trialOf } from '../probe/trial.ts'
import { API_KEY } from '../push/setup.ts'
import { percentile } from '../statistics.ts'
import { modelNamed } from '../target/names.ts'
import { ADDRESS_OPTIONS, workerAddress } from '../target/worker-address.ts'
import { UsageError } from '../terminal/command-line.ts'
import { counted, printable, table } from '../terminal/format.ts'
import { untilInterrupted } from '../terminal/interrupt.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'
import { createProgress } from '../terminal/progress.ts'
import { integerIn, numberIn, text } from '../terminal/values.ts'

const PAIRS = 100
const EVERY_SECONDS = 1
/** Often enough to be heard of soon, and seldom enough not to be traffic of its own. */
const REPORT_PAIRS = 20
const MOST_PAIRS = 100_000

const OPTIONS = {
  pairs: { type: 'string', value: 'N', help: `requests to each version (default: ${PAIRS})` },
  every: { type: 'string', value: 'SECONDS', help: `between two pairs (default: ${EVERY_SECONDS})` },
  data: { type: 'string', value: 'FILE', help: 'body of the request (default: a sample of the model, or zeros)' },
  'content-type': { type: 'string', value: 'TYPE', help: 'of the body (default: application/json)' },
  report: { type: 'boolean', shown: '--no-report', help: 'only print; do not tell the Worker what was measured' },
  ...ADDRESS_OPTIONS,
  json: { type: 'boolean', help: 'print JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Measures from outside how long the canary and the stable version of a model take: the same request to both, one after
the other, again and again. The Worker's own clock stands still while it computes, so that it cannot know. The Worker is told
the times, and takes the canary out where it is slower than the trial allows. The exit code is 1 if it was taken out.

Usage: npx verge probe NAME [options]

${helpOf(OPTIONS)}

Examples:
  npx verge probe digits
  npx verge probe digits --env production --pairs 600
  npx verge probe digits --data five.png --content-type image/png --url https://verge.example.workers.dev

Environment: ${API_KEY}, the operator's key; with --env of a Worker without a custom domain also CLOUDFLARE_API_TOKEN and
CLOUDFLARE_ACCOUNT_ID.`

export const probeCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  async run({ values, positionals }) {
    const [name, ...more] = positionals
    if (name === undefined || more.length > 0) throw new UsageError('Specify one model: npx verge probe NAME.')
    const model = modelNamed(name)
    const count = integerIn(values, 'pairs', 1, MOST_PAIRS) ?? PAIRS
    const everyMs = (numberIn(values, 'every', 0, 3600) ?? EVERY_SECONDS) * 1000
    const file = text(values, 'data')
    const contentType = text(values, 'content-type') ?? 'application/json'
    const visitor = new Visitor(await workerAddress(values), process.env[API_KEY] || undefined)
    const signal = untilInterrupted()
    const trial = await trialOf(visitor, model, signal)
    const request =
      file === undefined
        ? await requestOf(visitor, model, join(ROOT, 'models'))
        : await requestFrom(file, contentType, model)
    const reports = new PairReports(visitor, model, trial, `probe-${randomBytes(8).toString('hex')}`)
    const progress = createProgress({
      stream: process.stderr,
      isTTY: process.stderr.isTTY ?? false,
      json: values.json ?? false,
      env: process.env,
    })
    const task = progress.task(`Probing ${model}`, count, 'steps')
    const outcome = await measurePairs({
      count,
      everyMs,
      now: () => performance.now(),
      sleep: (ms) => sleep(ms, undefined, { signal }),
      async ask(side): Promise<Measured> {
        const headers = { 'content-type': request.contentType, 'cache-control': 'no-store' }
        const path = pinned(request.path, trial[side])
        const begun = performance.now()
        try {
          const answer = await visitor.ask(path, {
            method: 'POST',
            headers,
            body: request.body,
            asOperator: true,
            signal,
          })
          return answer.status === 200 ? { ms: answer.ms } : { ms: answer.ms, failure: gist(answer) }
        } catch (error) {
          throwIfAborted(signal)
          return { ms: performance.now() - begun, failure: `no answer: ${String(error)}` }
        }
      },
      reportPairs: REPORT_PAIRS,
      report: async (pairs) => values.report === false || reports.send([...pairs]),
      measured: () => task.advance(1),
      signal,
    }).finally(() => progress.close())
    const { verdict } = reports
    if (verdict === 'stopped') process.exitCode = 1
    if (values.json)
      return JSON.stringify(
        { model, ...trial, ...figuresOf(outcome), verdict, unreported: reports.unreported },
        null,
        2,
      )
    return [...lines(trial, outcome), ...unreported(reports), ...ending(model, trial, verdict)].join('\n')
  },
})

type Verdict = PairReports['verdict']

function unreported({ fault, unreported: count }: Pick<PairReports, 'fault' | 'unreported'>): string[] {
  return count === 0 ? [] : [`The Worker was not told of ${counted(count, 'pair')}: ${printable(fault ?? '')}`]
}

function figuresOf({ failures, pairs }: Outcome) {
  const side = (times: readonly number[], failed: number) => ({
    requests: times.length,
    failures: failed,
    ...(times.length > 0 && { p50Ms: percentile(times, 0.5), p95Ms: percentile(times, 0.95) }),
  })
  return {
    stableTimes: side(
      pairs.map(({ stableMs }) => stableMs),
      failures.stable.length,
    ),
    canaryTimes: side(
      pairs.map(({ canaryMs }) => canaryMs),
      failures.canary.length,
    ),
  }
}

function lines({ canary, stable }: Trial, outcome: Outcome): string[] {
  const { canaryTimes, stableTimes } = figuresOf(outcome)
  const ms = (value: number | undefined): string => (value === undefined ? '' : `${value.toFixed(1)} ms`)
  const row = (name: string, { failures, p50Ms, p95Ms, requests }: typeof stableTimes): string[] => [
    name,
    String(requests),
    ms(p50Ms),
    ms(p95Ms),
    String(failures),
  ]
  const rows = [row(`${stable} (stable)`, stableTimes), row(`${canary} (canary)`, canaryTimes)]
  const why = [...new Set([...outcome.failures.canary, ...outcome.failures.stable])].slice(0, 3)
  return [
    table([['version', 'pairs', 'p50', 'p95', 'failures'], ...rows]),
    ...why.map((failure) => `failed: ${printable(failure)}`),
  ]
}

function ending(model: string, { canary }: Trial, verdict: Verdict): string[] {
  if (verdict === 'stopped') return [`The canary was taken out. See why: npx verge models ${model}`]
  if (verdict === 'outdated')
    return [`The model was released again meanwhile, so that canary ${canary} is no longer on trial.`]
  return []
}
