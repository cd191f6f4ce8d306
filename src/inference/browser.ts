import { authorize } from '../access/authorize.ts'
import type { Alias } from '../catalog/alias.ts'
import type { Artifact, Blob, Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import { type Access, credentialOf, resolveVersion, resourceOf, seenModel } from './access.ts'

/** A chunk that a browser may receive. */
export interface DownloadableChunk {
  readonly sha256: string
  readonly bytes: number
  /** Whether copies may have it: those of pages files are in the truth alone. */
  readonly copied: boolean
  /** Whether anyone may have it: of a live version of a public model. */
  readonly open: boolean
}

/**
 * A version that the caller's browser may run.
 * @throws not_downloadable, and what finding a model throws
 */
export async function downloadableModel(
  access: Access,
  name: string,
  version: string | undefined,
): Promise<ResolvedModel> {
  const alias = await modelForBrowsers(access, name)
  const model = await resolveVersion(access, alias, version)
  if (isDownloadable(access, alias, model)) return model
  throw notDownloadable(alias, [model.manifest.version])
}

/**
 * A chunk that a downloadable version of the model lists. Whether a version lists it is not said of those that are not
 * downloadable.
 * @param version left out: any that is live
 * @throws not_found, not_downloadable, and what finding a model throws
 */
export async function downloadableChunk(
  access: Access,
  name: string,
  version: string | undefined,
  sha256: string,
): Promise<DownloadableChunk> {
  const alias = await modelForBrowsers(access, name)
  const versions = version === undefined ? alias.live.map((live) => live.version) : [version]
  let downloadable = false
  let unread: unknown
  for (const each of versions) {
    const model = await resolveVersion(access, alias, each).catch((error: unknown) => {
      // A version that cannot be read keeps nobody from the bytes of another.
      if (versions.length === 1 || !(error instanceof VergeError) || access.context.signal.aborted) throw error
      unread ??= error
    })
    if (model === undefined || !isDownloadable(access, alias, model)) continue
    downloadable = true
    const chunk = chunkOf(model.manifest, sha256)
    if (chunk !== undefined) return { ...chunk, open: isOpen(alias, each) }
  }
  if (unread !== undefined) throw unread
  if (!downloadable) throw notDownloadable(alias, versions)
  throw new VergeError(
    'not_found',
    `No version of model "${alias.model}" that you may download lists these bytes. Where another version has been released since, GET /browser/${alias.model} lists its chunks.`,
    { details: { model: alias.model } },
  )
}

/**
 * Artifacts that a browser may receive, in the manifest's order. The packer puts what it makes for the edge among them, because
 * a browser has the edge's own engines; a file that its model allows at the edge alone stays there.
 */
export function artifactsForBrowsers({ artifacts }: Manifest): Artifact[] {
  return artifacts.filter(({ places }) => places.includes('browser'))
}

function isOpen({ live, visibility }: Alias, version: string): boolean {
  return visibility === 'public' && live.some((each) => each.version === version)
}

/** A model that the caller's browser might run, where its versions let it. @throws forbidden, and what finding a model throws */
async function modelForBrowsers(access: Access, name: string): Promise<Alias> {
  const alias = await seenModel(access, name)
  const { caller } = access
  // Of the others, the versions decide.
  if (caller.kind !== 'granted' || authorize(caller, { ...resourceOf(alias), downloadable: true }, 'browser'))
    return alias
  throw new VergeError(
    'forbidden',
    `Your ${credentialOf(caller)} does not allow running model "${alias.model}" in a browser. Ask the server for its answers instead.`,
    { details: { model: alias.model, action: 'browser' } },
  )
}

function isDownloadable({ caller }: Access, alias: Alias, { manifest }: ResolvedModel): boolean {
  return authorize(caller, { ...resourceOf(alias), downloadable: manifest.downloadable }, 'browser')
}

function notDownloadable({ model }: Alias, versions: readonly string[]): VergeError {
  return new VergeError(
    'not_downloadable',
    `Model "${model}" runs on the server only: its weights are not given to browsers. Its operator can push a version with --downloadable.`,
    { details: { model, versions: versions.slice(0, MOST_NAMED) } },
  )
}

/** Versions that an error names. */
const MOST_NAMED = 20

function chunkOf(manifest: Manifest, sha256: string): Omit<DownloadableChunk, 'open'> | undefined {
  const artifacts = artifactsForBrowsers(manifest)
  const pages = artifacts.flatMap((artifact) => artifact.pages ?? [])
  const copied = [...artifacts, ...Object.values(manifest.files ?? {})]
  const within = (blobs: readonly Blob[]) =>
    blobs.flatMap(({ chunks }) => chunks).find((each) => each.sha256 === sha256)
  const chunk = within(copied)
  if (chunk !== undefined) return { ...chunk, copied: true }
  const paged = within(pages)
  return paged && { ...paged, copied: false }
}
