import { isObject } from '../../core/objects.ts'
import { LATEST_MS } from '../../core/time.ts'
import type { Alias, Visibility } from '../alias.ts'
import { type Canary, type CanaryStop, canarySchema, stopSchema } from '../canary.ts'
import { type Artifact, type Manifest, MODEL_NAME, PLACES, type Place, VERSION_NAME } from '../manifest.ts'

/** Live versions of an entry, heaviest first: a canary has two. */
const MOST_LIVE = 8
/** Versions of an entry, newest first after those that are live. */
const MOST_VERSIONS = 32
/** Artifacts that an entry names. */
const MOST_ARTIFACTS = 8
/** UTF-16 units of a description. */
const DESCRIPTION_LENGTH = 256

/** What lists say of a model. */
export interface ModelEntry {
  readonly model: string
  readonly visibility: Visibility
  readonly generation: number
  /** Of the alias in the source of truth; absent where it has none. */
  readonly etag?: string
  /** When the newest of the live versions was pushed, in seconds since 1970; 0 where that was not recorded. */
  readonly created: number
  /** Heaviest first. */
  readonly live: Alias['live']
  readonly canary?: Canary
  /** The canary that was taken out of this generation. */
  readonly stopped?: CanaryStop
  /** Those that are live, then the newest. */
  readonly versions: readonly string[]
  /** How many there are, with those that the entry leaves out. */
  readonly versionCount: number
  /** Which key signed the alias. The index does not check signatures. */
  readonly signedBy?: string
  /** The version that most requests get; absent where its manifest cannot be read. */
  readonly main?: MainVersion
}

/** What lists say of a version, from its manifest. */
export interface MainVersion {
  readonly version: string
  /** SHA-256 of the manifest. */
  readonly digest: string
  /** Seconds since 1970; 0 where that was not recorded. */
  readonly created: number
  readonly task?: string
  readonly description?: string
  /** Of the smallest artifact, its pages included; 0 if the weights lie with an origin. */
  readonly bytes: number
  /** Where the version may run, if there is anything that runs it there. */
  readonly places: readonly Place[]
  /** Most tokens of a text, or of a chat and its answer together, where the manifest says so. */
  readonly context?: number
  readonly artifacts: readonly ListedArtifact[]
}

export type ListedArtifact = Pick<Artifact, 'id' | 'format' | 'dtype' | 'bytes'>

/** The version that most requests get. */
export function mainVersion({ live }: Pick<Alias, 'live'>): string | undefined {
  return heaviestFirst(live)[0]?.version
}

/** @param manifest of the main version; null where it cannot be read */
export function entryOf(alias: Alias, manifest: Manifest | null, etag?: string): ModelEntry {
  const { canary, generation, model, signature, stopped, visibility } = alias
  const live = heaviestFirst(alias.live).slice(0, MOST_LIVE)
  const all = Object.keys(alias.versions)
  return {
    model,
    visibility,
    generation,
    ...(etag !== undefined && { etag }),
    created: Math.max(0, ...alias.live.map(({ version }) => pushedAt(alias, version))),
    live,
    ...(canary !== undefined && { canary }),
    ...(stopped !== undefined && { stopped }),
    versions: shownVersions(alias, all).slice(0, MOST_VERSIONS),
    versionCount: all.length,
    ...(signature !== undefined && { signedBy: signature.key }),
    ...(manifest !== null && { main: mainOf(alias, manifest) }),
  }
}

function mainOf(alias: Alias, manifest: Manifest): MainVersion {
  const { artifacts, description, generation, task, text, version } = manifest
  const context = generation?.contextLength ?? text?.maxTokens
  return {
    version,
    digest: alias.versions[version] ?? '',
    created: pushedAt(alias, version),
    ...(task !== undefined && { task }),
    ...(description !== undefined && { description: shortened(description) }),
    bytes: artifacts.length === 0 ? 0 : Math.min(...artifacts.map(bytesOf)),
    places: placesOf(manifest),
    ...(context !== undefined && { context }),
    artifacts: artifacts.slice(0, MOST_ARTIFACTS).map(({ bytes, dtype, format, id }) => ({ id, format, dtype, bytes })),
  }
}

