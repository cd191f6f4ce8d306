import { defineCommand } from '../command.ts'
import { keysNaming } from '../keys/naming.ts'
import { planRemoval, type RemovalPlan, type RemovalResult, remove } from '../push/removal.ts'
import { SIGNING_OPTIONS } from '../signing/options.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../target/arguments.ts'
import { modelNamed, versionNamed } from '../target/names.ts'
import { OPERATOR_OPTION } from '../target/operator.ts'
import { withTarget } from '../target/session.ts'
import { delayOf } from '../target/target.ts'
import { UsageError } from '../terminal/command-line.ts'
import { agreed } from '../terminal/confirm.ts'
import { binarySize, counted } from '../terminal/format.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'

const OPTIONS = {
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

${helpOf(OPTIONS)}

Examples:
  npx verge rm digits@1
  npx verge rm digits --dry-run
  npx verge rm digits --yes --env staging

${TARGET_ENVIRONMENT}`

export const rmCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  async run({ values, positionals }) {
    const [what, ...more] = positionals
    if (what === undefined || more.length > 0)
      throw new UsageError('Specify a model or a version: verge rm NAME, or verge rm NAME@VERSION.')
    const [name = '', version, ...rest] = what.split('@')
    if (rest.length > 0) throw new UsageError(`"${what}" is not NAME or NAME@VERSION.`)
    const model = modelNamed(name)
    if (version !== undefined) versionNamed(version)
    const dryRun = values['dry-run'] ?? false
    const names = (all: readonly string[]) => listed(all, values.verbose ? all.length : MOST_NAMED)
    if (values.json && !values.yes && !dryRun)
      throw new UsageError('--json cannot ask for confirmation. Add --yes or --dry-run.')
    return withTarget(values, async ({ target, signal, progress }) => {
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

type Names = (all: readonly string[]) => string

/** More in a line are counted. */
const MOST_NAMED = 10

/** @param most of them to be named */
function listed(all: readonly string[], most: number): string {
  const rest = all.length - most
  return rest <= 0 ? all.join(', ') : `${all.slice(0, most).join(', ')} and ${rest} more (--verbose names them)`
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
    lines.push(`Versions that were pushed during the removal lack chunks now: ${names(harmed)}. Push them again.`)
  }
  return lines.join('\n')
}

function staying(unreadable: readonly string[], names: Names): string {
  return (
    `The weights were kept, because these manifests cannot be read and may use them: ${names(unreadable)}. Push those ` +
    'versions again or delete the manifests in the bucket, then run this command again.'
  )
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
