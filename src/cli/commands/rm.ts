import { readStoredAlias } from '../../catalog/stored-alias.ts'
import { VergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { defineCommand } from '../command.ts'
import { keysNaming } from '../keys/naming.ts'
import { planRemoval, type RemovalPlan, type RemovalResult, remove } from '../push/removal.ts'
import { lacking, listed, MOST_NAMED, type Names, staying } from '../push/removal-text.ts'
import {
  countToKeep,
  describeRemoved,
  isIncomplete,
  type RemovedVersion,
  removeVersions,
} from '../push/remove-versions.ts'
import { spareVersions } from '../push/retention.ts'
import { SIGNING_OPTIONS } from '../signing/options.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../target/arguments.ts'
import { modelNamed, versionNamed } from '../target/names.ts'
import { OPERATOR_OPTION } from '../target/operator.ts'
import { withTarget } from '../target/session.ts'
import { delayOf, type Target } from '../target/target.ts'
import { UsageError } from '../terminal/command-line.ts'
import { agreed } from '../terminal/confirm.ts'
import { binarySize, counted } from '../terminal/format.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'
import type { Progress } from '../terminal/progress.ts'

const OPTIONS = {
  keep: {
    type: 'string',
    value: 'N',
    help: 'remove all versions but the live ones, the canary, where a rollback goes, and the N newest others',
  },
  yes: { type: 'boolean', help: 'do not ask for confirmation' },
  'dry-run': { type: 'boolean', help: 'show what would be removed; change nothing' },
  ...TARGET_OPTIONS,
  ...OPERATOR_OPTION,
  ...SIGNING_OPTIONS,
  verbose: { type: 'boolean', help: 'list all versions, even if there are many' },
  json: { type: 'boolean', help: 'print JSON; needs --yes or --dry-run' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Removes a model, or a version that is not live, from the bucket and from KV. Weights that other versions or models use
are kept. Shows what it would remove and asks for confirmation. To finish an interrupted removal, run the command
again.

Usage: npx verge rm NAME[@VERSION] [options]
       npx verge rm NAME --keep N [options]

${helpOf(OPTIONS)}

Examples:
  npx verge rm digits@1
  npx verge rm digits --dry-run
  npx verge rm digits --keep 3
  npx verge rm digits --yes --env staging

${TARGET_ENVIRONMENT}`

export const rmCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  async run({ values, positionals }) {
    const [what, ...more] = positionals
    if (what === undefined || more.length > 0)
      throw new UsageError('Specify a model or a version: npx verge rm NAME, or npx verge rm NAME@VERSION.')
    const [name = '', version, ...rest] = what.split('@')
    if (rest.length > 0) throw new UsageError(`"${what}" is not NAME or NAME@VERSION.`)
    const model = modelNamed(name)
    if (version !== undefined) versionNamed(version)
    const dryRun = values['dry-run'] ?? false
    const keep = countToKeep(values.keep)
    if (keep !== undefined && version !== undefined)
      throw new UsageError('--keep chooses the versions itself: leave out @VERSION.')
    const names: Names = (all) => listed(all, values.verbose ? all.length : MOST_NAMED)
    if (values.json && !values.yes && !dryRun)
      throw new UsageError('--json cannot ask for confirmation. Add --yes or --dry-run.')
    return withTarget(values, async ({ target, signal, progress }) => {
      if (keep !== undefined) return keepNewest(target, model, keep, { ...values, dryRun, names, signal, progress })
      const plan = await planRemoval(target, model, version, signal)
      const keys = plan.whole ? await keysNaming(target.truth, model, { exactly: true, signal }) : undefined
      if (dryRun) {
        return values.json
          ? asJson(plan, undefined)
          : `${describePlan(plan, target.label, names, keys)}\nNothing was changed (--dry-run).`
      }
      if (!values.yes) {
        progress.close()
        console.error(describePlan(plan, target.label, names, keys))
        if (!(await agreed('Remove it?', signal))) return 'Nothing was changed.'
      }
      const result = await remove(target, plan, { signal, progress })
      if (result.harmed.length > 0 || result.unreadable.length > 0) process.exitCode = 1
      return values.json ? asJson(plan, result) : `${describeResult(plan, result, names, keys)}\n${delayOf(target)}`
    })
  },
})

interface KeepOptions {
  readonly dryRun: boolean
  readonly yes?: boolean | undefined
  readonly json?: boolean | undefined
  readonly names: Names
  readonly signal: AbortSignal
  readonly progress: Progress
}

/** Removes what `--keep` leaves out, one version after the other. Interrupted, it continues when it is run again. */
async function keepNewest(
  target: Target,
  model: string,
  keep: number,
  { dryRun, json, names, progress, signal, yes }: KeepOptions,
): Promise<string> {
  const stored = await readStoredAlias(target.truth, model, LIMITS.aliasBytes, signal)
  if (stored === null) throw new VergeError('model_not_found', `There is no model "${model}".`, { details: { model } })
  const versions = spareVersions(stored.value, keep)
  const said = (removed: readonly RemovedVersion[] = []): string =>
    JSON.stringify({ model, keep, versions, dryRun, removed }, null, 2)
  if (versions.length === 0) return json ? said() : `Model ${model} has no versions beyond those. Nothing was changed.`
  const what = `${counted(versions.length, 'version')} of model ${model}: ${names(versions)}`
  if (dryRun) return json ? said() : `To be removed from ${target.label}: ${what}\nNothing was changed (--dry-run).`
  if (!yes) {
    progress.close()
    console.error(`To be removed from ${target.label}: ${what}`)
    if (!(await agreed('Remove them?', signal))) return 'Nothing was changed.'
  }
  const removed: RemovedVersion[] = []
  for await (const each of removeVersions(target, model, versions, { signal, progress })) removed.push(each)
  if (isIncomplete(removed)) process.exitCode = 1
  return json ? said(removed) : [...describeRemoved(model, removed, names), delayOf(target)].join('\n')
}

function title({ model, whole, versions }: RemovalPlan): string {
  return whole ? `model ${model}` : `version ${versions.join(', ')} of model ${model}`
}

function describePlan(plan: RemovalPlan, place: string, names: Names, keys: string | undefined): string {
  const { chunks, shared, versions, whole, unreadable } = plan
  const lines = [`To be removed from ${place}: ${title(plan)}`]
  if (whole)
    lines.push(
      `  its alias, and ${counted(versions.length, 'version')}${versions.length > 0 ? `: ${names(versions)}` : ''}`,
    )
  const size = binarySize(chunks.reduce((sum, chunk) => sum + chunk.bytes, 0))
  lines.push(`  ${counted(chunks.length, 'chunk')} of weights (${size}) that nothing else uses`)
  if (shared > 0) lines.push(`  ${counted(shared, 'chunk')} that other models or versions use are kept`)
  if (keys !== undefined) lines.push(`  keys that name it keep the name: ${keys}`)
  if (unreadable.length > 0) lines.push(staying(unreadable, names))
  return lines.join('\n')
}

function describeResult(
  plan: RemovalPlan,
  { chunks, bytes: size, unreadable, harmed }: RemovalResult,
  names: Names,
  keys: string | undefined,
): string {
  const lines = [`Removed ${title(plan)}, and ${counted(chunks, 'chunk')} of weights (${binarySize(size)}).`]
  if (unreadable.length > 0) lines.push(staying(unreadable, names))
  if (keys !== undefined) {
    lines.push(
      `Keys that name the model keep the name, and may use a new model of that name: ${keys}. To change that: npx verge keys ` +
        'update ID --models NAMES',
    )
  }
  if (harmed.length > 0) {
    lines.push(lacking(harmed, names))
  }
  return lines.join('\n')
}

function asJson(plan: RemovalPlan, result: RemovalResult | undefined): string {
  const { model, whole, versions, chunks, shared, unreadable } = plan
  const planned = {
    chunks: chunks.map(({ sha256 }) => sha256),
    bytes: chunks.reduce((sum, { bytes: size }) => sum + size, 0),
    shared,
    unreadable,
  }
  return JSON.stringify(
    { model, whole, versions, dryRun: result === undefined, planned, ...(result !== undefined && { result }) },
    null,
    2,
  )
}