/** Bytes of an artifact with its pages. */
export function bytesOf({ bytes, pages }: Pick<Artifact, 'bytes' | 'pages'>): number {
  return bytes + (pages?.bytes ?? 0)
}

/** Where a version may run, if there is anything that runs it there. Origins run what is meant for other places, too. */
function placesOf({ artifacts, downloadable, placement }: Manifest): Place[] {
  const can: Record<Place, boolean> = {
    edge: artifacts.some(({ places }) => places.length === 0 || places.includes('edge')),
    origin: placement !== 'edge',
    browser: downloadable === true && artifacts.some(({ places }) => places.includes('browser')),
  }
  return PLACES.filter((place) => can[place])
}

function shownVersions(alias: Alias, all: readonly string[]): string[] {
  const first = heaviestFirst(alias.live).map(({ version }) => version)
  const others = all.filter((version) => !first.includes(version))
  return [...first, ...others.sort((a, b) => pushedAt(alias, b) - pushedAt(alias, a))]
}

/** When a version was pushed, in seconds since 1970; 0 where an older Verge pushed it and kept no time. */
export function pushedAt({ created }: Pick<Alias, 'created'>, version: string): number {
  const at = created !== undefined && Object.hasOwn(created, version) ? (created[version] ?? 0) : 0
  return Math.min(at, LATEST)
}

/** Seconds. Lists write times as dates. */
const LATEST = LATEST_MS / 1000

function isTime(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= LATEST
}

function heaviestFirst(live: Alias['live']): Alias['live'] {
  return [...live].sort((left, right) => right.weight - left.weight)
}

/** Never half of a character: not half of a surrogate pair. */
function shortened(text: string): string {
  if (text.length <= DESCRIPTION_LENGTH) return text
  const cut = text.slice(0, DESCRIPTION_LENGTH - 1)
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}…`
}

/**
 * Whether a value is an entry: written by this Verge, or by another that adds fields. Checked by hand, because a list has a
 * thousand of them and a schema takes ten times as long.
 */
export function isEntry(value: unknown): value is ModelEntry {
  if (!isObject(value)) return false
  const { canary, created, generation, live, main, model, stopped, versionCount, versions, visibility } = value
  return (
    typeof model === 'string' &&
    MODEL_NAME.test(model) &&
    (visibility === 'public' || visibility === 'private') &&
    typeof generation === 'number' &&
    isTime(created) &&
    typeof versionCount === 'number' &&
    Array.isArray(live) &&
    live.every((each) => isObject(each) && isVersion(each.version) && typeof each.weight === 'number') &&
    Array.isArray(versions) &&
    versions.every(isVersion) &&
    (main === undefined || isMain(main)) &&
    // Of a few models.
    (canary === undefined || canarySchema.safeParse(canary).success) &&
    (stopped === undefined || stopSchema.safeParse(stopped).success)
  )
}

function isMain(value: unknown): value is MainVersion {
  if (!isObject(value)) return false
  const { artifacts, bytes, context, created, description, digest, places, task, version } = value
  return (
    isVersion(version) &&
    typeof digest === 'string' &&
    isTime(created) &&
    typeof bytes === 'number' &&
    (task === undefined || typeof task === 'string') &&
    (description === undefined || typeof description === 'string') &&
    (context === undefined || typeof context === 'number') &&
    Array.isArray(places) &&
    places.every((place) => PLACES.some((known) => known === place)) &&
    Array.isArray(artifacts) &&
    artifacts.every(isArtifact)
  )
}

function isArtifact(value: unknown): boolean {
  if (!isObject(value)) return false
  const { bytes, dtype, format, id } = value
  return [dtype, format, id].every((each) => typeof each === 'string') && typeof bytes === 'number'
}

function isVersion(value: unknown): value is string {
  return typeof value === 'string' && VERSION_NAME.test(value)
}
