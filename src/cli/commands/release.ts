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
import { onTrial, promoted, sharing, type TrialTerms, type Wanted, watchedOtherwise } from '../release/changes.ts'
import { checkTrial } from '../release/check-trial.ts'
import { TRIAL_OPTIONS, termsOf } from '../release/terms.ts'
import { describeTrial } from '../release/trial.ts'
import { SIGNING_OPTIONS } from '../signing/options.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../target/arguments.ts'
import { modelNamed, versionNamed } from '../target/names.ts'
import { OPERATOR_OPTION } from '../target/operator.ts'
import { withTarget } from '../target/session.ts'
import { delayOf } from '../target/target.ts'
import { UsageError } from '../terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'
import type { OptionValues } from '../terminal/values.ts'

const OPTIONS = {
  weight: {
    type: 'string',
    value: 'PERCENT',
    help: 'share of requests for the version, as VERSION=PERCENT says it',
  },
  ...TRIAL_OPTIONS,
  force: {
    type: 'boolean',
    help: [
      'put a version on trial even if it does not take the requests of the',
      'stable version, or answers in another form',
    ],
  },
  promote: { type: 'boolean', help: 'make the canary the only live version' },
  rollback: {
    type: 'boolean',
    help: [
      'take the canary out; without one, go back to the previous version',
      'that was live alone; repeat to go further back',
    ],
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
       npx verge release NAME VERSION=PERCENT [options]
       npx verge release NAME VERSION=PERCENT VERSION=PERCENT ... [options]
       npx verge release NAME --promote | --rollback [options]

A version with a share is a canary: it answers that share of the requests, is compared with the stable version, and is taken
out by itself if it is worse. The stable versions share the rest.

${helpOf(OPTIONS)}

Examples:
  npx verge release digits 2
  npx verge release digits 2=5
  npx verge release digits 2=0 --shadow 10
  npx verge release digits --promote
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
    if (name === undefined) throw new UsageError('Specify a model: npx verge release NAME VERSION.')
    const [named = '', at] = name.split('@')
    if (at !== undefined && at !== '' && wanted.length === 0) {
      throw new UsageError(`Separate the model and the version by a space: npx verge release ${named} ${at}`)
    }
    const model = modelNamed(name)
    const change = changeOf(model, wanted, values)
    return withTarget(values, async ({ target, signal }) => {
      const reader = readerOf(target.truth)
      const old = await reader.alias(model, signal)
      // also for --dry-run, so that an impossible change is refused there too
      const planned = nextAlias(model, old, change)
      const notes = await checkTrial(reader, old, planned, { force: values.force ?? false, signal })
      const dryRun = values['dry-run'] ?? false
      if (dryRun) {
        const same = old !== null && isUnchanged(old, planned)
        return report(old, same ? old : planned, { changed: !same, dryRun, json: values.json, notes })
      }
      const { alias, changed } = await target.writer.updateAlias(model, change, {
        signal,
        ...(values.rollback && { action: 'rollback' as const }),
        ...(values.promote && { action: 'promote' as const }),
      })
      const text = report(old, alias, { changed, dryRun, json: values.json, notes })
      return values.json || !changed ? text : `${text}\n${delayOf(target)}`
    })
  },
})

interface ReleaseArguments extends OptionValues {
  readonly weight?: string | undefined
  readonly promote?: boolean | undefined
  readonly rollback?: boolean | undefined
  readonly public?: boolean | undefined
  readonly private?: boolean | undefined
}

/** All that is asked for, as one change: it becomes one write. @throws UsageError */
function changeOf(model: string, wanted: readonly string[], values: ReleaseArguments): AliasChange {
  if (values.public && values.private)
    throw new UsageError('--public and --private cannot be combined. Remove one of them.')
  const visibility: Visibility | undefined = values.public ? 'public' : values.private ? 'private' : undefined
  const live = endOf(model, wanted, values) ?? liveOf(model, wanted, values)
  if (live !== undefined) return visibility === undefined ? live : (old) => ({ ...live(old), visibility })
  if (visibility !== undefined) return shown(model, visibility)
  throw new UsageError('Specify what to change: a version, --promote, --rollback, --public or --private.')
}

