import type { Alias, Visibility } from '../../catalog/alias.ts'
import {
  type AliasChange,
  historyOf,
  isUnchanged,
  nextAlias,
  released,
  rolledBack,
  shown,
} from '../../catalog/alias-changes.ts'
import { defineCommand } from '../command.ts'
import { readerOf } from '../push/inventory.ts'
import { describeLive } from '../push/push.ts'
import { SIGNING_OPTIONS } from '../signing/options.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../target/arguments.ts'
import { modelNamed, versionNamed } from '../target/names.ts'
import { OPERATOR_OPTION } from '../target/operator.ts'
import { withTarget } from '../target/session.ts'
import { delayOf } from '../target/target.ts'
import { UsageError } from '../terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'

const OPTIONS = {
  weight: {
    type: 'string',
    value: 'PERCENT',
    help: 'share of requests for the version; the live versions share the rest',
  },
  rollback: {
    type: 'boolean',
    help: 'go back to the previous version that was live alone; repeat to go further back',
  },
  public: { type: 'boolean', help: 'anyone may run the model' },
  private: { type: 'boolean', help: 'only the operator may run the model' },
  ...TARGET_OPTIONS,
  ...OPERATOR_OPTION,
  ...SIGNING_OPTIONS,
  'dry-run': { type: 'boolean', help: 'show what would change; change nothing' },
  json: { type: 'boolean', help: 'print JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Makes versions of a model live in one write (release, canary, rollback), or changes who may run the model.

Usage: npx verge release NAME VERSION [options]
       npx verge release NAME VERSION=PERCENT VERSION=PERCENT ... [options]
       npx verge release NAME --rollback [options]

${helpOf(OPTIONS)}

Examples:
  npx verge release digits 2
  npx verge release digits 2 --weight 5
  npx verge release digits 1=90 2=10
  npx verge release digits --rollback --env production
  npx verge release digits --public

${TARGET_ENVIRONMENT}`

/** Three thirds that a person has written as 33.3 or 33.333 each. */
const ROUNDING = 0.1 + 1e-9

export const releaseCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  async run({ values, positionals }) {
    const [name, ...wanted] = positionals
    if (name === undefined) throw new UsageError('Specify a model: verge release NAME VERSION.')
    const model = modelNamed(name)
    const change = changeOf(model, wanted, values)
    return withTarget(values, async ({ target, signal }) => {
      const old = await readerOf(target.truth).alias(model, signal)
      // also for --dry-run, so that an impossible change is refused there too
      const planned = nextAlias(model, old, change)
      const dryRun = values['dry-run'] ?? false
      if (dryRun) {
        const same = old !== null && isUnchanged(old, planned)
        return report(old, same ? old : planned, { changed: !same, dryRun, json: values.json })
      }
      const { alias, changed } = await target.writer.updateAlias(model, change, {
        signal,
        ...(values.rollback && { action: 'rollback' }),
      })
      const text = report(old, alias, { changed, dryRun, json: values.json })
      return values.json || !changed ? text : `${text}\n${delayOf(target)}`
    })
  },
})

interface ReleaseArguments {
  readonly weight?: string | undefined
  readonly rollback?: boolean | undefined
  readonly public?: boolean | undefined
  readonly private?: boolean | undefined
}

/** All that is asked for, as one change: it becomes one write. @throws UsageError */
function changeOf(model: string, wanted: readonly string[], values: ReleaseArguments): AliasChange {
  if (values.public && values.private)
    throw new UsageError('--public and --private cannot be combined. Remove one of them.')
  const visibility: Visibility | undefined = values.public ? 'public' : values.private ? 'private' : undefined
  if (values.rollback && (wanted.length > 0 || values.weight !== undefined)) {
    throw new UsageError('--rollback takes no versions. It goes back to the previous version that was live alone.')
  }
  const live = values.rollback ? rolledBack(model) : liveOf(model, wanted, values.weight)
  if (live !== undefined) return visibility === undefined ? live : (old) => ({ ...live(old), visibility })
  if (visibility !== undefined) return shown(model, visibility)
  throw new UsageError('Specify what to change: a version, --rollback, --public or --private.')
}

function liveOf(model: string, wanted: readonly string[], weight: string | undefined): AliasChange | undefined {
  const parsed = wanted.map(parseWanted)
  if (weight === undefined) {
    if (parsed.length === 0) return undefined
    if (parsed.length > 1 && parsed.some((each) => each.weight === undefined)) {
      throw new UsageError('Several versions need a percentage each: verge release NAME 1=90 2=10.')
    }
    const sum = parsed.reduce((total, each) => total + (each.weight ?? 0), 0)
    if (parsed.some((each) => each.weight !== undefined) && Math.abs(sum - 100) > ROUNDING) {
      throw new UsageError(
        `${wanted.join(' ')}: the percentages add up to ${Number(sum.toPrecision(6))} instead of 100.`,
      )
    }
    return released(
      model,
      parsed.map((each) => ({ version: each.version, weight: each.weight ?? 1 })),
    )
  }
  const [only, ...others] = parsed
  const percent = Number(weight)
  if (only === undefined || others.length > 0 || only.weight !== undefined || !(percent > 0 && percent < 100)) {
    throw new UsageError('--weight needs exactly one version, and a value above 0 and below 100 per cent.')
  }
  return (old) => released(model, canaryOf(old, only.version, percent))(old)
}

/** Adds a version to the live ones, which keep their proportions. */
export function canaryOf(old: Alias | null, version: string, percent: number): Alias['live'] {
  const rest = (old?.live ?? []).filter((each) => each.version !== version)
  const total = rest.reduce((sum, { weight }) => sum + weight, 0)
  if (total === 0) return [{ version, weight: 1 }]
  // to a millionth, so that weights stay readable
  const share = (weight: number): number => Number((((100 - percent) * weight) / total).toFixed(6))
  return [...rest.map((each) => ({ version: each.version, weight: share(each.weight) })), { version, weight: percent }]
}

function parseWanted(text: string): { readonly version: string; readonly weight: number | undefined } {
  const [name = '', given, ...more] = text.split('=')
  const weight = given === undefined ? undefined : Number(given)
  if (more.length > 0 || given === '' || (weight !== undefined && !(weight > 0 && Number.isFinite(weight)))) {
    throw new UsageError(`"${text}" is not VERSION=PERCENT with a percentage above 0.`)
  }
  return { version: versionNamed(name), weight }
}

function report(
  old: Alias | null,
  next: Alias,
  {
    changed,
    dryRun,
    json,
  }: { readonly changed: boolean; readonly dryRun: boolean; readonly json?: boolean | undefined },
): string {
  const { model, visibility, live, generation } = next
  if (json) {
    return JSON.stringify({ model, visibility, live, history: historyOf(next), generation, changed, dryRun }, null, 2)
  }
  const state = `live: ${describeLive(live)}; ${visibility}; generation ${generation}`
  if (!changed) return `${model} needs no change: ${state}.`
  const was = old === null ? '' : ` (was live: ${describeLive(old.live)}; ${old.visibility})`
  return `${model} ${dryRun ? 'would be' : 'is now'}: ${state}${was}.${dryRun ? ' Nothing was changed (--dry-run).' : ''}`
}
