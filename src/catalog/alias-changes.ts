import { VergeError } from '../core/errors.ts'
import { ALIAS_SCHEMA, type Alias, isSeeded, type Visibility } from './alias.ts'
import { canonicalJson } from './canonical-json.ts'

/** The decisions of an alias change. Other fields follow from them, such as `history` from the live versions. */
export interface AliasFields extends Pick<Alias, 'visibility' | 'versions' | 'live'> {
  readonly created?: Alias['created']
  readonly canary?: Alias['canary']
  /** Where nothing else changes, a stop stays on record. A change that says which versions are live leaves it out. */
  readonly stopped?: Alias['stopped']
  /** Only seeding has changed the alias. Absent: the operator has decided what is live. */
  readonly bySeeding?: boolean
}

/** Decides by the current alias, null if there is none. May be called again with a newer alias. */
export type AliasChange = (old: Alias | null) => AliasFields

export interface PublishOptions {
  /**
   * Whether the version becomes the only live one. The first version of a model must. `seeding`: yes, with this
   * visibility, if only seeding has changed the model; otherwise the version is added, and live versions and visibility
   * stay unchanged.
   */
  readonly live: boolean | 'seeding'
  /** Left as it is, or private for a new model, if not said. */
  readonly visibility?: Visibility
  /** Seconds since 1970, recorded for a version that is new. */
  readonly at?: number
}

/**
 * The alias that a change makes of the old one, unsigned.
 * @param after the new generation is above this one, too: a removed model's last one
 * @throws what `change` throws
 */
export function nextAlias(model: string, old: Alias | null, change: AliasChange, after = 0): Alias {
  const { visibility, versions, live, created, canary, stopped, bySeeding } = change(old)
  const generation = Math.max(old?.generation ?? 0, after) + 1
  const rest = withoutDerived(old)
  const history = old === null ? [] : historyAfter(old, { versions, live })
  const next: Alias = {
    ...rest,
    schema: ALIAS_SCHEMA,
    model,
    generation,
    visibility,
    versions,
    live,
    ...(created !== undefined && { created }),
    ...(canary !== undefined && { canary }),
    ...(history.length > 0 && { history }),
    ...(bySeeding && { seeded: generation }),
  }
  // a stop is of one generation, so whatever is written ends it
  return stopped !== undefined && isUnchanged(old, { ...next, stopped }) ? { ...next, stopped } : next
}

/** What a change takes over as it is, fields of a newer Verge included. */
function withoutDerived(old: Alias | null): Partial<Alias> {
  const {
    previous: _0,
    history: _1,
    seeded: _2,
    created: _3,
    signature: _4,
    canary: _5,
    stopped: _6,
    ...rest
  } = old ?? {}
  return rest
}

/** Whether a change leaves an alias as it is, so that nothing has to be written. A signature is no change. */
export function isUnchanged(old: Alias | null, next: Alias): boolean {
  if (old === null) return false
  // an older Verge's record of earlier live versions is equivalent to the history made from it
  const { previous: _, signature: _signature, ...rest } = old
  const history = historyOf(old)
  const comparable = (alias: Alias): string =>
    canonicalJson({ ...alias, generation: old.generation, seeded: isSeeded(alias) })
  return comparable(next) === comparable({ ...rest, ...(history.length > 0 && { history }) })
}

/** What the audit log calls the change from one alias to the next, by the first of these that has changed. */
export function actionOf(
  old: Alias | null,
  next: Alias,
): 'publish' | 'remove-version' | 'release' | 'visibility' | 'update' {
  const before = old?.versions ?? {}
  if (Object.keys(next.versions).some((version) => !Object.hasOwn(before, version))) return 'publish'
  if (Object.keys(before).some((version) => !Object.hasOwn(next.versions, version))) return 'remove-version'
  const trial = ({ live, canary }: Alias): string => canonicalJson({ live, canary: canary ?? null })
  if (old === null || trial(old) !== trial(next)) return 'release'
  if (old.visibility !== next.visibility) return 'visibility'
  return old.stopped === undefined ? 'update' : 'release'
}

/** Adds a version. @throws conflict if it is the first and should not be live */
export function published(model: string, version: string, digest: string, options: PublishOptions): AliasChange {
  return (old) => {
    if (old === null && !options.live) {
      throw new VergeError('conflict', `"${version}" is the first version of model "${model}", so it must be live.`)
    }
    const seeding = options.live === 'seeding'
    const decided = seeding && old !== null && !isSeeded(old)
    const isNew = old === null || !Object.hasOwn(old.versions, version)
    const created = { ...old?.created, ...(isNew && options.at !== undefined && { [version]: options.at }) }
    const replaces = options.live && !decided
    return {
      visibility: (decided ? undefined : options.visibility) ?? old?.visibility ?? 'private',
      versions: { ...old?.versions, [version]: digest },
      live: replaces ? [{ version, weight: 1 }] : (old?.live ?? []),
      ...(!replaces && { canary: old?.canary, stopped: old?.stopped }),
      ...(Object.keys(created).length > 0 && { created }),
      bySeeding: seeding && !decided,
    }
  }
}

