import { VergeError } from '../core/errors.ts'
import { ALIAS_SCHEMA, type Alias, type Visibility } from './alias.ts'
import { canonicalJson } from './canonical-json.ts'

/** What a change of an alias decides; the rest follows: `previous` too, whenever what is live changes. */
export type AliasFields = Pick<Alias, 'visibility' | 'versions' | 'live'>

/** Decides from the alias as it is, null if there is none. May be asked again, with a newer one. */
export type AliasChange = (old: Alias | null) => AliasFields

export interface PublishOptions {
  /** Whether the version answers where none is named, alone. The first version of a model has to. */
  readonly live: boolean
  /** Left as it is, or private for a new model, if not said. */
  readonly visibility?: Visibility
}

/** The alias that a change makes of the old one. @throws what `change` throws */
export function nextAlias(model: string, old: Alias | null, change: AliasChange): Alias {
  const { previous, ...next }: Alias = {
    ...old,
    ...change(old),
    schema: ALIAS_SCHEMA,
    model,
    generation: (old?.generation ?? 0) + 1,
  }
  const moved = old !== null && canonicalJson(next.live) !== canonicalJson(old.live)
  const before = moved ? old.live : previous
  return before === undefined ? next : { ...next, previous: before }
}

/** Adds a version. @throws conflict if it is the first and not to be live */
export function published(model: string, version: string, digest: string, options: PublishOptions): AliasChange {
  return (old) => {
    if (old === null && !options.live) {
      throw new VergeError('conflict', `"${version}" is the first version of model "${model}", and has to be live.`)
    }
    return {
      visibility: options.visibility ?? old?.visibility ?? 'private',
      versions: { ...old?.versions, [version]: digest },
      live: options.live ? [{ version, weight: 1 }] : (old?.live ?? []),
    }
  }
}

/** Makes versions live with these weights. @throws model_not_found, version_not_found */
export function released(model: string, live: Alias['live']): AliasChange {
  return (old) => {
    if (old === null) throw noSuchModel(model)
    for (const { version } of live) assertVersion(old, version)
    return { ...old, live }
  }
}

/** Makes live what was live before. @throws model_not_found, conflict if there is no such thing, or no longer */
export function rolledBack(model: string): AliasChange {
  return (old) => {
    if (old === null) throw noSuchModel(model)
    const { previous, versions } = old
    const details = { model, versions: Object.keys(versions) }
    if (previous === undefined) {
      throw new VergeError('conflict', `Model "${model}" has had nothing else live. Name the version to release.`, {
        details,
      })
    }
    const lost = previous.find(({ version }) => !Object.hasOwn(versions, version))
    if (lost === undefined) return { ...old, live: previous }
    throw new VergeError(
      'conflict',
      `Version "${lost.version}" of model "${model}", which was live before, has been removed. Name the version to ` +
        'release.',
      { details },
    )
  }
}

/** @throws model_not_found */
export function shown(model: string, visibility: Visibility): AliasChange {
  return (old) => {
    if (old === null) throw noSuchModel(model)
    return { ...old, visibility }
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
    const { [version]: _, ...versions } = old.versions
    return { ...old, versions }
  }
}

export function existsAlready(model: string, version: string): VergeError {
  return new VergeError(
    'conflict',
    `Version "${version}" of model "${model}" exists already with other contents, and versions never change. Push ` +
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
  return new VergeError('model_not_found', `There is no model "${model}". Push it first.`, { details: { model } })
}
