import type { Alias } from '../../catalog/alias.ts'
import { type AliasChange, released } from '../../catalog/alias-changes.ts'
import type { Canary } from '../../catalog/canary.ts'
import { VergeError } from '../../core/errors.ts'
import { UsageError } from '../terminal/command-line.ts'

/** What a command says of a trial; what it leaves out stays, or is as for a new trial. */
export interface TrialTerms {
  /** Share of requests of which the outputs are compared, 0 to 1. */
  readonly shadow?: number | undefined
  /** Whether the canary is taken out by itself; true for a new trial. */
  readonly guarded?: boolean | undefined
  /** How much worse it may be. Each rule that is left out stays. */
  readonly rules?: NonNullable<Canary['rules']>
}

/** A version as a command names it. Percent: undefined where only the name was given. */
export interface Wanted {
  readonly version: string
  readonly percent: number | undefined
}

/**
 * Puts one version on trial with this share of the requests, 0 to 100; the other live versions share the rest in their
 * proportions. A trial of the same version goes on with another share.
 * @throws UsageError where nothing is live to compare it with; model_not_found, version_not_found; conflict if another version is on trial
 */
export function onTrial(model: string, { percent, version }: Required<Wanted>, terms: TrialTerms): AliasChange {
  return (old) => {
    if (old?.canary !== undefined && old.canary.version !== version) throw otherTrial(model, old.canary)
    const stable = stableOf(old, version)
    if (old !== null && stable === undefined) {
      throw new UsageError(
        `Version ${version} of model "${model}" is the only live one, so there is none to compare it with. Name another version.`,
      )
    }
    const live = percent === 0 ? withoutCanary(old, version) : canaryOf(old, version, percent ?? 0)
    return { ...released(model, live)(old), canary: canaryAs(old, version, stable ?? '', terms) }
  }
}

/**
 * Makes versions live with exactly these shares. The one of them that is new, or on trial already, is the canary; without
 * exactly one of this kind nothing is on trial.
 */
export function sharing(model: string, wanted: readonly Wanted[], terms: TrialTerms | undefined): AliasChange {
  return (old) => {
    const live = wanted.map(({ percent, version }) => ({ version, weight: percent ?? 1 }))
    const alias = released(model, live)(old)
    const canary = candidateAmong(old, live)
    const stable = canary && heaviest(live.filter(({ version }) => version !== canary))
    if (canary !== undefined && stable !== undefined) {
      return { ...alias, canary: canaryAs(old, canary, stable, terms ?? {}) }
    }
    if (terms === undefined) return alias
    throw new UsageError(
      'Exactly one of the versions must be new to be watched. Put one version on trial: VERSION=PERCENT.',
    )
  }
}

/** Changes how the canary is watched, and nothing else. @throws model_not_found, conflict where nothing is on trial */
export function watchedOtherwise(model: string, terms: TrialTerms): AliasChange {
  return (old) => {
    const canary = canaryIn(model, old)
    if (terms.shadow === 0 && !old?.live.some(({ version }) => version === canary.version)) {
      throw new UsageError(
        `Canary ${canary.version} answers no caller, so it is compared or has no trial: use --rollback.`,
      )
    }
    return { ...released(model, old?.live ?? [])(old), canary: { ...canary, ...saidOf(terms, canary) } }
  }
}

/** Makes the canary the only live version. @throws model_not_found, conflict where nothing is on trial */
export function promoted(model: string): AliasChange {
  return (old) => released(model, [{ version: canaryIn(model, old).version, weight: 1 }])(old)
}

/** Adds a version to the live ones, which keep their proportions. */
function canaryOf(old: Alias | null, version: string, percent: number): Alias['live'] {
  const rest = withoutCanary(old, version)
  const total = rest.reduce((sum, { weight }) => sum + weight, 0)
  if (total === 0) return [{ version, weight: 1 }]
  // to a millionth, so that weights stay readable
  const share = (weight: number): number => Number((((100 - percent) * weight) / total).toFixed(6))
  return [...rest.map((each) => ({ version: each.version, weight: share(each.weight) })), { version, weight: percent }]
}

function withoutCanary(old: Alias | null, canary: string): Alias['live'] {
  return (old?.live ?? []).filter(({ version }) => version !== canary)
}

/** What a version is compared with: what it was compared with before, else the live version with the most requests. */
function stableOf(old: Alias | null, canary: string): string | undefined {
  return old?.canary?.version === canary ? old.canary.against : heaviest(withoutCanary(old, canary))
}

function heaviest(live: Alias['live']): string | undefined {
  return live.toSorted((left, right) => right.weight - left.weight)[0]?.version
}

function candidateAmong(old: Alias | null, live: Alias['live']): string | undefined {
  const before = old?.live ?? []
  const fresh = live.filter(({ version }) => !before.some((each) => each.version === version))
  if (fresh.length === 0) return live.find(({ version }) => version === old?.canary?.version)?.version
  return fresh.length === 1 && fresh.length < live.length ? fresh[0]?.version : undefined
}

function canaryAs(old: Alias | null, version: string, against: string, terms: TrialTerms): Canary {
  const before: Canary = old?.canary?.version === version ? old.canary : { version, against, guarded: true }
  return { ...before, version, against, ...saidOf(terms, before) }
}

function saidOf({ guarded, rules, shadow }: TrialTerms, before: Canary): Partial<Canary> {
  return {
    ...(guarded !== undefined && { guarded }),
    ...(shadow !== undefined && { shadow }),
    ...(rules !== undefined && { rules: { ...before.rules, ...rules } }),
  }
}

function canaryIn(model: string, old: Alias | null): Canary {
  if (old?.canary !== undefined) return old.canary
  if (old === null) {
    throw new VergeError(
      'model_not_found',
      `There is no model "${model}". Push it first, or look for its name: npx verge models`,
      { details: { model } },
    )
  }
  const why = old.stopped === undefined ? '' : `: canary ${old.stopped.version} was taken out (${old.stopped.reason})`
  throw new VergeError(
    'conflict',
    `No version of model "${model}" is on trial${why}. Put one on trial: npx verge release ${model} VERSION=PERCENT`,
    { details: { model } },
  )
}

function otherTrial(model: string, { version }: Canary): VergeError {
  return new VergeError(
    'conflict',
    `Version "${version}" of model "${model}" is on trial already. End its trial first: npx verge release ${model} --promote, or --rollback.`,
    { details: { model, version } },
  )
}