/** Makes versions live with these weights. A trial of a version ends. @throws model_not_found, version_not_found */
export function released(model: string, live: Alias['live']): AliasChange {
  return (old) => {
    if (old === null) throw noSuchModel(model)
    for (const { version } of live) assertVersion(old, version)
    return { ...old, live, canary: undefined, stopped: undefined }
  }
}

/**
 * Goes back. With a canary on trial: to the live versions without it; where the canary was taken out already, to what
 * is live since. Otherwise to the version that answered alone before. Where several versions are live, that is the one
 * before them; a second rollback goes further back, never forward.
 * @throws model_not_found, conflict if there is no such version
 */
export function rolledBack(model: string): AliasChange {
  return (old) => {
    if (old === null) throw noSuchModel(model)
    const { canary, live, stopped } = old
    if (canary !== undefined || stopped !== undefined) {
      const rest = live.filter((each) => each.version !== canary?.version)
      // what answers alone has the weight of a release
      return released(model, rest.length === 1 ? rest.map((each) => ({ ...each, weight: 1 })) : rest)(old)
    }
    const version = historyOf(old).at(-1)
    if (version !== undefined) return released(model, [{ version, weight: 1 }])(old)
    const versions = Object.keys(old.versions)
    throw new VergeError(
      'conflict',
      `Model "${model}" has no older version that was live alone. Name the version to release: ${versions.join(', ')}.`,
      { details: { model, versions } },
    )
  }
}

/** Versions that answered alone before the live ones and still exist, oldest first. */
export function historyOf({ history = [], live, previous, versions }: Alias): readonly string[] {
  const before = previous && soleVersion(previous)
  const all = before === undefined ? history : [...history.filter((version) => version !== before), before]
  // a stable version that is alone again, because its canary was taken out, is in the history since the canary's release
  const at = all.indexOf(soleVersion(live) ?? '')
  return (at < 0 ? all : all.slice(0, at)).filter((version) => Object.hasOwn(versions, version))
}

/** Going back to a version, by a rollback or by its name, forgets what came after it. */
function historyAfter(old: Alias, next: Pick<Alias, 'versions' | 'live'>): readonly string[] {
  const before = soleVersion(old.live)
  const now = soleVersion(next.live)
  const all = historyOf({ ...old, versions: next.versions })
  const known =
    before === undefined || before === now || !Object.hasOwn(next.versions, before)
      ? all
      : [...all.filter((version) => version !== before), before]
  const at = now === undefined ? -1 : known.indexOf(now)
  return at < 0 ? known : known.slice(0, at)
}

/** The version that answers alone; undefined where several do. */
function soleVersion(live: Alias['live']): string | undefined {
  return live.length === 1 ? live[0]?.version : undefined
}

/** @throws model_not_found */
export function shown(model: string, visibility: Visibility): AliasChange {
  return (old) => {
    if (old === null) throw noSuchModel(model)
    return { ...old, visibility }
  }
}

/** Leaves everything as it is, for a new signature. @throws model_not_found */
export function asItIs(model: string): AliasChange {
  return (old) => {
    if (old === null) throw noSuchModel(model)
    return { ...old, stopped: undefined, bySeeding: isSeeded(old) }
  }
}

/** Takes out a version that is not live. @throws model_not_found, version_not_found, conflict if it is live */
export function withoutVersion(model: string, version: string): AliasChange {
  return (old) => {
    if (old === null) throw noSuchModel(model)
    assertVersion(old, version)
    if (old.live.some((each) => each.version === version)) {
      throw new VergeError(
        'conflict',
        `Version "${version}" of model "${model}" is live. Release another version first, or remove the whole model.`,
        { details: { model, version } },
      )
    }
    if (old.canary?.version === version) {
      throw new VergeError(
        'conflict',
        `Version "${version}" of model "${model}" is on trial as a canary. End the trial first: npx verge release ${model} --rollback`,
        { details: { model, version } },
      )
    }
    const { [version]: _, ...versions } = old.versions
    const { [version]: _created, ...created } = old.created ?? {}
    return { ...old, versions, ...(old.created && { created }) }
  }
}

export function existsAlready(model: string, version: string): VergeError {
  return new VergeError(
    'conflict',
    `Version "${version}" of model "${model}" already exists with different contents, and versions never change. Push ` +
      'under another version name.',
    { details: { model, version } },
  )
}

function assertVersion({ model, versions }: Alias, version: string): void {
  if (Object.hasOwn(versions, version)) return
  const known = Object.keys(versions)
  throw new VergeError(
    'version_not_found',
    `Model "${model}" has no version "${version}"; it has ${known.join(', ')}. Push it first.`,
    { details: { model, versions: known } },
  )
}

function noSuchModel(model: string): VergeError {
  return new VergeError(
    'model_not_found',
    `There is no model "${model}". Push it first, or look for its name: npx verge models`,
    { details: { model } },
  )
}
