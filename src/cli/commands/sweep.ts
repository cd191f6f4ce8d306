import { systemClock } from '../../core/runtime.ts'
import { defineCommand } from '../command.ts'
import { planSweep, type SweepPlan, type SweepResult, sweep } from '../push/sweep.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../target/arguments.ts'
import { OPERATOR_OPTION } from '../target/operator.ts'
import { withTarget } from '../target/session.ts'
import { UsageError } from '../terminal/command-line.ts'
import { agreed } from '../terminal/confirm.ts'
import { binarySize, counted } from '../terminal/format.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'
import { periodMs } from '../terminal/period.ts'

const GRACE = '24h'

const OPTIONS = {
  grace: { type: 'string', value: 'PERIOD', help: `how long weights stay after they were marked (default: ${GRACE})` },
  yes: { type: 'boolean', help: 'do not ask for confirmation' },
  'dry-run': { type: 'boolean', help: 'show what would be marked and deleted; change nothing' },
  ...TARGET_OPTIONS,
  ...OPERATOR_OPTION,
  json: { type: 'boolean', help: 'print JSON; needs --yes or --dry-run' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Marks weights in the bucket and in KV that no version uses, and deletes those that were marked longer than the grace time
ago. Deletes copies in KV of models and versions that are gone. Run it again after an interruption.

Usage: npx verge sweep [options]

${helpOf(OPTIONS)}

Examples:
  npx verge sweep --dry-run
  npx verge sweep --yes --env production

${TARGET_ENVIRONMENT}`

/** Keys in a line of text; JSON has all. */
const MOST_NAMED = 10

export const sweepCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: [],
  async run({ values }) {
    const graceMs = periodMs(values.grace ?? GRACE)
    if (graceMs === undefined)
      throw new UsageError(`--grace takes a period such as 24h or 7d; "${values.grace ?? ''}" is not one.`)
    const dryRun = values['dry-run'] ?? false
    if (values.json && !values.yes && !dryRun)
      throw new UsageError('--json cannot ask for confirmation. Add --yes or --dry-run.')
    return withTarget(values, async ({ target, signal, progress }) => {
      const work = { clock: systemClock, signal, progress }
      const plan = await planSweep(target, graceMs, work)
      if (plan.unreadable.length > 0) process.exitCode = 1
      if (dryRun) {
        return values.json ? asJson(plan, undefined) : `${describePlan(plan)}\nNothing was changed (--dry-run).`
      }
      if (!values.yes && plan.ripe.digests.length > 0) {
        progress.close()
        console.error(`In ${target.label}:\n${describePlan(plan)}`)
        if (!(await agreed('Delete them?', signal))) return 'Nothing was changed.'
      }
      const result = await sweep(target, plan, { ...work, audit: target.audit })
      return values.json ? asJson(plan, result) : describeResult(plan, result)
    })
  },
})

function describePlan({ fresh, waiting, ripe, copies, ...plan }: SweepPlan): string {
  const left = copies.reduce((sum, { keys }) => sum + keys.length, 0)
  return [
    `  to be marked: ${size(fresh)} that no version uses`,
    `  marked, and within the grace time: ${size(waiting)}`,
    `  to be deleted: ${size(ripe)}`,
    ...(left > 0 ? [`  copies in KV of models and versions that are gone: ${left}, to be deleted`] : []),
    ...remarks(plan),
  ].join('\n')
}

function describeResult(plan: SweepPlan, { marked, deleted, bytes, copies }: SweepResult): string {
  return [
    `Deleted ${counted(deleted, 'chunk')} (${binarySize(bytes)}). Marked ${marked}; ${plan.waiting.digests.length} within the grace time.`,
    ...(copies > 0 ? [`Deleted ${copies} copies in KV of models and versions that are gone.`] : []),
    ...remarks(plan),
  ].join('\n')
}

function size({ digests, bytes }: SweepPlan['ripe']): string {
  return `${counted(digests.length, 'chunk')} (${binarySize(bytes)})`
}

function remarks({ unreadable, unfinished }: Pick<SweepPlan, 'unreadable' | 'unfinished'>): string[] {
  return [
    ...(unreadable.length > 0
      ? [
          `All weights stay, because these manifests cannot be read and may use them: ${some(unreadable)}. Push those versions ` +
            'again or remove them, then run this command again.',
        ]
      : []),
    ...(unfinished.length > 0
      ? [
          `Removals that were interrupted keep their weights: ${some(unfinished)}. Finish them: npx verge rm NAME@VERSION`,
        ]
      : []),
  ]
}

function some(names: readonly string[]): string {
  const rest = names.length - MOST_NAMED
  return rest <= 0 ? names.join(', ') : `${names.slice(0, MOST_NAMED).join(', ')} and ${rest} more`
}

function asJson(plan: SweepPlan, result: SweepResult | undefined): string {
  const { fresh, waiting, ripe, copies, unreadable, unfinished } = plan
  const planned = {
    mark: fresh,
    waiting,
    delete: ripe,
    copies: copies.flatMap(({ store, keys }) => keys.map((key) => ({ store: store.name, key }))),
    unreadable,
    unfinished,
  }
  return JSON.stringify({ dryRun: result === undefined, planned, ...(result !== undefined && { result }) }, null, 2)
}