/** The end of a trial, or the way back; undefined where neither is asked for. */
function endOf(model: string, wanted: readonly string[], values: ReleaseArguments): AliasChange | undefined {
  const { promote, rollback, weight } = values
  if (!promote && !rollback) return undefined
  const option = rollback ? '--rollback' : '--promote'
  if (promote && rollback) throw new UsageError('--promote and --rollback cannot be combined. Remove one of them.')
  if (wanted.length > 0 || weight !== undefined || termsOf(values) !== undefined) {
    throw new UsageError(
      rollback
        ? '--rollback takes no versions. It takes the canary out, or goes back to the previous version that was live alone.'
        : `${option} takes no versions and no shares. It makes the canary the only live version.`,
    )
  }
  return rollback ? rolledBack(model) : promoted(model)
}

function liveOf(model: string, wanted: readonly string[], values: ReleaseArguments): AliasChange | undefined {
  const terms = termsOf(values)
  const parsed = wanted.map(parseWanted)
  const [only, ...others] = parsed
  if (values.weight !== undefined) {
    const percent = Number(values.weight)
    if (only === undefined || others.length > 0 || only.percent !== undefined || !(percent > 0 && percent < 100)) {
      throw new UsageError('--weight needs exactly one version, and a value above 0 and below 100 per cent.')
    }
    return onTrial(model, { version: only.version, percent }, terms ?? {})
  }
  if (only === undefined) return terms && watchedOtherwise(model, terms)
  if (others.length === 0) return oneOf(model, only, terms)
  if (parsed.some(({ percent }) => percent === undefined)) {
    throw new UsageError('Several versions need a percentage each: npx verge release NAME 1=90 2=10.')
  }
  if (parsed.some(({ percent }) => percent === 0)) {
    throw new UsageError(
      'A share of 0 is for one version alone, whose outputs are compared: npx verge release NAME 2=0 --shadow 10.',
    )
  }
  const sum = parsed.reduce((total, { percent = 0 }) => total + percent, 0)
  if (Math.abs(sum - 100) > ROUNDING) {
    throw new UsageError(`${wanted.join(' ')}: the percentages add up to ${Number(sum.toPrecision(6))} instead of 100.`)
  }
  return sharing(model, parsed, terms)
}

function oneOf(model: string, { percent, version }: Wanted, terms: TrialTerms | undefined): AliasChange {
  if (percent === undefined || percent === 100) {
    if (terms === undefined) return released(model, [{ version, weight: 1 }])
    throw new UsageError(`A version that answers all requests is not watched. Give it a share: ${version}=5.`)
  }
  if (percent > 100) throw new UsageError(`${version}=${percent}: a share is at most 100 per cent.`)
  if (percent === 0 && !terms?.shadow) {
    throw new UsageError(
      `${version}=0 answers no caller. Compare its outputs: npx verge release ${model} ${version}=0 --shadow 10`,
    )
  }
  return onTrial(model, { version, percent }, terms ?? {})
}

function parseWanted(text: string): Wanted {
  const [name = '', given, ...more] = text.split('=')
  const percent = given === undefined ? undefined : Number(given)
  if (more.length > 0 || given === '' || (percent !== undefined && !(percent >= 0 && Number.isFinite(percent)))) {
    throw new UsageError(
      `"${text}" is not VERSION=PERCENT. Write the percentage as a number, such as ${name || '2'}=5.`,
    )
  }
  return { version: versionNamed(name), percent }
}

function report(
  old: Alias | null,
  next: Alias,
  {
    changed,
    dryRun,
    json,
    notes,
  }: {
    readonly changed: boolean
    readonly dryRun: boolean
    readonly json?: boolean | undefined
    /** Of a trial that begins. */
    readonly notes: readonly string[]
  },
): string {
  const { canary, generation, live, model, stopped, visibility } = next
  if (json) {
    const trial = { ...(canary && { canary }), ...(stopped && { stopped }) }
    const record = {
      model,
      visibility,
      live,
      ...trial,
      history: historyOf(next),
      generation,
      changed,
      dryRun,
      ...(notes.length > 0 && { notes }),
    }
    return JSON.stringify(record, null, 2)
  }
  const trial = describeTrial(next)
  const state = `live: ${describeLive(live)}; ${trial === undefined ? '' : `${trial}; `}${visibility}; generation ${generation}`
  if (!changed) return `${model} needs no change: ${state}.`
  const was = old === null ? '' : ` (was live: ${describeLive(old.live)}; ${old.visibility})`
  const done = `${model} ${dryRun ? 'would be' : 'is now'}: ${state}${was}.${dryRun ? ' Nothing was changed (--dry-run).' : ''}`
  return [done, ...notes].join('\n')
}
